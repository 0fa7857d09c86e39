package live

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scene 是写好台词的机队与配置；asked 数问了几次。
type scene struct {
	mu    sync.Mutex
	nodes []push.Node
	down  error
	asked atomic.Int64
}

func (s *scene) Nodes(context.Context) ([]push.Node, error) {
	s.asked.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.nodes), s.down
}

func (s *scene) set(edit func(s *scene)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit(s)
}

func (s *scene) Load(context.Context) (*catalog.Catalog, error) { return catalog.New(), nil }

func (s *scene) Revisions(context.Context, uint64, int) ([]catalog.Revision, error) { return nil, nil }

// play 在假的钟里跑一个 Publisher。
func play(t *testing.T, cfg PublisherConfig, act func(s *scene, p *Publisher, hub *push.Hub, logs *observer.ObservedLogs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		s, hub := &scene{nodes: []push.Node{{ID: "n1", Connected: true, AppliedRevision: 1}}}, push.NewHub(push.NewMetrics(prometheus.NewRegistry()))
		hub.Publish(&configv1.SnapshotUpdate{Revision: 1})
		p := NewPublisher(cfg, PublisherDeps{Configs: s, Nodes: s, Hub: hub, Log: zap.New(core), Metrics: prometheus.NewRegistry()})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = p.Run(ctx) })
		synctest.Wait()
		act(s, p, hub, logs)
		cancel()
		wg.Wait()
	})
}

