package adminapi_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

var (
	_ adminapi.Requests  = (*usage.RequestReader)(nil)
	_ usage.RequestStore = (*postgres.Store)(nil)
)

// requests 记下问的是什么，照稿作答。
type requests struct {
	asked  usage.RequestFilter
	cursor string
	limit  int
	id     string
	page   usage.RequestPage
	err    error
}

func (r *requests) Requests(_ context.Context, f usage.RequestFilter, cursor string, limit int) (usage.RequestPage, error) {
	r.asked, r.cursor, r.limit = f, cursor, limit
	return r.page, r.err
}

func (r *requests) Request(_ context.Context, id string) (usage.Request, error) {
	if r.id = id; r.err != nil {
		return usage.Request{}, r.err
	}
	if len(r.page.Items) == 0 {
		return usage.Request{}, vegaerr.New(vegaerr.NotFound, "", "no such request")
	}
	return r.page.Items[0], nil
}

func fullRequest() usage.Request {
	n, zero := int64(1200), int64(0)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
	return usage.Request{
		ID: "req_1", ClientRequestID: "trace", NodeID: "n1", KeyID: "k-id", KeyName: "default", App: "a", Model: "m/1", ServedModel: "m2", Server: "s2",
		Source: usagev1.Source_SOURCE_REPORTED, Endpoint: "chat.completions", Outcome: usagev1.Outcome_OUTCOME_ABORTED, Status: 200, Stream: true,
		Replayed: true, Unjournalled: true, StartedAt: at, EndedAt: at.Add(time.Second), QueueUS: 1500, FirstByteUS: 2500, DurationUS: 1_000_000,
		Tokens: usage.Tokens{Prompt: &n, Cached: &zero}, CostNano: 1_500_000_001, Revision: 42,
		Attempts: []usage.Attempt{{Number: 1, Server: "s1", UpstreamModel: "u", ServedModel: "m2", Outcome: usagev1.Outcome_OUTCOME_LIMITED, Status: 429, DurationUS: 10},
			{Number: 2, Server: "s2", UpstreamModel: "u", ServedModel: "m2", Outcome: usagev1.Outcome_OUTCOME_ABORTED, Source: usagev1.Source_SOURCE_REPORTED,
				Tokens: usage.Tokens{Prompt: &n, Cached: &zero}, CostNano: 1_500_000_001}},
	}
}

