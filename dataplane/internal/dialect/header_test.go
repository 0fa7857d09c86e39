package dialect

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFilterRequestHeaders_PassesOnlyTheAllowList(t *testing.T) {
	src := http.Header{
		"Content-Type": {"application/json"}, "Accept": {"*/*"}, "User-Agent": {"x"}, "Idempotency-Key": {"k"}, "Traceparent": {"00-1"},
		"Openai-Organization": {"org"}, "openai-project": {"p"}, "X-STAINLESS-lang": {"go"}, "X-Stainless-Hop": {"1"},
		"Authorization": {"Bearer vg-x"}, "Api-Key": {"vg"}, "X-Api-Key": {"vg"}, "Cookie": {"c"}, "X-Forwarded-For": {"1.1.1.1"}, "Host": {"h"},
		"Accept-Encoding": {"gzip"}, "Transfer-Encoding": {"chunked"}, "Te": {"trailers"}, "X-Request-Id": {"r"}, "Tracestate": {"s"},
		"Openai-Bad\r\nX": {"v"}, "Openai-Evil": {"a\r\nX-Api-Key: b", "fine"}, "Openai-Nul": {"a\x00"},
		"Openai ":    {"v"}, //nolint:gocritic // 末尾的空格正是要挡的
		"connection": {"close, x-stainless-hop"},
	}
	dst := http.Header{"Authorization": {"Bearer sk-up"}}
	FilterRequestHeaders(dst, src)
	want := http.Header{
		"Authorization": {"Bearer sk-up"},
		"Content-Type":  {"application/json"}, "Accept": {"*/*"}, "User-Agent": {"x"}, "Idempotency-Key": {"k"}, "Traceparent": {"00-1"},
		"Openai-Organization": {"org"}, "Openai-Project": {"p"}, "X-Stainless-Lang": {"go"}, "Openai-Evil": {"fine"},
	}
	if d := cmp.Diff(want, dst); d != "" {
		t.Error(d)
	}
}

func TestFilterResponseHeaders_DropsHopByHopAndOurs(t *testing.T) {
	src := http.Header{
		"Content-Type": {"text/event-stream"}, "Openai-Processing-Ms": {"12"}, "Retry-After": {"3"}, "Retry-After-Ms": {"3000"}, "X-Should-Retry": {"false"},
		"X-Ratelimit-Limit-Audio": {"1"}, "Server": {"u"}, "Content-Encoding": {"gzip"}, "Www-Authenticate": {"x"},
		"Connection": {"X-Hop, keep-alive"}, "X-Hop": {"1"}, "Keep-Alive": {"t"}, "Transfer-Encoding": {"chunked"}, "Trailer": {"x"}, "Upgrade": {"h2c"},
		"Proxy-Authenticate": {"x"}, "Te": {"x"}, "Set-Cookie": {"a=b"}, "set-cookie": {"c=d"}, "Alt-Svc": {"h3"}, "Content-Length": {"5"},
		"X-Request-Id": {"theirs"}, "X-Vega-Server": {"spoofed"}, "Access-Control-Allow-Origin": {"x"},
		"X-Ratelimit-Limit-Requests": {"1"}, "x-ratelimit-remaining-tokens": {"1"}, "X-Ratelimit-Reset-Requests": {"1s"},
		"X-Split": {"a\r\nSet-Cookie: x"},
	}
	dst := http.Header{}
	FilterResponseHeaders(dst, src)
	want := http.Header{
		"Content-Type": {"text/event-stream"}, "Openai-Processing-Ms": {"12"}, "Retry-After": {"3"}, "Retry-After-Ms": {"3000"}, "X-Should-Retry": {"false"},
		"X-Ratelimit-Limit-Audio": {"1"}, "Server": {"u"}, "Content-Encoding": {"gzip"}, "Www-Authenticate": {"x"},
	}
	if d := cmp.Diff(want, dst); d != "" {
		t.Error(d)
	}
}

func FuzzFilterHeaders(f *testing.F) {
	f.Add("Content-Type", "a", "close")
	f.Add("oPenai-x", "a\nb", "openai-X")
	f.Add("Connection", "Set-Cookie", "x")
	f.Add("SET-cookie", "a", "")
	f.Fuzz(func(t *testing.T, name, value, hop string) {
		src := http.Header{name: {value}, "Connection": {hop}}
		up, back := http.Header{}, http.Header{}
		FilterRequestHeaders(up, src)
		FilterResponseHeaders(back, src)
		allowed := []string{"Content-Type", "Accept", "User-Agent", "Idempotency-Key", "Traceparent"}
		for key, values := range up {
			if !slices.Contains(allowed, key) && !strings.HasPrefix(key, "Openai-") && !strings.HasPrefix(key, "X-Stainless-") {
				t.Fatalf("%q went up", key)
			}
			checkClean(t, key, values, hop)
		}
		for key, values := range back {
			for _, bad := range []string{"Set-Cookie", "Alt-Svc", "Connection", "Transfer-Encoding", "Content-Length", "Upgrade", "Trailer", "X-Request-Id"} {
				if strings.EqualFold(key, bad) {
					t.Fatalf("%q went back", key)
				}
			}
			checkClean(t, key, values, hop)
		}
	})
}

func checkClean(t *testing.T, key string, values []string, hop string) {
	t.Helper()
	if key != textproto.CanonicalMIMEHeaderKey(key) || strings.ContainsAny(key, "\r\n\x00: ") {
		t.Fatalf("name %q", key)
	}
	for _, v := range values {
		if strings.ContainsAny(v, "\r\n\x00") {
			t.Fatalf("value %q", v)
		}
	}
	for _, item := range strings.Split(hop, ",") {
		if strings.EqualFold(strings.TrimSpace(item), key) {
			t.Fatalf("%q was named in Connection", key)
		}
	}
}

func BenchmarkFilterRequestHeaders(b *testing.B) {
	src := http.Header{"Content-Type": {"application/json"}, "Accept": {"*/*"}, "User-Agent": {"openai-go"}, "Authorization": {"Bearer x"}, "X-Stainless-Lang": {"go"}, "Accept-Encoding": {"gzip"}}
	b.ReportAllocs()
	for b.Loop() {
		FilterRequestHeaders(make(http.Header, 8), src)
	}
}
