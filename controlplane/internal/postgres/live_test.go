package postgres

import (
	"fmt"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/vega-gateway/vega/controlplane/internal/live"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// served 是一个结束了的请求；n 决定它的各栏。
func served(seq, n int, ended time.Time) *usagev1.Record {
	r := &usagev1.Request{
		App: fmt.Sprint("app-", n%7), Model: fmt.Sprint("m-", n%3), ServedModel: "up", EndedUnixMs: ended.UnixMilli(), StartedUnixMs: ended.UnixMilli(),
		Outcome: usagev1.Outcome_OUTCOME_OK, FirstByteUs: int64(1000 * (n%50 + 1)),
		Attempts: []*usagev1.Attempt{{Number: 1, Server: fmt.Sprint("s-", n%4), Outcome: usagev1.Outcome_OUTCOME_OK, Source: usagev1.Source_SOURCE_REPORTED, CostNano: int64(n),
			Usage: &usagev1.Usage{PromptTokens: proto.Int64(int64(n)), CompletionTokens: proto.Int64(int64(2 * n))}}},
	}
	if n%10 == 0 {
		r.Outcome, r.Attempts[0].Outcome = usagev1.Outcome_OUTCOME_UPSTREAM_ERROR, usagev1.Outcome_OUTCOME_UPSTREAM_ERROR
	}
	return &usagev1.Record{Seq: uint64(seq), Body: &usagev1.Record_Request{Request: r}}
}

func ingestServed(t *testing.T, s *Store, first, count int, ended func(i int) time.Time) {
	t.Helper()
	records := make([]*usagev1.Record, count)
	for i := range records {
		records[i] = served(first+i, first+i, ended(i))
	}
	_, err := s.IngestUsage(t.Context(), usage.Batch{NodeID: "n1", Epoch: 1, First: uint64(first), Last: uint64(first + count - 1), Records: records, Clock: usage.Clock{Now: time.Now()}})
	if err != nil {
		t.Fatal(err)
	}
}

// TestLive_AgreesWithTheUsageQueryWhateverIsRolled：并了一半、全部，与 GET /usage 逐分钟、逐名说的一样。
func TestLive_AgreesWithTheUsageQueryWhateverIsRolled(t *testing.T) {
	s, _ := openTest(t)
	anchor := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
	if h, err := s.LiveHour(t.Context(), nil); err != nil || h.Ever || len(h.Minutes) != 0 {
		t.Fatalf("an empty database: %+v %v", h, err)
	}
	before, err := s.LiveTotals(t.Context(), anchor)
	if err != nil || before.Requests != 0 {
		t.Fatalf("%+v %v", before, err)
	}
	now := time.Now()
	// 三分之一在一小时之前，不算。
	ingestServed(t, s, 1, 900, func(i int) time.Time { return now.Add(-time.Duration(i%90) * time.Minute) })
	for step, rolled := range []int{0, 40, 100_000} {
		if rolled > 0 {
			if _, err := s.RollUsage(t.Context(), rolled); err != nil {
				t.Fatal(err)
			}
		}
		h, err := s.LiveHour(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !h.Ever || len(h.Minutes) < 59 || len(h.Minutes) > 60 || len(h.Apps) != live.TopNames || len(h.Servers) != 4 || len(h.Models) != 3 {
			t.Fatalf("step %d: %d minutes, %v %v %v", step, len(h.Minutes), h.Apps, h.Servers, h.Models)
		}
		minutes := ask(t, s, usage.Query{From: h.Since, Interval: usage.IntervalMinute, Percentiles: []float64{95}})
		if len(minutes.Rows) != len(h.Minutes) {
			t.Fatalf("step %d: %d minutes, the query says %d", step, len(h.Minutes), len(minutes.Rows))
		}
		for i, want := range minutes.Rows {
			got := h.Minutes[i]
			p95 := h.FirstByte[got.At.Unix()].Quantile(0.95) / 1000
			if !got.At.Equal(want.Bucket) || got.Requests != want.Requests || got.Errors != want.Errors || got.Tokens != want.PromptTokens+want.CompletionTokens ||
				got.Observed != want.FirstByteCount || math.Abs(p95-want.Latency.FirstByteMS[0]) > 1e-6 {
				t.Errorf("step %d: %+v p95 %v, the query says %+v", step, got, p95, want)
			}
		}
		apps := ask(t, s, usage.Query{From: h.Since, GroupBy: []usage.Dimension{usage.ByApp}, Top: live.TopNames})
		for i, got := range h.Apps {
			w := apps.Rows[i]
			if got.Requests != w.Requests {
				t.Errorf("step %d: place %d has %d requests, the query says %d", step, i, got.Requests, w.Requests)
			}
		}
		totals, err := s.LiveTotals(t.Context(), anchor)
		if err != nil || totals.Requests != 900 || totals.PromptTokens != 900*901/2 || totals.CompletionTokens != 900*901 || totals.Errors != 90 {
			t.Errorf("step %d: %+v %v", step, totals, err)
		}
	}
}

func ask(t *testing.T, s *Store, q usage.Query) usage.Result {
	t.Helper()
	res, err := usage.NewReader(s, nil).Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestLive_ReadsOnlyTheHistogramsThatChanged(t *testing.T) {
	s, _ := openTest(t)
	now := time.Now()
	ingestServed(t, s, 1, 60, func(i int) time.Time { return now.Add(-time.Duration(i) * time.Minute) })
	first, err := s.LiveHour(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	known := map[int64]int64{}
	for _, m := range first.Minutes {
		known[m.At.Unix()] = m.Observed
	}
	again, err := s.LiveHour(t.Context(), known)
	if err != nil || len(again.FirstByte) > 1 { // 分钟也许正好翻过去
		t.Fatalf("%d histograms were read again: %v", len(again.FirstByte), err)
	}
	late := first.Minutes[10].At
	ingestServed(t, s, 61, 1, func(int) time.Time { return late })
	if again, err = s.LiveHour(t.Context(), known); err != nil || again.FirstByte[late.Unix()] == nil || again.FirstByte[late.Unix()].Count() != uint64(known[late.Unix()]+1) {
		t.Fatalf("a late record is not seen: %v %v", again.FirstByte, err)
	}
}

// TestFigures_TheOverviewOverALargeHour 打印：最近一小时十万行分钟、各带直方图时，每秒的一份与每五秒的一份各要多久。
func TestFigures_TheOverviewOverALargeHour(t *testing.T) {
	s, _ := openTest(t)
	now := time.Now().UTC()
	l := usageLoad{now: now, days: 1, combos: 1667, servers: 100, apps: 400, models: 40}
	if err := s.PrepareUsage(t.Context(), now.Add(-time.Hour), now); err != nil {
		t.Fatal(err)
	}
	conn, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.blobs(t.Context(), t, conn.Conn())
	minute := now.Truncate(time.Minute)
	for _, into := range []struct {
		table, column string
		from          time.Time
	}{{"usage_minute", "bucket", minute.Add(-59 * time.Minute)}, {"usage_delta", "minute", minute}} {
		if _, err := conn.Exec(t.Context(), l.insert(into.table, into.column, "1 minute", 0), into.from, minute); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Exec(t.Context(), "VACUUM ANALYZE"); err != nil {
		t.Fatal(err)
	}
	conn.Release()
	known, rows := map[int64]int64{}, int64(0)
	cold := timed(t, func() error {
		h, err := s.LiveHour(t.Context(), nil)
		for _, m := range h.Minutes {
			known[m.At.Unix()] = m.Observed
			rows += m.Requests
		}
		return err
	})
	delete(known, minute.Unix())
	warm := timed(t, func() error { _, err := s.LiveHour(t.Context(), known); return err })
	totals := timed(t, func() error { _, err := s.LiveTotals(t.Context(), now.Truncate(24*time.Hour)); return err })
	fmt.Printf("figures: overview minute_rows=%d requests=%d cold_ms=%d warm_ms=%d totals_ms=%.1f\n", 60*l.combos, rows, cold.Milliseconds(), warm.Milliseconds(), float64(totals.Microseconds())/1000)
	if rows == 0 || len(known) == 0 {
		t.Error("nothing was measured")
	}
	const tooSlow = 10 * time.Second
	if warm > tooSlow || totals > tooSlow {
		t.Errorf("%v every five seconds and %v every second", warm, totals)
	}
}

// timed 是五次里最快的一次。
func timed(t *testing.T, f func() error) time.Duration {
	t.Helper()
	best := time.Hour
	for range 5 {
		begin := time.Now()
		if err := f(); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(begin))
	}
	return best
}
