package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/gateway"
	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// raw 把字节原样写给网关，读回全部应答（直到它关或 3 s）。
func (n *node) raw(text string) string {
	n.t.Helper()
	conn, err := net.Dial("tcp", n.addr)
	if err != nil {
		n.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		return "write: " + err.Error()
	}
	b, _ := io.ReadAll(conn)
	return string(b)
}

func TestBody_SmugglingYieldsOneWellFormedUpstreamRequestOrNone(t *testing.T) {
	head := "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + secret + "\r\nConnection: close\r\n"
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(ask), ask)
	hidden := "POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + secret + "\r\nContent-Length: 2\r\n\r\n{}"
	for name, text := range map[string]string{
		"CL and TE":            head + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n", len(ask)) + chunked + hidden,
		"two different CL":     head + fmt.Sprintf("Content-Length: %d\r\nContent-Length: 3\r\n\r\n%s", len(ask), ask) + hidden,
		"bad TE":               head + "Transfer-Encoding: xchunked\r\n\r\n" + chunked + hidden,
		"TE twice":             head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunked + hidden,
		"space before colon":   head + fmt.Sprintf("Content-Length : %d\r\n\r\n%s", len(ask), ask) + hidden,
		"folded header":        head + fmt.Sprintf("X-A: b\r\n c: d\r\nContent-Length: %d\r\n\r\n%s", len(ask), ask),
		"negative CL":          head + "Content-Length: -1\r\n\r\n" + ask + hidden,
		"plus CL":              head + fmt.Sprintf("Content-Length: +%d\r\n\r\n%s", len(ask), ask) + hidden,
		"bad chunk size":       head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + ask + hidden,
		"chunk overflow":       head + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + ask + hidden,
		"connection nominates": head + fmt.Sprintf("Connection: Content-Type\r\nContent-Length: %d\r\n\r\n%s", len(ask), ask),
		"bare LF":              strings.ReplaceAll(head, "\r\n", "\n") + fmt.Sprintf("Content-Length: %d\n\n%s", len(ask), ask),
		"NUL in a header":      head + fmt.Sprintf("X-A: \x00\r\nContent-Length: %d\r\n\r\n%s", len(ask), ask),
		"absolute form":        strings.Replace(head, "POST /v1", "POST http://evil.example/v1", 1) + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(ask), ask),
	} {
		t.Run(name, func(t *testing.T) {
			n, u := one(t, upstreamtest.Config{KeepBodies: true})
			out := n.raw(text)
			settle(t, n, u)
			rows := u.Ledger()
			if len(rows) > 1 {
				t.Fatalf("%d upstream requests: %q", len(rows), out)
			}
			for _, r := range rows {
				if r.Path != "/v1/chat/completions" || string(r.Body) != strings.Replace(ask, `"m"`, `"up-m"`, 1) {
					t.Fatalf("upstream saw %s %q", r.Path, r.Body)
				}
			}
			if len(rows) == 0 && !strings.HasPrefix(out, "HTTP/1.1 4") && !strings.HasPrefix(out, "HTTP/1.1 501") {
				t.Fatalf("neither served nor refused: %q", out)
			}
		})
	}
}

func TestBody_TooLargeIsRefusedBeforeOrWhileReading(t *testing.T) {
	u := upstream(t, upstreamtest.Config{})
	n := start(t, newSnap().server("s1", u.URL()+"/v1").model("m", "s1").compile(t), func(c *gateway.Config) { c.MaxBodyBytes = 1000 })
	big := `{"model":"m","x":"` + strings.Repeat("a", 5000) + `"}`
	want(t, n.chat(big), 413, "request_too_large")
	want(t, n.chat(big, func(r *http.Request) { r.ContentLength = -1; r.Body = io.NopCloser(strings.NewReader(big)) }), 413, "request_too_large")
	out := n.raw("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + secret + "\r\nContent-Length: 50000000\r\nExpect: 100-continue\r\n\r\n")
	if !strings.HasPrefix(out, "HTTP/1.1 413") {
		t.Fatalf("%q", out)
	}
	if u.Stats().Requests != 0 {
		t.Fatal("it reached the upstream")
	}
}

func TestBody_ExpectContinueWorks(t *testing.T) {
	n, _ := one(t, upstreamtest.Config{})
	conn, err := net.Dial("tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n", secret, len(ask))
	r := bufio.NewReader(conn)
	if line, _ := r.ReadString('\n'); !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q", line)
	}
	io.WriteString(conn, ask)
	rest, _ := io.ReadAll(r)
	if !strings.Contains(string(rest), "HTTP/1.1 200 OK") {
		t.Fatalf("%q", rest)
	}
}

func TestBody_SlowClientIsToldSo(t *testing.T) {
	u := upstream(t, upstreamtest.Config{})
	n := start(t, newSnap().server("s1", u.URL()+"/v1").model("m", "s1").compile(t), func(c *gateway.Config) { c.BodyStall = 100 * time.Millisecond })
	out := n.raw("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + secret + "\r\nContent-Length: 100\r\n\r\n{\"model\"")
	if !strings.HasPrefix(out, "HTTP/1.1 408") || !strings.Contains(out, "request_timeout") || !strings.Contains(out, "Connection: close") {
		t.Fatalf("%q", out)
	}
	if u.Stats().Requests != 0 {
		t.Fatal("it reached the upstream")
	}
}

func TestBody_ClientGoneWhileSendingIsNoError(t *testing.T) {
	n, _ := one(t, upstreamtest.Config{})
	conn, err := net.Dial("tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{", secret)
	conn.Close()
	for deadline := time.Now().Add(3 * time.Second); !strings.Contains(n.logs.String(), `"outcome":"aborted"`); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("log %s", n.logs.String())
		}
	}
}

func TestBody_KeepAliveConnectionSurvivesTheReadDeadline(t *testing.T) {
	u := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Latency: 250 * time.Millisecond}})
	n := start(t, newSnap().server("s1", u.URL()+"/v1").model("m", "s1").compile(t), func(c *gateway.Config) { c.BodyStall = 100 * time.Millisecond })
	for range 2 {
		want(t, n.chat(ask), 200, "")
	}
}
