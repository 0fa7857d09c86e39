package adminapi_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
)

const plantedKey = "sk-upstream-planted"

type triedChat struct {
	OK            bool
	Models        []string
	Error         string
	Chat          *chatSaid
	LatencyMS     float64 `json:"latency_ms"`
	UsageReported *bool   `json:"usage_reported"`
}

type chatSaid struct {
	OK            bool
	Model         string
	Status        int
	LatencyMS     float64 `json:"latency_ms"`
	UsageReported *bool   `json:"usage_reported"`
	Error         string
}

// chatUpstream 列一个模型，对话由 answer 作答；记下每次对话的请求体与头。
type chatUpstream struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []map[string]any
	heads  []http.Header
}

func newChatUpstream(t *testing.T, secure bool, answer http.HandlerFunc) *chatUpstream {
	t.Helper()
	u := &chatUpstream{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":[{"id":"m"}]}`) })
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var body map[string]any
		if err := json.Unmarshal(raw, &body); err != nil {
			t.Errorf("%v: %s", err, raw)
		}
		u.mu.Lock()
		u.bodies, u.heads = append(u.bodies, body), append(u.heads, r.Header)
		u.mu.Unlock()
		answer(w, r)
	})
	if secure {
		u.Server = httptest.NewTLSServer(mux)
	} else {
		u.Server = httptest.NewServer(mux)
	}
	t.Cleanup(u.Close)
	return u
}

func (u *chatUpstream) draft(name, more string) string {
	return fmt.Sprintf(`{"name":%q,"base_url":%q%s}`, name, u.URL+"/v1", more)
}

func (b *bench) trial(name, body string) (got triedChat) {
	b.t.Helper()
	b.call("POST", "/servers/"+name+"/test", body).want(200).into(&got)
	return got
}

func completes(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `{"choices":[{"message":{"content":"p"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`)
}

func TestServerTest_SendsOneTokenOfChat(t *testing.T) {
	up := newChatUpstream(t, true, completes)
	b := newBench(t, newMemory())
	ca := fmt.Sprintf("%q", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: up.Certificate().Raw}))
	b.call("PUT", "/config", `{"servers":[{"name":"s","base_url":"`+up.URL+`/v1","api_key":"`+plantedKey+`","headers":{"X-Team":"infra"},"ca_pem":`+ca+`}]}`).want(200)
	got := b.trial("s", `{"model":"org/m"}`)
	if !got.OK || got.Chat == nil || !got.Chat.OK || got.Chat.Model != "org/m" || got.Chat.Status != 200 || got.Chat.UsageReported == nil || !*got.Chat.UsageReported || got.Chat.Error != "" {
		t.Fatalf("%+v %+v", got, got.Chat)
	}
	if sent := up.bodies[0]; sent["model"] != "org/m" || sent["max_tokens"] != 1.0 || fmt.Sprint(sent["messages"]) != "[map[content:ping role:user]]" || len(sent) != 3 {
		t.Errorf("sent %v", sent)
	}
	if h := up.heads[0]; h.Get("Authorization") != "Bearer "+plantedKey || h.Get("X-Team") != "infra" {
		t.Errorf("upstream saw %v", h)
	}
	if got := b.trial("s", ""); got.Chat != nil || len(up.bodies) != 1 {
		t.Errorf("without a model a chat was sent: %+v", got)
	}
	if got := b.trial("s", `{"model":"m","server":`+up.draft("s", "")+`}`); got.OK || got.Chat.OK || !strings.Contains(got.Chat.Error, "certificate") {
		t.Errorf("a draft without the CA was trusted: %+v %+v", got, got.Chat)
	}
}

