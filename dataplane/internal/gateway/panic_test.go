package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/vega-gateway/vega/dataplane/internal/admit"
	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/dataplane/internal/gateway"
	"github.com/vega-gateway/vega/dataplane/internal/proxy"
	"github.com/vega-gateway/vega/dataplane/internal/route"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// broken 是一关账就崩溃的 journal。
type broken struct{ ledger }

func (*broken) Close(*usagev1.Request) { panic("the disk is on fire") }

func TestServe_PanicIsAnswered500AndThePermitComesBack(t *testing.T) {
	u := upstream(t, upstreamtest.Config{})
	h, gate := state.New(), admit.New(admit.Deps{})
	h.Swap(newSnap().server("s1", u.URL()+"/v1").model("m", "s1").compile(t))
	pool := proxy.New(proxy.Config{})
	t.Cleanup(pool.CloseIdle)
	g, err := gateway.New(gateway.Config{}, gateway.Deps{State: h, Gate: gate, Router: route.New(route.Config{}, route.Deps{}), Upstreams: pool, Journal: &broken{}})
	if err != nil {
		t.Fatal(err)
	}
	ep, _ := dialect.Lookup(http.MethodPost, "/v1/chat/completions")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.Serve(w, r, ep) }))
	defer srv.Close()
	n := &node{t: t, url: srv.URL, client: srv.Client()}
	a := n.chat(ask)
	want(t, a, 500, "internal")
	if gate.Leaks() != 0 {
		t.Fatal("the permit is gone")
	}
}

func TestServe_NoConfigurationYetIsNotReady(t *testing.T) {
	n, _ := one(t, upstreamtest.Config{})
	n.holder.Swap(nil)
	want(t, n.chat(ask), 503, "not_ready")
}
