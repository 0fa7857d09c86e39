package upstreamtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server 是一个假上游：http.Handler，也可以用 Start 或 Serve 自己监听。所有方法都可以并发调用。
type Server struct {
	cfg     Config
	mux     *http.ServeMux
	base    atomic.Pointer[Behavior]
	script  atomic.Pointer[func(*Request) Behavior]
	rules   rules
	limiter limiter
	book    *book
	texts   texts
	files   files

	directives  directives
	handlers    atomic.Int64 // 正在运行的处理函数
	connections atomic.Int64
	bufs        sync.Pool // *[]byte
	bodies      sync.Pool // *bytes.Buffer

	http    http.Server
	serving sync.WaitGroup
	url     string // Start 之后不变
}

// maxPooled 是归还缓冲池的缓冲的上限：偶尔的大应答不应当留在池里。
const maxPooled = 64 << 10

// New 建一个假上游；cfg.Default 不合法是测试写错了，立即 panic。
func New(cfg Config) *Server {
	if err := cfg.Default.validate(); err != nil {
		panic("upstreamtest: invalid default behavior: " + err.Error())
	}
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, mux: http.NewServeMux(), book: newBook(cfg.Now, cfg.NoLedger, cfg.LedgerLimit)}
	s.base.Store(&cfg.Default)
	s.SetScript(cfg.Script)
	s.limiter.limits = cfg.Limits
	s.bufs.New = func() any { b := make([]byte, 0, 1024); return &b }
	s.bodies.New = func() any { return new(bytes.Buffer) }
	s.http = http.Server{
		Handler: s, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: cfg.IdleTimeout,
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				s.connections.Add(1)
			}
		},
	}
	s.routes()
	return s
}

// ServeHTTP 实现 http.Handler。
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Start 在回环地址的空闲端口上监听，返回自己；之后可用 URL，最后须 Close。只能调用一次。
func (s *Server) Start() *Server {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic("upstreamtest: listen: " + err.Error())
	}
	s.url = "http://" + ln.Addr().String()
	s.serving.Go(func() { _ = s.http.Serve(ln) }) // 只会因 Close 返回
	return s
}

// URL 是 Start 之后的根地址，如 "http://127.0.0.1:41234"；OpenAI 的 base_url 是它加 "/v1"。
func (s *Server) URL() string { return s.url }

// Close 断开所有连接，等处理函数全部返回；可重复调用。
func (s *Server) Close() {
	_ = s.http.Close()
	s.serving.Wait()
	for s.handlers.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// CloseIdleConnections 关闭空闲的 keep-alive 连接，正在作答的不受影响；用来造出对方池里的陈旧连接。
func (s *Server) CloseIdleConnections() {
	s.http.SetKeepAlivesEnabled(false)
	s.http.SetKeepAlivesEnabled(true)
}

// Serve 在 ln 上作答，直到 ctx 结束：停止接受，至多等 grace 让进行中的应答结束，然后断开。干净地停下返回 nil。
func (s *Server) Serve(ctx context.Context, ln net.Listener, grace time.Duration) error {
	failed := make(chan error, 1)
	s.serving.Go(func() { failed <- s.http.Serve(ln) })
	defer s.Close()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := s.http.Shutdown(stop); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

// SetDefault 更换每个请求的底本；b 不合法时 panic。
func (s *Server) SetDefault(b Behavior) {
	if err := b.validate(); err != nil {
		panic("upstreamtest: invalid behavior: " + err.Error())
	}
	s.base.Store(&b)
}

// SetScript 更换剧本，对此后读完体的请求生效；nil 为没有。返回值整个取代底本，要只改几处就从 Request.Default 改起。
func (s *Server) SetScript(script func(*Request) Behavior) {
	if script == nil {
		s.script.Store(nil)
		return
	}
	s.script.Store(&script)
}

// SetRule 下发一条规则，等同控制接口的 PUT /control/behavior。
func (s *Server) SetRule(rule Rule) { s.rules.put(rule) }

// ClearRules 去掉所有规则。
func (s *Server) ClearRules() { s.rules.clear() }

// SetLimits 更换限额，速率窗口从空开始。
func (s *Server) SetLimits(limits Limits) { s.limiter.set(limits) }

// Ledger 是账本此刻的复制，按到达先后。
func (s *Server) Ledger() []Entry { return s.book.entries() }

// Find 是 x-request-id 恰为 requestID 的各行；重复的都在。
func (s *Server) Find(requestID string) []Entry {
	all := s.book.attempts(requestID)
	exact := all[:0]
	for _, e := range all {
		if e.RequestID == requestID {
			exact = append(exact, e)
		}
	}
	return exact
}

// Attempts 是一个网关请求的所有上游调用：x-request-id 为 id 或 "id-<次序>" 的各行。
func (s *Server) Attempts(id string) []Entry { return s.book.attempts(id) }

// Stats 是此刻的计数。
func (s *Server) Stats() Stats {
	stats := s.book.snapshotStats()
	var busy time.Duration
	stats.InFlight, stats.MaxInFlight, busy = s.limiter.inFlight.read(s.cfg.Now)
	stats.BusyNS = busy.Nanoseconds()
	stats.Connections = s.connections.Load()
	return stats
}

// InFlight 是到达而未结束的请求数。
func (s *Server) InFlight() int64 {
	n, _, _ := s.limiter.inFlight.read(s.cfg.Now)
	return n
}

// WaitInFlight 等到 in-flight 恰为 n；ctx 先结束则返回它的错误与当时的数。
func (s *Server) WaitInFlight(ctx context.Context, n int64) error {
	return s.Wait(ctx, func(stats Stats) bool { return stats.InFlight == n })
}

// Wait 等到计数满足 ok。
func (s *Server) Wait(ctx context.Context, ok func(Stats) bool) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		stats := s.Stats()
		if ok(stats) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for upstream, now %d in flight, %d requests: %w", stats.InFlight, stats.Requests, ctx.Err())
		}
	}
}

// ResetLedger 清空账本与计数，最大 in-flight 与 BusyNS 从此刻重新算起。
func (s *Server) ResetLedger() {
	s.book.clear()
	s.limiter.inFlight.reset(s.cfg.Now)
	s.connections.Store(0)
}

func (s *Server) getBuf() *[]byte {
	buf := s.bufs.Get().(*[]byte)
	*buf = (*buf)[:0]
	return buf
}

func (s *Server) putBuf(buf *[]byte) {
	if cap(*buf) <= maxPooled {
		s.bufs.Put(buf)
	}
}
