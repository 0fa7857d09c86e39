package dialect

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// FilterRequestHeaders 把可以送往上游的客户端请求头加进 dst（规范化的名字，值与次序不变）。
//
// 放行的只有 Content-Type、Accept、User-Agent、OpenAI-*、X-Stainless-*、Idempotency-Key、traceparent；
// 客户端在 Connection 里点了名的不放行；名字不是合法 token、值含 CR、LF 或 NUL 的丢掉（走私）。
// 凭证、x-request-id 与服务器自己的头由调用者另加。
func FilterRequestHeaders(dst, src http.Header) {
	hop := connection(src)
	for name, values := range src {
		key := textproto.CanonicalMIMEHeaderKey(name)
		if !requestAllowed(key) || named(hop, key) {
			continue
		}
		copyValues(dst, key, values)
	}
}

func requestAllowed(key string) bool {
	switch key {
	case "Content-Type", "Accept", "User-Agent", "Idempotency-Key", "Traceparent":
		return true
	}
	return token(key) && (strings.HasPrefix(key, "Openai-") || strings.HasPrefix(key, "X-Stainless-"))
}

// FilterResponseHeaders 把可以还给客户端的上游应答头加进 dst：除了逐跳的（含 Connection 里点名的）、
// Set-Cookie、Alt-Svc、我们自己设置的名字与 Content-Length（由调用者按实际的体设置），全都过去。
func FilterResponseHeaders(dst, src http.Header) {
	hop := connection(src)
	for name, values := range src {
		key := textproto.CanonicalMIMEHeaderKey(name)
		if !token(key) || responseRefused(key) || named(hop, key) {
			continue
		}
		copyValues(dst, key, values)
	}
}

func responseRefused(key string) bool {
	switch key {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Proxy-Authentication-Info", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
		"Set-Cookie", "Set-Cookie2", "Alt-Svc", "Content-Length", "X-Request-Id":
		return true
	}
	return ourLimit(key) || strings.HasPrefix(key, "X-Vega-") || strings.HasPrefix(key, "Access-Control-")
}

// ourLimit 认出 x-ratelimit-{limit,remaining,reset}-{requests,tokens}：那是应用自己的限额，不是上游的。
func ourLimit(key string) bool {
	rest, ok := strings.CutPrefix(key, "X-Ratelimit-")
	if !ok {
		return false
	}
	kind, unit, _ := strings.Cut(rest, "-")
	return (kind == "Limit" || kind == "Remaining" || kind == "Reset") && (unit == "Requests" || unit == "Tokens")
}

// connection 收齐 Connection 的值；名字没有规范化的写法也算。
func connection(src http.Header) []string {
	hop := src["Connection"]
	for name, values := range src {
		if name != "Connection" && strings.EqualFold(name, "Connection") {
			hop = append(hop[:len(hop):len(hop)], values...)
		}
	}
	return hop
}

// named 说 Connection 的值里点了 key 的名。
func named(connection []string, key string) bool {
	for _, line := range connection {
		for line != "" {
			var item string
			item, line, _ = strings.Cut(line, ",")
			if strings.EqualFold(strings.TrimSpace(item), key) {
				return true
			}
		}
	}
	return false
}

// copyValues 把合法的值加进 dst；全都合法、dst 里又没有时共用那个切片，不拷贝。
func copyValues(dst http.Header, key string, values []string) {
	have := dst[key]
	if have == nil && !slices.ContainsFunc(values, smuggles) {
		dst[key] = values[:len(values):len(values)]
		return
	}
	for _, v := range values {
		if !smuggles(v) {
			have = append(have, v)
		}
	}
	if have != nil {
		dst[key] = have
	}
}

func smuggles(v string) bool { return strings.ContainsAny(v, "\r\n\x00") }

// token 说 s 是 RFC 9110 的 token。
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isDigit(c) && (c|0x20)-'a' > 25 && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
