package adminapi_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestNodes_ShowEveryColumn(t *testing.T) {
	b := newBench(t, newMemory())
	if r := b.call("GET", "/nodes", "").want(200); strings.TrimSpace(string(r.body)) != "[]" {
		t.Fatalf("no nodes is %s", r.body)
	}
	seen := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b.fleet.nodes = []push.Node{
		{ID: "n1", Version: "v1", Connected: true, AppliedRevision: 7, LastSeen: seen, ConnectedAt: seen, InFlight: 3, Waiting: 2,
			Ejections: []push.Ejection{{Server: "gpu-1", UpstreamModel: "m", Reason: "5xx", Until: seen}},
			Journal:   &push.Journal{Trouble: "no space left on device", Bytes: 4096, Unjournalled: 2}},
		{ID: "n2", RejectedRevision: 8, LastError: "revision 8 rejected: x", LastSeen: seen},
	}
	var rows []map[string]any
	b.call("GET", "/nodes", "").want(200).into(&rows)
	for name, want := range map[string]any{"id": "n1", "version": "v1", "connected": true, "applied_revision": 7.0,
		"last_seen": "2026-01-02T03:04:05Z", "in_flight": 3.0, "waiting": 2.0, "last_error": ""} {
		if rows[0][name] != want {
			t.Errorf("%s is %v, want %v", name, rows[0][name], want)
		}
	}
	if j, _ := rows[0]["journal"].(map[string]any); j["durable"] != false || j["trouble"] != "no space left on device" || j["bytes"] != 4096.0 || j["unjournalled"] != 2.0 {
		t.Errorf("journal %v", rows[0]["journal"])
	}
	if _, said := rows[1]["journal"]; said {
		t.Error("a node that says nothing about its journal has one")
	}
	if rows[1]["last_error"] != "revision 8 rejected: x" || rows[1]["connected"] != false {
		t.Errorf("got %v", rows[1])
	}
}

func TestNodes_ForgetAndDrainReachTheFleetByRawName(t *testing.T) {
	b := newBench(t, newMemory())
	b.call("DELETE", "/nodes/host%2Fa%20b", "").want(204)
	b.call("POST", "/nodes/n2/drain", "").want(202)
	if got := fmt.Sprint(b.fleet.asked); got != "[forget host/a b drain n2]" {
		t.Fatalf("asked %s", got)
	}
	b.fleet.err = vegaerr.New(vegaerr.Conflict, "", "node is connected")
	b.call("DELETE", "/nodes/n1", "").want(409)
	b.call("POST", "/nodes/n1/drain", "").want(409)
}

func TestUsage_PassesTheQueryOnAndAnswersJSONOrCSV(t *testing.T) {
	b := newBench(t, newMemory())
	bucket := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	f := usage.Figures{Requests: 2, Attempts: 3, PromptTokens: 10, CostNano: 1_234_567_890_123_456_789, DurationUS: 3000}
	b.usage.result = usage.Result{Rows: []usage.Row{{Bucket: bucket, Server: "gpu-1", App: "", Figures: f}}, Totals: usage.Row{Figures: f}}
	query := "/usage?from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00%2B08:00&interval=hour&group_by=server,app&time_zone=Asia/Shanghai&app=a&app=b&model=m%2F1"
	r := b.call("GET", query, "").want(200)
	q := b.usage.asked
	if q.Interval != usage.IntervalHour || len(q.GroupBy) != 2 || q.GroupBy[1] != usage.ByApp || q.TimeZone != "Asia/Shanghai" ||
		len(q.Apps) != 2 || q.Models[0] != "m/1" || !q.To.Equal(time.Date(2026, 1, 2, 16, 0, 0, 0, time.UTC)) {
		t.Fatalf("asked %+v", q)
	}
	want := `"bucket":"2026-01-02T03:00:00Z","server":"gpu-1","app":"","requests":2,`
	if !strings.Contains(string(r.body), want) || !strings.Contains(string(r.body), `"cost":1234567890.123456789,`) {
		t.Fatalf("got %s", r.body)
	}
	if strings.Contains(string(r.body), `"model"`) || !strings.Contains(string(r.body), `"avg_duration_ms":1.5`) {
		t.Fatalf("got %s", r.body)
	}
	csv := b.call("GET", query, "", "Accept", "text/csv").want(200)
	if !strings.HasPrefix(csv.Header.Get("Content-Type"), "text/csv") || !strings.HasPrefix(string(csv.body), "bucket,server,app,model,requests,") ||
		!strings.Contains(string(csv.body), "2026-01-02T03:00:00Z,gpu-1,,,2,3,") {
		t.Fatalf("got %q", csv.body)
	}
	b.bad("GET", "/usage?from=yesterday", "").want(400)
	b.usage.err = vegaerr.New(vegaerr.Invalid, "", "bad").WithProblems([]vegaerr.Problem{{Path: "group_by", Message: "unknown"}})
	if p := b.bad("GET", "/usage?group_by=colour", "").want(400).problem(); p.Errors[0].Path != "group_by" {
		t.Fatalf("got %+v", p)
	}
}

