package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/vega-gateway/vega/dataplane/internal/admit"
	"github.com/vega-gateway/vega/dataplane/internal/gateway"
	"github.com/vega-gateway/vega/dataplane/internal/httpapi"
	"github.com/vega-gateway/vega/dataplane/internal/journal"
	"github.com/vega-gateway/vega/dataplane/internal/proxy"
	"github.com/vega-gateway/vega/dataplane/internal/route"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Sync() error                 { return nil }

// rawUpstream 一读到一个请求就写回固定的字节；它自己几乎不分配，好让数字说的是网关。
func rawUpstream(b *testing.B, reply string) string {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	answer := []byte(reply)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 64<<10)
				for {
					if _, err := conn.Read(buf); err != nil {
						return
					}
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

func benchGateway(b *testing.B, base string) string {
	b.Helper()
	h := state.New()
	h.Swap(newSnap().server("s1", base+"/v1").model("m", "s1").compile(b))
	pool := proxy.New(proxy.Config{})
	g, err := gateway.New(gateway.Config{}, gateway.Deps{State: h, Gate: newGate(b, admit.Config{}, admit.Deps{}), Router: route.New(route.Config{}, route.Deps{}), Upstreams: pool, Journal: journal.New(journal.Config{MaxRecords: 1000}),
		Log: zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), nowhere{}, zap.InfoLevel))})
	if err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := httpapi.Server(httpapi.New(httpapi.Config{}, httpapi.Deps{Gateway: g}))
	go srv.Serve(ln)
	b.Cleanup(func() { srv.Shutdown(context.Background()); pool.CloseIdle() })
	return ln.Addr().String()
}

// drive 用一条裸连接一问一答：客户端自己不分配，量到的是网关（与 net/http 两头）。
func drive(b *testing.B, addr, body, until string) {
	b.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	text := []byte(fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nUser-Agent: bench\r\nAccept: application/json\r\nContent-Length: %d\r\n\r\n%s", secret, len(body), body))
	r := bufio.NewReaderSize(conn, 64<<10)
	end := []byte(until)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := conn.Write(text); err != nil {
			b.Fatal(err)
		}
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			if bytes.HasPrefix(line, end) {
				break
			}
		}
	}
}

func BenchmarkServe_SmallJSON(b *testing.B) {
	body := `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"up-m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}` + "\n"
	base := rawUpstream(b, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	drive(b, benchGateway(b, base), ask, `{"id"`)
}

// BenchmarkServe_Limited 是同样的路，server 与 app 都有限额而都没有碰到。
func BenchmarkServe_Limited(b *testing.B) {
	body := `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"up-m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}` + "\n"
	base := rawUpstream(b, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	n := startLed(b, newSnap().server("s1", base+"/v1", func(s *configv1.Server) { s.Limits = &configv1.Limits{MaxConcurrency: 1000} }).
		model("m", "s1").edit(func(s *configv1.Snapshot) { s.Apps[0].Limits = &configv1.Limits{MaxConcurrency: 1000} }).compile(b))
	drive(b, n.addr, ask, `{"id"`)
}

func BenchmarkServe_Stream64(b *testing.B) {
	var reply strings.Builder
	reply.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
	event := `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"up-m","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}` + "\n\n"
	add := func(s string) { fmt.Fprintf(&reply, "%x\r\n%s\r\n", len(s), s) }
	for range 64 {
		add(event)
	}
	add(strings.Replace(event, `"finish_reason":null`, `"finish_reason":"stop"`, 1))
	add(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":64,"total_tokens":73}}` + "\n\n")
	add("data: [DONE]\n\n")
	reply.WriteString("0\r\n\r\n")
	drive(b, benchGateway(b, rawUpstream(b, reply.String())), askStream, "0\r\n")
}
