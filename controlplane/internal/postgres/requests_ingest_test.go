package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func requestRecords(from, n int, at time.Time) []*usagev1.Record {
	rng := rand.New(rand.NewPCG(uint64(from), 3))
	out := make([]*usagev1.Record, n)
	for i := range out {
		ms := at.UnixMilli() + int64(i/20)
		model := fmt.Sprintf("model-%d", rng.IntN(20))
		out[i] = &usagev1.Record{Seq: uint64(from + i), Body: &usagev1.Record_Request{Request: &usagev1.Request{
			Id: fmt.Sprintf("req_%026x", rng.Uint64()), KeyId: "0d8f63f1-1f3e-4a35-9d0e-5f6cf8a5cdd0", App: fmt.Sprintf("app-%d", rng.IntN(200)),
			Model: model, ServedModel: model, Endpoint: "chat.completions", StartedUnixMs: ms - 1200, EndedUnixMs: ms, Outcome: usagev1.Outcome_OUTCOME_OK, Status: 200,
			QueueUs: 100, FirstByteUs: 200_000, Revision: 7, Attempts: []*usagev1.Attempt{{
				Number: 1, Server: fmt.Sprintf("gpu-%d", rng.IntN(50)), UpstreamModel: model + "-2026", ServedModel: model, Outcome: usagev1.Outcome_OUTCOME_OK, Status: 200,
				DurationUs: 1_100_000, Source: usagev1.Source_SOURCE_REPORTED, CostNano: 123_456,
				Usage: &usagev1.Usage{PromptTokens: proto.Int64(1000), CompletionTokens: proto.Int64(200), CachedTokens: proto.Int64(100)}}}}}}
	}
	return out
}

func batchOf(records []*usagev1.Record, now time.Time) usage.Batch {
	return usage.Batch{NodeID: "n1", Epoch: 1, First: records[0].GetSeq(), Last: records[len(records)-1].GetSeq(), Records: records, Clock: usage.Clock{Now: now}}
}

func countRequests(t testing.TB, s *Store) (n int) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM usage_request").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func ingest(t testing.TB, s *Store, b usage.Batch) usage.Verdict {
	t.Helper()
	v, err := s.IngestUsage(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestIngest_EveryRequestIsInTheTableOnceHoweverItsBatchesOverlap(t *testing.T) {
	s, _ := openTest(t)
	now := noon()
	all := requestRecords(1, 100, now.Add(-time.Minute))
	for _, cut := range [][2]int{{0, 10}, {0, 10}, {5, 40}, {60, 70}, {0, 40}, {39, 100}, {0, 100}} {
		ingest(t, s, batchOf(all[cut[0]:cut[1]], now))
	}
	got, _ := pages(t, usage.NewRequestReader(usage.RequestConfig{}, s), usage.RequestFilter{}, 200)
	seen := map[string]int{}
	for _, r := range got {
		seen[r.ID]++
	}
	if len(seen) != 100 || len(got) != 100 {
		t.Fatalf("%d rows, %d ids", len(got), len(seen))
	}
}

func TestIngest_ARefusedTransactionLeavesNoRequest(t *testing.T) {
	s, _ := openTest(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.IngestUsage(ctx, batchOf(requestRecords(1, 10, noon()), noon())); vegaerr.CodeOf(err) != vegaerr.Unavailable {
		t.Fatal(err)
	}
	if n := countRequests(t, s); n != 0 {
		t.Fatalf("%d rows", n)
	}
}

func TestIngest_SamplingLeavesTotalsAloneAndCountsFromTheNextSeconds(t *testing.T) {
	s, _ := openTest(t)
	settings := usage.DefaultSettings()
	settings.Requests.Sample = 0.25
	if _, err := s.SaveSettings(t.Context(), settings, func(uint64) error { return nil }); err != nil {
		t.Fatal(err)
	}
	now := noon()
	all := requestRecords(1, 1000, now.Add(-time.Minute))
	want := 0
	for i, r := range all {
		if i%10 == 0 {
			r.GetRequest().Outcome = usagev1.Outcome_OUTCOME_UPSTREAM_ERROR
		}
		if usage.Sampled(r.GetRequest().GetId(), r.GetRequest().GetOutcome(), 0.25) {
			want++
		}
	}
	if v := ingest(t, s, batchOf(all, now)); v.Records != 1000 {
		t.Fatalf("%+v", v)
	}
	if n := countRequests(t, s); n != want || n < 100 || n > 500 {
		t.Fatalf("%d rows, want %d", n, want)
	}
	var requests int64
	if err := s.pool.QueryRow(t.Context(), "SELECT sum(requests) FROM usage_delta").Scan(&requests); err != nil || requests != 1000 {
		t.Fatalf("the totals count %d requests: %v", requests, err)
	}
	settings.Requests.Sample = 1
	if _, err := s.SaveSettings(t.Context(), settings, func(uint64) error { return nil }); err != nil {
		t.Fatal(err)
	}
	ingest(t, s, batchOf(requestRecords(1001, 100, now), now.Add(sampleFresh)))
	if n := countRequests(t, s); n != want+100 {
		t.Fatalf("%d rows after sampling was turned off, want %d", n, want+100)
	}
}

// TestRequests_Figures 说写一行多贵、各种找法多快；不判。
func TestRequests_Figures(t *testing.T) {
	s, _ := openTest(t)
	now := noon()
	if err := s.PrepareUsage(t.Context(), now, now); err != nil {
		t.Fatal(err)
	}
	const n, size = 100_000, 2000
	var spent time.Duration
	for i := 0; i < n; i += size {
		b := batchOf(requestRecords(i+1, size, now.Add(time.Duration(i/20)*time.Millisecond)), now.Add(time.Hour))
		start := time.Now()
		rows := usage.Requests(b, 0, 1)
		if err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error { return copyRequests(t.Context(), tx, rows) }); err != nil {
			t.Fatal(err)
		}
		spent += time.Since(start)
	}
	var heap, index int64
	if err := s.pool.QueryRow(t.Context(), "SELECT pg_relation_size(p), pg_indexes_size(p) FROM (SELECT 'usage_request_20261123'::regclass AS p) AS t").Scan(&heap, &index); err != nil {
		t.Fatal(err)
	}
	t.Logf("figures: request_rows_per_s=%.0f rows=%d heap_bytes_per_row=%d index_bytes_per_row=%d", n/spent.Seconds(), n, heap/n, index/n)
	r := usage.NewRequestReader(usage.RequestConfig{}, s)
	first, err := r.Requests(t.Context(), usage.RequestFilter{}, "", 50)
	if err != nil || len(first.Items) != 50 {
		t.Fatal(err)
	}
	for name, f := range map[string]usage.RequestFilter{
		"newest": {}, "app": {Apps: []string{"app-7"}}, "server": {Servers: []string{"gpu-7"}}, "id": {ID: first.Items[7].ID},
		"client_id": {ID: "never-sent"}, "nothing": {Models: []string{"nowhere"}}, "text": {Text: "nowhere"},
	} {
		start := time.Now()
		page, err := r.Requests(t.Context(), f, "", 50)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("figures: request_search filter=%s ms=%.1f items=%d", name, float64(time.Since(start).Microseconds())/1000, len(page.Items))
	}
}
