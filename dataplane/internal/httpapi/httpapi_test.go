package httpapi

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echoing 记下到了哪个端点；路径是 /v1/moderations 时异常结束。
type echoing struct{}

func (echoing) Serve(w http.ResponseWriter, r *http.Request, ep *dialect.Endpoint) {
	if ep.Name == "moderations" {
		io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	io.WriteString(w, ep.Name)
}

func serve(t *testing.T, cfg Config, limit LimitConfig) (*Limit, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := NewLimit(limit, ln)
	srv := Server(New(cfg, Deps{Gateway: echoing{}}))
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done; time.Sleep(5 * time.Millisecond) })
	return l, ln.Addr().String()
}

func do(t *testing.T, method, url string, header http.Header) (int, http.Header, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(b), err
}

func TestNew_EveryEndpointOfTheTableIsRouted(t *testing.T) {
	_, addr := serve(t, Config{}, LimitConfig{})
	for _, ep := range dialect.Endpoints() {
		for _, method := range ep.Methods {
			path := strings.Replace(ep.Path, "*", "a%2Fb/c", 1)
			if ep.Name == "moderations" {
				continue
			}
			if status, _, body, err := do(t, method, "http://"+addr+path, nil); err != nil || status != 200 || body != ep.Name {
				t.Errorf("%s %s: %d %q %v", method, path, status, body, err)
			}
		}
	}
	for _, path := range []string{"/v1/models/", "/v1/images/", "/v1", "/v2/chat/completions", "/v1/chat/completions/"} {
		if status, _, body, _ := do(t, "GET", "http://"+addr+path, nil); status != 404 || !strings.Contains(body, `"param":null`) {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
}

func TestNew_AbortReachesTheClientAsABrokenAnswer(t *testing.T) {
	_, addr := serve(t, Config{}, LimitConfig{})
	if status, _, body, err := do(t, "POST", "http://"+addr+"/v1/moderations", nil); err == nil {
		t.Fatalf("%d %q came through whole", status, body)
	}
}

func TestNew_NarrowedCORSRefusesOthers(t *testing.T) {
	_, addr := serve(t, Config{CORSOrigins: []string{"https://app.example"}}, LimitConfig{})
	for origin, want := range map[string]string{"https://app.example": "https://app.example", "https://evil.example": ""} {
		_, h, _, _ := do(t, "OPTIONS", "http://"+addr+"/v1/models", http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"GET"}})
		if h.Get("Access-Control-Allow-Origin") != want || h.Get("Vary") == "" {
			t.Errorf("%s: %v", origin, h)
		}
	}
}

func TestLimit_RefusesCleanlyAndMakesRoomAgain(t *testing.T) {
	l, addr := serve(t, Config{}, LimitConfig{Max: 2})
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	for deadline := time.Now().Add(3 * time.Second); l.Open() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not accepted")
		}
	}
	status, h, body, err := do(t, "GET", "http://"+addr+"/healthz", nil)
	if err != nil || status != 503 || h.Get("Retry-After") != "1" || !strings.Contains(body, `"code":"connection_limit"`) || l.Refused() != 1 {
		t.Fatalf("%d %v %q %v", status, h, body, err)
	}
	for _, c := range held {
		c.Close()
	}
	for deadline := time.Now().Add(3 * time.Second); l.Open() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the places are not given back")
		}
	}
	if status, _, _, err := do(t, "GET", "http://"+addr+"/healthz", nil); err != nil || status != 200 {
		t.Fatalf("%d %v", status, err)
	}
}

func TestClientBudget_LeavesRoomForUpstreams(t *testing.T) {
	if got := clientBudget(20_000); got < 9_800 || 2*got+reserve > 20_000 {
		t.Fatalf("%d", got)
	}
	if got := clientBudget(100); got != 16 {
		t.Fatalf("%d", got)
	}
	if got := clientBudget(1 << 63); got <= 0 {
		t.Fatalf("%d", got)
	}
}

func TestNew_NarrowedCORSTellsCachesThatTheAnswerVaries(t *testing.T) {
	_, addr := serve(t, Config{CORSOrigins: []string{"https://app.example"}}, LimitConfig{})
	_, h, _, _ := do(t, "GET", "http://"+addr+"/v1/models", nil)
	if h.Get("Vary") != "Origin" {
		t.Fatalf("a shared cache may give this answer to another origin: %v", h)
	}
}
