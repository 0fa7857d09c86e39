package gateway_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

const (
	wholeJSON = `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`
	oneDelta  = `data: {"choices":[{"delta":{"content":"a"}}]}` + "\n\n"
	lastDelta = `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
)

func reply(status int, header, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", status, header, len(body), body)
}

// moody 是各有脾气的上游：多数好好地答，有的慢，有的断开、只答一半、答 500 或 429。请求须一次写到。
func moody(t *testing.T, seed uint64) (base string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for n := seed; ; n++ {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			r := rand.New(rand.NewPCG(seed, n))
			all.Go(func() {
				defer conn.Close()
				buf := make([]byte, 16<<10)
				for {
					n, err := conn.Read(buf)
					if err != nil || !mood(r, conn.(*net.TCPConn), buf[:n]) {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return "http://" + ln.Addr().String()
}

// mood 答一个请求；返回假即关掉连接。
func mood(r *rand.Rand, c *net.TCPConn, request []byte) (open bool) {
	if r.IntN(3) == 0 {
		time.Sleep(time.Duration(r.Int64N(int64(3 * time.Millisecond))))
	}
	say := func(s string) bool { _, err := io.WriteString(c, s); return err == nil }
	stream := streams(request)
	switch dice := r.IntN(100); {
	case dice < 5: // 一个字节也不答就复位
		_ = c.SetLinger(0)
		return false
	case dice < 9: // 答到一半复位
		say(sseHead + sseChunk(oneDelta))
		_ = c.SetLinger(0)
		return false
	case dice < 11:
		say("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n{")
		return false
	case dice < 14:
		return say(reply(500, "", `{"error":{"message":"m","type":"t","param":null,"code":null}}`))
	case dice < 15:
		return say(reply(429, "retry-after-ms: 3\r\n", `{"error":{"message":"m","type":"t","param":null,"code":null}}`))
	case stream:
		return say(sseHead+sseChunk(oneDelta)) && say(sseChunk(oneDelta)+sseChunk(lastDelta)+"0\r\n\r\n")
	}
	return say(reply(200, "", wholeJSON))
}
