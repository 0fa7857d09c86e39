package e2e

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	"github.com/vega-gateway/vega/deploy/stack"
	"github.com/vega-gateway/vega/proto/openapi"
)

const chatBody = `{"model":"late","messages":[{"role":"user","content":"hi"}]}`

// TestContract_Gateway 把 gateway.yaml 的每个操作走一遍：JSON、SSE、表单、二进制与每一种错误。
func TestContract_Gateway(t *testing.T) {
	up := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{}, Script: answerUnknownPaths})
	r := start(t, stack.Options{Nodes: 1, DataplaneEnv: []string{"VEGA_MAX_BODY_BYTES=1048576"}})
	key := strings.Repeat("c", 40)
	r.apply(doc{
		"servers": list{server("here", up), doc{"name": "dead", "base_url": "http://127.0.0.1:1/v1"}, doc{"name": "off", "base_url": up.URL() + "/v1", "enabled": false},
			doc{"name": "slow", "base_url": up.URL() + "/v1", "timeouts": doc{"first_byte_ms": 100}},
			doc{"name": "hasty", "base_url": up.URL() + "/v1", "queue": doc{"timeout_ms": 50}}},
		"models": list{model("late", "here", "m"), model("late-429", "hasty", "m?status=429"), model("late-503", "here", "m?status=503"),
			model("late-400", "here", "m?status=400"), model("late-403", "here", "m?status=403"), model("late-418", "here", "m?status=418"),
			model("late-html", "here", "m?status=502&html"), model("late-dead", "dead", "m"), model("late-off", "off", "m"),
			model("late-slow", "slow", "m?latency=3s"), model("org/late one", "here", "m")},
		"apps": list{
			doc{"name": "contract", "default_server": "here", "models": list{"late*", "org/*"}, "keys": list{doc{"name": "k", "secret": key}}},
			doc{"name": "off", "enabled": false, "keys": list{doc{"name": "k", "secret": strings.Repeat("d", 40)}}},
		},
	})
	c := newContract(t, openapi.Gateway(), strings.TrimSuffix(r.APIURL(0), "/v1"), key)
	t.Run("answers", func(t *testing.T) { c.t = t; gatewayAnswers(c) })
	t.Run("errors", func(t *testing.T) { c.t = t; gatewayErrors(c) })
	t.Run("methods", func(t *testing.T) { c.t = t; c.onlyDocumentedMethods("ErrorBody", "application/json") })
	t.Run("preflight", func(t *testing.T) { c.t = t; c.preflights() })
	t.Run("unknown paths", func(t *testing.T) {
		c.t = t
		for _, path := range []string{"/", "/v1", "/v1/", "/v1/unknown", "/v2/chat/completions", "/v1/chat/completions/x", "/v1/files/", "/metrics", "/readyz", "/debug/pprof/"} {
			a := c.roundTrip(c.request(sent{method: http.MethodGet, path: path}))
			c.checkError(path, a, http.StatusNotFound, "ErrorBody", "application/json")
		}
	})
	c.t = t
	c.complete()
}

// answerUnknownPaths 让上游也答它自己没有的端点（取、删 response、图像、语音）。
func answerUnknownPaths(q *upstreamtest.Request) upstreamtest.Behavior {
	b := q.Default
	_, tail, _ := strings.Cut(strings.TrimPrefix(q.Path, "/v1/"), "/")
	if q.Method != http.MethodPost && !strings.HasPrefix(q.Path, "/v1/files") || strings.HasPrefix(tail, "custom") {
		b.Body = `{"object":"thing"}`
	}
	return b
}

