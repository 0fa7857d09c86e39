package adminapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/reconcile"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

var _ adminapi.Reconcile = (*reconcile.Reconciler)(nil)

func TestReconcile_PassesTheQuestionOnAndAnswersJSONOrCSV(t *testing.T) {
	b := newBench(t, newMemory())
	b.call("PUT", "/config", `{"servers":[{"name":"gpu-1","base_url":"http://x/v1"}],"models":[{"name":"m/1","targets":[{"server":"gpu-1","upstream_model":"up"}]}]}`).want(200)
	bucket := time.Date(2026, 10, 31, 16, 0, 0, 0, time.UTC)
	b.usage.result = usage.Result{Notes: []string{"minutes are gone"}, Rows: []usage.Row{
		{Bucket: bucket, Server: "gpu-1", ServedModel: "m/1", Source: "reported", Figures: usage.Figures{Requests: 2, Attempts: 3, AttemptErrors: 1, PromptTokens: 100, CompletionTokens: 20, CostNano: 1_000_000_001}},
		{Bucket: bucket, Server: "gpu-1", ServedModel: "m/1", Source: "unknown", Figures: usage.Figures{Attempts: 1}},
		{Bucket: bucket, App: "a", Source: "", Figures: usage.Figures{Refused: 9}},
		{Bucket: bucket.Add(24 * time.Hour), Server: "gpu-1", ServedModel: "m/1", Source: "reported", Figures: usage.Figures{Requests: 1, Attempts: 1, PromptTokens: 7}}}}
	query := "/usage/reconcile?server=gpu-1&time_zone=Asia/Shanghai&map=their%3Dup&column=prompt_tokens%3DTokens%20In&from=2026-11-01&to=2026-11-02"
	export := "Day,Model,Tokens In,output_tokens,Cost\n2026-11-01,their,100,21,1.0\n"
	r := b.call("POST", query, export, "Content-Type", "text/csv; charset=utf-8").want(200)
	q := b.usage.asked
	if !q.From.Equal(bucket) || !q.To.Equal(bucket.Add(48*time.Hour)) || q.TimeZone != "Asia/Shanghai" || q.Interval != usage.IntervalDay || q.Servers[0] != "gpu-1" {
		t.Fatalf("asked %+v", q)
	}
	for _, want := range []string{
		`"servers":["gpu-1"],"time_zone":"Asia/Shanghai","from":"2026-11-01","to":"2026-11-02","currency":null,"verdict":"unexplained"`,
		`"day":"2026-11-01","model":"up","ours":{"client_requests":2,"requests":4,"failed_requests":1,"prompt_tokens":100,"completion_tokens":20,"cached_tokens":0,"cost":1.000000001}`,
		`"theirs":{"requests":null,"prompt_tokens":100,"completion_tokens":21,"cached_tokens":null,"cost":1}`,
		`"difference":{"requests":null,"prompt_tokens":0,"completion_tokens":1,"cached_tokens":null,"cost":-0.000000001}`,
		`"percent":{"cached_tokens":null,"completion_tokens":5,`, `"notes":["minutes are gone"]`,
		`"day":"2026-11-02","model":"up"`, `"theirs":null`, `"verdict":"missing_theirs"`,
	} {
		if !strings.Contains(string(r.body), want) {
			t.Errorf("lacks %s\n%s", want, r.body)
		}
	}
	if r.Header.Get("x-vega-verdict") != "unexplained" {
		t.Errorf("headers %v", r.Header)
	}
	csv := b.call("POST", query, export, "Content-Type", "text/csv", "Accept", "text/csv").want(200)
	if !strings.HasPrefix(csv.Header.Get("Content-Type"), "text/csv") || !strings.Contains(string(csv.body), "2026-11-01,up,explained,2,1,4,100,20,0,1.000000001,,100,21,,1,") {
		t.Fatalf("got %q", csv.body)
	}
}

func TestReconcile_ErrorsNameTheLineOrTheParameter(t *testing.T) {
	b := newBench(t, newMemory(), func(c *adminapi.Config, _ *adminapi.Deps) { c.MaxBodyBytes = 1000 })
	good := "day,model,requests\n2026-11-01,m,1\n"
	for name, c := range map[string]struct{ query, export, path string }{
		"line":         {"", "day,model,requests\n2026-11-01,m,one\n", "line 2"},
		"map":          {"?map=one", good, "map"},
		"map twice":    {"?map=a%3Db&map=a%3Dc", good, "map"},
		"column":       {"?column=colour%3Dred", good, "column"},
		"server":       {"?server=none", good, "server"},
		"time zone":    {"?time_zone=Mars", good, "time_zone"},
		"unknown name": {"?colour=red", good, "colour"},
	} {
		p := b.call("POST", "/usage/reconcile"+c.query, c.export, "Content-Type", "text/csv").want(400).problem()
		if p.Code != "invalid" || len(p.Errors) != 1 || p.Errors[0].Path != c.path {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if p := b.bad("POST", "/usage/reconcile", good).want(400).problem(); !strings.Contains(p.Detail, "text/csv") {
		t.Errorf("JSON: %+v", p)
	}
	b.bad("POST", "/usage/reconcile?from=1.11.2026", good, "Content-Type", "text/csv").want(400)
	b.call("POST", "/usage/reconcile", good+strings.Repeat("2026-11-01,m,1\n", 100), "Content-Type", "text/csv").want(413)
	b.usage.err = vegaerr.New(vegaerr.Unavailable, "", "usage cannot be read now")
	b.call("POST", "/usage/reconcile", good, "Content-Type", "text/csv").want(503)
}
