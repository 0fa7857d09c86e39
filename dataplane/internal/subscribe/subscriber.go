package subscribe

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"

	"github.com/vega-gateway/vega/dataplane/internal/backoff"
	"github.com/vega-gateway/vega/dataplane/internal/state"
)

// Config 的零值字段取所注的默认值；NodeID 必填。
type Config struct {
	NodeID  string
	Version string // 程序版本，供展示
	Epoch   uint64 // 进程这一次运行的随机数
	// DataDir 是存最近好配置的目录，没有则建；空即不存。
	DataDir string
	// JoinToken 是加密落盘文件的密钥来源；DataDir 非空时必填。
	JoinToken string
	// MaxSnapshotBytes 是快照解压后的上限；0 即 512 MiB。
	MaxSnapshotBytes int
	StatusEvery      time.Duration // 状态的间隔；0 即 1 s
	HealthyAfter     time.Duration // 流活过这么久，退避从头来；0 即 5 s
	BackoffMin       time.Duration // 退避的首个上限；0 即 100 ms
	BackoffMax       time.Duration // 退避的最大上限；0 即 5 s
}

// Deps 是它要的别的部件；Client 与 Holder 必填。
type Deps struct {
	Client configv1.ConfigServiceClient
	Holder *state.Holder
	// Status 给出此刻的状态，每个间隔调用一次；返回的归本包，会被改。nil 即送空的。
	Status func() *configv1.NodeStatus
	// Drain 在控制面要求排空时调用，不得阻塞，可能被调用多次；nil 即不理。
	Drain func(reason string)
	// Budgets 收下每一条预算的花费，不得阻塞；nil 即不理。
	Budgets func(*configv1.Budgets)
	Log     *zap.Logger    // nil 即不记
	Random  func() float64 // [0,1) 的均匀数，供抖动；nil 即 math/rand/v2
}

// Subscriber 维持一个节点的配置。用 New 造。
type Subscriber struct {
	cfg     Config
	deps    Deps
	log     *zap.Logger
	store   *store // nil 即不存盘
	saves   chan *configv1.SnapshotUpdate
	backoff backoff.Backoff

	connected   atomic.Bool
	mu          sync.Mutex
	refusedWhy  string // 最近一次拒绝的原因；换上了一版则为空
	unstoredWhy string // 最近一次存盘失败的原因；存好了则为空

	refused refusal // 只由 Run 的主循环碰
}

// New 检查配置并填上默认值；不做 I/O。
func New(cfg Config, deps Deps) (*Subscriber, error) {
	switch {
	case cfg.NodeID == "":
		return nil, vegaerr.New(vegaerr.Invalid, "", "subscribe: a node id is required")
	case deps.Client == nil || deps.Holder == nil:
		return nil, vegaerr.New(vegaerr.Invalid, "", "subscribe: a client and a holder are required")
	case cfg.DataDir != "" && cfg.JoinToken == "":
		return nil, vegaerr.New(vegaerr.Invalid, "", "subscribe: storing the configuration needs a join token")
	}
	if cfg.MaxSnapshotBytes <= 0 {
		cfg.MaxSnapshotBytes = 512 << 20
	}
	if cfg.StatusEvery <= 0 {
		cfg.StatusEvery = time.Second
	}
	if cfg.HealthyAfter <= 0 {
		cfg.HealthyAfter = 5 * time.Second
	}
	if deps.Log == nil {
		deps.Log = zap.NewNop()
	}
	s := &Subscriber{
		cfg: cfg, deps: deps, log: deps.Log,
		saves:   make(chan *configv1.SnapshotUpdate, 1),
		backoff: backoff.Backoff{Min: cfg.BackoffMin, Max: cfg.BackoffMax, Random: deps.Random},
	}
	s.refused.backoff = s.backoff
	if cfg.DataDir != "" {
		s.store = &store{dir: cfg.DataDir, token: cfg.JoinToken, maxBytes: cfg.MaxSnapshotBytes}
	}
	return s, nil
}

// Connected 说配置流此刻是不是连着。
func (s *Subscriber) Connected() bool { return s.connected.Load() }

// LastError 是还没有好的毛病（英文，一行）：最近一份被拒的原因，其次是存盘失败的原因。断线不算。
func (s *Subscriber) LastError() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.refusedWhy, s.unstoredWhy)
}

func (s *Subscriber) setRefusal(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusedWhy = text
}

func (s *Subscriber) setUnstored(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unstoredWhy = text
}

// Boot 换上盘上最近好的一份，说有没有换上；先试新的一代，再试旧的。读不出的记日志，当作没有。在 Run 之前调用。
func (s *Subscriber) Boot() bool {
	if s.store == nil {
		return false
	}
	for gen := range generations {
		u, err := s.store.load(gen)
		if errors.Is(err, errAbsent) {
			continue
		}
		var st *state.State
		if err == nil {
			st, err = s.compile(u)
		}
		if err != nil {
			s.log.Warn("stored configuration is unusable, ignoring it",
				zap.String("file", s.store.path(gen)), zap.String("reason", oneLine(err)))
			continue
		}
		s.store.loaded(gen, st.Digest)
		s.deps.Holder.Swap(st)
		s.log.Info("started from the stored configuration", zap.Uint64("revision", st.Revision), zap.Int("generation", gen))
		return true
	}
	return false
}

// Run 维持配置流直到 ctx 结束；那时返回 nil，等着存的一份已经存好。断线与坏配置从不使它返回。
func (s *Subscriber) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.keep(ctx) })
	defer wg.Wait()
	for {
		start := time.Now()
		err := s.session(ctx)
		s.connected.Store(false)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(start) >= s.cfg.HealthyAfter {
			s.backoff.Reset()
		}
		wait := s.backoff.Next()
		s.log.Warn("configuration stream ended, reconnecting", zap.Error(err), zap.Duration("wait", wait))
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// saveAgain 是存盘失败后隔多久再试：盘满了要等人来腾。
const saveAgain = 10 * time.Second

// keep 把换上的配置存盘，直到 ctx 结束；结束前再存一次还没存好的。存不下的隔一阵再试，直到有更新的一份。
func (s *Subscriber) keep(ctx context.Context) {
	again := time.NewTimer(saveAgain)
	again.Stop()
	defer again.Stop()
	var unsaved *configv1.SnapshotUpdate
	for {
		select {
		case u := <-s.saves:
			unsaved = u
		case <-again.C:
		case <-ctx.Done():
			select {
			case u := <-s.saves:
				unsaved = u
			default:
			}
			if unsaved != nil {
				s.save(unsaved)
			}
			return
		}
		if s.save(unsaved) {
			unsaved = nil
			again.Stop()
		} else {
			again.Reset(saveAgain)
		}
	}
}

func (s *Subscriber) save(u *configv1.SnapshotUpdate) bool {
	if err := s.store.save(u); err != nil {
		s.setUnstored("storing the configuration failed: " + oneLine(err))
		s.log.Error("storing the configuration failed, serving goes on", zap.Error(err), zap.Uint64("revision", u.GetRevision()))
		return false
	}
	s.setUnstored("")
	return true
}

// queueSave 让最新的一份等着存；还没开始存的旧的一份被顶掉。
func (s *Subscriber) queueSave(u *configv1.SnapshotUpdate) {
	if s.store == nil {
		return
	}
	select {
	case <-s.saves:
	default:
	}
	s.saves <- u
}

// digestOf 读 32 字节的摘要；长度不对则 ok 为假。
func digestOf(b []byte) (d [sha256.Size]byte, ok bool) {
	if len(b) != sha256.Size {
		return d, false
	}
	return [sha256.Size]byte(b), true
}
