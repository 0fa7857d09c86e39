package e2e

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// contract 把一份 OpenAPI 文件当尺子：经它发出的请求与收到的应答都要合乎文件，走过的操作与状态都记着。
type contract struct {
	t     *testing.T
	spec  *openapi3.T
	root  string // 服务的根加上文件里的 server 前缀
	token string
	seen  map[string]map[int]bool // operationId → 状态
}

func newContract(t *testing.T, raw []byte, root, token string) *contract {
	t.Helper()
	spec, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	// 库不认识的类型一律按原文当字符串看。
	for _, media := range []string{"text/event-stream", "audio/mpeg", "text/html"} {
		openapi3filter.RegisterBodyDecoder(media, openapi3filter.FileBodyDecoder)
	}
	return &contract{t: t, spec: spec, root: root, token: token, seen: map[string]map[int]bool{}}
}

// sent 是要发的一个请求；media 为空即 application/json（有正文时）。
type sent struct {
	method, path string // path 已转义，在 root 之下
	body, media  string
	header       []string // 名与值相间；值为空即不带这一个
	invalid      bool     // 故意不合文件：不检查请求
	want         int
}

// send 发一个请求，对照文件检查两头，要求状态是 want。
func (c *contract) send(s sent) answer {
	c.t.Helper()
	req := c.request(s)
	input := c.match(req)
	if input == nil {
		c.t.Fatalf("%s %s is not an operation of the file", s.method, s.path)
	}
	if !s.invalid {
		if err := openapi3filter.ValidateRequest(c.t.Context(), input); err != nil {
			c.t.Errorf("%s %s: the request does not follow the file: %v", s.method, s.path, err)
		}
		req = c.request(s)
	}
	a := c.roundTrip(req)
	c.check(input, s, a)
	if s.want != 0 && a.status != s.want {
		c.t.Errorf("%s %s: status %d, want %d: %.300s", s.method, s.path, a.status, s.want, a.body)
	}
	return a
}

func (c *contract) check(input *openapi3filter.RequestValidationInput, s sent, a answer) {
	c.t.Helper()
	id := input.Route.Operation.OperationID
	if c.seen[id] == nil {
		c.seen[id] = map[int]bool{}
	}
	c.seen[id][a.status] = true
	err := openapi3filter.ValidateResponse(c.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: a.status, Header: a.header,
		Body: io.NopCloser(strings.NewReader(a.body)), Options: contractOptions(),
	})
	if err != nil {
		c.t.Errorf("%s %s: the answer %d does not follow the file: %v\n%.500s", s.method, s.path, a.status, err, a.body)
	}
}

func (c *contract) request(s sent) *http.Request {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), s.method, c.root+s.path, strings.NewReader(s.body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if s.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if s.media != "" {
		req.Header.Set("Content-Type", s.media)
	}
	for i := 0; i < len(s.header); i += 2 {
		if s.header[i+1] == "" {
			req.Header.Del(s.header[i])
			continue
		}
		req.Header.Set(s.header[i], s.header[i+1])
	}
	return req
}

func (c *contract) roundTrip(req *http.Request) answer {
	c.t.Helper()
	resp, err := stay().Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(raw)}
}

// stay 不跟着转向走：转向本身就是应答。
func stay() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func contractOptions() *openapi3filter.Options {
	// 只读字段按文件所说可以原样放回；没有写明的状态是错误。
	return &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
		ExcludeReadOnlyValidations: true, MultiError: true, SkipSettingDefaults: true}
}

// match 按未解码的路径找操作；写死的比带参数的先。
func (c *contract) match(req *http.Request) *openapi3filter.RequestValidationInput {
	path := strings.TrimPrefix(req.URL.EscapedPath(), mustPath(c.root))
	templates := slices.SortedFunc(maps.Keys(c.spec.Paths.Map()), func(a, b string) int { return strings.Count(a, "{") - strings.Count(b, "{") })
	for _, template := range templates {
		item := c.spec.Paths.Value(template)
		params, ok := fitPath(template, path)
		op := item.GetOperation(req.Method)
		if !ok || op == nil {
			continue
		}
		return &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Options: contractOptions(),
			Route: &routers.Route{Spec: c.spec, Path: template, PathItem: item, Method: req.Method, Operation: op}}
	}
	return nil
}

func mustPath(root string) string {
	u, err := url.Parse(root)
	if err != nil {
		panic(err)
	}
	return u.EscapedPath()
}

// fitPath 把路径套进模板；{rest} 收下其余各段。
func fitPath(template, path string) (map[string]string, bool) {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if n := len(want); want[n-1] == "{rest}" && len(got) > n {
		got = append(got[:n-1:n-1], strings.Join(got[n-1:], "/"))
	}
	if len(want) != len(got) {
		return nil, false
	}
	params := map[string]string{}
	for i, w := range want {
		value, err := url.PathUnescape(got[i])
		switch {
		case err != nil, value == "" && strings.HasPrefix(w, "{"):
			return nil, false
		case strings.HasPrefix(w, "{"):
			params[strings.Trim(w, "{}")] = value
		case w != value:
			return nil, false
		}
	}
	return params, true
}
