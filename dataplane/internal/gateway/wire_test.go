package gateway_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/gateway"
	"github.com/vega-gateway/vega/dataplane/internal/httpapi"
	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// wire 起一个上游，每个请求由 reply 在裸连接上答，答完即关。
func wire(t *testing.T, reply func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				reply(conn)
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

func says(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

func wired(t *testing.T, reply func(net.Conn), edit ...func(*gateway.Config)) *node {
	t.Helper()
	return start(t, newSnap().server("s1", wire(t, reply)+"/v1").model("m", "s1").compile(t), edit...)
}

const sseHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

func sseChunk(event string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(event), event) }

func impatient(c *gateway.Config) { c.WriteStall = 240 * time.Millisecond }

// quietThenBig 先说一句，安静得比 WriteStall 久，再一次说一大段。
func quietThenBig(c net.Conn) {
	_, _ = io.WriteString(c, sseHead+sseChunk("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"))
	time.Sleep(600 * time.Millisecond)
	big := `data: {"choices":[{"delta":{"content":"` + strings.Repeat("x", 12<<10) + `"},"finish_reason":"stop"}]}` + "\n\n"
	_, _ = io.WriteString(c, sseChunk(big)+sseChunk("data: [DONE]\n\n")+"0\r\n\r\n")
}

func TestStream_QuietLongerThanTheWriteStallIsNotTheClientsFault(t *testing.T) {
	n := wired(t, quietThenBig, impatient)
	a := n.chat(askStream)
	if a.err != nil || !strings.HasSuffix(a.body, "[DONE]\n\n") {
		t.Fatalf("err %v after %d bytes", a.err, len(a.body))
	}
}

func TestStream_QuietStreamOverHTTP2IsNotReset(t *testing.T) {
	n := wired(t, quietThenBig, impatient)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var h2 http.Protocols
	h2.SetUnencryptedHTTP2(true)
	srv := httpapi.Server(n.server.Handler)
	srv.Protocols, srv.WriteTimeout = &h2, 200*time.Millisecond
	go srv.Serve(ln)
	tr := &http.Transport{Protocols: &h2}
	t.Cleanup(func() { tr.CloseIdleConnections(); _ = srv.Shutdown(context.Background()) })
	n.client, n.url = &http.Client{Transport: tr}, "http://"+ln.Addr().String()
	a := n.chat(askStream)
	if a.err != nil || !strings.HasSuffix(a.body, "[DONE]\n\n") {
		t.Fatalf("err %v after %d bytes", a.err, len(a.body))
	}
}

func TestServe_ClientThatStopsReadingALongAnswerLosesItAndThePermitComesBack(t *testing.T) {
	const size = 64 << 20
	n := wired(t, func(c net.Conn) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", size)
		_, _ = io.Copy(c, io.LimitReader(zeros{}, size))
	}, impatient)
	conn, err := net.Dial("tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /v1/files/f/content HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", secret)
	for deadline := time.Now().Add(5 * time.Second); len(n.journal.all()) == 0 || n.gate.Leaks() != 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still serving a client that does not read: %d permits out", n.gate.Leaks())
		}
	}
	if o := n.last().Outcome; o != usagev1.Outcome_OUTCOME_ABORTED {
		t.Fatalf("outcome %v", o)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// tlsFront 在连接数上限与 TLS 之后再听一次同一个网关，与进程里的次序一样。
func tlsFront(t *testing.T, n *node) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(n.server.Handler)
	srv.Listener = httpapi.NewLimit(httpapi.LimitConfig{}, srv.Listener)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func http10(t *testing.T, conn io.ReadWriteCloser, err error) (string, error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.0\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", secret, len(askStream), askStream)
	got, err := io.ReadAll(conn)
	return string(got), err
}

func TestStream_TruncationIsVisibleToAnHTTP10Client(t *testing.T) {
	n := wired(t, says(sseHead+sseChunk("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n")))
	conn, err := net.Dial("tcp", n.addr)
	if got, err := http10(t, conn, err); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("a broken stream ends like a whole one: err %v, got %q", err, got)
	}
	secure, err := tls.Dial("tcp", tlsFront(t, n), &tls.Config{InsecureSkipVerify: true})
	if got, err := http10(t, secure, err); err == nil {
		t.Fatalf("TLS: a broken stream ends like a whole one: got %q", got)
	}
}

func TestStream_WholeAnswerToAnHTTP10ClientEndsCleanly(t *testing.T) {
	n := wired(t, says(sseHead+sseChunk("data: [DONE]\n\n")+"0\r\n\r\n"))
	conn, err := net.Dial("tcp", n.addr)
	if got, err := http10(t, conn, err); err != nil || !strings.HasSuffix(got, "\r\n\r\ndata: [DONE]\n\n") {
		t.Fatalf("err %v, got %q", err, got)
	}
	secure, err := tls.Dial("tcp", tlsFront(t, n), &tls.Config{InsecureSkipVerify: true})
	if got, err := http10(t, secure, err); err != nil || !strings.HasSuffix(got, "data: [DONE]\n\n") {
		t.Fatalf("TLS: err %v, got %q", err, got)
	}
}

