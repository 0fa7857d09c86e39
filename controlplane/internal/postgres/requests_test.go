package postgres

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// noon 是测试里请求的日子。
func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// openRequests 给出一个库，noon 前后各两天的分区已经在。
func openRequests(t testing.TB) (*Store, string) {
	t.Helper()
	s, url := openTest(t)
	conn := sqlConn(t, url)
	for i := -2; i <= 2; i++ {
		day := noon().Truncate(24*time.Hour).AddDate(0, 0, i)
		_, err := conn.Exec(t.Context(), fmt.Sprintf("CREATE TABLE usage_request_%s PARTITION OF usage_request FOR VALUES FROM ('%s') TO ('%s')",
			day.Format("20060102"), day.Format(time.RFC3339), day.AddDate(0, 0, 1).Format(time.RFC3339)))
		if err != nil {
			t.Fatal(err)
		}
	}
	return s, url
}

func (s *Store) putRequests(t testing.TB, rows []usage.Request) {
	t.Helper()
	if err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error { return copyRequests(t.Context(), tx, rows) }); err != nil {
		t.Error(err)
	}
}

func pick[T any](rng *rand.Rand, values ...T) T { return values[rng.IntN(len(values))] }

func maybe(rng *rand.Rand) *int64 {
	if rng.IntN(3) == 0 {
		return nil
	}
	n := rng.Int64N(3)
	return &n
}

// someRequest 的各栏取自很小的集合：同一毫秒、同名的很多，边界因此常被碰到。
func someRequest(rng *rand.Rand, id int) usage.Request {
	r := usage.Request{
		ID: fmt.Sprintf("req_%04d", id), ClientRequestID: pick(rng, "", "", "trace-1", "req_0003"), NodeID: pick(rng, "n1", "n2"),
		KeyID: pick(rng, "k1", "k2", ""), App: pick(rng, "a", "b", "c"), Model: pick(rng, "m/1", "m2", ""), ServedModel: pick(rng, "m/1", "Big_Model%"),
		Endpoint: "chat.completions", Outcome: usagev1.Outcome(rng.IntN(7)), Status: pick(rng, 0, 200, 429, 502),
		Stream: rng.IntN(2) == 0, Replayed: rng.IntN(9) == 0, Unjournalled: rng.IntN(9) == 0,
		EndedAt: noon().Add(time.Duration(rng.IntN(40)-20) * pick(rng, time.Millisecond, time.Hour)), QueueUS: rng.Int64N(9), FirstByteUS: rng.Int64N(9),
		DurationUS: pick[int64](rng, 0, 999, 1000, 5_000_000), CostNano: rng.Int64N(9), Revision: rng.Uint64N(9),
	}
	r.StartedAt = r.EndedAt.Add(-time.Duration(r.DurationUS) * time.Microsecond).Truncate(time.Millisecond)
	for i := range 1 + rng.IntN(3) {
		r.Attempts = append(r.Attempts, usage.Attempt{Number: i + 1, Server: pick(rng, "s1", "s2", "s3"), UpstreamModel: "up", ServedModel: r.ServedModel,
			Outcome: usagev1.Outcome(rng.IntN(7)), Status: 200, DurationUS: rng.Int64N(9), Source: usagev1.Source(rng.IntN(5)), CostNano: rng.Int64N(9),
			Tokens: usage.Tokens{Prompt: maybe(rng), Completion: maybe(rng), Cached: maybe(rng), Reasoning: maybe(rng)}})
		r.Server, r.Source = r.Attempts[i].Server, r.Attempts[i].Source
	}
	r.Tokens = usage.Tokens{Prompt: maybe(rng), Completion: maybe(rng), Cached: maybe(rng), Reasoning: maybe(rng)}
	return r
}

func someRequests(seed uint64, from, n int) []usage.Request {
	rng := rand.New(rand.NewPCG(seed, 9))
	rows := make([]usage.Request, n)
	for i := range rows {
		rows[i] = someRequest(rng, from+i)
	}
	return rows
}

