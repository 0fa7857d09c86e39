package upstreamtest

import (
	"net"
	"net/http"
)

// sever 在中途断开应答并结账。
func (x *exchange) sever(how string) error {
	if len(x.pending) > 0 {
		if err := x.send(nil); err != nil {
			return err
		}
	}
	if how == CutClean {
		x.settle(cut)
		if x.enc != nil {
			return x.write(nil, true)
		}
		return errEnded
	}
	if x.status != 0 {
		if err := x.flush(); err != nil {
			return err
		}
	}
	x.settle(cut)
	conn, _, err := x.ctl.Hijack()
	if err != nil {
		// 挂在不能接管连接的服务器上（如 HTTP/2）时退而求其次：让它异常结束。
		panic(http.ErrAbortHandler)
	}
	if how == CutReset {
		linger0(conn)
	}
	_ = conn.Close()
	return errEnded
}

// linger0 使随后的 Close 发 RST 而非 FIN。
func linger0(conn net.Conn) {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = wrapped.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// halfWhole 只写出完整应答的前半截。
func (x *exchange) halfWhole(status int, contentType string, body []byte) error {
	part := body[:min(len(body)*x.b.HalfAfter/x.b.chunks(), max(0, len(body)-1))]
	length := len(body)
	switch x.b.Half {
	case CutClean:
		length = len(part)
	case CutFIN:
		length = -1
	}
	if err := x.head(status, contentType, length); err != nil {
		return err
	}
	if len(part) > 0 {
		if err := x.write(part, false); err != nil {
			return err
		}
	}
	return x.sever(x.b.Half)
}