func TestServe_ErrorAfterTheUpstreamsHeadCarriesNoneOfItsHeaders(t *testing.T) {
	for _, c := range []struct{ name, method, path, body, reply string }{
		{"stream", "POST", "/v1/chat/completions", askStream,
			"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nEtag: \"1\"\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"passed through", "GET", "/v1/files/f/content", "",
			"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Encoding: br\r\nEtag: \"1\"\r\nContent-Length: 9\r\n\r\n"},
	} {
		a := wired(t, says(c.reply)).do(c.method, c.path, c.body, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip, br") })
		want(t, a, 502, "upstream_error")
		for _, name := range []string{"Content-Encoding", "Etag", "Cache-Control", "X-Accel-Buffering"} {
			if v, ok := a.header[name]; ok {
				t.Errorf("%s: our error carries %s: %q", c.name, name, v)
			}
		}
	}
}

func TestServe_BodilessStatusesCarryNoLengthAndNoType(t *testing.T) {
	for _, status := range []string{"204 No Content", "304 Not Modified"} {
		a := wired(t, says("HTTP/1.1 "+status+"\r\nX-Up: 1\r\n\r\n")).do("DELETE", "/v1/files/f", "")
		if a.err != nil || !strings.HasPrefix(status, fmt.Sprint(a.status)) || a.header.Get("X-Up") != "1" {
			t.Fatalf("%+v", a)
		}
		if a.header.Get("Content-Length") != "" || a.header.Get("Content-Type") != "" {
			t.Fatalf("%s: %v", status, a.header)
		}
	}
}

func TestServe_TypeOfAnUntypedAnswerIsNotGuessed(t *testing.T) {
	a := wired(t, says("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>")).do("GET", "/v1/files/f/content", "")
	if a.status != 200 || a.header.Get("Content-Type") != "" {
		t.Fatalf("%d %v", a.status, a.header)
	}
}

func TestServe_SwitchingProtocolsNobodyAskedForIsAnUpstreamError(t *testing.T) {
	n := wired(t, says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw bytes"))
	want(t, n.chat(ask), 502, "upstream_error")
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	z.Close()
	return b.String()
}

func TestRetry_CompressedRefusalsAreReadBeforeTheyAreJudged(t *testing.T) {
	quota := zipped(`{"error":{"message":"no money","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`)
	n := wired(t, says(fmt.Sprintf("HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(quota), quota)))
	want(t, n.chat(ask), 429, "insufficient_quota")
	if got := len(n.last().Attempts); got != 1 {
		t.Fatalf("%d attempts for a quota that is used up", got)
	}
}

func TestServe_DecodedAnswerLosesItsEncodingWhateverItsLength(t *testing.T) {
	// 填充到压缩前后一样长：长度说明不了解没解开。
	const fill = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_!#$%&()*+,./:;<=>?@[]^`{|}~"
	for i := range 400 {
		plain := `{"a":"` + fill[:min(i, len(fill))] + strings.Repeat("z", max(0, i-len(fill))) + `"}`
		body := zipped(plain)
		if len(body) != len(plain) {
			continue
		}
		a := wired(t, says(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(body), body))).chat(ask)
		if a.body != plain || a.header.Get("Content-Encoding") != "" {
			t.Fatalf("%v %q", a.header, a.body)
		}
		return
	}
	t.Fatal("no text of equal length found")
}

func TestRetry_UsageRefusalCountsAsAnAttempt(t *testing.T) {
	refuse := upstreamtest.Behavior{Status: 400, ErrorMessage: "unknown field stream_options"}
	us := make([]*upstreamtest.Server, 3)
	s := newSnap()
	for i := range us {
		b := upstreamtest.Behavior{Status: 500}
		if i == 0 {
			b = refuse
		}
		us[i] = upstream(t, upstreamtest.Config{Script: func(r *upstreamtest.Request) upstreamtest.Behavior {
			if i == 0 && r.Seq > 1 {
				return upstreamtest.Behavior{Status: 500}
			}
			return b
		}})
		s.server(fmt.Sprint("s", i), us[i].URL()+"/v1")
	}
	s.model("m", "s0", "s1", "s2")
	for i, target := range s.Models[0].Targets {
		target.Priority = int64(i)
	}
	n := start(t, s.compile(t))
	want(t, n.chat(askStream), 500, "")
	total := int64(0)
	for _, u := range us {
		total += u.Stats().Requests
	}
	if total != 3 || len(n.last().Attempts) != 3 {
		t.Fatalf("%d calls, %d recorded; three is the most", total, len(n.last().Attempts))
	}
}

func TestRetry_ServedModelIsTheOneThatAnsweredNotTheFallbackThatCouldNot(t *testing.T) {
	u := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 500}})
	off := func(s *configv1.Server) { s.Enabled = false }
	s := newSnap().server("s1", u.URL()+"/v1").server("s2", u.URL()+"/v1", off).model("m", "s1").model("spare", "s2")
	s.Models[0].Fallbacks = []string{"spare"}
	n := start(t, s.compile(t))
	want(t, n.chat(ask), 500, "")
	if got := n.last(); got.ServedModel != "m" {
		t.Fatalf("served_model %q: %v", got.ServedModel, got)
	}
}

func TestRetry_SwapWakesARequestThatWaitsForAPausedTarget(t *testing.T) {
	paused := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 429, RetryAfterMS: "20000"}})
	ready := upstream(t, upstreamtest.Config{})
	n := start(t, newSnap().server("s1", paused.URL()+"/v1").model("m", "s1").compile(t))
	begin := time.Now()
	done := make(chan answer, 1)
	go func() { done <- n.chat(ask) }()
	for n.gate.Totals().Waiting == 0 {
		time.Sleep(time.Millisecond)
	}
	n.holder.Swap(newSnap().server("s1", paused.URL()+"/v1").server("s2", ready.URL()+"/v1").model("m", "s1", "s2").compile(t))
	want(t, <-done, 200, "")
	if waited := time.Since(begin); waited > 5*time.Second {
		t.Fatalf("waited %v for a target that was there", waited)
	}
}
