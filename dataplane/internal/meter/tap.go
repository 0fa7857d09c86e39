package meter

import (
	"errors"
	"io"
	"iter"
)

// Tap 是压缩应答的计量旁路：喂压缩的字节，解出的同步交给 sink，压缩的字节另由调用者原样传给客户端。
//
// 解码器是「读」的，字节是「喂」的，两者之间是一条协程（iter.Pull）：喂一段，解码器跑到还要更多为止，再回来。
// 所以 Feed 返回时这一段里能解出的都已计过，没有并发，也没有锁。解压失败、膨胀过度、解码器恐慌都只让计量作废。
type Tap struct {
	src  feed
	next func() (struct{}, bool)
	stop func()
	ok   bool // 从头到尾解开了
	over bool // 解码器已经结束，好坏不论
}

var errStopped = errors.New("tap closed")

// NewTap 造旁路；不认识编码时 ok 为 false。造好的必须 Close，否则协程泄漏。
// sink 得到的切片只在那次调用之内有效；它在 Feed、Finish 之内、调用者的执行流里被调。
func NewTap(contentEncoding string, lim Limits, sink func([]byte)) (t *Tap, ok bool) {
	t = &Tap{}
	r, err := NewReader(contentEncoding, &t.src, lim)
	if err != nil {
		return nil, false
	}
	t.next, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer r.Close()
		defer func() {
			// 解码器在坏数据上恐慌也不能断了传输。
			if recover() != nil {
				t.ok = false
			}
		}()
		t.src.more = func() bool { return yield(struct{}{}) }
		t.ok = drain(r, sink)
	})
	return t, true
}

const tapBuffer = 16 << 10

// drain 把 r 读完交给 sink；读到干净的末尾返回 true。
func drain(r io.Reader, sink func([]byte)) bool {
	buf := make([]byte, tapBuffer)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			sink(buf[:n])
		}
		if err != nil {
			return err == io.EOF
		}
	}
}

// Feed 喂一段压缩字节；返回后 p 可以改。
func (t *Tap) Feed(p []byte) {
	if t.over || len(p) == 0 {
		return
	}
	t.src.buf = p
	t.resume()
	t.src.buf = nil
}

func (t *Tap) resume() {
	if _, more := t.next(); !more {
		t.over = true
	}
}

// Finish 说压缩流到此结束，让解码器走完；返回是否从头到尾解开了（false：计量作废或不全）。
func (t *Tap) Finish() bool {
	t.src.eof = true
	for !t.over {
		t.resume()
	}
	return t.ok
}

// Close 结束协程并释放解码器；可重复调用。
func (t *Tap) Close() {
	t.stop()
	t.over = true
}

// feed 是解码器的来源：没有字节就让出，直到再喂。
type feed struct {
	buf  []byte
	eof  bool
	more func() bool
}

func (f *feed) Read(p []byte) (int, error) {
	for len(f.buf) == 0 {
		if f.eof {
			return 0, io.EOF
		}
		if !f.more() {
			return 0, errStopped
		}
	}
	n := copy(p, f.buf)
	f.buf = f.buf[n:]
	return n, nil
}
