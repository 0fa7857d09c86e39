package push

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Source 是配置的真相，由 app 以 postgres 与 snapshot 拼成。
type Source interface {
	// Head 是数据库里最新的版本号；便宜，每秒问一次。
	Head(ctx context.Context) (uint64, error)
	// Load 编出最新的一版；返回的值此后不可再改。
	Load(ctx context.Context) (*configv1.SnapshotUpdate, error)
}

// ReloaderConfig 的零值可用。
type ReloaderConfig struct {
	// Poll 是轮询的间隔；0 为 1 秒。
	Poll time.Duration
	// Timeout 是一次读取的上限；0 为 10 秒。
	Timeout time.Duration
}

// ReloaderDeps 是 Reloader 的依赖；除 Listen 外都必须给。
type ReloaderDeps struct {
	Source Source
	Hub    *Hub
	// Listen 守着数据库的通知，每来一个（以及接上之后）调用一次 fn；连接断了返回错误，由 Reloader 退避后再调。nil 则只轮询。
	Listen  func(ctx context.Context, fn func(revision uint64)) error
	Metrics *Metrics
	Log     *zap.Logger
}

// Reloader 让 Hub 里的一版跟上数据库：通知只是提示，轮询才是保证。
type Reloader struct {
	cfg  ReloaderConfig
	deps ReloaderDeps

	wake    chan struct{}
	stopped chan struct{}
	quiet   repeatLog
	// suspect 为真表示上次读取失败过：数据库可能换了一台，同号的版本也要重取一次。只有 Run 的协程读写。
	suspect bool

	mu   sync.Mutex
	next *round
}

// round 是一次读取；它开始之前到来的 Refresh 共等它的结果。
type round struct {
	done chan struct{}
	err  error
}

// NewReloader 造一个 Reloader；Run 才开始读。
func NewReloader(cfg ReloaderConfig, deps ReloaderDeps) *Reloader {
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	return &Reloader{cfg: cfg, deps: deps, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
}

// Run 读到 ctx 结束；数据库的错误只记下，不结束。只可调用一次。
func (r *Reloader) Run(ctx context.Context) error {
	defer close(r.stopped)
	var wg sync.WaitGroup
	defer wg.Wait()
	if r.deps.Listen != nil {
		wg.Go(func() { r.listen(ctx) })
	}
	tick := time.NewTicker(r.cfg.Poll)
	defer tick.Stop()
	for {
		r.runRound(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-tick.C:
		}
	}
}

// Wake 要 Reloader 马上看一眼数据库；不等待。
func (r *Reloader) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Refresh 在本副本落后于 atLeast 时强制读一次数据库并等它读完；数据库确实没有那么新也返回 nil。
// 读不到为 vegaerr.Unavailable。
func (r *Reloader) Refresh(ctx context.Context, atLeast uint64) error {
	round := r.join(atLeast)
	if round == nil {
		return nil
	}
	r.Wake()
	select {
	case <-round.done:
		return round.err
	case <-r.stopped:
		return vegaerr.New(vegaerr.Unavailable, "", "the control plane is shutting down")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join 加入下一轮读；已经够新则为 nil。锁内才看：看完才排到的人不必再读一遍上一轮刚读到的。
func (r *Reloader) join(atLeast uint64) *round {
	r.mu.Lock()
	defer r.mu.Unlock()
	if head := r.deps.Hub.Head(); head != nil && head.Update.GetRevision() >= atLeast {
		return nil
	}
	if r.next == nil {
		r.next = &round{done: make(chan struct{})}
	}
	return r.next
}

func (r *Reloader) runRound(ctx context.Context) {
	r.mu.Lock()
	cur := r.next
	r.next = nil
	r.mu.Unlock()

	err := r.read(ctx)
	if err != nil && ctx.Err() == nil {
		r.suspect = true
		r.deps.Metrics.reloadErrors.Inc()
		if r.quiet.due(time.Now()) {
			r.deps.Log.Error("cannot read the configuration; keeping the last revision",
				zap.Uint64("revision", r.deps.Hub.Revision()), zap.Error(err))
		}
	}
	if err == nil && r.quiet.over() {
		r.deps.Log.Info("configuration is readable again", zap.Uint64("revision", r.deps.Hub.Revision()))
	}
	if cur != nil {
		if err != nil {
			cur.err = vegaerr.Wrap(err, vegaerr.Unavailable, "", "the configuration cannot be read now")
		}
		close(cur.done)
	}
}

func (r *Reloader) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	revision, err := r.deps.Source.Head(ctx)
	if err != nil {
		return err
	}
	if head := r.deps.Hub.Head(); head != nil && head.Update.GetRevision() == revision && !r.suspect {
		return nil
	}
	u, err := r.deps.Source.Load(ctx)
	if err != nil {
		return err
	}
	if u == nil {
		return errors.New("configuration source returned no snapshot")
	}
	r.suspect = false
	if r.deps.Hub.Publish(u) {
		r.deps.Log.Info("published configuration", zap.Uint64("revision", u.GetRevision()), zap.Int("bytes", len(u.GetSnapshot())))
	}
	return nil
}
