package identity

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Transport 是一条连接的样子：客户端是谁，会话的 cookie 可不可以在上面走。
type Transport struct {
	// Address 是客户端的地址；说不出时是零值。
	Address netip.Addr
	// Secure 是 TLS，自己的或可信代理的。
	Secure bool
	// Loopback 是本机上的明文。
	Loopback bool
	// Allowed 是操作者明说了明文也行（VEGA_INSECURE_HTTP）。
	Allowed bool
}

// cookie 的名字；__Host- 前缀让浏览器只收 Secure、不带 Domain、Path=/ 的。
const (
	secureCookie = "__Host-vega"
	plainCookie  = "vega_session"
)

// CookieName 是会话的 cookie 在这条连接上的名字；不许走则为空，那时带来的也不认。
func (t Transport) CookieName() string {
	switch {
	case t.Secure:
		return secureCookie
	case t.Loopback || t.Allowed:
		return plainCookie
	}
	return ""
}

// Refusal 说为什么不能在这条连接上登录；可以则为 nil。
func (t Transport) Refusal() error {
	if t.CookieName() != "" {
		return nil
	}
	return vegaerr.New(vegaerr.Denied, ReasonInsecure,
		"sign in over TLS: set VEGA_HTTP_TLS_CERT and VEGA_HTTP_TLS_KEY, or list the proxy that ends TLS in VEGA_TRUSTED_PROXIES; "+
			"or set VEGA_INSECURE_HTTP=true to send the session in the clear")
}

// Proxies 是可信的代理：只有从它们来的 X-Forwarded-* 才算数。零值谁也不信。
type Proxies struct{ list []netip.Prefix }

// ParseProxies 读逗号分隔的地址与网段。
func ParseProxies(text string) (Proxies, error) {
	var p Proxies
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(item)
		if err != nil {
			addr, err := netip.ParseAddr(item)
			if err != nil {
				return Proxies{}, fmt.Errorf("%q is not an address or a network such as 10.0.0.0/8", item)
			}
			addr = addr.Unmap()
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		p.list = append(p.list, prefix.Masked())
	}
	return p, nil
}

func (p Proxies) trusts(addr netip.Addr) bool {
	for _, prefix := range p.list {
		if prefix.Contains(addr.Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

// Transport 由请求看出连接的样子；insecure 是 VEGA_INSECURE_HTTP。
func (p Proxies) Transport(r *http.Request, insecure bool) Transport {
	peer := parseAddr(r.RemoteAddr)
	t := Transport{Address: peer, Secure: r.TLS != nil, Allowed: insecure}
	if p.trusts(peer) {
		t.Address = p.client(peer, r.Header.Values("X-Forwarded-For"))
		t.Secure = t.Secure || strings.EqualFold(last(r.Header.Values("X-Forwarded-Proto")), "https")
	}
	t.Loopback = !forwarded(r.Header) && peer.Unmap().IsLoopback() && loopbackHost(r.Host)
	return t
}

// client 从右往左找第一个不可信的：再左边的是客户端自己可以乱写的。
func (p Proxies) client(peer netip.Addr, values []string) netip.Addr {
	hops := strings.Split(strings.Join(values, ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		addr, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			return peer
		}
		if peer = addr; !p.trusts(peer) {
			return peer
		}
	}
	return peer
}

// parseHop 读一跳；有的代理会带上端口。
func parseHop(text string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap(), true
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return addr.Unmap(), err == nil
}

// last 是离我们最近的那个代理写的。
func last(values []string) string {
	all := strings.Split(strings.Join(values, ","), ",")
	return strings.TrimSpace(all[len(all)-1])
}

// forwarded 说请求经过了代理：那时对端在本机上，不等于浏览器在本机上。
func forwarded(h http.Header) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}

// loopbackHost 说浏览器的地址栏里是本机：对外的名字经本机上的代理进来时，明文的那一段在别处。
func loopbackHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}

func parseAddr(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
