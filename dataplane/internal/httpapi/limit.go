package httpapi

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

// reserve 是留给监听、到控制面的连接、数据文件与日志的描述符数。
const reserve = 300

// LimitConfig 的零值可用。
type LimitConfig struct {
	// Max 是同时的客户端连接数上限；0 即按本进程的描述符上限算，算不出则不限。
	Max int64
}

// Limit 是有连接数上限的监听者。
type Limit struct {
	net.Listener
	max      int64
	files    uint64
	open     atomic.Int64
	refused  atomic.Int64
	refusals chan struct{} // 正在写 503 的名额
	answer   []byte
}

// refusing 是同时写着 503 的连接数的上限；再多的直接关。它们算在 reserve 里。
const refusing = 64

// NewLimit 给 l 加上上限。
func NewLimit(cfg LimitConfig, l net.Listener) *Limit {
	files, known := fileLimit()
	if cfg.Max == 0 && known {
		cfg.Max = clientBudget(files)
	}
	return &Limit{Listener: l, max: cfg.Max, files: files, refusals: make(chan struct{}, refusing), answer: refusalText()}
}

// clientBudget 由描述符上限算客户端连接的上限：每个可能还要一个上游连接。至少 16，免得小机器一个也不接。
func clientBudget(files uint64) int64 {
	const most = 1 << 30
	return max(16, (int64(min(files, most))-reserve)/2)
}

// Max 是同时的客户端连接数上限，0 即不限；Files 是算它用的描述符上限，0 即不知道。启动时该打印。
func (l *Limit) Max() int64    { return l.max }
func (l *Limit) Files() uint64 { return l.files }

// Open 是此刻的客户端连接数；Refused 是拒绝过的，只增。
func (l *Limit) Open() int64    { return l.open.Load() }
func (l *Limit) Refused() int64 { return l.refused.Load() }

// Accept 接一个连接；超过上限的在这里拒绝掉，不返回。
func (l *Limit) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.max <= 0 || l.open.Add(1) <= l.max {
			return &limitedConn{Conn: conn, limit: l}, nil
		}
		l.open.Add(-1)
		l.refused.Add(1)
		l.refuse(conn)
	}
}

// refuse 写一个 503 再关；写的协程有数，期限之内必完。
func (l *Limit) refuse(conn net.Conn) {
	select {
	case l.refusals <- struct{}{}:
	default:
		conn.Close()
		return
	}
	go func() {
		defer func() { <-l.refusals }()
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		// 先读走请求的开头：带着没读的数据关，对方收到的是 RST，读不到这个 503。
		var scratch [4 << 10]byte
		_, _ = conn.Read(scratch[:])
		_, _ = conn.Write(l.answer)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
			_, _ = conn.Read(scratch[:])
		}
	}()
}

func refusalText() []byte {
	body := dialect.AppendError(nil, "the gateway has no room for another connection; try again in a second", "server_error", "", "connection_limit")
	return fmt.Appendf(nil, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
		"Retry-After: 1\r\nRetry-After-Ms: 1000\r\nConnection: close\r\n\r\n%s", len(body), body)
}

// limitedConn 在关闭时还名额，只还一次。
type limitedConn struct {
	net.Conn
	limit *Limit
	once  sync.Once
}

// Close 关连接并还名额。
func (c *limitedConn) Close() error {
	c.once.Do(func() { c.limit.open.Add(-1) })
	return c.Conn.Close()
}

// SetLinger 转给底下的 TCP：gateway 以 RST 断开 HTTP/1.0 的截断应答要用。
func (c *limitedConn) SetLinger(sec int) error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.SetLinger(sec)
	}
	return nil
}
