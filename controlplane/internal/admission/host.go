package admission

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/push"
	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

// Config 的零值除 Elector.Address 外可用。
type Config struct {
	Elector ElectorConfig
	// OutQueue 是一条流至多积压几帧；0 为 1024。满了就断开它。
	OutQueue int
	// CheckEvery 是多久记一次谁还听得见、看一次谁要被忘掉；0 为 1 秒。
	CheckEvery time.Duration
}

// Refresher 让落后的副本向数据库求证；*push.Reloader 即是。
type Refresher interface {
	Refresh(ctx context.Context, atLeast uint64) error
}

// Peers 向另一个副本问它的队列；*Dialer 即是。
type Peers interface {
	Queues(ctx context.Context, address string) (*admissionv1.QueuesResponse, error)
}

// Deps 都必须给。
type Deps struct {
	Store     Store
	Hub       *push.Hub
	Refresher Refresher
	Peers     Peers
	Metrics   *Metrics
	Log       *zap.Logger
}

// Host 争取当任，当任时养着 Grantor；见包文档。
type Host struct {
	cfg     Config
	deps    Deps
	elector *Elector
	origin  time.Time
	conns   atomic.Uint64
	// newer 是节点在用而本副本还没有的最新版本，等着去求证。
	newer    chan uint64
	first    chan struct{} // 有了第一版配置即关闭
	stopping chan struct{} // Run 的 ctx 结束即关闭

	mu    sync.Mutex
	spec  *schedule.Spec
	reign *reign // 当任并且已经在听时非 nil
}

// New 造一个 Host；Run 才开始争。
func New(cfg Config, deps Deps) *Host {
	if cfg.OutQueue == 0 {
		cfg.OutQueue = 1024
	}
	if cfg.CheckEvery == 0 {
		cfg.CheckEvery = time.Second
	}
	h := &Host{
		cfg: cfg, deps: deps, origin: time.Now(),
		newer: make(chan uint64, 1), first: make(chan struct{}), stopping: make(chan struct{}),
	}
	h.elector = NewElector(cfg.Elector, ElectorDeps{Seats: deps.Store, Lead: h.lead, Log: deps.Log})
	deps.Metrics.watch(h)
	return h
}

// Run 跟着配置走、争当任，到 ctx 结束；那时先停手并告诉各节点，再交出当任。只可调用一次。
func (h *Host) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		<-ctx.Done()
		close(h.stopping)
	})
	wg.Go(func() { h.follow(ctx) })
	wg.Go(func() { h.catchUp(ctx) })
	select {
	case <-h.first: // 不知道限额的副本不该当任
	case <-ctx.Done():
		return nil
	}
	return h.elector.Run(ctx)
}

// now 是交给 Grantor 的时刻：从不倒退，也从不为 0。
func (h *Host) now() schedule.Time { return schedule.Time(time.Since(h.origin)) + 1 }

// current 是本副本正在当的任期，没有则为 nil。
func (h *Host) current() *reign {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reign
}

// lead 当任到 ctx 结束或任期作废；Elector 的 Lead。
func (h *Host) lead(ctx context.Context, l *Lease) error {
	members, err := h.loadMembers(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := newReign(h, l, cancel, schedule.NewGrantor(schedule.GrantorConfig{
		Term: l.Term, Now: h.now(), Members: members, First: l.First, Doubtful: l.Doubtful}))

	spec := h.publish(r)
	defer h.publish(nil)
	h.deps.Log.Info("granting begins", zap.Uint64("term", l.Term), zap.Int("members", len(members)), zap.Bool("first_term", l.First), zap.Bool("doubtful_members", l.Doubtful))
	return r.run(ctx, spec)
}

// publish 换上（nil 即撤下）正在当的任期，返回那一刻的配置；此后的新配置会投给它。
func (h *Host) publish(r *reign) *schedule.Spec {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reign = r
	return h.spec
}

// loadMembers 读到为止；续得上期而久读不到，就让别的副本来。
func (h *Host) loadMembers(ctx context.Context) ([]schedule.Member, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, schedule.RecordWithin, errUnread)
	defer cancel()
	var quiet repeatLog
	for {
		members, err := h.deps.Store.LoadMembers(ctx)
		if err == nil {
			for _, m := range members {
				if m.UnknownShares {
					h.deps.Log.Error("the stored shares of a node cannot be read; whole limits are held back for it until it reports or is forgotten",
						zap.String("node", m.Node))
				}
			}
			return members, nil
		}
		if quiet.due(time.Now()) {
			h.deps.Log.Warn("cannot read the members yet", zap.Error(err))
		}
		if !sleep(ctx, h.elector.cfg.Poll) {
			return nil, context.Cause(ctx)
		}
	}
}
