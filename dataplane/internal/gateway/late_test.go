package gateway_test

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// sluggish 使每条连接的 TLS 握手都晚 delay 才开始：建一条连接就要这么久，留着的连接照常快。
type sluggish struct {
	net.Listener
	delay time.Duration
}

func (s sluggish) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &sluggishConn{Conn: c, delay: s.delay}, nil
}

type sluggishConn struct {
	net.Conn
	delay time.Duration
	once  sync.Once
}

func (c *sluggishConn) Read(p []byte) (int, error) {
	c.once.Do(func() { time.Sleep(c.delay) })
	return c.Conn.Read(p)
}

// behindSlowDials 是连接要 delay 才建得成的上游，与走它的网关；server 每分钟至多 perMinute 个请求。
func behindSlowDials(t *testing.T, delay time.Duration, perMinute int64, edit ...func(*configv1.Server)) (*node, *upstreamtest.Server) {
	t.Helper()
	u := upstreamtest.New(upstreamtest.Config{Authorization: "Bearer sk-upstream"})
	front := httptest.NewUnstartedServer(u)
	front.Listener = sluggish{front.Listener, delay}
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // 没有等到就走了的握手不值得说
	front.StartTLS()
	t.Cleanup(front.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	limited := func(s *configv1.Server) {
		s.CaPem, s.Limits = string(ca), &configv1.Limits{RequestsPerMinute: perMinute}
	}
	st := newSnap().server("s1", front.URL+"/v1", append([]func(*configv1.Server){limited}, edit...)...).model("m", "s1").compile(t)
	return startLed(t, st), u
}

func TestLate_APermitThatExpiresWhileDialingIsAskedForAgain(t *testing.T) {
	const dial = 1300 * time.Millisecond // 比一个请求数单位的寿命久
	n, u := behindSlowDials(t, dial, 600)
	begin := time.Now()
	a := n.chat(ask)
	want(t, a, 200, "")
	if took := time.Since(begin); took < dial || took > dial+2*time.Second {
		t.Errorf("answered after %v", took)
	}
	r := n.last()
	if s := u.Stats(); s.Requests != 1 || len(r.Attempts) != 1 || r.Attempts[0].Number != 1 {
		t.Errorf("the upstream saw %d calls, the account has %v", s.Requests, r.Attempts)
	}
	begin = time.Now()
	want(t, n.chat(ask), 200, "")
	if took := time.Since(begin); took > time.Second {
		t.Errorf("with a connection at hand it took %v", took)
	}
	settle(t, n, u)
}

func TestLate_AskingAgainEndsAtTheDeadlineOfTheRequest(t *testing.T) {
	n, u := behindSlowDials(t, 3*time.Second, 1, func(s *configv1.Server) { s.Queue.TimeoutMs = 1500 })
	a := n.chat(ask)
	want(t, a, 429, "") // 一分钟只有一个单位，它已经过期
	if code := a.code(t); code != "queue_full" && code != "queue_timeout" {
		t.Errorf("code %q", code)
	}
	if u.Stats().Requests != 0 || a.header.Get("Retry-After") == "" {
		t.Errorf("%d calls, %v", u.Stats().Requests, a.header)
	}
	settle(t, n)
}

func TestLate_AnUpstreamThatNeverConnectsIsStillGivenUpAfterConnectMs(t *testing.T) {
	n, u := behindSlowDials(t, 4*time.Second, 600, func(s *configv1.Server) { s.Timeouts.ConnectMs = 1500 })
	begin := time.Now()
	a := n.chat(ask)
	want(t, a, 502, "upstream_error")
	if took := time.Since(begin); took < 1500*time.Millisecond || took > 10*time.Second || u.Stats().Requests != 0 {
		t.Errorf("after %v, %d calls", took, u.Stats().Requests)
	}
	settle(t, n)
}
