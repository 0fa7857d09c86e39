package adminapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/reconcile"
	contract "github.com/vega-gateway/vega/proto/openapi"
)

const token = "test-token-0123456789-0123456789"

// bench 是一台跑着的管理 API，与对照契约说话的客户端。
type bench struct {
	t        *testing.T
	url      string
	store    adminapi.Store
	fleet    *fleet
	usage    *figures
	board    *board
	requests *requests
	spent    *spent
	logs     *observer.ObservedLogs
	spec     *openapi3.T
}

func newBench(t *testing.T, store adminapi.Store, tune ...func(*adminapi.Config, *adminapi.Deps)) *bench {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	b := &bench{t: t, store: store, fleet: &fleet{}, usage: &figures{}, board: &board{}, requests: &requests{}, spent: &spent{}, logs: logs, spec: loadSpec(t)}
	cfg := adminapi.Config{Token: token}
	deps := adminapi.Deps{Store: store, Fleet: b.fleet, Usage: b.usage, Queues: b.board, Budgets: b.spent, Mint: catalog.Mint{MAC: mac}, Log: zap.New(core)}
	deps.Settings = newSettings()
	deps.Requests, deps.Reconcile = b.requests, reconcile.New(b.usage, store)
	for _, f := range tune {
		f(&cfg, &deps)
	}
	if deps.Live == nil {
		deps.Live = ended(deps) // 事件流不会自己结束；要看它的测试自己跑起来
	}
	if deps.Identity == nil {
		deps.Identity = defaultIdentity(t, store)
	}
	h, err := adminapi.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	b.url = ts.URL
	return b
}

// spec 只读一次：解析与校验契约比一个测试还慢。
var spec = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(contract.Admin())
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background())
})

func loadSpec(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := spec()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// answer 是读完了的应答。
type answer struct {
	*http.Response
	t    *testing.T
	body []byte
}

// into 解出 JSON。
func (a answer) into(v any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%s: %v", a.body, err)
	}
}

type wrong struct {
	Code, Reason, Detail string
	Errors               []struct{ Path, Message string }
}

func (a answer) problem() (p wrong) {
	a.t.Helper()
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Fatalf("Content-Type %q, body %s", got, a.body)
	}
	a.into(&p)
	return p
}

// want 要求状态码，不对就停。
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.StatusCode != status {
		a.t.Fatalf("%s %s: %d, want %d: %s", a.Request.Method, a.Request.URL, a.StatusCode, status, a.body)
	}
	return a
}

// call 发一个合乎契约的请求；应答也须合乎契约。
func (b *bench) call(method, path, body string, header ...string) answer {
	b.t.Helper()
	return b.send(method, path, body, true, header...)
}

// bad 发一个不合契约的请求；应答仍须合乎契约。
func (b *bench) bad(method, path, body string, header ...string) answer {
	b.t.Helper()
	return b.send(method, path, body, false, header...)
}

func (b *bench) send(method, path, body string, valid bool, header ...string) answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			req.Header.Del(header[i])
			continue
		}
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	input := b.match(req)
	if valid {
		if input == nil {
			b.t.Fatalf("%s %s is not in the contract", method, path)
		}
		if err := openapi3filter.ValidateRequest(b.t.Context(), input); err != nil {
			b.t.Fatalf("%s %s does not follow the contract: %v", method, path, err)
		}
		req.Body = io.NopCloser(strings.NewReader(body))
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.checkAnswer(input, resp, data)
	return answer{Response: resp, t: b.t, body: data}
}

func (b *bench) checkAnswer(input *openapi3filter.RequestValidationInput, resp *http.Response, data []byte) {
	b.t.Helper()
	if input == nil {
		return
	}
	err := openapi3filter.ValidateResponse(b.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header,
		Body: io.NopCloser(bytes.NewReader(data)), Options: options(),
	})
	if err != nil {
		b.t.Errorf("%s %s: the answer %d does not follow the contract: %v\n%s", resp.Request.Method, resp.Request.URL, resp.StatusCode, err, data)
	}
}

func options() *openapi3filter.Options {
	// 只读字段照契约所说可以原样放回。
	return &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
		ExcludeReadOnlyValidations: true, MultiError: true, SkipSettingDefaults: true,
	}
}

// match 按未解码的路径找出契约里的操作：名字里的 %2F 不是分隔。
func (b *bench) match(req *http.Request) *openapi3filter.RequestValidationInput {
	path := strings.TrimPrefix(req.URL.EscapedPath(), "/api/v1")
	for template, item := range b.spec.Paths.Map() {
		params, ok := fit(template, path)
		op := item.GetOperation(req.Method)
		if !ok || op == nil {
			continue
		}
		return &openapi3filter.RequestValidationInput{
			Request: req, PathParams: params, Options: options(),
			Route: &routers.Route{Spec: b.spec, Path: template, PathItem: item, Method: req.Method, Operation: op},
		}
	}
	return nil
}

func fit(template, path string) (map[string]string, bool) {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	params := map[string]string{}
	for i, w := range want {
		value, err := url.PathUnescape(got[i])
		switch {
		case err != nil:
			return nil, false
		case strings.HasPrefix(w, "{"):
			params[strings.Trim(w, "{}")] = value
		case w != value:
			return nil, false
		}
	}
	return params, true
}