func newestFirst(rows []usage.Request) []usage.Request {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b usage.Request) int {
		return -cmp.Or(a.EndedAt.Compare(b.EndedAt), strings.Compare(a.ID, b.ID))
	})
	return rows
}

func ids(rows []usage.Request) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.ID
	}
	return out
}

// pages 翻完所有的页；预算用完的页照 next_cursor 接着翻。
func pages(t testing.TB, r *usage.RequestReader, f usage.RequestFilter, limit int) (all []usage.Request, stops int) {
	t.Helper()
	for cursor, n := "", 0; ; n++ {
		page, err := r.Requests(t.Context(), f, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) > limit || n > 10_000 {
			t.Fatalf("page %d has %d items", n, len(page.Items))
		}
		all = append(all, page.Items...)
		if !page.SearchedUntil.IsZero() {
			stops++
		}
		if cursor = page.NextCursor; cursor == "" {
			return all, stops
		}
	}
}

func TestRequests_EveryFieldSurvivesTheTable(t *testing.T) {
	s, _ := openRequests(t)
	rows := someRequests(1, 0, 300)
	s.putRequests(t, rows)
	got, _ := pages(t, usage.NewRequestReader(usage.RequestConfig{}, s), usage.RequestFilter{}, 200)
	want := newestFirst(rows)
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("row %d\n got %+v\nwant %+v", i, got[i], want[i])
		}
	}
}

// matches 是天真的模型。
func matches(f usage.RequestFilter, r usage.Request) bool {
	has := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	touched := len(f.Servers) == 0 || slices.ContainsFunc(r.Attempts, func(a usage.Attempt) bool { return slices.Contains(f.Servers, a.Server) })
	text := strings.ToLower(strings.Join([]string{r.ID, r.ClientRequestID, r.App, r.Model, r.ServedModel, r.Server, r.Endpoint, r.NodeID, r.KeyID}, "\n"))
	return (f.From.IsZero() || !r.EndedAt.Before(f.From)) && (f.To.IsZero() || r.EndedAt.Before(f.To)) &&
		(f.ID == "" || r.ID == f.ID || r.ClientRequestID == f.ID) &&
		has(f.Apps, r.App) && has(f.Models, r.Model) && has(f.Keys, r.KeyID) && touched &&
		(len(f.Outcomes) == 0 || slices.Contains(f.Outcomes, r.Outcome)) && (len(f.Statuses) == 0 || slices.Contains(f.Statuses, r.Status)) &&
		(len(f.Sources) == 0 || slices.Contains(f.Sources, r.Source)) && (f.Stream == nil || *f.Stream == r.Stream) &&
		r.DurationUS >= f.MinDuration.Microseconds() && strings.Contains(text, strings.ToLower(f.Text))
}

func drawFilter(rt *rapid.T) usage.RequestFilter {
	some := func(name string, values ...string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(values), 0, 2, rapid.ID[string]).Draw(rt, name)
	}
	at := func(name string) time.Time {
		if rapid.Bool().Draw(rt, name+"?") {
			return time.Time{}
		}
		return noon().Add(time.Duration(rapid.IntRange(-20, 20).Draw(rt, name)) * rapid.SampledFrom([]time.Duration{time.Millisecond, time.Hour}).Draw(rt, name+" unit"))
	}
	f := usage.RequestFilter{
		From: at("from"), To: at("to"), ID: rapid.SampledFrom([]string{"", "", "", "trace-1", "req_0003", "none"}).Draw(rt, "id"),
		Apps: some("app", "a", "b", "z"), Models: some("model", "m/1", "m2", "", "z"), Servers: some("server", "s1", "s2", "z"), Keys: some("key", "k1", "k2", ""),
		MinDuration: rapid.SampledFrom([]time.Duration{0, 0, time.Millisecond, time.Second}).Draw(rt, "duration"),
		Text:        rapid.SampledFrom([]string{"", "", "REQ_00", "%", "big_", "1", "nothing"}).Draw(rt, "text"),
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		f.To = time.Time{}
	}
	if rapid.Bool().Draw(rt, "outcome?") {
		f.Outcomes = []usagev1.Outcome{usagev1.Outcome(rapid.IntRange(0, 6).Draw(rt, "outcome"))}
	}
	if rapid.Bool().Draw(rt, "status?") {
		f.Statuses = []int{rapid.SampledFrom([]int{0, 200, 429, 404}).Draw(rt, "status"), 502}
	}
	if rapid.Bool().Draw(rt, "source?") {
		f.Sources = []usagev1.Source{usagev1.Source(rapid.IntRange(0, 4).Draw(rt, "source"))}
	}
	if rapid.Bool().Draw(rt, "stream?") {
		on := rapid.Bool().Draw(rt, "stream")
		f.Stream = &on
	}
	return f
}

