package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

func TestServe_JSONAnswerPassesAndIsAccountedBeforeTheClientHasReadIt(t *testing.T) {
	n, u := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{PromptTokens: 11, CompletionTokens: 5, CachedTokens: 3}})
	a := n.chat(ask)
	want(t, a, http.StatusOK, "")
	records := n.journal.all()
	if len(records) != 1 {
		t.Fatalf("%d records at the moment the client had read the answer", len(records))
	}
	r := records[0]
	if r.Outcome != usagev1.Outcome_OUTCOME_OK || r.Status != 200 || r.Model != "m" || r.ServedModel != "m" || r.App != "team" || r.Revision != 7 {
		t.Fatalf("record %v", r)
	}
	at := r.Attempts[0]
	if at.Number != 1 || at.Server != "s1" || at.UpstreamModel != "up-m" || at.Source != usagev1.Source_SOURCE_REPORTED ||
		at.Usage.GetPromptTokens() != 11 || at.Usage.GetCompletionTokens() != 5 || at.Usage.GetCachedTokens() != 3 {
		t.Fatalf("attempt %v", at)
	}
	id := a.header.Get("X-Request-Id")
	if id != r.Id || a.header.Get("X-Vega-Server") != "s1" || a.header.Get("X-Vega-Queue-Wait-Ms") != "0" {
		t.Fatalf("headers %v", a.header)
	}
	rows := u.Attempts(id)
	if len(rows) != 1 || rows[0].RequestID != id+"-1" || rows[0].Model != "up-m" || rows[0].Authorization != "Bearer sk-upstream" {
		t.Fatalf("ledger %+v", rows)
	}
}

func TestServe_StreamPassesWholeAndTheUsageEventItAskedForIsRemoved(t *testing.T) {
	n, u := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{PromptTokens: 9, CompletionTokens: 4}})
	a := n.chat(askStream)
	want(t, a, http.StatusOK, "")
	if !strings.HasSuffix(a.body, "data: [DONE]\n\n") || strings.Contains(a.body, `"usage"`) {
		t.Fatalf("stream %q", a.body)
	}
	if a.header.Get("Cache-Control") != "no-cache" || a.header.Get("Content-Type") != "text/event-stream" && !strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("headers %v", a.header)
	}
	r := n.last()
	if !r.Stream || r.Outcome != usagev1.Outcome_OUTCOME_OK || r.Attempts[0].Usage.GetCompletionTokens() != 4 || r.Attempts[0].Source != usagev1.Source_SOURCE_REPORTED {
		t.Fatalf("record %v", r)
	}
	settle(t, n, u)
}

func TestServe_UsageEventStaysForAClientThatAsked(t *testing.T) {
	n, _ := one(t, upstreamtest.Config{})
	a := n.chat(`{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}`)
	want(t, a, http.StatusOK, "")
	if !strings.Contains(a.body, `"usage":{`) {
		t.Fatalf("the usage event is gone: %q", a.body)
	}
}

func TestServe_StreamUsageNeverDoesNotAsk(t *testing.T) {
	n, _ := one(t, upstreamtest.Config{}, func(s *configv1.Server) { s.StreamUsage = configv1.StreamUsage_STREAM_USAGE_NEVER })
	want(t, n.chat(askStream), http.StatusOK, "")
	if at := n.last().Attempts[0]; at.Source != usagev1.Source_SOURCE_COUNTED || at.Usage.GetCompletionTokens() != 48 {
		t.Fatalf("attempt %v", at)
	}
}

func TestServe_StreamUsageAutoTurnsItselfOffAfterA400ThatNamesIt(t *testing.T) {
	n, u := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{RefuseStreamOptions: true}})
	want(t, n.chat(askStream), http.StatusOK, "")
	want(t, n.chat(askStream), http.StatusOK, "")
	if got := u.Stats().Requests; got != 3 {
		t.Fatalf("upstream saw %d calls, want 3: refused, repeated, remembered", got)
	}
	if got := attemptsOf(n.journal.all()); got != 3 {
		t.Fatalf("%d attempts recorded", got)
	}
}