func TestServerTest_AsksAgainWithTheNewNameOfTheTokenLimit(t *testing.T) {
	for _, accepts := range []bool{true, false} {
		calls := 0
		up := newChatUpstream(t, false, func(w http.ResponseWriter, r *http.Request) {
			if calls++; calls > 1 && accepts {
				completes(w, r)
				return
			}
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error":{"message":"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}`)
		})
		got := newBench(t, newMemory()).trial("new", `{"model":"m","server":`+up.draft("new", "")+`}`)
		if got.Chat.OK != accepts || len(up.bodies) != 2 || up.bodies[1]["max_completion_tokens"] != 1.0 || up.bodies[1]["max_tokens"] != nil {
			t.Fatalf("%+v after %v", got.Chat, up.bodies)
		}
		if !accepts && (!strings.Contains(got.Chat.Error, "Unsupported parameter: 'max_tokens'") || got.Chat.Status != 400) {
			t.Errorf("not the upstream's own words: %+v", got.Chat)
		}
	}
}

func TestServerTest_SaysWhatIsWrongWithTheChat(t *testing.T) {
	trapped := 0
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { trapped++ }))
	defer trap.Close()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		says   string
		status int
	}{
		"wrong key": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(401)
			fmt.Fprintf(w, `{"error":{"message":"Incorrect API key provided: %s. Team %s"}}`, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), r.Header.Get("X-Token"))
		}, "refused the credential (HTTP 401): Incorrect API key provided: …. Team …", 401},
		"no such model": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			fmt.Fprint(w, `{"error":{"message":"The model does not exist"}}`)
		}, "HTTP 404: The model does not exist", 404},
		"other form": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(422)
			fmt.Fprint(w, `{"error":"just text"}`)
		}, "HTTP 422: just text", 422},
		"HTML error": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(502)
			fmt.Fprint(w, "<html>\n <h1>Bad\tGateway</h1>\x00\n</html>")
		}, "HTTP 502: <html> <h1>Bad Gateway</h1> </html>", 502},
		"HTML as success": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>sign in</html>") }, "not with a chat completion: <html>sign in", 200},
		"huge body":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeros{}, 3<<20) }, "larger than 1 MiB", 200},
		"huge error": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			fmt.Fprint(w, strings.Repeat("é", 1<<20))
		}, "HTTP 500: é", 500},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, trap.URL, http.StatusTemporaryRedirect)
		}, "redirects (HTTP 307)", 307},
		"hangs": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer in time", 0},
		"stops half way": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"choices"`)
		}, "unexpected EOF", 200},
	} {
		t.Run(name, func(t *testing.T) {
			up := newChatUpstream(t, false, c.answer)
			b := newBench(t, newMemory(), func(c *adminapi.Config, _ *adminapi.Deps) { c.ChatProbeTimeout = 500 * time.Millisecond })
			got := b.trial("fresh", `{"model":"m","server":`+up.draft("fresh", `,"api_key":"`+plantedKey+`","headers":{"X-Token":"planted-header"}`)+`}`)
			chat := got.Chat
			if !got.OK || chat.OK || !strings.Contains(chat.Error, c.says) || chat.Status != c.status || chat.UsageReported != nil {
				t.Fatalf("%+v %+v", got, chat)
			}
			if strings.Contains(chat.Error, "planted") || strings.ContainsAny(chat.Error, "\n\x00") || len(chat.Error) > 600 {
				t.Errorf("not fit to be shown: %q", chat.Error)
			}
		})
	}
	if trapped != 0 {
		t.Error("a redirect was followed")
	}
}

func TestServerTest_ADraftIsTriedAndNothingIsSaved(t *testing.T) {
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Proxy-Authorization")+" "+r.Header.Get("Authorization"))
		fmt.Fprint(w, `{"data":[]}`)
	}))
	defer proxy.Close()
	store := newMemory()
	b := newBench(t, store)
	withUser := strings.Replace(proxy.URL, "http://", "http://user:hidden-password@", 1)
	b.call("PUT", "/config", `{"servers":[{"name":"s","base_url":"http://dead.invalid/v1","api_key":"`+plantedKey+`","proxy_url":"`+withUser+`"}]}`).want(200)
	before := store.head()
	masked := strings.Replace(withUser, "hidden-password", "xxxxx", 1)
	if got := b.trial("s", `{"server":{"name":"s","base_url":"http://other.invalid/v1","proxy_url":"`+masked+`"}}`); !got.OK {
		t.Fatalf("%+v", got)
	}
	if len(asked) != 1 || asked[0] != "Basic dXNlcjpoaWRkZW4tcGFzc3dvcmQ= Bearer "+plantedKey {
		t.Errorf("the draft did not use the stored credential and proxy password: %q", asked)
	}
	b.trial("s", `{"server":{"name":"s","base_url":"http://other.invalid/v1","api_key":"","proxy_url":"`+masked+`"}}`)
	if asked[1] != "Basic dXNlcjpoaWRkZW4tcGFzc3dvcmQ= " {
		t.Errorf("an empty api_key still sent one: %q", asked[1])
	}
	if store.head() != before || len(store.log) != 1 {
		t.Error("a test was saved")
	}
}

func TestServerTest_RefusesABadDraftByPath(t *testing.T) {
	b := newBench(t, newMemory())
	b.call("PUT", "/config", `{"servers":[{"name":"s","base_url":"http://a.invalid/v1"}]}`).want(200)
	for body, path := range map[string]string{
		`{"server":{"base_url":"ftp://x"}}`:                                                     "server.base_url",
		`{"server":{"base_url":"http://x/v1","nane":"s"}}`:                                      "server.nane",
		`{"server":{"name":"other","base_url":"http://x/v1"}}`:                                  "server.name",
		`{"server":{"base_url":"http://x/v1","on_disconnect":"wait"}}`:                          "server.on_disconnect",
		`{"server":{"base_url":"http://x/v1","limits":{"max_concurrency":-1}}}`:                 "server.limits.max_concurrency",
		`{"server":{"base_url":"http://x/v1","proxy_url":"http://u:xxxxx@proxy.invalid:3128"}}`: "server.proxy_url",
		`{"modell":"m"}`:      "modell",
		`{"model":7}`:         "model",
		`{"model":" spaced"}`: "model",
		`[]`:                  "",
	} {
		p := b.bad("POST", "/servers/s/test", body).want(400).problem()
		if len(p.Errors) == 0 || p.Errors[0].Path != path {
			t.Errorf("%s: %+v, want an error at %q", body, p, path)
		}
	}
	b.call("POST", "/servers/none/test", `{"model":"m"}`).want(404)
	b.bad("POST", "/servers/s/test", `{"model":"`+strings.Repeat("m", 2<<20)+`"}`).want(413)
	b.bad("POST", "/servers/s/test", `{"model":"m"}`, "Content-Type", "text/plain").want(400)
	b.bad("POST", "/servers/s/test", `{"model":"m"}`, "Content-Type", "").want(400)
}
