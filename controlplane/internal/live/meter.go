package live

import (
	"context"
	"errors"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Store 是总览要读的用量。够不着为 vegaerr.Unavailable。
type Store interface {
	// LiveTotals 给出从 since（UTC 的零点）到此刻的累计。
	LiveTotals(ctx context.Context, since time.Time) (Totals, error)
	// LiveHour 给出最近 60 分钟；known 是读过直方图的分钟（起点的 Unix 秒）与那时的个数，个数没有变的不再读。
	LiveHour(ctx context.Context, known map[int64]int64) (Hour, error)
}

// Configs 是配置；内容没有变时 Load 便宜。
type Configs interface {
	Load(ctx context.Context) (*catalog.Catalog, error)
	// Revisions 由新到旧列出至多 limit 版，都小于 before；before 为 0 从最新的开始。
	Revisions(ctx context.Context, before uint64, limit int) ([]catalog.Revision, error)
}

// Nodes 是整个机队。
type Nodes interface {
	Nodes(ctx context.Context) ([]push.Node, error)
}

// Queues 是当任的授予者眼里的队列；没有当任者为 vegaerr.Unavailable。
type Queues interface {
	Queues(ctx context.Context) (admission.Queues, error)
}

// Budgets 当场算出各预算的处境。
type Budgets interface {
	Statuses(ctx context.Context, plans []budget.Plan) ([]budget.Status, error)
}

// Usage 回答用量的查询；今天有多准与 GET /usage 说的一样。
type Usage interface {
	Query(ctx context.Context, q usage.Query) (usage.Result, error)
}

// Settings 给出时区：今天从何时起。
type Settings interface {
	LoadSettings(ctx context.Context) (usage.Settings, uint64, error)
}

// MeterConfig 的零值可用。
type MeterConfig struct {
	// Fresh 之内再问，给上一份；0 为 500 毫秒。
	Fresh time.Duration
	// Slow 是最近 60 分钟、预算与今天的准头多久重算一次；0 为 5 秒。
	Slow time.Duration
}

// MeterDeps 除 Now 外都必须给。
type MeterDeps struct {
	Store    Store
	Configs  Configs
	Nodes    Nodes
	Hub      *push.Hub
	Queues   Queues
	Budgets  Budgets
	Usage    Usage
	Settings Settings
	Now      func() time.Time // nil 即 time.Now
}

// Meter 算出总览。同一时刻只算一份，几个人一起问也是同一份；没有人问就什么也不做。
type Meter struct {
	cfg  MeterConfig
	deps MeterDeps
	// turn 里有一枚令牌：拿着它的才可以碰下面各项。
	turn   chan struct{}
	ring   ring
	spread distributions
	slow   *slow
	last   *Overview
	made   time.Time
}

// slow 是不必每秒重算的。
type slow struct {
	at       time.Time
	revision uint64
	hour     Hour
	budgets  []budget.Status
	today    Today
}

// NewMeter 造一个 Meter。
func NewMeter(cfg MeterConfig, deps MeterDeps) *Meter {
	if cfg.Fresh == 0 {
		cfg.Fresh = 500 * time.Millisecond
	}
	if cfg.Slow == 0 {
		cfg.Slow = 5 * time.Second
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	m := &Meter{cfg: cfg, deps: deps, turn: make(chan struct{}, 1)}
	m.turn <- struct{}{}
	return m
}

// Overview 给出至多 Fresh 之前算的总览。哪一处够不着是它的错误；没有授予者不是，那是总览里的一处不对。
func (m *Meter) Overview(ctx context.Context) (*Overview, error) {
	select {
	case <-m.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { m.turn <- struct{}{} }()
	if m.last != nil && m.deps.Now().Sub(m.made) < m.cfg.Fresh {
		return m.last, nil
	}
	o, err := m.compute(ctx)
	if err != nil {
		return nil, err
	}
	m.last, m.made = o, m.deps.Now()
	return o, nil
}

func (m *Meter) compute(ctx context.Context) (*Overview, error) {
	totals, err := m.deps.Store.LiveTotals(ctx, m.ring.anchor(m.deps.Now()))
	if err != nil {
		return nil, err
	}
	m.ring.add(totals)
	cat, err := m.deps.Configs.Load(ctx)
	if err != nil {
		return nil, err
	}
	nodes, err := m.deps.Nodes.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.refresh(ctx, cat); err != nil {
		return nil, err
	}
	queues, why, err := m.queues(ctx)
	if err != nil {
		return nil, err
	}
	h := m.slow.hour
	o := &Overview{
		At: totals.At.UTC(), Revision: cat.Revision, Counts: counts(cat, nodes, h.Ever, totals.At), Rates: m.ring.rates(),
		FirstByte: m.spread.recent(h), Series: m.spread.series(h), Apps: h.Apps, Servers: h.Servers, Models: h.Models,
	}
	for _, n := range nodes {
		if n.Connected {
			o.InFlight, o.Waiting = o.InFlight+n.InFlight, o.Waiting+n.Waiting
		}
	}
	o.Problems = Problems(State{
		Now: m.deps.Now(), Head: cat.Revision, Since: m.published(cat.Revision), Nodes: nodes, Queues: queues, NoLeader: why,
		Servers: cat.Servers, Budgets: m.slow.budgets, Today: m.slow.today,
	})
	return o, nil
}

// published 是 revision 何时发布的；本副本还没有发布它，就是此刻。
func (m *Meter) published(revision uint64) time.Time {
	if head := m.deps.Hub.Head(); head != nil && head.Update.GetRevision() == revision {
		return head.PublishedAt
	}
	return m.deps.Now()
}

// queues 在没有授予者时给出 nil 与为什么。
func (m *Meter) queues(ctx context.Context) (*admission.Queues, string, error) {
	q, err := m.deps.Queues.Queues(ctx)
	var known *vegaerr.Error
	switch {
	case err == nil:
		return &q, "", nil
	case errors.As(err, &known) && known.Code == vegaerr.Unavailable:
		return nil, known.Message, nil
	}
	return nil, "", err
}

// refresh 在过了时候、或配置换了版时重算慢的一份。
func (m *Meter) refresh(ctx context.Context, cat *catalog.Catalog) error {
	now := m.deps.Now()
	if m.slow != nil && m.slow.revision == cat.Revision && now.Sub(m.slow.at) < m.cfg.Slow {
		return nil
	}
	next := &slow{at: now, revision: cat.Revision}
	var err error
	if next.hour, err = m.deps.Store.LiveHour(ctx, m.spread.observed); err != nil {
		return err
	}
	if next.budgets, err = m.deps.Budgets.Statuses(ctx, budget.Plans(cat)); err != nil {
		return err
	}
	if next.today, err = m.today(ctx, now); err != nil {
		return err
	}
	m.spread.adopt(next.hour)
	m.slow = next
	return nil
}

func (m *Meter) today(ctx context.Context, now time.Time) (Today, error) {
	settings, _, err := m.deps.Settings.LoadSettings(ctx)
	if err != nil {
		return Today{}, err
	}
	zone, err := time.LoadLocation(settings.TimeZone)
	if err != nil {
		return Today{}, vegaerr.Wrap(err, vegaerr.Internal, "", "internal error")
	}
	year, month, date := now.In(zone).Date()
	res, err := m.deps.Usage.Query(ctx, usage.Query{From: time.Date(year, month, date, 0, 0, 0, 0, zone), TimeZone: settings.TimeZone})
	if err != nil {
		return Today{}, err
	}
	return Today{
		Attempts: res.Totals.Attempts, WithUsage: res.Totals.AttemptsWithUsage,
		Lost: res.Accuracy.Lost.Lost + res.Accuracy.LostLater.Lost,
	}, nil
}

func counts(cat *catalog.Catalog, nodes []push.Node, ever bool, now time.Time) Counts {
	c := Counts{Servers: len(cat.Servers), Models: len(cat.Models), Apps: len(cat.Apps), Nodes: len(nodes), NodesConnected: connected(nodes), RequestsEver: ever}
	for _, s := range cat.Servers {
		if s.Enabled {
			c.ServersEnabled++
		}
	}
	for _, k := range cat.Keys {
		if k.ExpiresAt.IsZero() || k.ExpiresAt.After(now) {
			c.Keys++
		}
	}
	return c
}
