package report

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"

	"github.com/vega-gateway/vega/dataplane/internal/backoff"
	"github.com/vega-gateway/vega/dataplane/internal/journal"
)

// Config 的零值字段取所注的默认值；NodeID 必填。
type Config struct {
	NodeID       string
	BatchRecords int           // 一批的记录数；0 即 1,000
	Window       int           // 在途的批数；0 即 4
	Tick         time.Duration // 不足一批时最多等多久；0 即 200 ms
	AckTimeout   time.Duration // 有应答该来而不来，多久算断；0 即 30 s
	HealthyAfter time.Duration // 流活过这么久，退避从头来；0 即 5 s
	BackoffMin   time.Duration // 退避的首个上限；0 即 100 ms
	BackoffMax   time.Duration // 退避的最大上限；0 即 5 s
}

// Deps 是它要的别的部件；Client 与 Journal 必填。
type Deps struct {
	Client  usagev1.UsageServiceClient
	Journal journal.Source   // 送哪一份
	Log     *zap.Logger      // nil 即不记
	Now     func() time.Time // 墙上时钟，写进消息；nil 即 time.Now
	Random  func() float64   // [0,1) 的均匀数，供抖动；nil 即 math/rand/v2
}

// Reporter 送一份记录；一个节点的全部由 Group 送。用 New 造。
type Reporter struct {
	cfg     Config
	deps    Deps
	log     *zap.Logger
	backoff backoff.Backoff

	connected atomic.Bool
	urgent    atomic.Int32  // 在等的 Flush 数：不为零时不攒批
	kick      chan struct{} // 叫醒退避中的 Run

	mu    sync.Mutex
	moved chan struct{} // 确认前进时关闭并换新的
}

// New 检查配置并填上默认值；不做 I/O。
func New(cfg Config, deps Deps) (*Reporter, error) {
	if cfg.NodeID == "" {
		return nil, vegaerr.New(vegaerr.Invalid, "", "report: a node id is required")
	}
	if deps.Client == nil || deps.Journal == nil {
		return nil, vegaerr.New(vegaerr.Invalid, "", "report: a client and a journal are required")
	}
	orDefault(&cfg.BatchRecords, 1_000)
	orDefault(&cfg.Window, 4)
	orDefault(&cfg.Tick, 200*time.Millisecond)
	orDefault(&cfg.AckTimeout, 30*time.Second)
	orDefault(&cfg.HealthyAfter, 5*time.Second)
	if deps.Log == nil {
		deps.Log = zap.NewNop()
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Reporter{
		cfg: cfg, deps: deps, log: deps.Log,
		backoff: backoff.Backoff{Min: cfg.BackoffMin, Max: cfg.BackoffMax, Random: deps.Random},
		kick:    make(chan struct{}, 1),
		moved:   make(chan struct{}),
	}, nil
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Connected 说用量流此刻是不是连着。
func (r *Reporter) Connected() bool { return r.connected.Load() }

// Run 送记录直到 ctx 结束；那时返回 nil。断线从不使它返回。
func (r *Reporter) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		r.once(ctx)
	}
	return nil
}

// once 是一条流的一生，与其后的退避。
func (r *Reporter) once(ctx context.Context) {
	start := time.Now()
	err := r.session(ctx)
	r.connected.Store(false)
	if ctx.Err() != nil {
		return
	}
	if time.Since(start) >= r.cfg.HealthyAfter {
		r.backoff.Reset()
	}
	wait := r.backoff.Next()
	r.log.Warn("usage stream ended, reconnecting", zap.Error(err), zap.Duration("wait", wait),
		zap.Int64("unreported", r.deps.Journal.Stats().Unreported))
	r.pause(ctx, wait)
}

// pause 等过退避；有人 Flush 就不等。
func (r *Reporter) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-r.kick:
	}
}

// Flush 等到此刻已有的一切（连同合计中的拒绝）都被确认；ctx 先结束则返回错误，说明还剩多少。要 Run 正在跑。
func (r *Reporter) Flush(ctx context.Context) error {
	r.urgent.Add(1)
	defer r.urgent.Add(-1)
	target := r.deps.Journal.Flush()
	select {
	case r.kick <- struct{}{}:
	default:
	}
	for {
		moved := r.movement() // 先取信号再看数目，其间的前进就不会错过
		if r.deps.Journal.Stats().AckedSeq >= target {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("flush usage, %d records unreported: %w", r.deps.Journal.Stats().Unreported, ctx.Err())
		}
	}
}

func (r *Reporter) movement() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.moved
}

func (r *Reporter) announce() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.moved)
	r.moved = make(chan struct{})
}