func TestRequests_FiltersAndPagesAgreeWithANaiveModel(t *testing.T) {
	s, _ := openRequests(t)
	rows := newestFirst(someRequests(2, 0, 400))
	s.putRequests(t, rows)
	rapid.Check(t, func(rt *rapid.T) {
		f := drawFilter(rt)
		var want []string
		for _, r := range rows {
			if matches(f, r) {
				want = append(want, r.ID)
			}
		}
		budget := rapid.SampledFrom([]int{0, 1, 7, 100}).Draw(rt, "budget")
		got, _ := pages(t, usage.NewRequestReader(usage.RequestConfig{PageRows: budget}, s), f, rapid.IntRange(1, 60).Draw(rt, "limit"))
		if !slices.Equal(ids(got), want) && len(got)+len(want) > 0 {
			rt.Fatalf("%+v\n got %v\nwant %v", f, ids(got), want)
		}
	})
}

func TestRequests_PagingLosesNothingWhileRowsPourIn(t *testing.T) {
	s, _ := openRequests(t)
	before := someRequests(3, 0, 2000)
	s.putRequests(t, before)
	var writing sync.WaitGroup
	for w := range 2 {
		writing.Go(func() {
			for i := range 60 {
				s.putRequests(t, someRequests(uint64(100+i*2+w), 10_000+(i*2+w)*20, 20))
			}
		})
	}
	seen := map[string]int{}
	all, _ := pages(t, usage.NewRequestReader(usage.RequestConfig{}, s), usage.RequestFilter{}, 23)
	writing.Wait()
	for i, r := range all {
		seen[r.ID]++
		if i > 0 && (r.EndedAt.After(all[i-1].EndedAt) || r.EndedAt.Equal(all[i-1].EndedAt) && r.ID >= all[i-1].ID) {
			t.Fatalf("row %d is out of order", i)
		}
	}
	for _, r := range before {
		if seen[r.ID] != 1 {
			t.Fatalf("%s was seen %d times", r.ID, seen[r.ID])
		}
	}
	t.Logf("figures: request_paging rows=%d inserted_meanwhile=%d", len(all), len(all)-len(before))
}

func TestRequests_RareFilterStopsAtItsBudgetAndSaysHowFarItGot(t *testing.T) {
	s, _ := openRequests(t)
	rows := newestFirst(someRequests(4, 0, 3000))
	rows[2500].Model, rows[10].Model = "needle", "needle"
	s.putRequests(t, rows)
	r := usage.NewRequestReader(usage.RequestConfig{PageRows: 2000}, s)
	f := usage.RequestFilter{Models: []string{"needle"}}
	page, err := r.Requests(t.Context(), f, "", 50)
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Items) != 1 || page.Items[0].ID != rows[10].ID || page.NextCursor == "" || !page.SearchedUntil.Equal(rows[1999].EndedAt) {
		t.Fatalf("%d items, until %v (want %v), cursor %q", len(page.Items), page.SearchedUntil, rows[1999].EndedAt, page.NextCursor)
	}
	page, err = r.Requests(t.Context(), f, page.NextCursor, 50)
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != rows[2500].ID || page.NextCursor != "" || !page.SearchedUntil.IsZero() {
		t.Fatalf("%v %+v", err, page)
	}
	ticks := noon()
	slow := usage.NewRequestReader(usage.RequestConfig{PageTime: time.Second, Now: func() time.Time { ticks = ticks.Add(time.Second); return ticks }}, s)
	if page, err = slow.Requests(t.Context(), usage.RequestFilter{Models: []string{"nowhere"}}, "", 50); err != nil || page.SearchedUntil.IsZero() || page.NextCursor == "" {
		t.Fatalf("the time budget did not end the page: %v %+v", err, page)
	}
}

