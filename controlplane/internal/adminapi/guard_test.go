package adminapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap/zapcore"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestNew_RefusesAWeakTokenAndMissingDependencies(t *testing.T) {
	if _, err := adminapi.New(adminapi.Config{Token: "short"}, adminapi.Deps{}); err == nil || !strings.Contains(err.Error(), "32") {
		t.Fatalf("got %v", err)
	}
	if _, err := adminapi.New(adminapi.Config{Token: token}, adminapi.Deps{}); err == nil {
		t.Fatal("missing dependencies accepted")
	}
}

func TestAuth_OnlyTheExactBearerTokenOpensAnyPath(t *testing.T) {
	b := newBench(t, newMemory())
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer " + token[:31], "Bearer " + token + "x", "Basic " + token, token} {
		for _, path := range []string{"/config", "/nothing-here"} {
			r := b.bad("GET", path, "", "Authorization", header)
			if p := r.want(401).problem(); p.Code != "unauthenticated" || strings.Contains(string(r.body), token[:31]) {
				t.Errorf("%q: %s", header, r.body)
			}
			if !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), `Bearer realm="vega"`) {
				t.Errorf("%q: challenge %q", header, r.Header.Get("WWW-Authenticate"))
			}
		}
	}
	b.call("GET", "/config", "", "Authorization", "bearer "+token).want(200)
	req, _ := http.NewRequest("GET", b.url+"/api/v1/config", nil)
	req.Header["Authorization"] = []string{"Bearer " + token, "Bearer wrong"}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 401 {
		t.Fatalf("two Authorization headers: %d", resp.StatusCode)
	}
}

func TestBody_MalformedInputIsRefusedClearly(t *testing.T) {
	b := newBench(t, newMemory(), func(c *adminapi.Config, _ *adminapi.Deps) { c.MaxBodyBytes = 1000 })
	for name, c := range map[string]struct {
		body, says string
		header     []string
		status     int
	}{
		"not JSON":        {`{"servers":`, "malformed JSON", nil, 400},
		"an array":        {`[]`, "must be an object", nil, 400},
		"trailing":        {`{} {}`, "malformed JSON", nil, 400},
		"duplicate key":   {`{"servers":[],"servers":[]}`, "appears more than once", nil, 400},
		"unknown field":   {`{"server":[]}`, "did you mean", nil, 400},
		"not UTF-8":       {"{\"servers\":\"\xff\"}", "UTF-8", nil, 400},
		"empty":           {``, "Content-Type", nil, 400},
		"form":            {`a=b`, "Content-Type", []string{"Content-Type", "application/x-www-form-urlencoded"}, 400},
		"encoded":         {`{}`, "Content-Encoding", []string{"Content-Encoding", "gzip"}, 400},
		"bad query":       {`{}`, "wait", nil, 400},
		"too large":       {`{"servers":[` + strings.Repeat(" ", 1000) + `]}`, "larger than 1000 bytes", nil, 413},
		"exactly allowed": {`{"servers":[` + strings.Repeat(" ", 986) + `]}`, "", nil, 200},
	} {
		path := "/config"
		if name == "bad query" {
			path += "?wait=perhaps"
		}
		r := b.bad("PUT", path, c.body, c.header...)
		if r.StatusCode != c.status || !strings.Contains(string(r.body), c.says) {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
		}
	}
}

func TestQuery_AMisspeltOrMisplacedParameterIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	b := newBench(t, newMemory())
	for _, c := range [][3]string{
		{"PUT", "/config?dryrun=true", document},
		{"POST", "/servers?dry_run=true", `{"name":"gpu-1","base_url":"http://x/v1"}`},
		{"DELETE", "/apps/a?dry_run=true", ""},
		{"POST", "/apps/a/keys?prune=true", `{"name":"k"}`},
		{"POST", "/revisions/0/rollback?prune=true", ""},
		{"GET", "/usage?groupby=app", ""},
		{"GET", "/revisions?page=2", ""},
		{"PUT", "/config?note=" + strings.Repeat("x", 501), document},
	} {
		p := b.bad(c[0], c[1], c[2]).want(400).problem()
		if p.Code != "invalid" || len(p.Errors) != 1 || !strings.Contains(c[1], p.Errors[0].Path+"=") {
			t.Errorf("%s %s: %+v", c[0], c[1], p)
		}
	}
	if r := b.call("GET", "/config", "").want(200); r.Header.Get("ETag") != `"0"` {
		t.Fatalf("something was written: %s", r.body)
	}
}

func TestBody_TooLargeWithoutALengthIsCutOff(t *testing.T) {
	b := newBench(t, newMemory(), func(c *adminapi.Config, _ *adminapi.Deps) { c.MaxBodyBytes = 1000 })
	req, _ := http.NewRequest("PUT", b.url+"/api/v1/config", io.MultiReader(strings.NewReader("{"), strings.NewReader(strings.Repeat(" ", 5000)), strings.NewReader("}")))
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("got %d", resp.StatusCode)
	}
}

