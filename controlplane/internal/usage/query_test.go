package usage_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// at 是一个在 ended 结束的请求。
func at(seq uint64, ended time.Time, server, app, model string) *usagev1.Record {
	return &usagev1.Record{Seq: seq, Body: &usagev1.Record_Request{Request: &usagev1.Request{
		App: app, Model: model, StartedUnixMs: ended.UnixMilli() - 100, EndedUnixMs: ended.UnixMilli(), Outcome: usagev1.Outcome_OUTCOME_OK,
		Attempts: []*usagev1.Attempt{{Server: server, Outcome: usagev1.Outcome_OUTCOME_OK, CostNano: 1, Usage: &usagev1.Usage{PromptTokens: proto.Int64(10)}}}}}}
}

func seeded(t *testing.T, records ...*usagev1.Record) *postgres.Store {
	t.Helper()
	store := openStore(t, pgtest.New(t, migrate))
	b := usage.Batch{NodeID: "n", Epoch: 1, First: 1, Last: uint64(len(records)), Records: records, Clock: usage.Clock{Now: time.Now()}}
	if _, err := store.IngestUsage(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return store
}

func TestQuery_BucketsFollowTheTimeZone(t *testing.T) {
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -2)
	store := seeded(t,
		at(1, day.Add(15*time.Hour+59*time.Minute), "s", "a", "m"), // 上海的当天 23:59
		at(2, day.Add(16*time.Hour), "s", "a", "m"),                // 上海的次日 00:00
		at(3, day.Add(16*time.Hour+61*time.Minute), "s", "a", "m"))
	ask := func(i usage.Interval, zone string) []usage.Row {
		t.Helper()
		res, err := usage.NewReader(store, nil).Query(t.Context(), usage.Query{From: day, To: day.AddDate(0, 0, 2), Interval: i, TimeZone: zone})
		if err != nil || res.Totals.Requests != 3 {
			t.Fatalf("%v %+v", err, res)
		}
		return res.Rows
	}
	if rows := ask(usage.IntervalDay, ""); len(rows) != 1 || !rows[0].Bucket.Equal(day) {
		t.Errorf("UTC days: %+v", rows)
	}
	rows := ask(usage.IntervalDay, "Asia/Shanghai")
	if len(rows) != 2 || rows[0].Requests != 1 || rows[1].Requests != 2 || rows[1].Bucket.Hour() != 0 || !rows[1].Bucket.Equal(day.Add(16*time.Hour)) {
		t.Errorf("Shanghai days: %+v", rows)
	}
	if rows := ask(usage.IntervalHour, "Asia/Kolkata"); len(rows) != 2 || rows[0].Bucket.Minute() != 0 {
		t.Errorf("half-hour zone: %+v", rows)
	}
	if rows := ask(usage.IntervalMinute, "UTC"); len(rows) != 3 {
		t.Errorf("minutes: %+v", rows)
	}
}

func TestQuery_RangeIsHalfOpenAndFiltersAndGroupsCombine(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Minute).Add(-time.Hour)
	store := seeded(t,
		at(1, now, "s1", "a", "m1"), at(2, now, "s2", "a", "m1"), at(3, now, "s1", "b", "m2"), at(4, now.Add(10*time.Minute), "s1", "a", "m1"),
		&usagev1.Record{Seq: 5, Body: &usagev1.Record_Refusals{Refusals: &usagev1.Refusals{SecondUnix: now.Unix(), App: "a", Model: "m1", Code: "queue_full", Count: 9}}})
	ask := func(q usage.Query) usage.Result {
		t.Helper()
		q.From, q.To = now, now.Add(10*time.Minute)
		res, err := usage.NewReader(store, nil).Query(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	res := ask(usage.Query{})
	if len(res.Rows) != 1 || res.Totals.Requests != 3 || res.Totals.Refused != 9 || res.Totals.PromptTokens != 30 || res.Totals.CostNano != 3 {
		t.Errorf("everything: %+v", res)
	}
	res = ask(usage.Query{GroupBy: []usage.Dimension{usage.ByServer}})
	if len(res.Rows) != 3 || res.Rows[0].Server != "" || res.Rows[0].Refused != 9 || res.Rows[1].Requests != 2 {
		t.Errorf("by server: %+v", res.Rows)
	}
	res = ask(usage.Query{GroupBy: []usage.Dimension{usage.ByModel, usage.ByApp}, Servers: []string{"s1"}})
	if len(res.Rows) != 2 || res.Totals.Refused != 0 || res.Rows[0].App != "a" || res.Rows[0].Server != "" {
		t.Errorf("filtered: %+v", res.Rows)
	}
	if res = ask(usage.Query{Servers: []string{""}}); res.Totals.Refused != 9 || res.Totals.Requests != 0 {
		t.Errorf("refused only: %+v", res.Totals)
	}
	evil := "x') OR 1=1; DROP TABLE usage_minute; --"
	if res = ask(usage.Query{Servers: []string{evil}, Apps: []string{evil}, Models: []string{evil}}); len(res.Rows) != 0 {
		t.Errorf("injection: %+v", res.Rows)
	}
	if res = ask(usage.Query{}); res.Totals.Requests != 3 {
		t.Errorf("after the injection: %+v", res.Totals)
	}
}

func TestQuery_ClosedDatabaseIsUnavailable(t *testing.T) {
	store := seeded(t, at(1, time.Now(), "s", "a", "m"))
	store.Close()
	if _, err := usage.NewReader(store, nil).Query(t.Context(), usage.Query{}); vegaerr.CodeOf(err) != vegaerr.Unavailable {
		t.Fatal(err)
	}
	if _, err := store.IngestUsage(t.Context(), usage.Batch{NodeID: "n"}); vegaerr.CodeOf(err) != vegaerr.Unavailable {
		t.Fatal(err)
	}
}
