package budget

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/push"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// Cursor 说一个节点的一个 epoch 的用量记录已经入库到哪一条。
type Cursor struct {
	Node             string
	Epoch, HighWater uint64
}

// Fleet 是算花费之前的机队：连着几个节点，各自的游标。
type Fleet struct {
	Nodes   int64
	Cursors []Cursor
}

// Store 是数据库；*postgres.Store 即是。不可达为 vegaerr.Unavailable。
type Store interface {
	BudgetFleet(ctx context.Context) (Fleet, error)
	// BudgetSpent 给出各 app 从各自的起点到此刻已入库的花费；没有用量的可以不在其中。
	BudgetSpent(ctx context.Context, since map[string]time.Time) (map[string]Spend, error)
}

// Config 的零值可用。
type Config struct {
	// Every 是多久算一次；0 为 1 秒。
	Every time.Duration
	// Timeout 是一次至多算多久；0 为 2 秒。
	Timeout time.Duration
}

// Publisher 把算出的交给各条流，不等待；*push.Board 即是。
type Publisher interface{ Publish(s *push.Spending) }

// Deps 除 Now 外都必须给。
type Deps struct {
	Store      Store
	Hub        *push.Hub
	Board      Publisher
	Log        *zap.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time // nil 即 time.Now
}

// Book 算出花费；用 New 造。
type Book struct {
	cfg     Config
	deps    Deps
	metrics *metrics

	// 以下只由 Run 的协程碰。
	plans  []Plan
	said   map[string]said
	silent bool // 上一次没有算成
}

// said 是一个 app 已经记过日志的：哪一期，到了哪一步。
type said struct {
	start time.Time
	state State
}

// New 造一个 Book；指标重名会 panic，因此一个 Registerer 只造一个。
func New(cfg Config, deps Deps) *Book {
	if cfg.Every == 0 {
		cfg.Every = time.Second
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 2 * time.Second
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Book{cfg: cfg, deps: deps, metrics: newMetrics(deps.Registerer), said: map[string]said{}}
}

// Statuses 当场算出 plans 里各预算的处境，次序不变。数据库不可达为 vegaerr.Unavailable。
func (b *Book) Statuses(ctx context.Context, plans []Plan) ([]Status, error) {
	now := b.deps.Now()
	list, since := make([]Status, len(plans)), make(map[string]time.Time, len(plans))
	for i, p := range plans {
		list[i] = p.at(now)
		since[p.App] = list[i].Start
	}
	if len(list) == 0 {
		return list, nil
	}
	spent, err := b.deps.Store.BudgetSpent(ctx, since)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Spent = spent[list[i].App]
	}
	return list, nil
}

// Run 每秒，以及配置一变，就算一次并送出，直到 ctx 结束；返回 nil。
func (b *Book) Run(ctx context.Context) error {
	sub := b.deps.Hub.Subscribe()
	defer sub.Close()
	tick := time.NewTicker(b.cfg.Every)
	defer tick.Stop()
	for known := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case head := <-sub.C():
			b.adopt(head.Update)
			known = true
		case <-tick.C:
		}
		if known { // 还没有配置就不知道谁有预算：说「谁也没有」会使节点以为是刚加上的
			b.tell(ctx)
		}
	}
}

func (b *Book) adopt(u *configv1.SnapshotUpdate) {
	plans, err := plansIn(u)
	if err != nil {
		b.deps.Log.Error("cannot read the budgets of a revision; keeping the last ones", zap.Uint64("revision", u.GetRevision()), zap.Error(err))
		return
	}
	b.plans = plans
}

// tell 算一次并送出；算不出就不说。
func (b *Book) tell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Timeout)
	defer cancel()
	s, statuses, err := b.spending(ctx)
	if err != nil {
		b.metrics.failures.Inc()
		if !b.silent && ctx.Err() != context.Canceled {
			b.deps.Log.Error("cannot compute the spending of the budgets; nodes keep to their parts", zap.Error(err))
		}
		b.silent = true
		return
	}
	if b.silent {
		b.deps.Log.Info("the spending of the budgets is computed again")
	}
	b.silent = false
	b.deps.Board.Publish(s)
	b.note(statuses)
}

func (b *Book) spending(ctx context.Context) (*push.Spending, []Status, error) {
	s := &push.Spending{Nodes: 1, Cursors: map[string][]*configv1.UsageCursor{}}
	if len(b.plans) == 0 {
		return s, nil, nil
	}
	fleet, err := b.deps.Store.BudgetFleet(ctx) // 先读游标，见包文档
	if err != nil {
		return nil, nil, err
	}
	statuses, err := b.Statuses(ctx, b.plans)
	if err != nil {
		return nil, nil, err
	}
	s.Nodes = max(fleet.Nodes, 1)
	for _, c := range fleet.Cursors {
		s.Cursors[c.Node] = append(s.Cursors[c.Node], &configv1.UsageCursor{Epoch: c.Epoch, HighWater: c.HighWater})
	}
	for _, st := range statuses {
		s.Apps = append(s.Apps, &configv1.BudgetStatus{
			App: st.App, PeriodStartUnixMs: st.Start.UnixMilli(), PeriodEndUnixMs: st.End.UnixMilli(),
			SpentNano: st.Spent.Nano, SpentTokens: st.Spent.Tokens,
		})
	}
	return s, statuses, nil
}

// note 换上指标；每一期每走到更坏的一步记一行。
func (b *Book) note(statuses []Status) {
	b.metrics.show(statuses)
	next := make(map[string]said, len(statuses))
	for _, st := range statuses {
		was, is := b.said[st.App], st.State()
		if !was.start.Equal(st.Start) {
			was = said{start: st.Start, state: OK}
		}
		if is == Exhausted && was.state != Exhausted || is == Warning && was.state == OK {
			b.deps.Log.Warn("an app has reached the "+limitName(is)+" of its budget", zap.String("app", st.App), zap.Float64("ratio", st.Ratio()),
				zap.Int64("spent_tokens", st.Spent.Tokens), zap.Int64("spent_nano", st.Spent.Nano), zap.Time("resets_at", st.End.UTC()))
			was.state = is
		}
		next[st.App] = was
	}
	b.said = next
}

func limitName(s State) string {
	if s == Exhausted {
		return "end"
	}
	return "soft limit"
}