func gatewayAnswers(c *contract) {
	for _, path := range []string{"/v1/chat/completions", "/v1/completions", "/v1/responses"} {
		body := strings.Replace(chatBody, `"messages"`, `"prompt":"hi","input":"hi","messages"`, 1)
		a := c.send(sent{method: "POST", path: path, body: body, want: 200})
		c.wantRouteHeaders(path, a)
		a = c.send(sent{method: "POST", path: path, body: strings.Replace(body, "{", `{"stream":true,`, 1), want: 200})
		if got := a.header.Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") || !strings.Contains(a.body, "data: ") {
			c.t.Errorf("%s: a stream came as %q: %.100s", path, got, a.body)
		}
		if got := a.header.Get("Cache-Control"); got != "no-cache" {
			c.t.Errorf("%s: a stream with Cache-Control %q", path, got)
		}
	}
	for _, path := range []string{"/v1/embeddings", "/v1/moderations", "/v1/rerank", "/v1/images/generations"} {
		a := c.send(sent{method: "POST", path: path, want: 200, body: `{"model":"late","input":"x","prompt":"x","query":"q","documents":["a"]}`})
		c.wantRouteHeaders(path, a)
	}
	if a := c.send(sent{method: "POST", path: "/v1/audio/speech", body: `{"model":"late","input":"x"}`, want: 200}); strings.Contains(a.header.Get("Content-Type"), "json") || a.body == "" {
		c.t.Errorf("speech is not binary: %v", a.header)
	}
	form, media := fileForm(c.t, "late")
	for _, path := range []string{"/v1/audio/transcriptions", "/v1/images/edits"} {
		c.send(sent{method: "POST", path: path, body: form, media: media, want: 200})
	}
	for _, path := range []string{"/v1/responses/resp_1", "/v1/images/a", "/v1/audio/a/b"} {
		c.send(sent{method: "GET", path: path, want: 200})
		c.send(sent{method: "DELETE", path: path, want: 200})
	}
	c.send(sent{method: "POST", path: "/v1/responses/custom/cancel", body: `{}`, want: 200})
	gatewayFiles(c)
	gatewayModels(c)
	c.send(sent{method: "GET", path: "/healthz", want: 200})
	c.send(sent{method: "GET", path: "/healthz", header: []string{"Authorization", ""}, want: 200})
}

