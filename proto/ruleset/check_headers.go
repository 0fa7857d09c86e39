package ruleset

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/textproto"
	"strings"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

const (
	maxHeaders     = 64
	maxHeaderName  = 256
	maxHeaderValue = 8_192
	maxCAPEM       = 1 << 20
)

// gatewayHeader 说规范写法的 name 是不是由网关自己定、配置不得插手的头部：逐跳的、成帧的、凭证与追踪。
func gatewayHeader(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings", // 逐跳
		"Host", "Content-Length", "Content-Type", "Content-Encoding", "Expect", // 成帧
		"Accept", "Accept-Encoding", // 与客户端的协商
		"Authorization",                             // api_key
		"X-Request-Id", "Traceparent", "Tracestate": // 追踪
		return true
	}
	return false
}

func (it item) headers(list []*configv1.Header) {
	if len(list) > maxHeaders {
		it.bad("headers", "must be at most %d", maxHeaders)
	}
	seen := make(map[string]bool, len(list))
	for i, h := range list {
		name := textproto.CanonicalMIMEHeaderKey(h.GetName())
		at := fmt.Sprintf("headers[%d]", i)
		switch {
		case !validHeaderName(h.GetName()):
			it.bad(at+".name", "must be 1-%d characters of an HTTP header name", maxHeaderName)
		case gatewayHeader(name):
			it.bad(at+".name", "%s is set by the gateway and cannot be configured", name)
		case seen[name]:
			it.bad(at+".name", "%s appears more than once", name)
		}
		seen[name] = true
		if !validHeaderValue(h.GetValue()) {
			it.bad(at+".value", "must be at most %d bytes without control characters or surrounding space", maxHeaderValue)
		}
	}
}

// validHeaderName 依 RFC 9110 5.6.2 的 token。
func validHeaderName(s string) bool {
	if s == "" || len(s) > maxHeaderName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

// validHeaderValue 依 RFC 9110 5.5 的 field-value。
func validHeaderValue(s string) bool {
	if len(s) > maxHeaderValue || strings.Trim(s, " \t") != s {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return false
		}
	}
	return true
}

// badCAPEM 说证书文本哪里不对；空即用系统的，合格。
func badCAPEM(s string) string {
	if s == "" {
		return ""
	}
	if len(s) > maxCAPEM {
		return fmt.Sprintf("must be at most %d bytes", maxCAPEM)
	}
	rest, n := []byte(s), 0
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		n++
		if block.Type != "CERTIFICATE" {
			return fmt.Sprintf("block %d is not a CERTIFICATE", n)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Sprintf("certificate %d cannot be parsed", n)
		}
	}
	if n == 0 || len(strings.TrimSpace(string(rest))) > 0 {
		return "must be PEM certificates and nothing after them"
	}
	return ""
}
