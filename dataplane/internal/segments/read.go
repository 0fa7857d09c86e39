package segments

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sort"
)

// Read 按序号给出 from 及以后的帧，到此刻已发布的末尾为止；yield 返回 false 就停。
// payload 只在那次调用之内有效，不得改。读不出的序号跳过去，由 Holes 说明；每一帧给出之前都再验一次。
// 与 Append、Drop 并发：在一段里面不拿锁。
func (l *Log) Read(from uint64, yield func(index uint64, payload []byte) bool) error {
	for {
		s, err := l.holding(from)
		if s == nil {
			return err
		}
		next, more := l.readSegment(s, from, yield)
		if !more {
			return nil
		}
		from = next
	}
}

// holding 钉住 from 所在的段；没有就是其后的第一段。到头返回 nil。
func (l *Log) holding(from uint64) (*segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	i := sort.Search(len(l.segs), func(i int) bool { return l.segs[i].end() > from })
	if i == len(l.segs) {
		return nil, nil
	}
	l.pin(l.segs[i])
	return l.segs[i], nil
}

// readSegment 从 from 起读完一段，返回接着该读哪个序号。
func (l *Log) readSegment(s *segment, from uint64, yield func(uint64, []byte) bool) (next uint64, more bool) {
	defer l.unpin(s)
	c := cursor{s: s}
	c.off, c.index = s.steps.at(s, max(from, s.first))
	for {
		switch more, err := c.walk(from, yield); {
		case err != nil:
			return l.damaged(s, &c, err.Error()), true
		case c.bad:
			return l.damaged(s, &c, "checksum mismatch"), true
		case !more:
			return 0, false
		}
		if next, more, done := l.finished(s, &c); done {
			return next, more
		}
	}
}

// finished 说走到了末尾的 c 读完了没有：其间又写了的还没完；正在收帧的段到此为止，封住的接着读下一段。
func (l *Log) finished(s *segment, c *cursor) (next uint64, more, done bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.off < int(s.tail.Load()) {
		return 0, false, false
	}
	return max(s.end(), c.index), l.active != s, true
}

// damaged 记下 s 从 c 起读不出了，返回接着该读哪个序号。
func (l *Log) damaged(s *segment, c *cursor, reason string) uint64 {
	l.mu.Lock()
	if l.active == s {
		l.seal()
		l.nudge()
	}
	h := Hole{First: c.index, Last: s.end() - 1, Reason: fmt.Sprintf("%s: %s at offset %d", s.name, reason, c.off)}
	news := int(s.tail.Load()) > c.off
	if news {
		s.tail.Store(int64(c.off))
		l.addHole(h)
	}
	l.mu.Unlock()
	if news {
		l.cfg.Notify(Event{Kind: Damaged, First: h.First, Last: h.Last, Err: errors.New(h.Reason)})
	}
	return h.Last + 1
}

// cursor 是在一段里走到了哪里。
type cursor struct {
	s     *segment
	off   int
	index uint64
	bad   bool
}

// walk 走到已发布的末尾；yield 说停就返回 false。
func (c *cursor) walk(from uint64, yield func(uint64, []byte) bool) (more bool, err error) {
	defer catchFault(c.s.data, &err, debug.SetPanicOnFault(true))
	for tail := int(c.s.tail.Load()); c.off < tail; {
		payload, end, ok := frameAt(c.s.data, c.off, c.index)
		if !ok {
			c.bad = true
			return true, nil
		}
		if c.index >= from && !yield(c.index, payload) {
			return false, nil
		}
		c.off, c.index = end, c.index+1
	}
	return true, nil
}
