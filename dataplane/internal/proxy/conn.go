package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// minRequest 以下的一次写不算请求：TLS 的 closeNotify 与 KeyUpdate 都在 31 字节以内，
// 而请求行加上我们必带的 host 与 x-request-id 的第一次写总在一百字节以上。
const minRequest = 64

// countedConn 数着写出的字节，好在出错之后知道请求有没有上线。
type countedConn struct {
	net.Conn

	mu    sync.Mutex
	wrote int64 // 一共写出的字节，含 TLS 记录与握手
	parts int64 // 不小于 minRequest 的写的次数
	fin   bool  // 对方先关了（FIN）
	reset bool  // 对方发了 RST，没有先 FIN
	acked int64 // 对方先关时已确认的字节数
	shut  bool  // 来得太晚，不许再写

	by   time.Time // 交到手之后的第一次写至迟何时；零值即不管
	from int64     // 交到手时的 parts
}

// Write 在锁里写：看数的人要等这一次写完。
func (c *countedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut || c.late() {
		return 0, errLate
	}
	n, err := c.Conn.Write(p)
	c.wrote += int64(n)
	if n > 0 && len(p) >= minRequest {
		c.parts++
	}
	if errors.Is(err, syscall.EPIPE) {
		c.closedByPeer()
	}
	return n, err
}

// late 说现在才开始写请求已经太晚：交到手之后，写的协程还可能被耽搁，进程也可能被冻住过。须持锁。
func (c *countedConn) late() bool {
	return !c.by.IsZero() && c.parts == c.from && !time.Now().Before(c.by)
}

// Read 在对方先关的那一刻记下它确认过多少。
func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.mu.Lock()
		if errors.Is(err, io.EOF) {
			c.closedByPeer()
		} else if errors.Is(err, syscall.ECONNRESET) {
			c.reset = true
		}
		c.mu.Unlock()
	}
	return n, err
}

// closedByPeer 在得知对方先关了（读到 FIN，或写得到 EPIPE：单是 RST 会先得到 ECONNRESET）时调用，须持锁。
func (c *countedConn) closedByPeer() {
	if acked, ok := ackedBytes(c.Conn); ok {
		c.fin, c.acked = true, acked
	}
}

// mark 是交到手那一刻的数。
type mark struct {
	conn         *countedConn
	parts, wrote int64
	reused       bool
}

// markOf 记下交到手那一刻的数，并定下请求至迟何时开始写。
func markOf(conn net.Conn, reused bool, by time.Time) mark {
	c := unwrap(conn)
	if c == nil {
		return mark{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by, c.from = by, c.parts
	return mark{conn: c, parts: c.parts, wrote: c.wrote, reused: reused}
}

// shutWrites 使此后的写都失败：取消只是叫 Transport 停下，它的写协程可能已经在写。
func (m mark) shutWrites() {
	if m.conn != nil {
		m.conn.mu.Lock()
		defer m.conn.mu.Unlock()
		m.conn.shut = true
	}
}

// unwrap 从 TLS（可能套着到代理的 TLS）里找出我们拨的连接。
func unwrap(conn net.Conn) *countedConn {
	for {
		switch c := conn.(type) {
		case *countedConn:
			return c
		case *tls.Conn:
			conn = c.NetConn()
		default:
			return nil
		}
	}
}

// sent 说从交到手起有没有请求的字节到了对方。
func (m mark) sent() bool {
	if m.conn == nil {
		return false
	}
	c := m.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parts == m.parts {
		return false
	}
	stale := m.reused && c.fin && !c.reset && c.acked <= m.wrote
	return !stale
}

func negotiatedH2(conn net.Conn) bool {
	c, ok := conn.(*tls.Conn)
	return ok && c.ConnectionState().NegotiatedProtocol == "h2"
}
