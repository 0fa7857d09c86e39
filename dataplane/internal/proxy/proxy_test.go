package proxy

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vega-gateway/vega/dataplane/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// body 是数着借出次数的请求体。
type body struct {
	b    []byte
	refs atomic.Int64
}

func (b *body) Bytes() []byte { return b.b }
func (b *body) Retain()       { b.refs.Add(1) }
func (b *body) Release()      { b.refs.Add(-1) }

func server(t *testing.T, base string) *state.Server {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	s := &state.Server{Name: "s", BaseURL: u, APIKey: "sk", Enabled: true, Connect: time.Second, FirstByte: 5 * time.Second, Idle: 5 * time.Second, Total: 20 * time.Second}
	copy(s.Link[:], base)
	return s
}

func call(s *state.Server, b *body) *Call {
	c := &Call{Server: s, Method: http.MethodPost, Path: "/chat/completions", Header: http.Header{}, RequestID: "req_00000000000000000000000000-1"}
	if b != nil {
		c.Body = b
	}
	return c
}

func pool(t *testing.T) *Pool {
	t.Helper()
	p := New(Config{})
	t.Cleanup(p.CloseIdle)
	return p
}

func TestDo_SendsExactlyWhatItWasGiven(t *testing.T) {
	var got *http.Request
	var sent []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		sent, _ = io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-T")
		io.WriteString(w, "ok")
	}))
	defer srv.Close()
	s := server(t, srv.URL+"/base/v1")
	s.Headers = http.Header{"X-Team": {"infra"}}
	c := call(s, &body{b: []byte(`{"a":1}`)})
	c.Path, c.RawQuery = "/files/a%2Fb%20c", "x=%2F&y"
	a, f := pool(t).Do(t.Context(), c)
	if f != nil {
		t.Fatal(f)
	}
	defer a.Close()
	if b, err := io.ReadAll(a); err != nil || string(b) != "ok" {
		t.Fatalf("%q %v", b, err)
	}
	if got.RequestURI != "/base/v1/files/a%2Fb%20c?x=%2F&y" || string(sent) != `{"a":1}` || got.ContentLength != 7 {
		t.Fatalf("%s %q", got.RequestURI, sent)
	}
	h := got.Header
	if h.Get("Authorization") != "Bearer sk" || h.Get("X-Request-Id") != "req_00000000000000000000000000-1" || h.Get("X-Team") != "infra" || len(h["User-Agent"]) != 0 || len(h["Accept-Encoding"]) != 0 || got.Host != s.BaseURL.Host {
		t.Fatalf("%v host %s", h, got.Host)
	}
}

func TestDo_HeadAndSmallBodyGoInOneWrite(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	first := make(chan string, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		b := make([]byte, 8<<10)
		n, _ := conn.Read(b)
		first <- string(b[:n])
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}()
	a, f := pool(t).Do(t.Context(), call(server(t, "http://"+ln.Addr().String()), &body{b: []byte(`{"hello":1}`)}))
	if f != nil {
		t.Fatal(f)
	}
	a.Close()
	if got := <-first; got[len(got)-11:] != `{"hello":1}` {
		t.Fatalf("the first write was %q", got)
	}
}

func TestDo_EveryLoanOfTheBodyComesBack(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer srv.Close()
	p, b := pool(t), &body{b: make([]byte, 3<<20)}
	for range 5 { // 上游不读体就答
		a, f := p.Do(t.Context(), call(server(t, srv.URL), b))
		if f == nil {
			a.Close()
		}
	}
	for deadline := time.Now().Add(5 * time.Second); b.refs.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d loans out", b.refs.Load())
		}
	}
}

func TestDo_RefusedConnectionIsNotSent(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	_, f := pool(t).Do(t.Context(), call(server(t, "http://"+ln.Addr().String()), nil))
	if f == nil || f.Kind != Connect || f.Sent {
		t.Fatalf("%+v", f)
	}
}

