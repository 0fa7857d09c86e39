package gateway_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/vega-gateway/vega/dataplane/internal/admit"
	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/dataplane/internal/gateway"
	"github.com/vega-gateway/vega/dataplane/internal/journal"
	"github.com/vega-gateway/vega/dataplane/internal/proxy"
	"github.com/vega-gateway/vega/dataplane/internal/route"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// broken 是一关账就崩溃的 journal。
type broken struct{ ledger }

// Open 给出零值的凭据：它一 Close 就崩溃。
func (broken) Open(journal.Opening) journal.Ticket { return journal.Ticket{} }

func TestServe_PanicIsAnswered500AndThePermitComesBack(t *testing.T) {
	u := upstream(t, upstreamtest.Config{})
	n := newBroken(t, u.URL())
	a := n.chat(ask)
	want(t, a, 500, "internal")
	if n.gate.Leaks() != 0 {
		t.Fatal("the permit is gone")
	}
}

// newBroken 起一个 journal 会崩溃的网关。
func newBroken(t *testing.T, base string) *node {
	t.Helper()
	h, gate := state.New(), newGate(t, admit.Config{}, admit.Deps{})
	h.Swap(newSnap().server("s1", base+"/v1").model("m", "s1").compile(t))
	pool := proxy.New(proxy.Config{})
	t.Cleanup(pool.CloseIdle)
	g, err := gateway.New(gateway.Config{}, gateway.Deps{State: h, Gate: gate, Router: route.New(route.Config{}, route.Deps{}), Upstreams: pool, Journal: broken{newLedger()}})
	if err != nil {
		t.Fatal(err)
	}
	ep, _ := dialect.Lookup(http.MethodPost, "/v1/chat/completions")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.Serve(w, r, ep) }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(srv.Close)
	return &node{t: t, url: srv.URL, client: srv.Client(), gate: gate}
}

func TestServe_NoConfigurationYetIsNotReady(t *testing.T) {
	n, _ := one(t, upstreamtest.Config{})
	n.holder.After(nil)
	n.holder.Swap(nil)
	want(t, n.chat(ask), 503, "not_ready")
}

func TestServe_PanicWhileAccountingAnAbortStillReturnsThePermit(t *testing.T) {
	held := make(chan struct{})
	defer close(held)
	base := wire(t, func(c net.Conn) {
		_, _ = io.WriteString(c, sseHead+sseChunk("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"))
		<-held
	})
	n := newBroken(t, base)
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	resp, err := n.request(ctx, http.MethodPost, "/v1/chat/completions", askStream)
	if err != nil {
		t.Fatal(err)
	}
	hangUp() // 账在收尾里才关，而关账崩溃
	resp.Body.Close()
	settle(t, n)
}