func TestRequests_TamperedOrForeignCursorsAreRefused(t *testing.T) {
	s, _ := openRequests(t)
	s.putRequests(t, someRequests(5, 0, 20))
	r := usage.NewRequestReader(usage.RequestConfig{}, s)
	page, err := r.Requests(t.Context(), usage.RequestFilter{}, "", 5)
	if err != nil {
		t.Fatal(err)
	}
	good := page.NextCursor
	refuse := func(cursor string, f usage.RequestFilter) {
		t.Helper()
		_, err := r.Requests(t.Context(), f, cursor, 5)
		if e := vegaerr.As(err); err == nil || e.Code != vegaerr.Invalid || e.Problems[0].Path != "cursor" {
			t.Errorf("%q: %v", cursor, err)
		}
	}
	for i := range good {
		other := byte('A')
		if good[i] == other {
			other = 'B'
		}
		refuse(good[:i]+string(other)+good[i+1:], usage.RequestFilter{})
	}
	for _, c := range []string{"x", "====", good + "A", good[:len(good)-1], strings.Repeat("A", 4000), "\x00"} {
		refuse(c, usage.RequestFilter{})
	}
	refuse(good, usage.RequestFilter{Apps: []string{"a"}})
	if _, err := r.Requests(t.Context(), usage.RequestFilter{}, good, 7); err != nil {
		t.Errorf("another limit is no other search: %v", err)
	}
}

func TestRequests_KeysAreNamedAndFoundByNameEvenWhenRevoked(t *testing.T) {
	s, url := openConfig(t)
	conn := sqlConn(t, url)
	applyDoc(t, s, demo, catalog.ApplyOptions{})
	var id string
	if err := conn.QueryRow(t.Context(), "SELECT id::text FROM keys").Scan(&id); err != nil {
		t.Fatal(err)
	}
	rows := someRequests(6, 0, 3)
	rows[0].KeyID, rows[1].KeyID, rows[2].KeyID = id, "not-a-uuid", "00000000-0000-0000-0000-000000000000"
	s.putRequests(t, rows)
	if _, err := conn.Exec(t.Context(), "UPDATE keys SET revoked_revision = 1"); err != nil {
		t.Fatal(err)
	}
	r := usage.NewRequestReader(usage.RequestConfig{}, s)
	for _, key := range []string{id, "team-a/default"} {
		got, _ := pages(t, r, usage.RequestFilter{Keys: []string{key}}, 10)
		if len(got) != 1 || got[0].ID != rows[0].ID || got[0].KeyName != "default" {
			t.Fatalf("%s: %+v", key, got)
		}
	}
	for i, name := range []string{"default", "", ""} {
		if got, err := r.Request(t.Context(), rows[i].ID); err != nil || got.KeyName != name {
			t.Errorf("%d: %+v %v", i, got, err)
		}
	}
	if _, err := r.Request(t.Context(), "trace-1"); vegaerr.CodeOf(err) != vegaerr.NotFound {
		t.Errorf("one request is found by its own id only: %v", err)
	}
}

func TestRequests_AttemptsInTheTableHoldOnlyTheKnownFields(t *testing.T) {
	s, url := openRequests(t)
	s.putRequests(t, someRequests(7, 0, 1))
	var raw []byte
	if err := sqlConn(t, url).QueryRow(t.Context(), "SELECT attempts FROM usage_request").Scan(&raw); err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	known := []string{"number", "server", "upstream_model", "served_model", "outcome", "status", "duration_us", "source", "cost_nano",
		"prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"}
	for _, a := range list {
		for field := range a {
			if !slices.Contains(known, field) {
				t.Errorf("unexpected field %s", field)
			}
		}
	}
}
