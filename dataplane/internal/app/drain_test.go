package app

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/controltest"
	"github.com/vega-gateway/vega/dataplane/internal/journal"
	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

type answer struct {
	status int
	body   string
	err    error
}

// hold 让一条流停在最后一块之前；release 放行，结果进通道。
func hold(t *testing.T, p *process, up *upstreamtest.Server) (release func(), got <-chan answer) {
	t.Helper()
	gate := make(chan struct{})
	up.SetScript(func(r *upstreamtest.Request) upstreamtest.Behavior {
		b := r.Default
		if r.Stream {
			b.HoldLast = gate
		}
		return b
	})
	out := make(chan answer, 1)
	go func() {
		status, body, err := p.chat(true)
		out <- answer{status, body, err}
	}()
	if err := up.WaitInFlight(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request to be on the wire", func() bool { return p.records.Stats().InFlight == 1 })
	return func() { close(gate) }, out
}

func TestWait_UnreadyThenClosedThenFinishedThenFlushed(t *testing.T) {
	cp, up := controltest.Start(t, controltest.Config{}), upstream(t, upstreamtest.Config{})
	cfg := testConfig(cp.Addr(), t.TempDir())
	cfg.DrainDelay = Duration(500 * time.Millisecond)
	p := launch(t, cfg)
	cp.WaitAck(t, cp.Push(t, snapshot(up.URL())))
	release, got := hold(t, p, up)

	p.stop()
	eventually(t, "unreadiness", func() bool { return !p.ready() })
	p.mustServe() // 负载均衡还没有察觉：照常服务
	cp.WaitStatus(t, p.NodeID(), func(s *configv1.NodeStatus) bool { return s.GetDraining() && s.GetInFlight() == 1 })
	eventually(t, "the listener to close", func() bool { _, _, err := p.chat(false); return err != nil })
	if status, body := p.ops("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "draining") {
		t.Errorf("%d %s", status, body)
	}
	select {
	case a := <-got:
		t.Fatalf("the request ended early: %+v", a)
	case err := <-p.ended:
		t.Fatalf("ended with a request running: %v", err)
	default:
	}
	release()
	if a := <-got; a.err != nil || a.status != http.StatusOK || !strings.HasSuffix(a.body, "data: [DONE]\n\n") {
		t.Errorf("%+v", a)
	}
	served := p.records.Stats().LastSeq // 至此的账在断开之前都要交清
	if err := p.end(); err != nil {
		t.Errorf("a clean drain returns %v", err)
	}
	cp.WaitTotals(t, "all usage", func(s journal.Totals) bool { return s.Requests >= 2 })
	if l := cp.Ledgers()[0]; l.Cursor < served || l.Mismatches != 0 {
		t.Errorf("cursor %d of %d", l.Cursor, served)
	}
}

// TestWait_UsageOfCutRequestsIsHandedOver 用断线后仍收下去的 server：停机时不再收，切断之后账就关，必须等到。
func TestWait_UsageOfCutRequestsIsHandedOver(t *testing.T) {
	cp, up := controltest.Start(t, controltest.Config{}), upstream(t, upstreamtest.Config{})
	cfg := testConfig(cp.Addr(), t.TempDir())
	cfg.DrainTimeout = Duration(50 * time.Millisecond)
	p := launch(t, cfg)
	snap := snapshot(up.URL())
	snap.Servers[0].OnDisconnect = configv1.OnDisconnect_ON_DISCONNECT_DRAIN
	cp.WaitAck(t, cp.Push(t, snap))
	release, got := hold(t, p, up)
	p.stop()
	if a := <-got; a.err == nil {
		t.Errorf("a cut stream looks whole: %+v", a)
	}
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	release() // 上游到进程退出也没有答完
	if p.logs.FilterMessageSnippet("did not close their accounts").Len() != 0 {
		t.Error("a call went on being read after the drain timeout")
	}
	if l := cp.Ledgers(); len(l) != 1 || l[0].Totals.Requests != 1 || l[0].Totals.Attempts != 1 {
		t.Errorf("%+v", l)
	}
}

// TestWait_WaitsForCallsWhoseClientLeftOnHTTP2：那里客户端一走，连接就算完了，而调用还在收。
func TestWait_WaitsForCallsWhoseClientLeftOnHTTP2(t *testing.T) {
	cp, up := controltest.Start(t, controltest.Config{}), upstream(t, upstreamtest.Config{})
	cfg := testConfig(cp.Addr(), t.TempDir())
	cfg.HTTPTLSCert, cfg.HTTPTLSKey, _ = certificate(t)
	p := launch(t, cfg)
	snap := snapshot(up.URL())
	snap.Servers[0].OnDisconnect = configv1.OnDisconnect_ON_DISCONNECT_DRAIN
	cp.WaitAck(t, cp.Push(t, snap))
	gate := make(chan struct{})
	up.SetScript(func(r *upstreamtest.Request) upstreamtest.Behavior {
		b := r.Default
		b.HoldLast = gate
		return b
	})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+p.HTTPAddr()+"/v1/chat/completions",
		strings.NewReader(`{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+secret)
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Fatalf("the server speaks %s", resp.Proto)
	}
	leave()
	transport.CloseIdleConnections()
	p.stop()
	eventually(t, "the listener to close", func() bool {
		conn, err := net.Dial("tcp", p.HTTPAddr())
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-p.ended:
		p.ended <- err
		t.Errorf("ended while a call was being read: %v", err)
	case <-time.After(3 * time.Second): // net/http 在空着的 HTTP/2 连接上也要等一秒才断
	}
	close(gate)
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	if l := cp.Ledgers(); len(l) != 1 || l[0].Totals.Requests != 1 {
		t.Errorf("%+v", l)
	}
	if p.logs.FilterMessageSnippet("are cut").Len() != 0 {
		t.Error("the call was cut though it ended in time")
	}
}

func TestWait_EndsThoughTheControlPlaneIsAway(t *testing.T) {
	cp, up := controltest.Start(t, controltest.Config{}), upstream(t, upstreamtest.Config{})
	cfg := testConfig(cp.Addr(), t.TempDir())
	p := launch(t, cfg)
	cp.WaitAck(t, cp.Push(t, snapshot(up.URL())))
	cp.Stop()
	p.mustServe()
	if err := p.end(); err != nil {
		t.Error(err)
	}
	if p.logs.FilterMessageSnippet("usage could not be handed over before the end").Len() != 1 {
		t.Error("usage left behind is not logged")
	}
	cp.Restart(t)
	launch(t, cfg) // 留在盘上的由下一次运行交
	cp.WaitTotals(t, "what was left", func(s journal.Totals) bool { return s.Requests == 1 && s.Lost == 0 })
}

func TestWait_DrainsWhenTheControlPlaneAsks(t *testing.T) {
	cp := controltest.Start(t, controltest.Config{})
	p := launch(t, testConfig(cp.Addr(), t.TempDir()))
	cp.WaitHello(t, 1)
	cp.Drain("scale in")
	select {
	case err := <-p.ended:
		if err != nil {
			t.Error(err)
		}
		p.ended <- nil
	case <-time.After(10 * time.Second):
		t.Fatal("still running")
	}
}

func TestWait_CancelledBeforeItServed(t *testing.T) {
	p := launch(t, testConfig("127.0.0.1:1", t.TempDir()))
	if err := p.end(); err != nil {
		t.Error(err)
	}
}

func TestWait_AFailedListenerStillHandsOverUsage(t *testing.T) {
	cp, up := controltest.Start(t, controltest.Config{}), upstream(t, upstreamtest.Config{})
	p := launch(t, testConfig(cp.Addr(), t.TempDir()))
	cp.WaitAck(t, cp.Push(t, snapshot(up.URL())))
	p.mustServe()
	p.listen.api.Close()
	select {
	case err := <-p.ended:
		if err == nil || !strings.HasPrefix(err.Error(), "serve HTTP: ") {
			t.Errorf("got %v", err)
		}
		p.ended <- err
	case <-time.After(10 * time.Second):
		t.Fatal("still running")
	}
	if l := cp.Ledgers(); len(l) != 1 || l[0].Totals.Requests != 1 {
		t.Errorf("%+v", l)
	}
}

func TestWait_NothingUnreportedEndsAtOnceWithoutTheControlPlane(t *testing.T) {
	cp, up := controltest.Start(t, controltest.Config{}), upstream(t, upstreamtest.Config{})
	p := launch(t, testConfig(cp.Addr(), t.TempDir()))
	cp.WaitAck(t, cp.Push(t, snapshot(up.URL())))
	p.mustServe()
	cp.WaitTotals(t, "the usage", func(s journal.Totals) bool { return s.Requests == 1 })
	eventually(t, "everything to be acknowledged", func() bool { return p.records.Stats().Unreported == 0 })
	cp.Stop()
	eventually(t, "the stream to be missed", func() bool { return !p.subscriber.Connected() })
	begin := time.Now()
	if err := p.end(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 1500*time.Millisecond {
		t.Errorf("took %v to stop with nothing to hand over", took)
	}
}
