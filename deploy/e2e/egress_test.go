package e2e

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	"github.com/vega-gateway/vega/deploy/stack"
)

func TestEgress_AServerWithItsOwnCA(t *testing.T) {
	ca := newAuthority(t)
	up, base := tlsUpstream(t, ca)
	r := start(t, stack.Options{Nodes: 1})
	target := func(name string, more doc) doc {
		d := doc{"name": name, "base_url": base + "/v1", "api_key": "sk-tls"}
		for k, v := range more {
			d[k] = v
		}
		return d
	}
	r.apply(doc{
		"servers": list{target("trusted", doc{"ca_pem": ca.pem}), target("unknown", nil), target("wrong", doc{"ca_pem": newAuthority(t).pem})},
		"models":  list{model("late-trusted", "trusted", "m"), model("late-unknown", "unknown", "m"), model("late-wrong", "wrong", "m")},
	})
	if a := r.chat(0, "late-trusted"); a.status != http.StatusOK {
		t.Errorf("with ca_pem: %+v", a)
	}
	if a := r.post(0, "/chat/completions", `{"model":"late-trusted","stream":true,"messages":[]}`); a.status != http.StatusOK || !strings.Contains(a.body, "[DONE]") {
		t.Errorf("a stream with ca_pem: %+v", a)
	}
	if n := len(up.Ledger()); n != 2 {
		t.Errorf("the upstream saw %d requests, want 2", n)
	}
	for _, name := range []string{"late-unknown", "late-wrong"} {
		if a := r.chat(0, name); a.status != http.StatusBadGateway || a.code() != "upstream_error" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if n := len(up.Ledger()); n != 2 {
		t.Errorf("an upstream whose certificate is not trusted saw %d requests", n-2)
	}
	var bad *stack.StatusError
	err := r.Admin.Call(t.Context(), http.MethodPost, "/servers", target("broken", doc{"ca_pem": "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"}), nil)
	if !asStatus(err, &bad) || bad.Status != http.StatusBadRequest || !strings.Contains(bad.Body, "ca_pem") {
		t.Errorf("an unreadable ca_pem: %v", err)
	}
	for server, want := range map[string]string{"trusted": `"ok":true`, "unknown": `"ok":false`} {
		a := askAdmin(r, http.MethodPost, "/servers/"+server+"/test")
		if !strings.Contains(a.body, want) {
			t.Errorf("test of %s from the control plane: %s", server, a.body)
		}
	}
}

func TestEgress_AnOutboundProxyCarriesEverything(t *testing.T) {
	ca := newAuthority(t)
	secure, base := tlsUpstream(t, ca)
	plain := upstream(t, upstreamtest.Config{})
	proxy := newForwardProxy(t)
	r := start(t, stack.Options{Nodes: 1})
	r.apply(doc{
		"servers": list{
			doc{"name": "secure", "base_url": base + "/v1", "ca_pem": ca.pem, "proxy_url": proxy.url("user", "pass")},
			doc{"name": "plain", "base_url": plain.URL() + "/v1", "proxy_url": proxy.url("user", "pass")},
			doc{"name": "refused", "base_url": plain.URL() + "/v1", "proxy_url": proxy.url("user", "wrong")},
			doc{"name": "noproxy", "base_url": plain.URL() + "/v1", "proxy_url": "http://127.0.0.1:1"}},
		"models": list{model("late-secure", "secure", "m"), model("late-plain", "plain", "m"), model("late-refused", "refused", "m"), model("late-noproxy", "noproxy", "m")},
	})
	for _, path := range []string{"/servers/secure", "/servers", "/config", "/revisions/2", "/revisions/1/diff?to=2"} {
		if a := askAdmin(r, http.MethodGet, path); a.status != http.StatusOK || strings.Contains(a.body, ":pass@") {
			t.Errorf("GET %s: %d, or it shows the proxy's password: %s", path, a.status, a.body)
		}
	}
	var exported doc
	if err := r.Admin.Call(t.Context(), http.MethodGet, "/config", nil, &exported); err != nil {
		t.Fatal(err)
	}
	if a := r.apply(exported); a.Revision != 2 || len(a.Changes) != 0 { // 口令没有出去，放回来也没有丢
		t.Errorf("putting the export back made revision %d with %s", a.Revision, a.Changes)
	}
	const n = 3
	for range n {
		for _, name := range []string{"late-secure", "late-plain"} {
			if a := r.chat(0, name); a.status != http.StatusOK {
				t.Fatalf("%s: %+v", name, a)
			}
		}
	}
	if got := proxy.forwarded.Load(); got != n {
		t.Errorf("the proxy forwarded %d plain requests, want %d", got, n)
	}
	if got := proxy.tunnels.Load(); got != 1 {
		t.Errorf("the proxy opened %d tunnels, want 1 kept alive", got)
	}
	if len(secure.Ledger()) != n || len(plain.Ledger()) != n {
		t.Errorf("ledgers: %d and %d, want %d each", len(secure.Ledger()), len(plain.Ledger()), n)
	}
	if a := r.chat(0, "late-noproxy"); a.status != http.StatusBadGateway || a.code() != "upstream_error" {
		t.Errorf("a dead proxy: %+v", a)
	}
	if a := r.chat(0, "late-refused"); a.status < 400 || strings.Contains(a.body, "wrong") {
		t.Errorf("a proxy that refuses us: %+v", a)
	}
	if len(plain.Ledger()) != n {
		t.Error("a request went around its proxy")
	}
}

// tlsUpstream 是一个用 ca 签的证书、讲 TLS 的上游。
func tlsUpstream(t *testing.T, ca *authority) (*upstreamtest.Server, string) {
	t.Helper()
	up := upstreamtest.New(upstreamtest.Config{})
	t.Cleanup(up.Close)
	s := httptest.NewUnstartedServer(up)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.pair("upstream")}}
	s.Config.ErrorLog = quietLog()
	s.StartTLS()
	t.Cleanup(s.Close)
	return up, s.URL
}

// forwardProxy 是一个要口令的小代理：CONNECT 开隧道，别的按绝对网址转发，都数着。
type forwardProxy struct {
	t                  *testing.T
	server             *httptest.Server
	through            *httputil.ReverseProxy
	tunnels, forwarded atomic.Int64
}

func newForwardProxy(t *testing.T) *forwardProxy {
	t.Helper()
	p := &forwardProxy{t: t, through: &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}}}
	p.server = httptest.NewServer(p)
	t.Cleanup(p.server.Close)
	return p
}

func (p *forwardProxy) url(user, password string) string {
	u, err := url.Parse(p.server.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

// ServeHTTP 实现 http.Handler。
func (p *forwardProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := &http.Request{Header: http.Header{"Authorization": r.Header.Values("Proxy-Authorization")}}
	if user, password, _ := asked.BasicAuth(); user != "user" || password != "pass" {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		p.forwarded.Add(1)
		p.through.ServeHTTP(w, r)
		return
	}
	p.tunnels.Add(1)
	up, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer up.Close()
	w.WriteHeader(http.StatusOK)
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(up, buffered); up.Close() })
	both.Go(func() { _, _ = io.Copy(down, up); down.Close() })
	both.Wait()
}

// askAdmin 问一次管理 API，要回原文。
func askAdmin(r *rig, method, path string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.Admin.URL+"/api/v1"+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.Admin.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	return answerOf(r.t, resp)
}
