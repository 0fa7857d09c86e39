package usage_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// modelNow 的前几天里，纽约与豪勋爵岛都拨过钟。
func modelNow() time.Time { return time.Date(2026, 11, 3, 12, 34, 30, 0, time.UTC) }

// randomRecord 是一条 now 以前 span 之内结束的请求或拒绝。
func randomRecord(rng *rand.Rand, seq uint64, now time.Time, span time.Duration) *usagev1.Record {
	ended := now.Add(-time.Duration(rng.Int64N(int64(span))))
	pick := func(prefix string, n int) string { return fmt.Sprintf("%s-%d", prefix, rng.IntN(n)) }
	if rng.IntN(6) == 0 {
		return &usagev1.Record{Seq: seq, Body: &usagev1.Record_Refusals{Refusals: &usagev1.Refusals{
			SecondUnix: ended.Unix(), App: pick("app", 4), Model: pick("model", 3), Code: pick("code", 2), Count: 1 + rng.Int64N(4)}}}
	}
	q := &usagev1.Request{
		App: pick("app", 4), Model: pick("model", 3), ServedModel: pick("model", 3), Outcome: usagev1.Outcome(1 + rng.IntN(6)),
		StartedUnixMs: ended.UnixMilli() - rng.Int64N(90_000), EndedUnixMs: ended.UnixMilli(), QueueUs: rng.Int64N(1 << rng.IntN(24)),
		FirstByteUs: rng.Int64N(3_000_000), Replayed: rng.IntN(9) == 0, Unjournalled: rng.IntN(9) == 0,
	}
	for i := range 1 + rng.IntN(2) {
		a := &usagev1.Attempt{Number: int32(i + 1), Server: pick("gpu", 3), Outcome: usagev1.Outcome(1 + rng.IntN(6)), DurationUs: rng.Int64N(1000),
			Source: usagev1.Source(rng.IntN(5)), CostNano: rng.Int64N(1 << 40)}
		if rng.IntN(4) > 0 {
			a.Usage = &usagev1.Usage{PromptTokens: proto.Int64(rng.Int64N(5000)), CompletionTokens: proto.Int64(rng.Int64N(5000)),
				CachedTokens: proto.Int64(rng.Int64N(100)), ReasoningTokens: proto.Int64(rng.Int64N(100))}
		}
		q.Attempts = append(q.Attempts, a)
	}
	return &usagev1.Record{Seq: seq, Body: &usagev1.Record_Request{Request: q}}
}

// event 是模型里的一笔：哪一分钟、哪些维度、多少，与（请求的那一笔）三个时长。
type event struct {
	minute  time.Time
	row     usage.Row
	latency []int64
}

// eventsOf 是天真的模型：把每条记录拆成一笔笔。
func eventsOf(records []*usagev1.Record) []event {
	var out []event
	add := func(ms int64, row usage.Row, source usagev1.Source, latency ...int64) {
		row.Source = usage.SourceName(source)
		b := &row.BySource[4]
		if source >= 1 && source <= 3 {
			b = &row.BySource[source]
		}
		*b = usage.SourceFigures{Requests: row.Requests, Attempts: row.Attempts, Tokens: row.PromptTokens + row.CompletionTokens, CostNano: row.CostNano}
		out = append(out, event{time.UnixMilli(ms).UTC().Truncate(time.Minute), row, latency})
	}
	for _, r := range records {
		if f := r.GetRefusals(); f != nil {
			add(f.GetSecondUnix()*1000, usage.Row{App: f.GetApp(), Model: f.GetModel(), Code: f.GetCode(), Figures: usage.Figures{Refused: f.GetCount()}}, 0)
			continue
		}
		q := r.GetRequest()
		row := usage.Row{App: q.GetApp(), Model: q.GetModel(), ServedModel: q.GetServedModel()}
		for _, a := range q.GetAttempts() {
			row.Server = a.GetServer()
			u := a.GetUsage()
			row.Figures = usage.Figures{Attempts: 1, UpstreamUS: a.GetDurationUs(), CostNano: a.GetCostNano(),
				PromptTokens: u.GetPromptTokens(), CompletionTokens: u.GetCompletionTokens(), CachedTokens: u.GetCachedTokens(), ReasoningTokens: u.GetReasoningTokens()}
			if u != nil {
				row.AttemptsWithUsage = 1
			}
			if a.GetOutcome() != usagev1.Outcome_OUTCOME_OK && a.GetOutcome() != usagev1.Outcome_OUTCOME_ABORTED {
				row.AttemptErrors = 1
			}
			add(q.GetEndedUnixMs(), row, a.GetSource())
		}
		row.Figures = requestFigures(q)
		latency := []int64{q.GetQueueUs(), q.GetFirstByteUs(), row.DurationUS}
		add(q.GetEndedUnixMs(), row, q.GetAttempts()[len(q.GetAttempts())-1].GetSource(), latency...)
	}
	return out
}