func gatewayFiles(c *contract) {
	form, media := fileForm(c.t, "")
	a := c.send(sent{method: "POST", path: "/v1/files", body: form, media: media, want: 200})
	_, id, _ := strings.Cut(a.body, `"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	c.send(sent{method: "GET", path: "/v1/files", want: 200})
	c.send(sent{method: "GET", path: "/v1/files/" + id, want: 200})
	if a := c.send(sent{method: "GET", path: "/v1/files/" + id + "/content", want: 200}); a.body != binaryBytes {
		c.t.Errorf("the file came back as %q", a.body)
	}
	c.send(sent{method: "POST", path: "/v1/files/custom/parts", body: `{}`, want: 200})
	c.send(sent{method: "DELETE", path: "/v1/files/" + id, want: 200})
	c.send(sent{method: "GET", path: "/v1/files/" + id, want: 404})
}

func gatewayModels(c *contract) {
	a := c.send(sent{method: "GET", path: "/v1/models", want: 200})
	if !strings.Contains(a.body, `"late"`) || strings.Contains(a.body, `"secret"`) {
		c.t.Errorf("models: %s", a.body)
	}
	c.send(sent{method: "GET", path: "/v1/models/late", want: 200})
	if a := c.send(sent{method: "GET", path: "/v1/models/org%2Flate%20one", want: 200}); !strings.Contains(a.body, `"org/late one"`) {
		c.t.Errorf("model with a slash: %s", a.body)
	}
	c.send(sent{method: "GET", path: "/v1/models/nope", want: 404})
	c.send(sent{method: "GET", path: "/v1/models/secret", want: 404})
	for _, path := range []string{"/v1/models", "/v1/models/late"} {
		c.send(sent{method: "GET", path: path, header: []string{"Authorization", "Bearer " + strings.Repeat("d", 40)}, want: 403})
	}
}

// gatewayErrors 对每个要去上游的 POST 操作试我们自己的各种错误，再在 chat 上试上游的。
func gatewayErrors(c *contract) {
	for _, o := range c.operations() {
		path := fillPath(o.template)
		if o.template == "/healthz" {
			continue
		}
		c.openAIError(c.send(sent{method: o.method, path: path, header: []string{"Authorization", ""}, invalid: true, want: 401}), "invalid_api_key")
		c.openAIError(c.send(sent{method: o.method, path: path, header: []string{"Authorization", "Bearer " + strings.Repeat("d", 40)}, invalid: true, want: 403}), "app_disabled")
		if o.method != http.MethodPost {
			continue
		}
		for _, e := range []struct {
			body, code string
			status     int
		}{
			{`{"model":`, "invalid_json", 400}, {`{"model":"late","Model":"late"}`, "invalid_request", 400},
			{`{"model":"secret"}`, "model_not_allowed", 403}, {`{"model":"nope"}`, "model_not_found", 404},
			{`{"model":"late","x":"` + strings.Repeat("a", 2<<20) + `"}`, "request_too_large", 413},
			{`{"model":"late-dead"}`, "upstream_error", 502}, {`{"model":"late-off"}`, "no_server_available", 503},
			{`{"model":"late-slow"}`, "upstream_timeout", 504}, {`{"model":"late-429"}`, "", 429}, {`{"model":"late-403"}`, "", 403},
		} {
			c.openAIError(c.send(sent{method: "POST", path: path, body: e.body, invalid: true, want: e.status}), e.code)
		}
	}
	for model, status := range map[string]int{"late-400": 400, "late-418": 418, "late-503": 503, "late-html": 502} {
		a := c.send(sent{method: "POST", path: "/v1/chat/completions", body: strings.Replace(chatBody, "late", model, 1), want: status})
		c.openAIError(a, "")
	}
	for _, header := range []string{"api-key", "x-api-key"} {
		c.send(sent{method: "POST", path: "/v1/chat/completions", body: chatBody, header: []string{"Authorization", "", header, c.token}, want: 200})
	}
}

// openAIError 要求四个字段都在、带请求号。code 非空即我们自己的错误：它要相等，429 与 503 还要带两个重试头。
func (c *contract) openAIError(a answer, code string) {
	c.t.Helper()
	for _, field := range []string{`"message":`, `"type":`, `"param":`, `"code":`} {
		if !strings.Contains(a.body, field) {
			c.t.Errorf("no %s in %s", field, a.body)
		}
	}
	if code != "" && a.code() != code {
		c.t.Errorf("code %q, want %q: %s", a.code(), code, a.body)
	}
	if a.header.Get("X-Request-Id") == "" {
		c.t.Errorf("no x-request-id beside %s", a.body)
	}
	ours := code != "" || a.code() == "queue_full" || a.code() == "queue_timeout"
	if ours && (a.status == 429 || a.status == 503) && (a.header.Get("Retry-After") == "" || a.header.Get("Retry-After-Ms") == "") {
		c.t.Errorf("%d without Retry-After or retry-after-ms: %v", a.status, a.header)
	}
}

func (c *contract) wantRouteHeaders(path string, a answer) {
	c.t.Helper()
	if a.header.Get("X-Request-Id") == "" || a.header.Get("X-Vega-Server") != "here" || a.header.Get("X-Vega-Queue-Wait-Ms") == "" {
		c.t.Errorf("%s: headers %v", path, a.header)
	}
}

const binaryBytes = "\x00\x01\xff\xfe not text \r\n--not-a-boundary\r\n"

// fileForm 是带一个二进制文件的表单；model 为空即没有这一部分。
func fileForm(t *testing.T, model string) (body, media string) {
	t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	if model != "" {
		if err := w.WriteField("model", model); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "a.bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write([]byte(binaryBytes)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String(), w.FormDataContentType()
}
