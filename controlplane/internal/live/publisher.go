package live

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// PublisherConfig 的零值可用。
type PublisherConfig struct {
	// MaxStreams 是同时至多几个订阅；0 为 200。
	MaxStreams int
	// MaxStreamsEach 是其中一个人的；0 为 20。
	MaxStreamsEach int
}

// PublisherDeps 除 Metrics 外都必须给。
type PublisherDeps struct {
	Meter   *Meter
	Configs Configs
	Nodes   Nodes
	Queues  Queues
	Hub     *push.Hub
	Log     *zap.Logger
	// Metrics 为 nil 则不计数。
	Metrics prometheus.Registerer
}

// Publisher 是一个副本的事件的源头；见包文档。
type Publisher struct {
	deps    PublisherDeps
	feeds   map[Topic]*feed
	tempo   tempo
	seats   seats
	stopped chan struct{}
}

// NewPublisher 造一个 Publisher；Run 才开始算。指标重名会 panic，因此一个 Registerer 只造一个。
func NewPublisher(cfg PublisherConfig, deps PublisherDeps) *Publisher {
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = defaultStreams
	}
	if cfg.MaxStreamsEach == 0 {
		cfg.MaxStreamsEach = defaultStreamsEach
	}
	p := &Publisher{
		deps: deps, feeds: map[Topic]*feed{}, stopped: make(chan struct{}),
		seats: seats{most: cfg.MaxStreams, each: cfg.MaxStreamsEach, by: map[string]int{}},
	}
	for _, t := range Topics() {
		p.feeds[t] = newFeed(t, deps.Log)
	}
	p.wire()
	if deps.Metrics != nil {
		deps.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "vega_event_streams", Help: "Event streams open on this replica.",
		}, func() float64 { return float64(p.seats.open()) }))
	}
	return p
}

// wire 说每个主题读什么、什么算变了、多久读一次。
func (p *Publisher) wire() {
	everySecond := func() time.Duration { return normalPace }
	changed := func(last, next any, _ time.Duration) bool { return !reflect.DeepEqual(last, next) }
	set := func(t Topic, read func(ctx context.Context) (any, error), due func(last, next any, since time.Duration) bool, pace func() time.Duration) {
		f := p.feeds[t]
		f.read, f.due, f.pace = read, due, pace
	}
	set(TopicRevision, p.revision, changed, everySecond)
	set(TopicFleet, p.fleet, fleetDue, p.tempo.pace)
	set(TopicQueues, func(ctx context.Context) (any, error) { return p.deps.Queues.Queues(ctx) }, changed, everySecond)
	set(TopicOverview, func(ctx context.Context) (any, error) { return p.deps.Meter.Overview(ctx) }, overviewDue, everySecond)
}

// revision 是头；还没有写过时是零版。
func (p *Publisher) revision(ctx context.Context) (any, error) {
	list, err := p.deps.Configs.Revisions(ctx, 0, 1)
	if err != nil || len(list) == 0 {
		return catalog.Revision{}, err
	}
	return list[0], nil
}

func (p *Publisher) fleet(ctx context.Context) (any, error) {
	nodes, err := p.deps.Nodes.Nodes(ctx)
	f := Fleet{Head: p.deps.Hub.Revision(), Nodes: nodes}
	if err == nil {
		p.tempo.saw(f)
	}
	return f, err
}

// overviewDue 不看何时算的与窗口有多长：什么也没有发生就不发；从还说不出速率到说得出是一件事。
func overviewDue(last, next any, _ time.Duration) bool {
	a, b := *last.(*Overview), *next.(*Overview)
	if (a.Rates.Window == 0) != (b.Rates.Window == 0) {
		return true
	}
	a.At, a.Rates.Window = b.At, b.Rates.Window
	return !reflect.DeepEqual(a, b)
}

// Subscribe 替 who 订阅 topics，重复的只算一个；已有的最新一份立刻可取。用完必须 Close。
// 已有太多订阅、或本副本要停，为 vegaerr.Unavailable；who 自己的太多为 vegaerr.Exhausted。
func (p *Publisher) Subscribe(who string, topics []Topic) (*Subscription, error) {
	select {
	case <-p.stopped:
		return nil, vegaerr.New(vegaerr.Unavailable, "", "this control plane is shutting down; connect again")
	default:
	}
	if err := p.seats.take(who); err != nil {
		return nil, err
	}
	s := &Subscription{publisher: p, who: who, ready: make(chan struct{}, 1), pending: map[Topic]*Event{}, frozen: map[Topic]bool{}, told: true}
	for _, t := range Topics() {
		if slices.Contains(topics, t) {
			s.feeds = append(s.feeds, p.feeds[t])
		}
	}
	for _, f := range s.feeds {
		f.join(s)
	}
	return s, nil
}

// Run 算到 ctx 结束，返回 nil；那一刻所有的订阅都知道。只可调用一次。
func (p *Publisher) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, f := range p.feeds {
		wg.Go(func() { f.run(ctx) })
	}
	head := p.deps.Hub.Subscribe()
	defer head.Close()
	for {
		select {
		case <-ctx.Done():
			close(p.stopped)
			return nil
		case <-head.C():
			p.tempo.hurry()
			p.feeds[TopicRevision].poke()
			p.feeds[TopicFleet].poke()
		}
	}
}