func requestFigures(q *usagev1.Request) usage.Figures {
	f := usage.Figures{Requests: 1, QueueUS: q.GetQueueUs(), DurationUS: (q.GetEndedUnixMs() - q.GetStartedUnixMs()) * 1000}
	if q.GetFirstByteUs() > 0 {
		f.FirstByteUS, f.FirstByteCount = q.GetFirstByteUs(), 1
	}
	if q.GetReplayed() {
		f.Replayed = 1
	}
	if q.GetUnjournalled() {
		f.Unjournalled = 1
	}
	switch q.GetOutcome() {
	case usagev1.Outcome_OUTCOME_CLIENT_ERROR:
		f.ErrorsClient = 1
	case usagev1.Outcome_OUTCOME_UPSTREAM_ERROR:
		f.ErrorsUpstream = 1
	case usagev1.Outcome_OUTCOME_GATEWAY_ERROR:
		f.ErrorsGateway = 1
	case usagev1.Outcome_OUTCOME_LIMITED:
		f.ErrorsLimit = 1
	case usagev1.Outcome_OUTCOME_ABORTED:
		f.Aborted = 1
	}
	f.Errors = f.ErrorsClient + f.ErrorsUpstream + f.ErrorsGateway + f.ErrorsLimit
	return f
}

// answer 是模型里的一组。
type answer struct {
	usage.Figures
	sources usage.BySourceFigures
	latency [3][]int64
}

// bucketKey 以当地的读数认桶，不用程序里切桶的代码。
func bucketKey(t time.Time, q usage.Query) string {
	loc, err := time.LoadLocation(q.TimeZone)
	if err != nil {
		panic(err)
	}
	return t.In(loc).Format(map[usage.Interval]string{usage.IntervalNone: "-", usage.IntervalMinute: "2006-01-02T15:04 -0700",
		usage.IntervalHour: "2006-01-02T15 -0700", usage.IntervalDay: "2006-01-02"}[q.Interval])
}

func groupKey(r usage.Row, q usage.Query) string {
	var dims []string
	for _, d := range q.GroupBy {
		dims = append(dims, *r.Dimension(d))
	}
	return strings.Join(dims, "|")
}

func metricOf(f usage.Figures, o usage.Order) int64 {
	return map[usage.Order]int64{usage.OrderRequests: f.Requests, usage.OrderAttempts: f.Attempts, usage.OrderRefused: f.Refused,
		usage.OrderErrors: f.Errors, usage.OrderAborted: f.Aborted, usage.OrderTokens: f.PromptTokens + f.CompletionTokens,
		usage.OrderPromptTokens: f.PromptTokens, usage.OrderCompletionTokens: f.CompletionTokens, usage.OrderCost: f.CostNano}[o]
}

