package segments

import "fmt"

// Append 追加一帧，返回它的序号；序号从 1 起，连续。返回时它已经在文件的缓存里：进程被杀不丢，断电要等落盘。
// 从不等盘：没有地方写就立刻返回 ErrFull、ErrQuota 或 ErrDegraded（前两个原样，后一个可带缘由）。
func (l *Log) Append(payload []byte) (uint64, error) { return l.append(len(payload), payload, nil) }

// AppendFunc 追加 size 字节的一帧，由 fill 就地写满；fill 在短锁里跑，不得回调本包，不得留住那段内存。
// fill 出 panic 则这一帧不存在。
func (l *Log) AppendFunc(size int, fill func([]byte)) (uint64, error) {
	return l.append(size, nil, fill)
}

func (l *Log) append(n int, payload []byte, fill func([]byte)) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.active
	if s == nil || !s.fits(n) {
		var err error
		if s, err = l.turn(n); err != nil {
			return 0, err
		}
	}
	if err := s.put(n, payload, fill); err != nil {
		return 0, l.faulted(err)
	}
	index := l.next
	l.next++
	if !l.dirty {
		l.dirty = true
		l.nudge()
	}
	return index, nil
}

// turn 换到预备好的段。要拿着 mu。
func (l *Log) turn(n int) (*segment, error) {
	s := l.ahead
	switch {
	case l.closed:
		return nil, ErrClosed
	case n < 0 || n > l.cfg.SegmentBytes-headerSize-frameHead:
		return nil, ErrTooLarge
	case s == nil:
		l.tally.refused++
		l.nudge()
		return nil, l.refusal
	}
	l.ahead = nil
	l.seal()
	l.nudge()
	if err := s.begin(l.next); err != nil {
		l.retired = append(l.retired, s)
		return nil, l.faulted(err)
	}
	l.segs, l.active = append(l.segs, s), s
	return s, nil
}

// seal 不再往手上的段写；一帧也没有的不留，免得两段从同一个序号起。要拿着 mu。
func (l *Log) seal() {
	l.active = nil
	if i := len(l.segs) - 1; i >= 0 && l.segs[i].count == 0 {
		l.retired = append(l.retired, l.segs[i])
		l.segs = l.segs[:i]
	}
}

// faulted 在写映射失败之后放弃手上的段。要拿着 mu。
func (l *Log) faulted(err error) error {
	l.seal()
	l.tally.faults++
	l.troubled(err)
	l.nudge()
	return fmt.Errorf("%w: %w", ErrDegraded, err)
}