func TestRequests_ShowEveryColumnAndAbsentIsNull(t *testing.T) {
	b := newBench(t, newMemory())
	b.requests.page = usage.RequestPage{Items: []usage.Request{fullRequest(), {ID: "req_2"}}}
	var page struct {
		Items         []map[string]any
		NextCursor    *string `json:"next_cursor"`
		SearchedUntil *string `json:"searched_until"`
	}
	r := b.call("GET", "/requests", "").want(200)
	r.into(&page)
	if page.NextCursor != nil || page.SearchedUntil != nil {
		t.Errorf("got %s", r.body)
	}
	for name, want := range map[string]any{
		"id": "req_1", "client_request_id": "trace", "key_id": "k-id", "key_name": "default", "app": "a", "model": "m/1", "served_model": "m2", "server": "s2",
		"endpoint": "chat.completions", "outcome": "aborted", "status": 200.0, "stream": true, "source": "reported",
		"started_at": "2026-01-02T03:04:05.006Z", "ended_at": "2026-01-02T03:04:06.006Z", "queue_ms": 1.5, "first_byte_ms": 2.5, "duration_ms": 1000.0,
		"prompt_tokens": 1200.0, "completion_tokens": nil, "cached_tokens": 0.0, "reasoning_tokens": nil, "revision": 42.0, "node": "n1", "replayed": true, "unjournalled": true,
	} {
		if got := page.Items[0][name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if !strings.Contains(string(r.body), `"cost":1.500000001,`) {
		t.Errorf("the cost lost digits: %s", r.body)
	}
	first := page.Items[0]["attempts"].([]any)[0].(map[string]any)
	if first["outcome"] != "limited" || first["status"] != 429.0 || first["source"] != "" || first["prompt_tokens"] != nil {
		t.Errorf("got %v", first)
	}
	for _, name := range []string{"key_name", "status", "first_byte_ms", "prompt_tokens"} {
		if v, ok := page.Items[1][name]; !ok || v != nil {
			t.Errorf("an absent %s is %v", name, v)
		}
	}
	until := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b.requests.page = usage.RequestPage{NextCursor: "c", SearchedUntil: until}
	if r := b.call("GET", "/requests", "").want(200); strings.TrimSpace(string(r.body)) != `{"items":[],"next_cursor":"c","searched_until":"2026-01-01T00:00:00Z"}` {
		t.Errorf("got %s", r.body)
	}
}

func TestRequests_EveryFilterReachesTheReader(t *testing.T) {
	b := newBench(t, newMemory())
	b.call("GET", "/requests?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00%2B08:00&app=a&app=b&key=a%2Fdefault&model=m%2F1&server=s&outcome=ok&outcome=limited&"+
		"status=429&status=0&source=partial&source=&stream=false&min_duration_ms=1500&id=req_1&q=GPT&limit=7&cursor=abc", "").want(200)
	off := false
	got := b.requests.asked
	got.From, got.To = got.From.UTC(), got.To.UTC()
	want := usage.RequestFilter{
		From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 1, 1, 16, 0, 0, 0, time.UTC),
		Apps: []string{"a", "b"}, Keys: []string{"a/default"}, Models: []string{"m/1"}, Servers: []string{"s"},
		Outcomes: []usagev1.Outcome{usagev1.Outcome_OUTCOME_OK, usagev1.Outcome_OUTCOME_LIMITED}, Statuses: []int{429, 0},
		Sources: []usagev1.Source{usagev1.Source_SOURCE_PARTIAL, usagev1.Source_SOURCE_UNSPECIFIED}, Stream: &off,
		MinDuration: 1500 * time.Millisecond, ID: "req_1", Text: "GPT",
	}
	if !reflect.DeepEqual(got, want) || b.requests.cursor != "abc" || b.requests.limit != 7 {
		t.Fatalf("\n got %+v\nwant %+v", got, want)
	}
	for _, query := range []string{"from=x", "outcome=fine", "source=guess", "status=x", "stream=maybe", "min_duration_ms=-1", "min_duration_ms=9223372036854775807", "limit=0", "limit=x", "colour=red"} {
		if p := b.bad("GET", "/requests?"+query, "").want(400).problem(); p.Code != "invalid" {
			t.Errorf("%s: %+v", query, p)
		}
	}
}

func TestRequests_OneByItsIDOr404(t *testing.T) {
	b := newBench(t, newMemory())
	b.requests.page = usage.RequestPage{Items: []usage.Request{fullRequest()}}
	b.call("GET", "/requests/req_1%2Fx", "").want(200)
	if b.requests.id != "req_1/x" {
		t.Fatalf("asked for %q", b.requests.id)
	}
	b.requests.err = vegaerr.New(vegaerr.NotFound, "", "there is no request with this id")
	b.call("GET", "/requests/none", "").want(404)
}

func TestRequests_OnPostgresCursorsOfOthersAndTamperedOnesAre400(t *testing.T) {
	s := openPostgres(t)
	b := newBench(t, s, func(_ *adminapi.Config, d *adminapi.Deps) {
		d.Mint, d.Requests = s.Mint(), usage.NewRequestReader(usage.RequestConfig{}, s)
	})
	now := time.Now()
	batch := usage.Batch{NodeID: "n1", Epoch: 1, First: 1, Last: 5, Clock: usage.Clock{Now: now}}
	for i := range 5 {
		batch.Records = append(batch.Records, &usagev1.Record{Seq: uint64(i + 1), Body: &usagev1.Record_Request{Request: &usagev1.Request{
			Id: "req_" + string(rune('a'+i)), App: "a", StartedUnixMs: now.UnixMilli(), EndedUnixMs: now.UnixMilli(), Outcome: usagev1.Outcome_OUTCOME_OK}}})
	}
	if _, err := s.IngestUsage(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	var page struct {
		Items      []struct{ ID string }
		NextCursor string `json:"next_cursor"`
	}
	b.call("GET", "/requests?limit=2", "").want(200).into(&page)
	if len(page.Items) != 2 || page.Items[0].ID != "req_e" || page.NextCursor == "" {
		t.Fatalf("got %+v", page)
	}
	b.call("GET", "/requests?limit=2&cursor="+page.NextCursor, "").want(200).into(&page)
	if page.Items[0].ID != "req_c" {
		t.Fatalf("got %+v", page)
	}
	for _, query := range []string{"cursor=x" + page.NextCursor, "cursor=%00", "app=a&cursor=" + page.NextCursor} {
		if p := b.call("GET", "/requests?"+query, "").want(400).problem(); p.Errors[0].Path != "cursor" {
			t.Errorf("%s: %+v", query, p)
		}
	}
	b.call("GET", "/requests/req_a", "").want(200)
	b.call("GET", "/requests/req_z", "").want(404)
}