type tested struct {
	OK     bool
	Status int
	Models []string
	Error  string
}

// upstream 记下收到的请求，照 answer 作答。
func (b *bench) testServer(extra string) (got tested) {
	b.t.Helper()
	b.call("PUT", "/config?prune=true", `{"servers":[{"name":"s",`+extra+`}]}`).want(200)
	b.call("POST", "/servers/s/test", "").want(200).into(&got)
	return got
}

func TestServerTest_UsesTheCredentialHeadersAndCA(t *testing.T) {
	var seen http.Header
	up := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header
		if r.URL.Path != "/v1/models" {
			w.WriteHeader(404)
			return
		}
		fmt.Fprint(w, `{"object":"list","data":[{"id":"m-1"},{"id":"m-2"}]}`)
	}))
	defer up.Close()
	b := newBench(t, newMemory())
	url := `"base_url":"` + up.URL + `/v1/"`
	if got := b.testServer(url); got.OK || !strings.Contains(got.Error, "certificate") {
		t.Fatalf("an unknown CA was trusted: %+v", got)
	}
	ca := fmt.Sprintf("%q", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: up.Certificate().Raw}))
	if _, err := x509.ParseCertificate(up.Certificate().Raw); err != nil {
		t.Fatal(err)
	}
	got := b.testServer(url + `,"api_key":"sk-upstream-planted","headers":{"X-Team":"infra"},"ca_pem":` + ca)
	if !got.OK || got.Status != 200 || len(got.Models) != 2 || got.Error != "" {
		t.Fatalf("got %+v", got)
	}
	if seen.Get("Authorization") != "Bearer sk-upstream-planted" || seen.Get("X-Team") != "infra" {
		t.Fatalf("upstream saw %v", seen)
	}
}

func TestServerTest_GoesThroughTheProxy(t *testing.T) {
	var asked string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		fmt.Fprint(w, `{"data":[]}`)
	}))
	defer proxy.Close()
	b := newBench(t, newMemory())
	got := b.testServer(`"base_url":"http://llm.invalid/v1","proxy_url":"` + proxy.URL + `"`)
	if !got.OK || asked != "http://llm.invalid/v1/models" {
		t.Fatalf("got %+v, proxy was asked for %q", got, asked)
	}
}

func TestServerTest_SaysWhatIsWrong(t *testing.T) {
	elsewhere := 0
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer trap.Close()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		says   string
		status int
	}{
		"credential":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "refused the credential (HTTP 401)", 401},
		"wrong path":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "/v1", 404},
		"redirect":    {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, trap.URL, http.StatusFound) }, "redirects (HTTP 302)", 302},
		"not a list":  {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "not with an OpenAI list", 200},
		"server down": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, "HTTP 503", 503},
		"too much":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeros{}, 5<<20) }, "larger than 4 MiB", 200},
		"echoes key": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://x/"+r.Header.Get("Authorization"))
			w.WriteHeader(301)
			fmt.Fprint(w, r.Header.Get("Authorization"))
		}, "HTTP 301", 301},
		"hangs": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer in time", 0},
	} {
		t.Run(name, func(t *testing.T) {
			up := httptest.NewServer(c.answer)
			defer up.Close()
			b := newBench(t, newMemory(), func(c *adminapi.Config, _ *adminapi.Deps) { c.ProbeTimeout = 2 * time.Second })
			got := b.testServer(`"base_url":"` + up.URL + `/v1","api_key":"sk-upstream-planted"`)
			if got.OK || !strings.Contains(got.Error, c.says) || got.Status != c.status || strings.Contains(got.Error, "planted") {
				t.Fatalf("got %+v", got)
			}
		})
	}
	if elsewhere != 0 {
		t.Fatal("a redirect was followed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	b := newBench(t, newMemory())
	if got := b.testServer(`"base_url":"http://` + addr + `/v1"`); got.OK || !strings.Contains(got.Error, "connection refused") {
		t.Fatalf("got %+v", got)
	}
	b.call("POST", "/servers/none/test", "").want(404)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
