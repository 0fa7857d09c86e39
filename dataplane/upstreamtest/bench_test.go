package upstreamtest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// discard 是不记录任何东西的 ResponseWriter，使基准只量自己的代码。
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) Flush()                      {}

func benchmarkAnswer(b *testing.B, cfg Config, body string) {
	s := New(cfg)
	r := httptest.NewRequest("POST", "/v1/chat/completions", nil)
	r.Header.Set("Content-Type", "application/json")
	reader := strings.NewReader(body)
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		r.Body = io.NopCloser(reader)
		s.ServeHTTP(&discard{h: make(http.Header)}, r)
	}
}

func BenchmarkChatJSON(b *testing.B) { benchmarkAnswer(b, Config{NoLedger: true}, chatJSON) }
func BenchmarkChatJSONWithLedger(b *testing.B) {
	benchmarkAnswer(b, Config{LedgerLimit: 1000}, chatJSON)
}
func BenchmarkChatStream64(b *testing.B) {
	benchmarkAnswer(b, Config{NoLedger: true, Default: Behavior{Chunks: 64}}, chatStream)
}
