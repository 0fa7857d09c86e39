package meter

// outgoing 拼出一次 Feed 要传出的字节：能是 p 的一段就不拷贝，不连续时才拷进 buf。
type outgoing struct {
	p      []byte
	lo, hi int // 没有拷贝时，要传的是 p[lo:hi]
	copied bool
	buf    []byte
}

func (o *outgoing) start(p []byte) {
	o.p, o.lo, o.hi, o.copied, o.buf = p, 0, 0, false, o.buf[:0]
}

// pass 传出 p[from:to]。
func (o *outgoing) pass(from, to int) {
	switch {
	case o.copied:
		o.buf = append(o.buf, o.p[from:to]...)
	case o.lo == o.hi:
		o.lo, o.hi = from, to
	case from == o.hi:
		o.hi = to
	default:
		o.add(o.p[from:to])
	}
}

// add 传出不在 p 里的（或不连续的）字节。
func (o *outgoing) add(b []byte) {
	if len(b) == 0 {
		return
	}
	if !o.copied {
		o.buf = append(o.buf, o.p[o.lo:o.hi]...)
		o.copied = true
	}
	o.buf = append(o.buf, b...)
}

func (o *outgoing) bytes() []byte {
	if o.copied {
		return o.buf
	}
	return o.p[o.lo:o.hi]
}