func subscribe(t *testing.T, p *Publisher, topics ...Topic) *Subscription {
	t.Helper()
	s, err := p.Subscribe("a", topics)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fleetOf 取走机队的一份；没有新的为 false。
func fleetOf(s *Subscription) (Fleet, bool) {
	for _, e := range s.Take() {
		if f, ok := e.Value.(Fleet); ok {
			return f, true
		}
	}
	return Fleet{}, false
}

func TestPublisher_ComputesOnlyWhileSomebodyWatches(t *testing.T) {
	play(t, PublisherConfig{}, func(s *scene, p *Publisher, hub *push.Hub, _ *observer.ObservedLogs) {
		hub.Publish(&configv1.SnapshotUpdate{Revision: 2})
		time.Sleep(time.Minute)
		if n := s.asked.Load(); n != 0 {
			t.Fatalf("asked %d times while nobody watched", n)
		}
		a, b := subscribe(t, p, TopicFleet), subscribe(t, p, TopicFleet, TopicFleet)
		time.Sleep(10 * time.Minute)
		watched := s.asked.Load()
		if watched < 500 || watched > 720 {
			t.Errorf("asked %d times in ten minutes", watched)
		}
		a.Close()
		a.Close()
		b.Close()
		time.Sleep(2 * time.Second)
		settled := s.asked.Load()
		time.Sleep(time.Minute)
		if n := s.asked.Load(); n != settled {
			t.Errorf("asked %d times after the last had gone", n-settled)
		}
		if n := p.seats.open(); n != 0 {
			t.Errorf("%d still open", n)
		}
	})
}

func TestPublisher_ANewcomerGetsTheWholeStateAtOnceAndOnlyChangesAfter(t *testing.T) {
	play(t, PublisherConfig{}, func(s *scene, p *Publisher, _ *push.Hub, _ *observer.ObservedLogs) {
		a := subscribe(t, p, TopicFleet, TopicRevision)
		<-a.Ready()
		synctest.Wait()
		events := a.Take()
		if len(events) != 2 || events[0].Topic != TopicRevision || events[1].Topic != TopicFleet {
			t.Fatalf("%+v", events)
		}
		time.Sleep(time.Minute)
		if got := a.Take(); len(got) != 0 {
			t.Fatalf("nothing changed, yet %v came", got[0].Topic)
		}
		b := subscribe(t, p, TopicFleet)
		if f, ok := fleetOf(b); !ok || f.Head != 1 || len(f.Nodes) != 1 {
			t.Errorf("a second watcher has to wait: %+v", f)
		}
		s.set(func(s *scene) { s.nodes[0].InFlight = 5 })
		time.Sleep(1100 * time.Millisecond)
		one, two := a.Take(), b.Take()
		if len(one) != 1 || len(two) != 1 || one[0] != two[0] {
			t.Fatal("both do not share one event")
		}
		encoded := 0
		for range 3 {
			if _, err := one[0].Encode(func(any) ([]byte, error) { encoded++; return []byte("{}"), nil }); err != nil {
				t.Fatal(err)
			}
		}
		if encoded != 1 {
			t.Errorf("encoded %d times", encoded)
		}
		a.Close()
		b.Close()
	})
}

func TestPublisher_ASlowWatcherKeepsOnlyTheNewest(t *testing.T) {
	play(t, PublisherConfig{}, func(s *scene, p *Publisher, _ *push.Hub, _ *observer.ObservedLogs) {
		a := subscribe(t, p, TopicFleet)
		for i := range 20 {
			s.set(func(s *scene) { s.nodes[0].InFlight = int64(i) })
			time.Sleep(1100 * time.Millisecond)
		}
		events := a.Take()
		if len(events) != 1 || events[0].Value.(Fleet).Nodes[0].InFlight != 19 {
			t.Errorf("%d events, %+v", len(events), events)
		}
		a.Close()
	})
}

func TestPublisher_ARevisionIsSeenWhileItSpreads(t *testing.T) {
	play(t, PublisherConfig{}, func(s *scene, p *Publisher, hub *push.Hub, _ *observer.ObservedLogs) {
		a := subscribe(t, p, TopicFleet)
		time.Sleep(time.Minute)
		a.Take()
		hub.Publish(&configv1.SnapshotUpdate{Revision: 2})
		synctest.Wait()
		if f, ok := fleetOf(a); !ok || f.Head != 2 || f.Nodes[0].AppliedRevision != 1 {
			t.Fatalf("the new head is not told at once: %v %+v", ok, f)
		}
		time.Sleep(2 * time.Second)
		s.set(func(s *scene) { s.nodes[0].AppliedRevision = 2 })
		time.Sleep(eagerPace)
		synctest.Wait()
		if f, ok := fleetOf(a); !ok || f.Nodes[0].AppliedRevision != 2 {
			t.Fatalf("the ACK is not told within %v: %+v", eagerPace, f)
		}
		before := s.asked.Load()
		time.Sleep(10 * time.Second)
		if n := s.asked.Load() - before; n > 12 {
			t.Errorf("asked %d times in ten seconds after all had it", n)
		}
		a.Close()
	})
}

func TestPublisher_ANodeThatStaysBehindIsNotWatchedEagerlyForEver(t *testing.T) {
	play(t, PublisherConfig{}, func(s *scene, p *Publisher, hub *push.Hub, _ *observer.ObservedLogs) {
		a := subscribe(t, p, TopicFleet)
		hub.Publish(&configv1.SnapshotUpdate{Revision: 2})
		time.Sleep(eagerFor + time.Second)
		before := s.asked.Load()
		time.Sleep(10 * time.Second)
		if n := s.asked.Load() - before; n > 12 {
			t.Errorf("asked %d times in ten seconds", n)
		}
		a.Close()
	})
}

// told 要 s 刚被告知停住的就是 want，而且只说一次。
func told(t *testing.T, s *Subscription, want ...Topic) {
	t.Helper()
	select {
	case <-s.Ready():
	default:
	}
	if got, changed := s.Frozen(); !changed || !slices.Equal(got, want) {
		t.Errorf("told %v (changed %t), want %v", got, changed, want)
	}
	if _, again := s.Frozen(); again {
		t.Error("told twice")
	}
}

func TestPublisher_KeepsTheLastWhileTheDatabaseIsAwayAndSaysItOnce(t *testing.T) {
	play(t, PublisherConfig{}, func(s *scene, p *Publisher, _ *push.Hub, logs *observer.ObservedLogs) {
		a := subscribe(t, p, TopicFleet)
		time.Sleep(time.Second)
		a.Take()
		s.set(func(s *scene) { s.down = errors.New("no database") })
		time.Sleep(time.Minute)
		if got := a.Take(); len(got) != 0 {
			t.Errorf("%+v", got[0].Value)
		}
		if n := logs.FilterMessage("cannot compute what watchers see; they keep the last").Len(); n != 1 {
			t.Errorf("%d lines", n)
		}
		told(t, a, TopicFleet)
		b, c := subscribe(t, p, TopicFleet), subscribe(t, p, TopicRevision)
		told(t, b, TopicFleet)
		if _, changed := c.Frozen(); changed {
			t.Error("a topic that is well is said to have changed")
		}
		if f, ok := fleetOf(b); !ok || len(f.Nodes) != 1 {
			t.Errorf("a newcomer does not get the last: %+v", f)
		}
		s.set(func(s *scene) { s.down, s.nodes[0].Draining = nil, true })
		time.Sleep(1100 * time.Millisecond)
		if f, ok := fleetOf(a); !ok || !f.Nodes[0].Draining {
			t.Errorf("not back: %+v", f)
		}
		told(t, a)
		told(t, b)
		a.Close()
		b.Close()
		c.Close()
	})
}

func TestPublisher_RefusesMoreStreamsThanItsLimit(t *testing.T) {
	play(t, PublisherConfig{MaxStreams: 2}, func(_ *scene, p *Publisher, _ *push.Hub, _ *observer.ObservedLogs) {
		a, b := subscribe(t, p, TopicFleet), subscribe(t, p, TopicFleet)
		if _, err := p.Subscribe("a", []Topic{TopicFleet}); vegaerr.CodeOf(err) != vegaerr.Unavailable {
			t.Fatalf("a third: %v", err)
		}
		a.Close()
		c := subscribe(t, p, TopicFleet)
		b.Close()
		c.Close()
	})
}

func TestPublisher_OnePersonCannotTakeEveryStream(t *testing.T) {
	play(t, PublisherConfig{MaxStreams: 5, MaxStreamsEach: 2}, func(_ *scene, p *Publisher, _ *push.Hub, _ *observer.ObservedLogs) {
		open := map[string][]*Subscription{}
		try := func(who string, want vegaerr.Code) {
			t.Helper()
			s, err := p.Subscribe(who, []Topic{TopicFleet})
			if err == nil && want == 0 {
				open[who] = append(open[who], s)
				return
			}
			if err == nil || vegaerr.CodeOf(err) != want || vegaerr.As(err).RetryAfter == 0 {
				t.Fatalf("%s: %v, want %v", who, err, want)
			}
		}
		try("ann", 0)
		try("ann", 0)
		try("ann", vegaerr.Exhausted)
		try("bob", 0)
		open["ann"][0].Close()
		open["ann"][0].Close() // 关两次只让出一个
		try("ann", 0)
		try("ann", vegaerr.Exhausted)
		try("bob", 0)
		try("cid", 0)
		try("cid", vegaerr.Unavailable)
		for _, list := range open {
			for _, s := range list {
				s.Close()
			}
		}
		if n, people := p.seats.open(), len(p.seats.by); n != 0 || people != 0 {
			t.Errorf("%d streams of %d people are left", n, people)
		}
	})
}

func TestPublisher_EndsItsStreamsWhenItEnds(t *testing.T) {
	s, hub := &scene{}, push.NewHub(push.NewMetrics(prometheus.NewRegistry()))
	p := NewPublisher(PublisherConfig{}, PublisherDeps{Configs: s, Nodes: s, Hub: hub, Log: zap.NewNop()})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = p.Run(ctx) })
	a := subscribe(t, p, TopicFleet)
	defer a.Close()
	cancel()
	<-a.Done()
	wg.Wait()
	if _, err := p.Subscribe("a", []Topic{TopicFleet}); vegaerr.CodeOf(err) != vegaerr.Unavailable {
		t.Fatalf("after the end: %v", err)
	}
}

