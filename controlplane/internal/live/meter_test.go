package live

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// books 是写好台词的用量、队列、预算与设置，并数各问了几次。
type books struct {
	scene
	totals      Totals
	hour        Hour
	known       map[int64]int64
	hours, sums int
	queuesErr   error
	usageErr    error
	asked       usage.Query
	zone        string
	clock       time.Time
}

func (b *books) LiveTotals(context.Context, time.Time) (Totals, error) {
	b.sums++
	t := b.totals
	t.At = b.clock
	return t, nil
}

func (b *books) LiveHour(_ context.Context, known map[int64]int64) (Hour, error) {
	b.hours++
	b.known = known
	return b.hour, nil
}

func (b *books) Queues(context.Context) (admission.Queues, error) {
	return admission.Queues{}, b.queuesErr
}

func (b *books) Statuses(context.Context, []budget.Plan) ([]budget.Status, error) { return nil, nil }

func (b *books) Query(_ context.Context, q usage.Query) (usage.Result, error) {
	b.asked = q
	return usage.Result{}, b.usageErr
}

func (b *books) LoadSettings(context.Context) (usage.Settings, uint64, error) {
	s := usage.DefaultSettings()
	s.TimeZone = b.zone
	return s, 1, nil
}

func newBooks() (*books, *Meter) {
	b := &books{zone: "UTC", clock: noon}
	b.nodes = []push.Node{{ID: "n1", Connected: true, InFlight: 3, Waiting: 2}, {ID: "n2", InFlight: 50, Draining: true}}
	return b, NewMeter(MeterConfig{}, MeterDeps{Store: b, Configs: b, Nodes: b, Hub: push.NewHub(push.NewMetrics(prometheus.NewRegistry())),
		Queues: b, Budgets: b, Usage: b, Settings: b, Now: func() time.Time { return b.clock }})
}

func overviewAt(t *testing.T, b *books, m *Meter, after time.Duration) *Overview {
	t.Helper()
	b.clock = noon.Add(after)
	o, err := m.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestMeter_SharesTheFreshAndReadsTheHourEveryFiveSeconds(t *testing.T) {
	b, m := newBooks()
	first := overviewAt(t, b, m, 0)
	if first.Rates.Window != 0 || first.InFlight != 3 || first.Waiting != 2 || first.Counts.Nodes != 2 || first.Counts.NodesConnected != 1 || len(first.Problems) != 0 {
		t.Errorf("%+v", first)
	}
	if overviewAt(t, b, m, 400*time.Millisecond) != first {
		t.Error("computed again for a second asker")
	}
	var wg sync.WaitGroup
	b.clock = noon.Add(time.Second)
	for range 8 {
		wg.Go(func() { _, _ = m.Overview(t.Context()) })
	}
	wg.Wait()
	if b.sums != 2 {
		t.Errorf("%d samples for eight askers of the same second", b.sums-1)
	}
	b.totals.Requests = 40
	if o := overviewAt(t, b, m, 4*time.Second); o.Rates.Requests != 10 || o.Rates.Window != 4*time.Second {
		t.Errorf("%+v", o.Rates)
	}
	if b.hours != 1 {
		t.Errorf("the hour was read %d times in four seconds", b.hours)
	}
	if overviewAt(t, b, m, 5*time.Second); b.hours != 2 {
		t.Errorf("the hour was read %d times in five seconds", b.hours)
	}
}

func TestMeter_FillsTheSeriesAndKeepsWhatItHasReadOfAMinute(t *testing.T) {
	b, m := newBooks()
	hist := func(ms ...int64) *usage.Histogram {
		h := new(usage.Histogram)
		for _, v := range ms {
			h.Observe(v * 1000)
		}
		return h
	}
	since := noon.Add(-59 * time.Minute)
	old, recent := since.Add(10*time.Minute), noon.Add(-4*time.Minute)
	b.hour = Hour{At: noon, Since: since, Ever: true, Apps: []Busy{{Name: "a", Requests: 3}},
		Minutes:   []Minute{{At: old, Requests: 1, Tokens: 5, Observed: 1}, {At: recent, Requests: 2, Errors: 1, Observed: 2}},
		FirstByte: map[int64]*usage.Histogram{old.Unix(): hist(900), recent.Unix(): hist(100, 100)}}
	o := overviewAt(t, b, m, 0)
	if len(o.Series) != 60 || !o.Series[0].At.Equal(since) || !o.Series[59].At.Equal(noon) || o.Series[10].Tokens != 5 || o.Series[55].Errors != 1 || o.Series[20].Requests != 0 {
		t.Fatalf("%+v", o.Series)
	}
	if p := o.Series[10].FirstByteP95; p == nil || *p < 850 || *p > 950 || o.Series[20].FirstByteP95 != nil {
		t.Errorf("%+v", o.Series[10])
	}
	if p := o.FirstByte.P99; p == nil || *p > 110 { // 十分钟前的不算
		t.Errorf("%+v", o.FirstByte)
	}
	b.hour.FirstByte = nil
	again := overviewAt(t, b, m, 6*time.Second)
	if b.known[old.Unix()] != 1 || b.known[recent.Unix()] != 2 || again.Series[10].FirstByteP95 == nil || *again.FirstByte.P50 != *o.FirstByte.P50 {
		t.Errorf("%v %+v", b.known, again.FirstByte)
	}
	b.hour = Hour{At: noon.Add(2 * time.Hour), Since: since.Add(2 * time.Hour)}
	if o := overviewAt(t, b, m, 2*time.Hour); o.FirstByte.P50 != nil || len(m.spread.merged) != 0 {
		t.Errorf("%+v, %d minutes kept", o.FirstByte, len(m.spread.merged))
	}
}

func TestMeter_TodayBeginsInTheZoneOfTheSettings(t *testing.T) {
	b, m := newBooks()
	b.zone = "Asia/Shanghai"
	overviewAt(t, b, m, 0)
	if want := time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC); !b.asked.From.Equal(want) {
		t.Errorf("from %v, want %v", b.asked.From.UTC(), want)
	}
}

func TestMeter_NobodyLeadingIsAProblemAndNoDatabaseIsAnError(t *testing.T) {
	b, m := newBooks()
	b.queuesErr = vegaerr.New(vegaerr.Unavailable, "", "no replica leads admission at this moment; try again")
	if o := overviewAt(t, b, m, 0); len(o.Problems) != 1 || o.Problems[0].Kind != NoLeader {
		t.Errorf("%+v", o.Problems)
	}
	b.queuesErr, b.usageErr = nil, errors.New("no database")
	b.clock = noon.Add(time.Minute)
	if _, err := m.Overview(t.Context()); err == nil {
		t.Error("no error")
	}
	b.usageErr = nil
	if o := overviewAt(t, b, m, 61*time.Second); len(o.Problems) != 0 {
		t.Errorf("%+v", o.Problems)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	<-m.turn // 有人正在算
	if _, err := m.Overview(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	m.turn <- struct{}{}
}
