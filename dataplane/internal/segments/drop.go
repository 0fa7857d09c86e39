package segments

import (
	"errors"
	"fmt"
)

// Drop 删掉所有的帧都在 before 以前的段；留多久由调用者定。最后一段总是留着，下一个序号靠它。
// 从旧到新，一个删不掉就停：余下的照样读得到，盘上也不会缺了中间。返回 nil 即已落盘。
func (l *Log) Drop(before uint64) error {
	l.dir.Lock()
	defer l.dir.Unlock()
	dropped, err := 0, error(nil)
	for err == nil {
		var s *segment
		if s, err = l.oldest(before); s == nil || err != nil {
			break
		}
		if err = l.files.Remove(s.name); err == nil {
			l.forget(s)
			dropped++
		}
	}
	if dropped > 0 {
		err = errors.Join(err, l.files.SyncDir())
		l.nudge() // 腾出了配额
	}
	if err != nil && !errors.Is(err, ErrClosed) {
		return fmt.Errorf("drop segments: %w", err)
	}
	return err
}

// oldest 是最旧的一段，如果它整个在 before 以前、又不是最后一段。
func (l *Log) oldest(before uint64) (*segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if len(l.segs) < 2 {
		return nil, nil
	}
	s := l.segs[0]
	if s.end() <= before || broken(bugDropsTooFar) && s.first < before {
		return s, nil
	}
	return nil, nil
}

// forget 除名文件已经删掉的最旧的一段；要拿着 dir。
func (l *Log) forget(s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segs = append([]*segment(nil), l.segs[1:]...)
	first := l.segs[0].first
	l.holes, l.suspects = since(l.holes, first), since(l.suspects, first)
	l.synced = max(l.synced, first-1)
	l.removed(s)
}

// removed 在文件删掉之后放开一段。要拿着两把锁（或者还在打开）。
func (l *Log) removed(s *segment) {
	delete(l.names, s.name)
	l.bytes -= int64(len(s.mapping.Data()))
	_ = l.release(s) // 拆不掉只是多占一段地址
}

// discard 删掉不在 segs 里的文件；要拿着 dir（或者还在打开）。删不掉的下次打开再说。
func (l *Log) discard(list []*segment) error {
	var errs []error
	for _, s := range list {
		err := l.files.Remove(s.name)
		l.mu.Lock()
		if err == nil {
			l.removed(s)
		} else {
			errs = append(errs, err, l.release(s))
		}
		l.mu.Unlock()
	}
	if err := errors.Join(append(errs, l.files.SyncDir())...); err != nil {
		return fmt.Errorf("remove segments: %w", err)
	}
	return nil
}

// since 去掉整个在 first 以前的，截掉跨着的。
func since(list []Hole, first uint64) []Hole {
	var kept []Hole
	for _, h := range list {
		if h.Last >= first {
			h.First = max(h.First, first)
			kept = append(kept, h)
		}
	}
	return kept
}

// addHole 记下一段读不出的序号。要拿着 mu（或者还在打开）。
func (l *Log) addHole(h Hole) {
	if broken(bugHoleHidden) {
		return
	}
	l.tally.lost += h.Last - h.First + 1
	l.holes = append(l.holes, h)
	sortHoles(l.holes)
}
