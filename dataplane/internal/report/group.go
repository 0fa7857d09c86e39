package report

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"

	"github.com/vega-gateway/vega/dataplane/internal/journal"
)

// GroupDeps 是 Group 要的别的部件；Client 与 Journal 必填。
type GroupDeps struct {
	Client  usagev1.UsageServiceClient
	Journal *journal.Journal
	Log     *zap.Logger // nil 即不记
	Now     func() time.Time
	Random  func() float64
}

// Group 送一个节点的全部记录：每一份一个 Reporter、一条流。内存里的那一份有了东西才连，从前的交完就断。
// 用 NewGroup 造。
type Group struct {
	cfg  Config
	deps GroupDeps
	look chan struct{} // 叫醒 Run 去看有没有新的一份

	mu      sync.Mutex
	members map[uint64]*member // 按 epoch
}

// member 是一份记录的 Reporter。
type member struct {
	*Reporter
	source journal.Source
	stop   context.CancelFunc
}

// NewGroup 检查配置；不做 I/O。
func NewGroup(cfg Config, deps GroupDeps) (*Group, error) {
	if deps.Journal == nil {
		return nil, vegaerr.New(vegaerr.Invalid, "", "report: a journal is required")
	}
	g := &Group{cfg: cfg, deps: deps, look: make(chan struct{}, 1), members: map[uint64]*member{}}
	if _, err := g.reporter(deps.Journal); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *Group) reporter(s journal.Source) (*Reporter, error) {
	return New(g.cfg, Deps{Client: g.deps.Client, Journal: s, Log: g.deps.Log, Now: g.deps.Now, Random: g.deps.Random})
}

// lookEvery 是多久看一次有没有新的一份；新的一份少有，而且 Flush 不等它。
const lookEvery = 200 * time.Millisecond

// Run 送到 ctx 结束，那时返回 nil；返回时什么都不再跑。
func (g *Group) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		g.follow(ctx, &wg)
		select {
		case <-ctx.Done():
			return nil
		case <-g.look:
		case <-tick.C:
		}
	}
}

// follow 使跑着的正好是该送的。
func (g *Group) follow(ctx context.Context, wg *sync.WaitGroup) {
	sources := g.deps.Journal.Sources()
	g.mu.Lock()
	defer g.mu.Unlock()
	there := make(map[uint64]bool, len(sources))
	for i, s := range sources {
		there[s.Epoch()] = true
		if g.members[s.Epoch()] != nil || i > 0 && s.Stats().LastSeq == 0 || ctx.Err() != nil {
			continue
		}
		r, err := g.reporter(s)
		if err != nil {
			continue // 造 Group 的时候查过
		}
		one, stop := context.WithCancel(ctx)
		g.members[s.Epoch()] = &member{r, s, stop}
		wg.Go(func() { _ = r.Run(one) })
	}
	for epoch, m := range g.members {
		if !there[epoch] {
			m.stop()
			delete(g.members, epoch)
		}
	}
}

// Connected 说在写的那一份的流此刻是不是连着。
func (g *Group) Connected() bool {
	epoch := g.deps.Journal.Epoch()
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.members[epoch]
	return m != nil && m.Connected()
}

// Flush 等到此刻已有的一切（连同合计中的拒绝）都被确认；ctx 先结束则返回错误，说明还剩多少。要 Run 正在跑。
func (g *Group) Flush(ctx context.Context) error {
	g.deps.Journal.Flush()
	var errs []error
	for _, s := range g.deps.Journal.Sources() {
		if s.Stats().LastSeq == 0 {
			continue
		}
		m, err := g.member(ctx, s)
		if err == nil {
			err = m.Flush(ctx)
		}
		errs = append(errs, err)
	}
	if n := g.deps.Journal.Health().Waiting; n > 0 {
		errs = append(errs, fmt.Errorf("%d records could not be written to disk", n))
	}
	return errors.Join(errs...)
}

// member 等到一份记录的 Reporter 跑起来。
func (g *Group) member(ctx context.Context, s journal.Source) (*member, error) {
	for {
		g.mu.Lock()
		m := g.members[s.Epoch()]
		g.mu.Unlock()
		if m != nil {
			return m, nil
		}
		select {
		case g.look <- struct{}{}:
		default:
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("flush usage, %d records unreported: %w", s.Stats().Unreported, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}