// naive 逐笔回答 q。
func naive(events []event, q usage.Query, now time.Time) map[string]answer {
	from, to := q.From.UTC().Truncate(time.Minute), q.To.Add(time.Minute-1).UTC().Truncate(time.Minute)
	var chosen []event
	totals := map[string]usage.Figures{}
	for _, e := range events {
		if e.minute.Before(from) || !e.minute.Before(to) && to.Before(now) || !passes(e.row, q) {
			continue
		}
		chosen = append(chosen, e)
		g := groupKey(e.row, q)
		totals[g] = totals[g].Plus(e.row.Figures)
	}
	order := make([]string, 0, len(totals))
	for g := range totals {
		order = append(order, g)
	}
	slices.SortFunc(order, func(a, b string) int {
		return cmp.Or(cmp.Compare(metricOf(totals[b], q.OrderBy), metricOf(totals[a], q.OrderBy)), slices.Compare(strings.Split(a, "|"), strings.Split(b, "|")))
	})
	out := map[string]answer{}
	for _, e := range chosen {
		g := groupKey(e.row, q)
		if q.Top > 0 && slices.Index(order, g) >= q.Top {
			g = "other!"
		}
		k := bucketKey(e.minute, q) + " " + g
		a := out[k]
		a.Figures, a.sources = a.Plus(e.row.Figures), a.sources.Plus(e.row.BySource)
		for i, us := range e.latency {
			if i != 1 || us > 0 {
				a.latency[i] = append(slices.Clip(a.latency[i]), us)
			}
		}
		out[k] = a
	}
	for k, a := range out { // 拒绝没有来源，也没有这几栏
		a.sources[0] = usage.SourceFigures{}
		out[k] = a
	}
	return out
}

func passes(r usage.Row, q usage.Query) bool {
	for _, f := range q.Filters() {
		if !slices.Contains(f.Values, *r.Dimension(f.By)) {
			return false
		}
	}
	return true
}

func drawQuery(t *rapid.T, now time.Time) usage.Query {
	q := usage.Query{
		Interval: rapid.SampledFrom([]usage.Interval{usage.IntervalNone, usage.IntervalMinute, usage.IntervalHour, usage.IntervalDay}).Draw(t, "interval"),
		TimeZone: rapid.SampledFrom([]string{"UTC", "Asia/Shanghai", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"}).Draw(t, "zone"),
		GroupBy:  rapid.SliceOfNDistinct(rapid.SampledFrom(usage.Dimensions()), 0, 3, rapid.ID[usage.Dimension]).Draw(t, "group"),
	}
	end := func(label string) time.Time {
		at := now.Add(-time.Duration(rapid.Int64Range(-int64(time.Hour), int64(9*24*time.Hour)).Draw(t, label)))
		return at.Truncate(rapid.SampledFrom([]time.Duration{time.Second, time.Hour, 24 * time.Hour}).Draw(t, label+" width"))
	}
	if q.From, q.To = end("a"), end("b"); q.To.Before(q.From) {
		q.From, q.To = q.To, q.From
	}
	q.To = q.To.Add(time.Minute)
	some := func(label, prefix string, n int) []string {
		values := []string{""}
		for i := range n {
			values = append(values, fmt.Sprintf("%s-%d", prefix, i))
		}
		if rapid.IntRange(0, 3).Draw(t, label+"?") > 0 {
			return nil
		}
		return rapid.SliceOfN(rapid.SampledFrom(values), 1, 3).Draw(t, label)
	}
	q.Servers, q.Apps, q.Models = some("server", "gpu", 3), some("app", "app", 4), some("model", "model", 3)
	q.ServedModels, q.Codes = some("served", "model", 3), some("code", "code", 2)
	if rapid.IntRange(0, 3).Draw(t, "source?") == 0 {
		q.Sources = rapid.SliceOfN(rapid.SampledFrom(usage.SourceNames()), 1, 3).Draw(t, "source")
	}
	if rapid.IntRange(0, 5).Draw(t, "one dimension?") == 0 {
		d := rapid.SampledFrom([]usage.Dimension{usage.ByServer, usage.ByApp, usage.ByModel}).Draw(t, "dimension")
		q = usage.Query{From: q.From, To: q.To, Interval: q.Interval, TimeZone: q.TimeZone, GroupBy: []usage.Dimension{d}}
	}
	if len(q.GroupBy) > 0 && rapid.Bool().Draw(t, "top?") {
		q.Top = rapid.IntRange(1, 6).Draw(t, "top")
		q.OrderBy = rapid.SampledFrom(usage.Orders()).Draw(t, "order")
	}
	if rapid.Bool().Draw(t, "percentiles?") {
		q.Percentiles = []float64{50, 95, 99.9, 100}
	}
	return q
}

func TestQuery_AnswersLikeANaiveModelWithDeltasHalfRolled(t *testing.T) {
	now := modelNow()
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 1))
		store := openStore(t, pgtest.New(t, migrate))
		var records []*usagev1.Record
		for i := range 900 {
			records = append(records, randomRecord(rng, uint64(i+1), now, 8*24*time.Hour))
		}
		ingestAll(t, store, records, now)
		if _, err := store.RollUsage(t.Context(), []int{0, 700, 1 << 20}[seed]); err != nil {
			t.Fatal(err)
		}
		events := eventsOf(records)
		reader := usage.NewReader(store, func() time.Time { return now })
		rapid.Check(t, func(t *rapid.T) {
			q := drawQuery(t, now)
			got, err := reader.Query(t.Context(), q)
			if err != nil {
				t.Fatalf("%+v: %v", q, err)
			}
			q.OrderBy = cmp.Or(q.OrderBy, usage.OrderRequests)
			compareAnswer(t, q, got, naive(events, q, now))
			if len(got.Notes) > 0 {
				t.Fatalf("notes %v", got.Notes)
			}
		})
	}
}

