package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
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
func rawUpstream(b testing.TB, reply string) string {
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

// onDisk 是写在 dir 里的 journal：真的节点就是这样记账的。
func onDisk(t testing.TB, dir string) *journal.Journal {
	t.Helper()
	j, err := journal.OpenDir(dir, journal.Config{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- j.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
		if err := j.Shut(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func benchGateway(b testing.TB, base string) string {
	b.Helper()
	h := state.New()
	h.Swap(newSnap().server("s1", base+"/v1").model("m", "s1").compile(b))
	pool := proxy.New(proxy.Config{})
	g, err := gateway.New(gateway.Config{}, gateway.Deps{State: h, Gate: newGate(b, admit.Config{}, admit.Deps{}), Router: route.New(route.Config{}, route.Deps{}), Upstreams: pool, Journal: onDisk(b, b.TempDir()),
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
	c := dial(b, addr, body, until)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		c.ask(b)
	}
}

// bare 是一条裸的客户端连接，总问同一句。
type bare struct {
	conn      net.Conn
	r         *bufio.Reader
	text, end []byte
}

func dial(b testing.TB, addr, body, until string) *bare {
	b.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	text := fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nUser-Agent: bench\r\nAccept: application/json\r\nContent-Length: %d\r\n\r\n%s", secret, len(body), body)
	return &bare{conn: conn, r: bufio.NewReaderSize(conn, 64<<10), text: []byte(text), end: []byte(until)}
}

// ask 问一句，读到以 end 开头的一行为止。
func (c *bare) ask(b testing.TB) {
	if _, err := c.conn.Write(c.text); err != nil {
		b.Fatal(err)
	}
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			b.Fatal(err)
		}
		if bytes.HasPrefix(line, c.end) {
			return
		}
	}
}

func smallJSON() string {
	body := `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"up-m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}` + "\n"
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func BenchmarkServe_SmallJSON(b *testing.B) {
	drive(b, benchGateway(b, rawUpstream(b, smallJSON())), ask, `{"id"`)
}

// BenchmarkServe_Limited 是同样的路，server 与 app 都有限额而都没有碰到。
func BenchmarkServe_Limited(b *testing.B) {
	body := `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"up-m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}` + "\n"
	base := rawUpstream(b, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	n := startLed(b, newSnap().server("s1", base+"/v1", func(s *configv1.Server) { s.Limits = &configv1.Limits{MaxConcurrency: 1000} }).
		model("m", "s1").edit(func(s *configv1.Snapshot) { s.Apps[0].Limits = &configv1.Limits{MaxConcurrency: 1000} }).compile(b))
	drive(b, n.addr, ask, `{"id"`)
}

func stream64() string {
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
	return reply.String()
}

func BenchmarkServe_Stream64(b *testing.B) {
	drive(b, benchGateway(b, rawUpstream(b, stream64())), askStream, "0\r\n")
}

// TestServe_AccountingAddsNoAllocationToTheRoad 数整条路（连同 net/http 两头）每个请求的分配；before 是还没有在盘上记账时的数。
func TestServe_AccountingAddsNoAllocationToTheRoad(t *testing.T) {
	for _, c := range []struct {
		name, reply, body, until string
		before                   float64
	}{
		{"json", smallJSON(), ask, `{"id"`, 92},
		{"stream", stream64(), askStream, "0\r\n", 97},
	} {
		client := dial(t, benchGateway(t, rawUpstream(t, c.reply)), c.body, c.until)
		for range 50 {
			client.ask(t)
		}
		const n = 2_000
		var from, to runtime.MemStats
		runtime.ReadMemStats(&from)
		for range n {
			client.ask(t)
		}
		runtime.ReadMemStats(&to)
		after := float64(to.Mallocs-from.Mallocs) / n
		fmt.Printf("figures: road allocs kind=%s before=%.0f after=%.1f\n", c.name, c.before, after)
		if after > c.before+3 && !raceEnabled { // 回收器清一次池就多出零点几次
			t.Errorf("%s: %.1f allocations per request, %.0f before", c.name, after, c.before)
		}
	}
}
