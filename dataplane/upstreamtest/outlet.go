package upstreamtest

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// splitTail 是大应答留到最后才写的字节数下限；其余部分写出时请求仍在 in-flight 里。
const splitTail = 32 << 10

// pause 等 d；对方一离开就返回 errEnded。
func (x *exchange) pause(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	if x.timer == nil {
		x.timer = time.NewTimer(d)
	} else {
		x.timer.Reset(d)
	}
	select {
	case <-x.timer.C:
		return nil
	case <-x.ctx.Done():
		return x.lost()
	}
}

// hold 等 ch 关闭；nil 不等。
func (x *exchange) hold(ch <-chan struct{}) error {
	if ch == nil {
		return nil
	}
	select {
	case <-ch:
		return nil
	case <-x.ctx.Done():
		return x.lost()
	}
}

// lost 记下对方先走了。已经结账为 finished 的（最后一次写失败）也改判。
func (x *exchange) lost() error {
	x.settle(aborted)
	return errEnded
}

// before 是应答头之前的一切等待；从这里起不再需要请求体。
func (x *exchange) before() error {
	x.releaseBody()
	if err := x.hold(x.b.HoldHead); err != nil {
		return err
	}
	if err := x.pause(x.b.Latency); err != nil {
		return err
	}
	if x.ctx.Err() != nil {
		return x.lost()
	}
	return nil
}

// head 发出应答头；length 负数为分块编码。
func (x *exchange) head(status int, contentType string, length int) error {
	for range x.b.EarlyHints {
		x.w.Header().Set("Link", "</style.css>; rel=preload; as=style")
		x.w.WriteHeader(http.StatusEarlyHints)
	}
	h := x.w.Header()
	h.Del("Link")
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	h.Set("X-Request-Id", x.id("req"))
	if x.b.Encoding != "" {
		h.Set("Content-Encoding", x.b.Encoding)
		h.Set("Vary", "Accept-Encoding")
	}
	if length >= 0 {
		h.Set("Content-Length", strconv.Itoa(length))
	}
	for _, line := range x.b.Headers {
		name, value, _ := strings.Cut(line, ":")
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	x.w.WriteHeader(status)
	x.status = status
	if x.b.FirstByte > 0 {
		if err := x.flush(); err != nil {
			return err
		}
	}
	return x.pause(x.b.FirstByte)
}

func (x *exchange) flush() error {
	if err := x.ctl.Flush(); err != nil {
		return x.lost()
	}
	return nil
}

// open 开始一个分块的应答。
func (x *exchange) open(contentType string) error {
	if err := x.before(); err != nil {
		return err
	}
	length := -1
	if x.b.Half == CutShort {
		length = 1 << 30
	}
	x.enc = newEncoder(x.b.Encoding)
	if err := x.head(http.StatusOK, contentType, length); err != nil {
		return err
	}
	if x.b.Half != "" && x.b.HalfAfter == 0 {
		return x.sever(x.b.Half)
	}
	return nil
}

// gap 是第 i 块之前的停顿；同一簇里的块之间没有。
func (x *exchange) gap(i int) error {
	if i == 0 || (x.b.Burst > 1 && i%x.b.Burst != 0) {
		return nil
	}
	return x.pause(x.b.ChunkDelay)
}

// chunk 写出一块内容并归还 buf；u 是这一块里带着的用量，没有则 nil。
func (x *exchange) chunk(buf *[]byte, u *Usage) error {
	defer x.srv.putBuf(buf)
	x.chunks++
	if u != nil {
		x.latest = u
	}
	cutHere := x.b.Half != "" && x.chunks >= x.b.HalfAfter
	fault := x.b.StreamErrorAfter > 0 && x.chunks >= x.b.StreamErrorAfter
	if x.b.Burst > 1 && x.chunks%x.b.Burst != 0 && !cutHere && !fault {
		x.pending = append(x.pending, *buf...)
		return nil
	}
	if err := x.send(*buf); err != nil {
		return err
	}
	if cutHere {
		return x.sever(x.b.Half)
	}
	if fault {
		return x.streamError()
	}
	return nil
}

// send 写出攒下的块与 p，冲刷，并记下其中的用量。
func (x *exchange) send(p []byte) error {
	if len(x.pending) > 0 {
		p = append(x.pending, p...)
		x.pending = x.pending[:0]
	}
	if err := x.write(p, false); err != nil {
		return err
	}
	if x.latest != nil {
		x.report(x.latest)
		x.latest = nil
	}
	return nil
}

// section 是收尾的一段，usage 是它带着的用量。
type section struct {
	data  []byte
	usage *Usage
}

// finish 依次写出收尾的各段（空段略过）：最后一段之前离开计数并结账，它没有写成则改判为对方先走。
func (x *exchange) finish(tail ...section) error {
	tail = slices.DeleteFunc(tail, func(s section) bool { return len(s.data) == 0 })
	var last section
	if n := len(tail); n > 0 {
		tail, last = tail[:n-1], tail[n-1]
	}
	for _, s := range tail {
		x.latest = cmp.Or(s.usage, x.latest)
		if err := x.send(s.data); err != nil {
			return err
		}
	}
	if len(x.pending) > 0 {
		last.data = append(x.pending, last.data...)
	}
	return x.closing(last)
}

// closing 写出应答的最后一段。
func (x *exchange) closing(last section) error {
	if err := x.hold(x.b.HoldLast); err != nil {
		return err
	}
	before := x.reported
	if u := cmp.Or(last.usage, x.latest); u != nil {
		x.report(u)
	}
	x.settle(finished)
	if err := x.write(last.data, true); err != nil {
		x.report(before)
		return err
	}
	return nil
}

// whole 写出一个完整的应答。
func (x *exchange) whole(status int, contentType string, body []byte, u *Usage) error {
	if err := x.before(); err != nil {
		return err
	}
	if enc := newEncoder(x.b.Encoding); enc != nil {
		encoded, err := enc.encode(body, true)
		if err != nil {
			return err
		}
		body = encoded
	}
	if x.b.Half != "" {
		return x.halfWhole(status, contentType, body)
	}
	if err := x.head(status, contentType, len(body)); err != nil {
		return err
	}
	if len(body) > splitTail {
		if _, err := x.w.Write(body[:len(body)-1]); err != nil {
			return x.lost()
		}
		body = body[len(body)-1:]
	}
	return x.closing(section{body, u})
}

// write 按剧本切开、编码并冲刷；last 时带上编码的尾部。
func (x *exchange) write(p []byte, last bool) error {
	if x.enc != nil {
		encoded, err := x.enc.encode(p, last)
		if err != nil {
			return err
		}
		p = encoded
	}
	for len(p) > 0 {
		n := x.cutAt(p)
		if _, err := x.w.Write(p[:n]); err != nil {
			return x.lost()
		}
		p = p[n:]
		if len(p) == 0 {
			break
		}
		if err := x.flush(); err != nil {
			return err
		}
		if err := x.pause(x.b.SplitDelay); err != nil {
			return err
		}
	}
	return x.flush()
}

// cutAt 是下一次写的字节数。
func (x *exchange) cutAt(p []byte) int {
	if x.b.SplitBytes > 0 {
		return min(x.b.SplitBytes, len(p))
	}
	if !x.b.SplitRunes || len(p) < 2 {
		return len(p)
	}
	for i, c := range p {
		if c >= utf8.RuneSelf && utf8.RuneStart(c) {
			return i + 1
		}
		if c >= utf8.RuneSelf {
			return len(p) // 余下的是刚切开的字符的后半截
		}
	}
	return len(p) / 2
}