// ingestAll 分几批入库。
func ingestAll(t testing.TB, store *postgres.Store, records []*usagev1.Record, now time.Time) {
	t.Helper()
	for i := 0; i < len(records); i += 150 {
		part := records[i:min(i+150, len(records))]
		b := usage.Batch{NodeID: "n", Epoch: 1, First: part[0].GetSeq(), Last: part[len(part)-1].GetSeq(), Records: part, Clock: usage.Clock{Now: now}}
		if v, err := store.IngestUsage(t.Context(), b); err != nil || v.Kind != usage.Applied {
			t.Fatal(v, err)
		}
	}
}

func compareAnswer(t *rapid.T, q usage.Query, got usage.Result, want map[string]answer) {
	t.Helper()
	var total usage.Figures
	for i, r := range got.Rows {
		g := groupKey(r, q)
		if r.Other {
			g = "other!"
		}
		k := bucketKey(r.Bucket, q) + " " + g
		w, ok := want[k]
		if !ok {
			t.Fatalf("%+v:\nunexpected row %q %+v", q, k, r)
		}
		delete(want, k)
		if d := gocmp.Diff(w.Figures, r.Figures) + gocmp.Diff(w.sources, r.BySource); d != "" {
			t.Fatalf("%+v:\nrow %q: %s", q, k, d)
		}
		if i > 0 && r.Bucket.Before(got.Rows[i-1].Bucket) {
			t.Fatalf("row %d is out of order", i)
		}
		total = total.Plus(w.Figures)
		compareLatency(t, k, q, r.Latency, w)
	}
	if len(want) > 0 || got.Totals.Figures != total {
		t.Fatalf("%+v:\n%d rows are missing: %v", q, len(want), want)
	}
}

func compareLatency(t *rapid.T, k string, q usage.Query, got *usage.Latency, want answer) {
	t.Helper()
	if len(q.Percentiles) == 0 {
		if got != nil {
			t.Fatalf("%s: percentiles nobody asked for", k)
		}
		return
	}
	for i, values := range [][]float64{got.QueueMS, got.FirstByteMS, got.DurationMS} {
		all := want.latency[i]
		if len(all) == 0 {
			if values != nil {
				t.Fatalf("%s: percentiles of nothing: %v", k, values)
			}
			continue
		}
		slices.Sort(all)
		for j, p := range q.Percentiles {
			exact := float64(all[int(math.Ceil(p/100*float64(len(all))))-1]) / 1000
			if math.Abs(values[j]-exact) > exact*0.045 {
				t.Fatalf("%s: p%v of histogram %d is %v, exactly %v", k, p, i, values[j], exact)
			}
		}
	}
}
