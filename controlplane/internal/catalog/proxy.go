package catalog

import (
	"encoding/json"
	"net/url"
)

// hiddenPassword 是代理口令给人看的样子，也是 url.URL.Redacted 的写法；放回来时它表示沿用所存的。
const hiddenPassword = "xxxxx"

// hideProxyPassword 把代理地址里的口令换成 hiddenPassword；没有口令的原样。
func hideProxyPassword(proxy string) string {
	u, err := url.Parse(proxy)
	if err != nil || u.User == nil {
		return proxy
	}
	if _, has := u.User.Password(); !has {
		return proxy
	}
	return u.Redacted()
}

// hidesPassword 说 proxy 里写的是不是隐去了的口令。
func hidesPassword(proxy string) bool {
	u, err := url.Parse(proxy)
	if err != nil || u.User == nil {
		return false
	}
	password, _ := u.User.Password()
	return password == hiddenPassword
}

// sameProxy 说两个地址是不是同一个代理的同一个用户，口令不论。
func sameProxy(a, b string) bool { return hideProxyPassword(a) == hideProxyPassword(b) }

// public 是给人看的规格：没有秘密。
func (s ServerSpec) public() ServerSpec {
	s.ProxyURL = hideProxyPassword(s.ProxyURL)
	return s
}

// proxyFace 比的是整个地址，显示的没有口令：只换口令也是一处变化。
type proxyFace struct{ whole, shown string }

func (f proxyFace) MarshalJSON() ([]byte, error) { return json.Marshal(f.shown) }
