package budget_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }

func migrate(ctx context.Context, url string) error {
	_, err := postgres.Migrate(ctx, url)
	return err
}

// bill 是一笔花费；天真的模型就是它们的列表。
type bill struct {
	app    string
	at     time.Time
	tokens int64
	nano   int64
}

func record(seq int, b bill) *usagev1.Record {
	return &usagev1.Record{Seq: uint64(seq), Body: &usagev1.Record_Request{Request: &usagev1.Request{
		App: b.app, Model: "m", ServedModel: "m", Outcome: usagev1.Outcome_OUTCOME_OK, EndedUnixMs: b.at.UnixMilli(), StartedUnixMs: b.at.UnixMilli(),
		Attempts: []*usagev1.Attempt{
			{Number: 1, Server: "s1", Outcome: usagev1.Outcome_OUTCOME_UPSTREAM_ERROR, Source: usagev1.Source_SOURCE_UNKNOWN},
			{Number: 2, Server: "s2", Outcome: usagev1.Outcome_OUTCOME_OK, Source: usagev1.Source_SOURCE_REPORTED, CostNano: b.nano,
				Usage: &usagev1.Usage{PromptTokens: proto.Int64(b.tokens - b.tokens/3), CompletionTokens: proto.Int64(b.tokens / 3), CachedTokens: proto.Int64(1), ReasoningTokens: proto.Int64(1)}},
		}}}}
}

// TestBudgetSpent_IsTheSumOfWhatWasReportedSinceTheStart：并了一半、花在任何时刻、任何时区的一天与一个月，与逐条相加的一样。
func TestBudgetSpent_IsTheSumOfWhatWasReportedSinceTheStart(t *testing.T) {
	store, err := postgres.Open(t.Context(), pgtest.New(t, migrate), 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	now := time.Now().UTC()
	zones := []string{"UTC", "Asia/Shanghai", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York", "America/Havana", "Pacific/Apia", "Australia/Lord_Howe"}
	var all []bill
	seq := 0
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(rt, "bills")
		records := make([]*usagev1.Record, n)
		for i := range records {
			b := bill{
				app:    rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "app"),
				at:     now.Add(-time.Duration(rapid.Int64Range(0, 40*24*60).Draw(rt, "minutes ago")) * time.Minute),
				tokens: rapid.Int64Range(0, 1000).Draw(rt, "tokens"), nano: rapid.Int64Range(0, 1_000_000).Draw(rt, "nano"),
			}
			all = append(all, b)
			records[i] = record(seq+i+1, b)
		}
		batch := usage.Batch{NodeID: "n1", Epoch: 9, First: uint64(seq + 1), Last: uint64(seq + n), Records: records, Clock: usage.Clock{Now: time.Now()}}
		if _, err := store.IngestUsage(t.Context(), batch); err != nil {
			rt.Fatal(err)
		}
		seq += n
		if _, err := store.RollUsage(t.Context(), rapid.IntRange(1, 30).Draw(rt, "rolled")); err != nil {
			rt.Fatal(err)
		}
		since := map[string]time.Time{}
		for _, app := range []string{"a", "b", "never used"} {
			zone, _ := ruleset.TimeZone(rapid.SampledFrom(zones).Draw(rt, "zone"))
			p := rapid.SampledFrom([]configv1.BudgetPeriod{configv1.BudgetPeriod_BUDGET_PERIOD_DAY, configv1.BudgetPeriod_BUDGET_PERIOD_MONTH}).Draw(rt, "period")
			since[app], _ = ruleset.PeriodAt(p, zone, now)
		}
		want := map[string]budget.Spend{"a": {}, "b": {}, "never used": {}}
		for _, b := range all {
			if s := want[b.app]; !b.at.Truncate(time.Minute).Before(since[b.app]) {
				want[b.app] = budget.Spend{Nano: s.Nano + b.nano, Tokens: s.Tokens + b.tokens}
			}
		}
		got, err := store.BudgetSpent(t.Context(), since)
		if err != nil {
			rt.Fatal(err)
		}
		for app := range want {
			if got[app] != want[app] {
				rt.Fatalf("%s since %v: %+v, want %+v", app, since[app], got[app], want[app])
			}
		}
	})
	fleet, err := store.BudgetFleet(t.Context())
	if err != nil || fleet.Nodes != 0 || len(fleet.Cursors) != 1 || fleet.Cursors[0] != (budget.Cursor{Node: "n1", Epoch: 9, HighWater: uint64(seq)}) {
		t.Errorf("%+v %v", fleet, err)
	}
}

// TestFigures_SpendingOfManyBudgets 打印：两百个预算，各花了一个月，算一次要多久。
func TestFigures_SpendingOfManyBudgets(t *testing.T) {
	store, err := postgres.Open(t.Context(), pgtest.New(t, migrate), 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	const apps, days = 200, 31
	now, seq := time.Now().UTC(), 0
	since := map[string]time.Time{}
	for d := range days {
		var records []*usagev1.Record
		for a := range apps {
			since[fmt.Sprint("app-", a)] = now.Add(-days * 24 * time.Hour).Truncate(24 * time.Hour).Add(-8 * time.Hour)
			for h := range 2 {
				seq++
				records = append(records, record(seq, bill{fmt.Sprint("app-", a), now.Add(-time.Duration(d*24+h) * time.Hour), 10, 10}))
			}
		}
		first := uint64(seq - len(records) + 1)
		if _, err := store.IngestUsage(t.Context(), usage.Batch{NodeID: "n1", Epoch: 9, First: first, Last: uint64(seq), Records: records, Clock: usage.Clock{Now: time.Now()}}); err != nil {
			t.Fatal(err)
		}
	}
	for {
		r, err := store.RollUsage(t.Context(), 50_000)
		if err != nil {
			t.Fatal(err)
		}
		if r.Deltas == 0 && !r.Busy {
			break
		}
	}
	best := time.Hour
	for range 5 {
		start := time.Now()
		got, err := store.BudgetSpent(t.Context(), since)
		if err != nil || len(got) != apps || got["app-7"].Tokens != 10*2*days {
			t.Fatalf("%v %v", got["app-7"], err)
		}
		best = min(best, time.Since(start))
	}
	t.Logf("figures: budget query apps=%d records=%d ms=%.1f", apps, seq, float64(best.Microseconds())/1000)
}
