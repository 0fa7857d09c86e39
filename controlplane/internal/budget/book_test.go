package budget_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/controlplane/internal/snapshot"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// books 是写好的账：花费、游标，与被问的次序。
type books struct {
	mu    sync.Mutex
	spent map[string]budget.Spend
	fleet budget.Fleet
	err   error
	asked []string
	since map[string]time.Time
}

func (b *books) BudgetFleet(context.Context) (budget.Fleet, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, "cursors")
	return b.fleet, b.err
}

func (b *books) BudgetSpent(_ context.Context, since map[string]time.Time) (map[string]budget.Spend, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked, b.since = append(b.asked, "spent"), since
	return b.spent, b.err
}

func (b *books) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

// told 记下送出的每一条。
type told struct {
	mu   sync.Mutex
	list []*push.Spending
}

func (l *told) Publish(s *push.Spending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, s)
}

func (l *told) all() []*push.Spending {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.list
}

type bench struct {
	*books
	told *told
	hub  *push.Hub
	reg  *prometheus.Registry
	logs *observer.ObservedLogs
	book *budget.Book
}

// run 起一个 Book，do 之后停下；都在 synctest 的气泡里，钟从 2000-01-01 零点起。
func run(t *testing.T, do func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		b := &bench{books: &books{spent: map[string]budget.Spend{}}, told: &told{}, reg: prometheus.NewRegistry(), logs: logs}
		b.hub = push.NewHub(push.NewMetrics(prometheus.NewRegistry()))
		b.book = budget.New(budget.Config{}, budget.Deps{Store: b.books, Hub: b.hub, Board: b.told, Log: zap.New(core), Registerer: b.reg})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.book.Run(ctx) }()
		do(b)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func catalogOf(t *testing.T, document string) *catalog.Catalog {
	t.Helper()
	doc, err := catalog.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := catalog.Apply(catalog.New(), doc, catalog.ApplyOptions{}, catalog.Mint{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (b *bench) publish(t *testing.T, revision uint64, document string) {
	t.Helper()
	u, err := snapshot.Encode(revision, snapshot.Build(catalogOf(t, document), nil))
	if err != nil {
		t.Fatal(err)
	}
	b.hub.Publish(u)
	synctest.Wait()
}

const twoBudgets = `{"apps":[{"name":"a","budget":{"tokens":100,"period":"day","time_zone":"Asia/Shanghai"}},{"name":"b","budget":{"amount":1}},{"name":"free"}]}`

func TestBook_TellsAtOnceAfterAChangeAndThenEverySecond(t *testing.T) {
	run(t, func(b *bench) {
		time.Sleep(3 * time.Second)
		if n := len(b.told.all()); n != 0 {
			t.Errorf("told %d times without a configuration", n)
		}
		b.spent["a"] = budget.Spend{Nano: 5, Tokens: 60}
		b.fleet = budget.Fleet{Nodes: 3, Cursors: []budget.Cursor{{"n1", 7, 40}, {"n2", 8, 2}, {"n1", 6, 99}}}
		b.publish(t, 1, twoBudgets)
		all := b.told.all()
		if len(all) != 1 {
			t.Fatalf("told %d times", len(all))
		}
		s := all[0]
		if s.Nodes != 3 || len(s.Cursors["n1"]) != 2 || s.Cursors["n2"][0].GetHighWater() != 2 || len(s.Apps) != 2 {
			t.Errorf("%+v", s)
		}
		// 气泡里是 UTC 2000-01-01 00:00:03，上海是早上八点。
		if a := s.Apps[0]; a.GetApp() != "a" || a.GetSpentTokens() != 60 || a.GetSpentNano() != 5 ||
			!time.UnixMilli(a.GetPeriodStartUnixMs()).Equal(time.Date(1999, 12, 31, 16, 0, 0, 0, time.UTC)) ||
			!time.UnixMilli(a.GetPeriodEndUnixMs()).Equal(time.Date(2000, 1, 1, 16, 0, 0, 0, time.UTC)) {
			t.Errorf("%+v", a)
		}
		if got := strings.Join(b.asked, " "); got != "cursors spent" {
			t.Errorf("asked %s: a cursor read after the spending would let a node forget what is in neither", got)
		}
		time.Sleep(5*time.Second + 500*time.Millisecond)
		synctest.Wait()
		if n := len(b.told.all()); n != 6 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestBook_WithoutBudgetsItKeepsTellingAndAsksNothing(t *testing.T) {
	run(t, func(b *bench) {
		b.publish(t, 1, `{"apps":[{"name":"free"}]}`)
		time.Sleep(2*time.Second + time.Millisecond)
		synctest.Wait()
		if all := b.told.all(); len(all) != 3 || len(all[2].Apps) != 0 || len(b.asked) != 0 {
			t.Errorf("told %d, asked %v", len(all), b.asked)
		}
	})
}

func TestBook_SaysNothingWhileTheDatabaseIsAwayAndLogsOnce(t *testing.T) {
	run(t, func(b *bench) {
		b.publish(t, 1, twoBudgets)
		b.set(func() { b.err = vegaerr.New(vegaerr.Unavailable, "", "away") })
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		if n := len(b.told.all()); n != 1 {
			t.Errorf("told %d times", n)
		}
		b.set(func() { b.err = nil })
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(b.told.all()); n != 2 {
			t.Errorf("told %d times after it came back", n)
		}
		if n := b.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
			t.Errorf("%d error lines", n)
		}
		if n := testutil.ToFloat64(counter(t, b.reg)); n != 10 {
			t.Errorf("%v failures counted", n)
		}
	})
}

func counter(t *testing.T, reg *prometheus.Registry) prometheus.Collector {
	t.Helper()
	c := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "vega_budget_errors_total", Help: "Failed attempts to compute the spending of the budgets."})
	var already prometheus.AlreadyRegisteredError
	if err := reg.Register(c); err != nil {
		if a, ok := err.(prometheus.AlreadyRegisteredError); ok { //nolint:errorlint // 登记处给出的就是这个值
			already = a
		}
	}
	if already.ExistingCollector == nil {
		t.Fatal("not registered")
	}
	return already.ExistingCollector
}

func TestBook_EachStepDownIsOneLineAPeriodAndTheRatioIsExported(t *testing.T) {
	run(t, func(b *bench) {
		b.publish(t, 1, twoBudgets)
		for _, tokens := range []int64{50, 80, 85, 100, 120, 85, 100} { // 一个来回不再记
			b.set(func() { b.spent = map[string]budget.Spend{"a": {Tokens: tokens}} })
			time.Sleep(time.Second)
		}
		synctest.Wait()
		lines := b.logs.FilterLevelExact(zapcore.WarnLevel).All()
		if len(lines) != 2 || !strings.Contains(lines[0].Message, "soft limit") || !strings.Contains(lines[1].Message, "end of its budget") {
			t.Fatalf("%v", lines)
		}
		if err := testutil.GatherAndCompare(b.reg, strings.NewReader(`
# HELP vega_budget_used_ratio Share of an app's budget spent in the current period; 1 is all of it.
# TYPE vega_budget_used_ratio gauge
vega_budget_used_ratio{app="a"} 1
vega_budget_used_ratio{app="b"} 0
`), "vega_budget_used_ratio"); err != nil {
			t.Error(err)
		}
		time.Sleep(24 * time.Hour) // 新的一期，花得一样多
		synctest.Wait()
		if n := b.logs.FilterLevelExact(zapcore.WarnLevel).Len(); n != 3 {
			t.Errorf("%d lines after the next period", n)
		}
		b.publish(t, 2, `{"apps":[{"name":"a"}]}`)
		if n := testutil.CollectAndCount(b.reg, "vega_budget_used_ratio"); n != 0 {
			t.Errorf("%d apps without a budget are still shown", n)
		}
	})
}

func TestStatuses_AreComputedWhenAsked(t *testing.T) {
	run(t, func(b *bench) {
		b.spent["b"] = budget.Spend{Nano: 900_000_000}
		list, err := b.book.Statuses(t.Context(), budget.Plans(catalogOf(t, twoBudgets)))
		if err != nil || len(list) != 2 || list[0].State() != budget.OK || list[1].State() != budget.Warning || list[1].App != "b" {
			t.Errorf("%+v %v", list, err)
		}
		if !b.since["b"].Equal(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%v", b.since)
		}
		if list, err := b.book.Statuses(t.Context(), nil); err != nil || len(list) != 0 {
			t.Errorf("%v %v", list, err)
		}
		b.err = vegaerr.New(vegaerr.Unavailable, "", "away")
		if _, err := b.book.Statuses(t.Context(), budget.Plans(catalogOf(t, twoBudgets))); vegaerr.CodeOf(err) != vegaerr.Unavailable {
			t.Error(err)
		}
	})
}