func TestServe_Refusals(t *testing.T) {
	u := upstream(t, upstreamtest.Config{})
	s := newSnap().server("s1", u.URL()+"/v1").server("off", "http://127.0.0.1:1/v1", func(s *configv1.Server) { s.Enabled = false }).
		model("m", "s1").model("private", "s1").model("dark", "off").key("team", secret).key("closed", secret+"-closed").key("old", secret+"-expired")
	s.Keys[2].ExpiresAtUnixMs = 1
	s.edit(func(c *configv1.Snapshot) {
		c.Apps[0].Models = []string{"m", "dark"}
		c.Apps = append(c.Apps, &configv1.App{Name: "closed", Weight: 1, Class: configv1.AppClass_APP_CLASS_STANDARD, Models: []string{"*"}},
			&configv1.App{Name: "old", Enabled: true, Weight: 1, Class: configv1.AppClass_APP_CLASS_STANDARD, Models: []string{"*"}})
	})
	n := start(t, s.compile(t))
	bearer := func(k string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", k) }
	}
	for _, c := range []struct {
		name, body string
		status     int
		code       string
		edit       func(*http.Request)
	}{
		{"no key", ask, 401, "invalid_api_key", func(r *http.Request) { r.Header.Del("Authorization") }},
		{"wrong key", ask, 401, "invalid_api_key", bearer("Bearer nope")},
		{"basic", ask, 401, "invalid_api_key", bearer("Basic eDp5")},
		{"expired", ask, 401, "invalid_api_key", bearer("Bearer " + secret + "-expired")},
		{"two keys", ask, 401, "invalid_api_key", func(r *http.Request) { r.Header.Set("Api-Key", "other") }},
		{"disabled app", ask, 403, "app_disabled", bearer("Bearer " + secret + "-closed")},
		{"unknown model", `{"model":"nope"}`, 404, "model_not_found", nil},
		{"disallowed model", `{"model":"private"}`, 403, "model_not_allowed", nil},
		{"every target disabled", `{"model":"dark"}`, 503, "no_server_available", nil},
		{"not JSON", `{"model":`, 400, "invalid_json", nil},
		{"duplicate model", `{"model":"m","model":"private"}`, 400, "invalid_request", nil},
		{"case variant", `{"model":"m","Model":"private"}`, 400, "invalid_request", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.edit == nil {
				c.edit = func(*http.Request) {}
			}
			a := n.chat(c.body, c.edit)
			want(t, a, c.status, c.code)
			if c.status == 503 && (a.header.Get("Retry-After") == "" || a.header.Get("Retry-After-Ms") == "") {
				t.Fatalf("no retry hint: %v", a.header)
			}
		})
	}
	if u.Stats().Requests != 0 || len(n.journal.all()) != 0 {
		t.Fatal("a refused request reached the upstream")
	}
	if n.journal.refused()["invalid_api_key"] != 5 || n.journal.refused()["model_not_found"] != 1 {
		t.Fatalf("refusals %v", n.journal.refused())
	}
}

func TestServe_KeyMayComeInThreeHeaders(t *testing.T) {
	n, _ := one(t, upstreamtest.Config{})
	for _, h := range []string{"Api-Key", "X-Api-Key"} {
		want(t, n.chat(ask, func(r *http.Request) { r.Header.Del("Authorization"); r.Header.Set(h, secret) }), 200, "")
	}
	want(t, n.chat(ask, func(r *http.Request) { r.Header.Set("X-Api-Key", secret) }), 200, "")
}

func TestServe_ModelsListsOnlyTheAllowed(t *testing.T) {
	u := upstream(t, upstreamtest.Config{})
	s := newSnap().server("s1", u.URL()+"/v1").model("a/b", "s1").model("m", "s1").model("x", "s1")
	s.edit(func(c *configv1.Snapshot) { c.Apps[0].Models = []string{"a/*", "m"} })
	n := start(t, s.compile(t))
	a := n.do(http.MethodGet, "/v1/models", "")
	want(t, a, 200, "")
	if !strings.Contains(a.body, `"id":"a/b"`) || !strings.Contains(a.body, `"id":"m"`) || strings.Contains(a.body, `"id":"x"`) || !strings.Contains(a.body, `"owned_by"`) {
		t.Fatalf("models %s", a.body)
	}
	for _, path := range []string{"/v1/models/a/b", "/v1/models/a%2Fb", "/v1/models/m"} {
		want(t, n.do(http.MethodGet, path, ""), 200, "")
	}
	want(t, n.do(http.MethodGet, "/v1/models/x", ""), 404, "model_not_found")
}

func TestServe_UnknownPathsAndMethodsAnswerInOpenAIForm(t *testing.T) {
	n, _ := one(t, upstreamtest.Config{})
	want(t, n.do(http.MethodGet, "/v1/nope", ""), 404, "not_found")
	want(t, n.do(http.MethodGet, "/", ""), 404, "not_found")
	want(t, n.do(http.MethodGet, "/v1/chat/completions", ""), 405, "method_not_allowed")
	want(t, n.do(http.MethodPost, "/v1/models", "{}"), 405, "method_not_allowed")
	want(t, n.do(http.MethodGet, "/v1/files/..%2f..%2fadmin", ""), 400, "invalid_request")
	if a := n.do(http.MethodGet, "/healthz", ""); a.status != 200 {
		t.Fatalf("healthz %d", a.status)
	}
}

func TestServe_CORS(t *testing.T) {
	n, _ := one(t, upstreamtest.Config{})
	a := n.do(http.MethodOptions, "/v1/chat/completions", "", func(r *http.Request) {
		r.Header.Set("Origin", "https://app.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization,x-stainless-lang")
	})
	if a.status != 204 || a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Access-Control-Allow-Headers") != "authorization,x-stainless-lang" || !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "POST") {
		t.Fatalf("preflight %d %v", a.status, a.header)
	}
	b := n.chat(ask, func(r *http.Request) { r.Header.Set("Origin", "https://app.example") })
	if b.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(b.header.Get("Access-Control-Expose-Headers"), "X-Request-Id") {
		t.Fatalf("answer %v", b.header)
	}
}
