package adminapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestUsage_EveryParameterReachesTheQuery(t *testing.T) {
	b := newBench(t, newMemory())
	b.call("GET", "/usage?tz=Asia/Shanghai&group_by=served_model,source,code&served_model=m1&served_model=m2&source=reported&source=partial"+
		"&code=queue_full&server=s&top=7&order_by=cost&percentiles=50,99.9", "").want(200)
	q := b.usage.asked
	if q.TimeZone != "Asia/Shanghai" || !slices.Equal(q.GroupBy, []usage.Dimension{usage.ByServedModel, usage.BySource, usage.ByCode}) ||
		!slices.Equal(q.ServedModels, []string{"m1", "m2"}) || !slices.Equal(q.Sources, []string{"reported", "partial"}) ||
		!slices.Equal(q.Codes, []string{"queue_full"}) || q.Top != 7 || q.OrderBy != usage.OrderCost || !slices.Equal(q.Percentiles, []float64{50, 99.9}) {
		t.Fatalf("asked %+v", q)
	}
}

func TestUsage_SaysHowEveryNumberWasObtained(t *testing.T) {
	b := newBench(t, newMemory())
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	row := usage.Row{
		App: "a", Source: "reported", Figures: usage.Figures{Requests: 4, PromptTokens: 75, CompletionTokens: 25, Replayed: 2, Unjournalled: 1},
		BySource: usage.BySourceFigures{1: {Requests: 3, Attempts: 3, Tokens: 90, CostNano: 5}, 4: {Requests: 1, Attempts: 2, Tokens: 10}},
		Latency:  &usage.Latency{QueueMS: []float64{0, 2.5}},
	}
	other := usage.Row{Rank: 2, Other: true, Figures: usage.Figures{Requests: 1}}
	b.usage.result = usage.Result{
		From: at, To: at.Add(time.Hour), Rows: []usage.Row{row, other}, Totals: row, Percentiles: []float64{50, 99.9}, Notes: []string{"from was widened"},
		Accuracy: usage.Accuracy{AsOf: at, CompleteUntil: at.Add(-time.Minute), Pending: 3, BehindNodes: 1, BehindRecords: 40, SilentNodes: 2,
			Lost: usage.Totals{Lost: 7, Requests: 6, PromptTokens: 5, CompletionTokens: 4, CostNano: 1}, LostLater: usage.Totals{Lost: 1}},
	}
	body := string(b.call("GET", "/usage?group_by=app&top=1&percentiles=50,99.9", "").want(200).body)
	for _, want := range []string{
		`"from":"2026-11-20T12:00:00Z","to":"2026-11-20T13:00:00Z"`, `"notes":["from was widened"]`,
		`"reported":{"requests":3,"requests_share":0.75,"attempts":3,"tokens":90,"tokens_share":0.9,"cost":0.000000005}`,
		`"unknown":{"requests":1,"requests_share":0.25,"attempts":2,"tokens":10,"tokens_share":0.1,"cost":0}`,
		`"counted":{"requests":0,"requests_share":0,"attempts":0,"tokens":0,"tokens_share":0,"cost":0}`,
		`"requests_replayed":2,"requests_unjournalled":1`, `"lost":{"records":7,"requests":6,"tokens":9,"cost":0.000000001}`, `"lost_later":{"records":1,`,
		`"complete_until":"2026-11-20T11:59:00Z","pending":3,"behind_nodes":1,"behind_records":40,"silent_nodes":2`,
		`"percentiles":{"queue_ms":{"p50":0,"p99.9":2.5}}`, `{"other":true,"requests":1,`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing in %s", want, body)
		}
	}
	csv := b.call("GET", "/usage?group_by=app&top=1&percentiles=50,99.9&format=csv", "").want(200)
	lines := strings.Split(string(csv.body), "\r\n")
	if !strings.HasPrefix(csv.Header.Get("Content-Type"), "text/csv") || len(lines) != 4 ||
		!strings.HasSuffix(lines[1], ",reported,,false,2,1,3,0,0,1,90,0,0,10,0.000000005,0,0,0,0.000,2.500,,,,") || !strings.Contains(lines[2], ",true,") {
		t.Errorf("got %q", lines)
	}
	if r := b.call("GET", "/usage?format=json", "", "Accept", "text/csv").want(200); !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		t.Errorf("format must win over Accept: %v", r.Header)
	}
}

func TestUsage_AnswersWhatItCannotDoByName(t *testing.T) {
	b := newBench(t, newMemory())
	paths := func(query string) []string {
		t.Helper()
		var out []string
		for _, e := range b.bad("GET", "/usage?"+query, "").want(400).problem().Errors {
			out = append(out, e.Path)
		}
		return out
	}
	if got := paths("tz=UTC&time_zone=Asia/Shanghai&format=xml&interval=week&group_by=colour"); !slices.Equal(got, []string{"format", "tz", "interval", "group_by"}) {
		t.Errorf("got %v", got)
	}
	for query, want := range map[string]string{"from=yesterday": "from", "top=many": "top", "percentiles=all": "percentiles"} {
		if got := paths(query); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %v", query, got)
		}
	}
	b.usage.err = vegaerr.New(vegaerr.Timeout, "", "the usage query took too long")
	b.call("GET", "/usage", "").want(http.StatusGatewayTimeout)
	b.usage.err = vegaerr.New(vegaerr.Unavailable, "", "2 usage queries are running already").WithRetryAfter(5 * time.Second)
	if r := b.call("GET", "/usage", "").want(503); r.Header.Get("Retry-After") != "5" {
		t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
	}
}

func TestUsage_NumbersHaveNoMoreDigitsThanWereMeasured(t *testing.T) {
	b := newBench(t, newMemory())
	totals := usage.Row{
		Figures:  usage.Figures{Requests: 3, DurationUS: 100_000, FirstByteUS: 95_000, FirstByteCount: 3, QueueUS: 1},
		BySource: usage.BySourceFigures{1: {Requests: 1}, 4: {Requests: 2}}, Latency: &usage.Latency{DurationMS: []float64{31.378744301930862}},
	}
	b.usage.result = usage.Result{Totals: totals, Percentiles: []float64{50}}
	body := string(b.call("GET", "/usage?percentiles=50", "").want(200).body)
	for _, want := range []string{
		`"avg_queue_ms":0,"avg_first_byte_ms":31.667,"avg_duration_ms":33.333`, `"duration_ms":{"p50":31.379}`,
		`"requests_share":0.333333,`, `"requests_share":0.666667,`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing in %s", want, body)
		}
	}
}

func TestUsage_ADayWithoutATimeBeginsWhereTheTimeZoneSays(t *testing.T) {
	b := newBench(t, newMemory())
	b.call("GET", "/usage?from=2026-11-01&to=2026-12-01T00:00:00Z&tz=Asia/Shanghai", "").want(200)
	q := b.usage.asked
	if from := time.Date(2026, 10, 31, 16, 0, 0, 0, time.UTC); !q.From.Equal(from) || !q.To.Equal(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)) {
		t.Fatalf("asked from %s to %s", q.From, q.To)
	}
	plus := string(b.call("GET", "/usage?from=2026-11-01T00:00:00+08:00", "").want(400).body)
	if !strings.Contains(plus, `in a URL the + is written %2B`) {
		t.Fatalf("%s", plus)
	}
}