func TestErrors_EveryKindHasItsStatusAndHidesItsCause(t *testing.T) {
	for code, want := range map[vegaerr.Code]int{
		vegaerr.Invalid: 400, vegaerr.Denied: 403, vegaerr.NotFound: 404, vegaerr.Conflict: 409,
		vegaerr.Unavailable: 503, vegaerr.Internal: 500, vegaerr.Exhausted: 429, vegaerr.Timeout: 504,
	} {
		m := newMemory()
		b := newBench(t, m)
		m.down = vegaerr.Wrap(fmt.Errorf("dial tcp 10.0.0.1: password=hunter2"), code, "", "say this").WithRetryAfter(1500 * time.Millisecond)
		r := b.rough("GET", "/config").want(want)
		if p := r.problem(); p.Code != code.String() || p.Detail != "say this" || strings.Contains(string(r.body), "hunter2") {
			t.Errorf("%v: %s", code, r.body)
		}
		if r.Header.Get("Retry-After") != "2" {
			t.Errorf("%v: Retry-After %q", code, r.Header.Get("Retry-After"))
		}
	}
}

// rough 不对照契约：有些状态只在缺陷时出现。
func (b *bench) rough(method, path string) answer {
	b.t.Helper()
	req, err := http.NewRequest(method, b.url+"/api/v1"+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{Response: resp, t: b.t, body: body}
}

func TestErrors_DatabaseAwayIs503OnReadAndWrite(t *testing.T) {
	m := newMemory()
	b := newBench(t, m)
	m.down = vegaerr.New(vegaerr.Unavailable, "", "the database does not answer")
	for _, c := range [][3]string{
		{"GET", "/config"}, {"PUT", "/config", document}, {"GET", "/servers"}, {"POST", "/models", `{"name":"m"}`},
		{"DELETE", "/apps/a"}, {"GET", "/revisions"}, {"POST", "/revisions/1/rollback"}, {"POST", "/servers/x/test"},
	} {
		r := b.call(c[0], c[1], c[2]).want(503)
		if r.problem().Code != "unavailable" || r.Header.Get("Retry-After") == "" {
			t.Errorf("%s %s: %s", c[0], c[1], r.body)
		}
	}
}

func TestErrors_APanicIsAnAnswerAndALogLine(t *testing.T) {
	m := newMemory()
	b := newBench(t, m)
	m.boom = "kaboom-secret"
	r := b.rough("GET", "/config").want(500)
	if p := r.problem(); p.Code != "internal" || strings.Contains(string(r.body), "kaboom") {
		t.Fatalf("got %s", r.body)
	}
	lines := b.logs.FilterLevelExact(zapcore.ErrorLevel).All()
	if len(lines) != 1 || !strings.Contains(lines[0].ContextMap()["error"].(string), "kaboom") ||
		!strings.Contains(lines[0].ContextMap()["error"].(string), "fake_test.go") {
		t.Fatalf("log: %+v", lines)
	}
	if lines[0].ContextMap()["request_id"] != r.Header.Get("x-request-id") {
		t.Fatal("the log line cannot be found by the request id")
	}
	m.boom = nil
	b.call("GET", "/config", "").want(200)
}

func TestSecrets_AreInNoGETAnswerAndInNoLogLine(t *testing.T) {
	b := newBench(t, newMemory())
	var r applied
	b.call("PUT", "/config?note=hello", document).want(200).into(&r)
	b.call("PUT", "/servers/gpu-1", `{"name":"gpu-1","base_url":"http://127.0.0.1:1/v1","api_key":"sk-upstream-planted-5678"}`).want(200)
	b.bad("POST", "/apps/team-a/keys", `{"name":"dup","secret":"planted-secret-0123456789-0123456789"}`).want(409)
	b.bad("POST", "/apps/team-a/keys", `{"name":"x","secret":"planted-but-short"}`).want(400)
	b.bad("PUT", "/servers/gpu-1", `{"name":"gpu-1","base_url":"http://user:planted-password@x/v1"}`).want(400)
	b.call("POST", "/servers/gpu-1/test", "").want(200)
	var operator struct {
		OneTimePassword string `json:"one_time_password"`
	}
	b.call("POST", "/operators", `{"name":"team-a","role":"viewer"}`).want(201).into(&operator)
	var made struct{ Secret string }
	b.call("POST", "/tokens", `{"name":"ci","role":"viewer"}`).want(201).into(&made)
	secrets := []string{r.Keys[0].Secret, operator.OneTimePassword, made.Secret, "$argon2id$"}
	b.fleet.nodes = []push.Node{{ID: "n1"}}
	b.requests.page.Items = []usage.Request{fullRequest()}
	for template, item := range b.spec.Paths.Map() {
		if item.Get == nil || template == "/events" || strings.HasPrefix(template, "/auth/oidc/") { // 流里的与别的 GET 同形；那两个只转去别处
			continue
		}
		name := map[string]string{"/servers/{name}": "gpu-1", "/models/{name}": "gpt-4o"}[template]
		if name == "" {
			name = "team-a"
		}
		path := strings.NewReplacer("{name}", name, "{revision}", "1", "{id}", "req_1").Replace(template)
		if template == "/explain" {
			path += "?app=team-a&model=gpt-4o"
		}
		got := b.call("GET", path, "").want(200)
		b.mustNotLeak("GET "+path, string(got.body)+fmt.Sprint(got.Header), secrets...)
	}
	for _, line := range b.logs.All() {
		b.mustNotLeak("log", line.Message+fmt.Sprint(line.ContextMap()), secrets...)
	}
}

func (b *bench) mustNotLeak(where, text string, generated ...string) {
	b.t.Helper()
	for _, secret := range append(generated, "planted", token) {
		if secret == "" {
			b.t.Fatal("nothing to look for")
		}
		if strings.Contains(text, secret) {
			b.t.Errorf("%s leaks a secret: %s", where, text)
		}
	}
}

func TestLog_OneLinePerWriteSaysWhoWhatAndWhichRevision(t *testing.T) {
	b := newBench(t, newMemory())
	b.call("PUT", "/config?note=why", document).want(200)
	b.call("DELETE", "/apps/none", "").want(404)
	b.call("GET", "/config", "").want(200)
	b.call("GET", "/apps/none", "").want(404)
	b.call("POST", "/nodes/n1/drain", "").want(202)
	lines := b.logs.All()
	if len(lines) != 3 {
		t.Fatalf("%d lines: %+v", len(lines), lines)
	}
	w := lines[0].ContextMap()
	if lines[0].Message != "admin write" || w["actor"] != "bootstrap" || w["method"] != "PUT" || w["object"] != "config" ||
		w["revision"] != uint64(1) || w["note"] != "why" || !strings.Contains(w["changes"].(string), "5 created: server gpu-1") {
		t.Errorf("write: %v", w)
	}
	if r := lines[1].ContextMap(); lines[1].Message != "admin write refused" || r["code"] != "not_found" || r["path"] != "/api/v1/apps/none" {
		t.Errorf("refusal: %v", r)
	}
	if n := lines[2].ContextMap(); n["object"] != "node n1" || n["actor"] != "bootstrap" {
		t.Errorf("node: %v", n)
	}
}

func TestHeaders_EveryAnswerIsUncachableAndUnframable(t *testing.T) {
	b := newBench(t, newMemory())
	for _, path := range []string{"/config", "/nothing"} {
		h := b.bad("GET", path, "").Header
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if len(h.Get("x-request-id")) < 16 {
			t.Errorf("%s: request id %q", path, h.Get("x-request-id"))
		}
	}
}

func TestMetrics_CountByRouteNotByName(t *testing.T) {
	reg := prometheus.NewRegistry()
	b := newBench(t, newMemory(), func(_ *adminapi.Config, d *adminapi.Deps) { d.Metrics = reg })
	b.call("GET", "/models/some-name", "").want(404)
	b.call("GET", "/models/other-name", "").want(404)
	b.bad("GET", "/no/such/path", "").want(404)
	b.bad("BREW", "/no/such/path", "").want(404)
	want := `# HELP vega_admin_requests_total Admin API requests by route, method and status.
# TYPE vega_admin_requests_total counter
vega_admin_requests_total{method="GET",route="/api/v1/models/:name",status="404"} 2
vega_admin_requests_total{method="GET",route="other",status="404"} 1
vega_admin_requests_total{method="other",route="other",status="404"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "vega_admin_requests_total"); err != nil {
		t.Fatal(err)
	}
}

func TestRoot_SplitsBetweenAPIHealthAndConsole(t *testing.T) {
	console := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "console ", r.URL.Path) })
	b := newBench(t, newMemory(), func(_ *adminapi.Config, d *adminapi.Deps) { d.Console = console })
	for path, want := range map[string]string{"/": "console /", "/servers": "console /servers", "/apix": "console /apix", "/healthz": "ok\n"} {
		resp, err := http.Get(b.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || string(body) != want {
			t.Errorf("%s: %d %q", path, resp.StatusCode, body)
		}
	}
	for _, path := range []string{"/api", "/api/", "/api/v2/config"} {
		resp, err := http.Get(b.url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 401 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// stuck 是没有回音的存储。
type stuck struct{ adminapi.Store }

func (stuck) Load(ctx context.Context) (*catalog.Catalog, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestTimeLimit_AStoreThatNeverAnswersIs503NotAHang(t *testing.T) {
	b := newBench(t, stuck{newMemory()}, func(c *adminapi.Config, _ *adminapi.Deps) { c.TimeLimit = 50 * time.Millisecond })
	if p := b.call("GET", "/config", "").want(503).problem(); p.Code != "unavailable" {
		t.Errorf("got %+v", p)
	}
}