func TestDo_Timeouts(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late/chat/completions" {
			<-release
			return
		}
		io.WriteString(w, "x")
		http.NewResponseController(w).Flush()
		if r.URL.Path == "/drip/chat/completions" {
			for range 1000 {
				select {
				case <-release:
					return
				case <-time.After(5 * time.Millisecond):
				}
				io.WriteString(w, "x")
				http.NewResponseController(w).Flush()
			}
		}
		<-release
	}))
	defer srv.Close()
	defer close(release)
	p := pool(t)
	for path, want := range map[string]Kind{"/late": FirstByte, "/stall": Idle, "/drip": Total} {
		s := server(t, srv.URL+path)
		s.FirstByte, s.Idle, s.Total = 150*time.Millisecond, 80*time.Millisecond, 5*time.Second
		if path == "/drip" {
			s.Total = 200 * time.Millisecond
		}
		begin := time.Now()
		a, f := p.Do(t.Context(), call(s, nil))
		if f == nil {
			_, err := io.ReadAll(a)
			a.Close()
			_ = errors.As(err, &f)
		}
		if f == nil || f.Kind != want || !f.Sent || time.Since(begin) > 2*time.Second {
			t.Errorf("%s: %+v after %v", path, f, time.Since(begin))
		}
	}
}

func TestDo_SlowClientIsNotTheUpstreamsSilence(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 64<<10)) }))
	defer srv.Close()
	s := server(t, srv.URL)
	s.Idle, s.FirstByte = 30*time.Millisecond, 30*time.Millisecond
	a, f := pool(t).Do(t.Context(), call(s, nil))
	if f != nil {
		t.Fatal(f)
	}
	defer a.Close()
	if _, err := a.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(150 * time.Millisecond) // 我们自己不读
	if _, err := io.ReadAll(a); err != nil {
		t.Fatal(err)
	}
}

// TestDo_SentEqualsTheHandlersStarted 在任意时刻取消，比较 Sent 与处理器开始的次数：明文、TLS 上的 HTTP/1.1 与 HTTP/2。
func TestDo_SentEqualsTheHandlersStarted(t *testing.T) {
	for _, proto := range []string{"plain", "tls", "h2"} {
		t.Run(proto, func(t *testing.T) {
			var mu sync.Mutex
			started := map[string]int{}
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				started[r.Header.Get("X-Request-Id")]++
				mu.Unlock()
				time.Sleep(time.Duration(rand.IntN(800)) * time.Microsecond)
				io.WriteString(w, "ok")
			}))
			srv.Config.ErrorLog = log.New(io.Discard, "", 0) // 取消的握手会刷屏
			switch proto {
			case "plain":
				srv.Start()
			default:
				srv.EnableHTTP2 = proto == "h2"
				srv.StartTLS()
			}
			defer srv.Close()
			s := server(t, srv.URL)
			if proto != "plain" {
				s.CAPEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
			}
			p := pool(t)
			var ours sync.Map
			var group sync.WaitGroup
			for w := range 8 {
				group.Go(func() {
					for i := range 100 {
						ctx, cancel := context.WithCancel(t.Context())
						stop := time.AfterFunc(time.Duration(rand.IntN(1500))*time.Microsecond, cancel)
						c := call(s, &body{b: []byte(`{"model":"m"}`)})
						c.RequestID = fmt.Sprintf("req_%026d-%d", w, i)
						a, f := p.Do(ctx, c)
						if f == nil {
							_, _ = io.ReadAll(a)
							a.Close()
						}
						if f == nil || f.Sent {
							ours.Store(c.RequestID, true)
						}
						stop.Stop()
						cancel()
					}
				})
			}
			group.Wait()
			var extra, missing []string
			compare := func() bool {
				mu.Lock()
				defer mu.Unlock()
				extra, missing = nil, nil
				ours.Range(func(k, _ any) bool {
					if started[k.(string)] != 1 {
						extra = append(extra, k.(string))
					}
					return true
				})
				for id := range started {
					if _, ok := ours.Load(id); !ok {
						missing = append(missing, id)
					}
				}
				return len(extra)+len(missing) == 0
			}
			// 送到了的请求，处理器可能稍后才开始。
			for deadline := time.Now().Add(2 * time.Second); !compare(); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d counted but never handled, %d handled but not counted, of %d", len(extra), len(missing), len(started))
				}
			}
			p.CloseIdle()
		})
	}
}

func TestRetain_ClosesWhatNoServerUses(t *testing.T) {
	var open atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	srv.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		switch st {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	srv.Start()
	defer srv.Close()
	p, s := pool(t), server(t, srv.URL)
	a, f := p.Do(t.Context(), call(s, nil))
	if f != nil {
		t.Fatal(f)
	}
	_, _ = io.ReadAll(a)
	a.Close()
	p.Retain(slices.Values([]*state.Server{s}))
	time.Sleep(20 * time.Millisecond)
	if open.Load() != 1 {
		t.Fatal("a link in use was closed")
	}
	p.Retain(slices.Values([]*state.Server{}))
	for deadline := time.Now().Add(3 * time.Second); open.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("an unused link stays open")
		}
	}
}
