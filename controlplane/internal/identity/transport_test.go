package identity

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

func request(remote, host string, secure bool, header ...string) *http.Request {
	r := &http.Request{RemoteAddr: remote, Host: host, Header: http.Header{}}
	if secure {
		r.TLS = &tls.ConnectionState{}
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func TestTransport_TheCookieGoesOnlyOverTLSOrOnThisMachine(t *testing.T) {
	proxies, err := ParseProxies("10.0.0.0/8, 192.0.2.7 ,::1")
	if err != nil {
		t.Fatal(err)
	}
	forwarded := func(proto, client string) []string {
		return []string{"X-Forwarded-Proto", proto, "X-Forwarded-For", client}
	}
	for name, c := range map[string]struct {
		r               *http.Request
		cookie, address string
		insecure        bool
	}{
		"own TLS":                          {request("203.0.113.5:1", "vega.example.com", true), "__Host-vega", "203.0.113.5", false},
		"plain from elsewhere":             {request("203.0.113.5:1", "vega.example.com", false), "", "203.0.113.5", false},
		"plain from elsewhere, allowed":    {request("203.0.113.5:1", "vega.example.com", false), "vega_session", "203.0.113.5", true},
		"loopback":                         {request("127.0.0.1:1", "127.0.0.1:9080", false), "vega_session", "127.0.0.1", false},
		"loopback by name":                 {request("[::ffff:127.0.0.1]:1", "localhost:9080", false), "vega_session", "127.0.0.1", false},
		"loopback, IPv6":                   {request("127.0.0.1:1", "[::1]:9080", false), "vega_session", "127.0.0.1", false},
		"loopback, another name":           {request("127.0.0.1:1", "vega.example.com", false), "", "127.0.0.1", false},
		"loopback through some proxy":      {request("127.0.0.1:1", "127.0.0.1:9080", false, forwarded("https", "203.0.113.5")...), "", "127.0.0.1", false},
		"trusted proxy with TLS":           {request("10.1.2.3:1", "vega.example.com", false, forwarded("https", "203.0.113.5")...), "__Host-vega", "203.0.113.5", false},
		"trusted proxy on loopback":        {request("[::1]:1", "vega.example.com", false, forwarded("https", "203.0.113.5")...), "__Host-vega", "203.0.113.5", false},
		"trusted proxy without TLS":        {request("10.1.2.3:1", "vega.example.com", false, forwarded("http", "203.0.113.5")...), "", "203.0.113.5", false},
		"a stranger who claims TLS":        {request("203.0.113.5:1", "vega.example.com", false, forwarded("https", "127.0.0.1")...), "", "203.0.113.5", false},
		"a claim before the proxy's word":  {request("10.1.2.3:1", "x", false, forwarded("https, http", "198.51.100.1, 203.0.113.5")...), "", "203.0.113.5", false},
		"two proxies":                      {request("10.1.2.3:1", "x", false, forwarded("https", "198.51.100.1, 203.0.113.5, 192.0.2.7")...), "__Host-vega", "203.0.113.5", false},
		"a proxy that writes the port":     {request("10.1.2.3:1", "x", false, forwarded("https", "203.0.113.5:4711")...), "__Host-vega", "203.0.113.5", false},
		"a port after IPv6":                {request("10.1.2.3:1", "x", false, forwarded("https", "[2001:db8::1]:4711, 10.0.0.9:80")...), "__Host-vega", "2001:db8::1", false},
		"a client that writes nonsense":    {request("10.1.2.3:1", "x", false, forwarded("https", "nonsense")...), "__Host-vega", "10.1.2.3", false},
		"nothing but trusted in the chain": {request("10.1.2.3:1", "x", false, forwarded("https", "10.9.9.9")...), "__Host-vega", "10.9.9.9", false},
		"an address that cannot be read":   {request("@", "localhost", false), "", "invalid IP", false},
	} {
		got := proxies.Transport(c.r, c.insecure)
		if got.CookieName() != c.cookie || got.Address.String() != c.address {
			t.Errorf("%s: cookie %q, address %v", name, got.CookieName(), got.Address)
		}
		if err := got.Refusal(); (err == nil) != (c.cookie != "") || err != nil && vegaerr.As(err).Reason != ReasonInsecure {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTransport_WithoutTrustedProxiesNoHeaderCounts(t *testing.T) {
	got := Proxies{}.Transport(request("10.1.2.3:1", "x", false, "X-Forwarded-Proto", "https", "X-Forwarded-For", "127.0.0.1"), false)
	if got.Secure || got.Loopback || got.Address.String() != "10.1.2.3" {
		t.Errorf("got %+v", got)
	}
}

func TestParseProxies_SaysWhatIsWrong(t *testing.T) {
	for _, bad := range []string{"proxy.local", "10.0.0.0/33", "10.0.0.1:80", "10.0.0.1;10.0.0.2"} {
		if _, err := ParseProxies(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if p, err := ParseProxies(" , "); err != nil || len(p.list) != 0 {
		t.Errorf("%v %v", p, err)
	}
}