func TestFleetDue_TellsWhatMattersAtOnceAndTheRestLater(t *testing.T) {
	base := Fleet{Head: 3, Nodes: []push.Node{{ID: "n", Connected: true, AppliedRevision: 3, LastSeen: noon, Journal: &push.Journal{Durable: true}}}}
	edited := func(edit func(n *push.Node)) Fleet { return each(base, edit) }
	for name, c := range map[string]struct {
		next  Fleet
		after time.Duration
	}{
		"another head":        {Fleet{Head: 4, Nodes: base.Nodes}, 0},
		"a node more":         {Fleet{Head: 3, Nodes: append(slices.Clone(base.Nodes), push.Node{ID: "o"})}, 0},
		"applied":             {edited(func(n *push.Node) { n.AppliedRevision = 2 }), 0},
		"gone":                {edited(func(n *push.Node) { n.Connected = false }), 0},
		"ejected":             {edited(func(n *push.Node) { n.Ejections = []push.Ejection{{Server: "s"}} }), 0},
		"the journal is sick": {edited(func(n *push.Node) { n.Journal = &push.Journal{} }), 0},
		"in flight":           {edited(func(n *push.Node) { n.InFlight = 1 }), time.Second},
		"unreported":          {edited(func(n *push.Node) { n.Unreported = 1 }), time.Second},
		"seen":                {edited(func(n *push.Node) { n.LastSeen = noon.Add(time.Second) }), 5 * time.Second},
	} {
		if !fleetDue(base, c.next, c.after) {
			t.Errorf("%s: not told after %v", name, c.after)
		}
		if c.after > 0 && fleetDue(base, c.next, c.after/2) {
			t.Errorf("%s: told after %v", name, c.after/2)
		}
	}
	if fleetDue(base, edited(func(*push.Node) {}), time.Hour) {
		t.Error("told though nothing changed")
	}
}

func TestOverviewDue_SaysWhenRatesBeginButNotThatTimePasses(t *testing.T) {
	o := func(edit func(o *Overview)) *Overview {
		v := &Overview{At: noon, Rates: Rates{Window: time.Second}, Problems: []Problem{{Kind: NodeAway, Value: number(1)}}}
		edit(v)
		return v
	}
	last := o(func(*Overview) {})
	for name, c := range map[string]struct {
		next *Overview
		due  bool
	}{
		"time passes":    {o(func(o *Overview) { o.At, o.Rates.Window = noon.Add(time.Second), 2*time.Second }), false},
		"a rate":         {o(func(o *Overview) { o.Rates.Requests = 1 }), true},
		"no more window": {o(func(o *Overview) { o.Rates.Window = 0 }), true},
		"a problem less": {o(func(o *Overview) { o.Problems = nil }), true},
		"another value":  {o(func(o *Overview) { o.Problems[0].Value = number(2) }), true},
	} {
		if got := overviewDue(last, c.next, 0); got != c.due {
			t.Errorf("%s: %v", name, got)
		}
	}
}
