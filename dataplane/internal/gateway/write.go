package gateway

import (
	"net"
	"time"
)

// smallAnswer 以下的应答总装得进套接字的缓冲。
const smallAnswer = 16 << 10

// write 写给客户端；写不出去返回 false，从此当它走了。
func (x *exchange) write(p []byte) bool {
	if x.gone || len(p) == 0 {
		return !x.gone
	}
	x.armWrite(len(p))
	n, err := x.w.Write(p)
	x.sent += int64(n)
	x.gone = err != nil
	x.disarmWrite()
	return !x.gone
}

// flush 把写过的送上线；同样以写不出去为走了。
func (x *exchange) flush() bool {
	if !x.gone {
		x.armWrite(0)
		x.gone = x.rc.Flush() != nil
		x.disarmWrite()
	}
	return !x.gone
}

// armWrite 在写 n 字节之前定好期限，所以上游安静多久都不会让一个早已过去的期限伤到下一次写。
//
// 定期限要进内核的定时器，所以续得比要求的宽一点，不必每块一次；
// http.Server 的 WriteTimeout 在请求到达时已经定过一个，又快又小的应答靠它就够了。
func (x *exchange) armWrite(n int) {
	now, slack := time.Now(), x.gw.cfg.WriteStall/12
	x.clock = now
	covered := x.writeBy.IsZero() && now.Sub(x.arrived) < slack && x.r.ProtoMajor < 2
	if covered && x.sent+int64(n) <= smallAnswer {
		return
	}
	if by := now.Add(x.gw.cfg.WriteStall); by.Sub(x.writeBy) > slack {
		x.writeBy = by.Add(slack)
		_ = x.rc.SetWriteDeadline(x.writeBy)
	}
}

// disarmWrite 在 HTTP/2 上放下期限：那里它一到就重置流，不论有没有写在等。
func (x *exchange) disarmWrite() {
	if x.r.ProtoMajor >= 2 && !x.writeBy.IsZero() {
		x.writeBy = time.Time{}
		_ = x.rc.SetWriteDeadline(time.Time{})
	}
}

// sever 让没有成帧的应答也看得出截断：HTTP/1.0 的体以关连接为结束，正常地关与写完分不开，只能 RST。
// 其余的由 net/http 在 ErrAbortHandler 时断开：缺最后一块、长度不够或 RST_STREAM。
func (x *exchange) sever() {
	if !x.committed || x.r.ProtoAtLeast(1, 1) {
		return
	}
	conn, _, err := x.rc.Hijack()
	if err != nil {
		return
	}
	// 到 TLS 底下去关：从上面关会送 close_notify，那又是正常的结束。
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = t.SetLinger(0)
	}
	_ = conn.Close()
}
