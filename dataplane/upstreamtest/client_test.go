package upstreamtest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started 建一个监听着的假上游，测试结束时关闭。
func started(t *testing.T, cfg Config) *Server {
	t.Helper()
	s := New(cfg).Start()
	t.Cleanup(s.Close)
	return s
}

// client 是不自动解压、不跟随转向的客户端。
func client(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func newRequest(t *testing.T, ctx context.Context, s *Server, path, id, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer sk-upstream")
	r.Header.Set("X-Request-Id", id)
	return r
}

// answered 是一个读完的应答；err 是读体时的错误。
type answered struct {
	status int
	header http.Header
	body   string
	err    error
}

func post(t *testing.T, s *Server, path, id, body string) answered {
	t.Helper()
	resp, err := client(t).Do(newRequest(t, t.Context(), s, path, id, body))
	if err != nil {
		t.Fatalf("post %s: %v", path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return answered{resp.StatusCode, resp.Header, string(data), err}
}

// events 是一个流里 data 行的内容。
func events(body string) []string {
	var out []string
	sc := bufio.NewScanner(strings.NewReader(body))
	sc.Buffer(nil, 32<<20)
	for sc.Scan() {
		if data, ok := strings.CutPrefix(sc.Text(), "data: "); ok {
			out = append(out, data)
		}
	}
	return out
}

// spoken 拼出 chat 流里的文字。
func spoken(body string) string {
	var text strings.Builder
	for _, e := range events(body) {
		text.WriteString(gjson.Get(e, "choices.0.delta.content").String())
	}
	return text.String()
}

// entry 取账本里恰好一行。
func entry(t *testing.T, s *Server, id string) Entry {
	t.Helper()
	rows := s.Find(id)
	if len(rows) != 1 {
		t.Fatalf("ledger has %d rows for %q, want 1", len(rows), id)
	}
	return rows[0]
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

const (
	chatJSON   = `{"model":"gpt-4o","messages":[{"role":"user","content":"写一首诗"}]}`
	chatStream = `{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"写一首诗"}]}`
)
