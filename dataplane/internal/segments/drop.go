package segments

import (
	"errors"
	"fmt"
)

// Drop 删掉所有的帧都在 before 以前的段；留多久由调用者定。最后一段总是留着，下一个序号靠它。
// 返回时已经落盘；删不掉的不再读得到，下次打开又会在。
func (l *Log) Drop(before uint64) error {
	l.dir.Lock()
	defer l.dir.Unlock()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	n := 0
	for n+1 < len(l.segs) && l.droppable(l.segs[n], before) {
		n++
	}
	list := append([]*segment(nil), l.segs[:n]...)
	l.segs = append([]*segment(nil), l.segs[n:]...)
	if n > 0 {
		l.holes, l.suspects = since(l.holes, l.segs[0].first), since(l.suspects, l.segs[0].first)
		l.synced = max(l.synced, l.segs[0].first-1)
	}
	l.mu.Unlock()
	if n == 0 {
		return nil
	}
	err := l.discard(list)
	l.nudge() // 腾出了配额
	return err
}

func (l *Log) droppable(s *segment, before uint64) bool {
	if broken(bugDropsTooFar) {
		return s.first < before
	}
	return s.end() <= before
}

// discard 删掉已经除名的段的文件，使之落盘；要拿着 dir（或者还在打开）。
func (l *Log) discard(list []*segment) error {
	if len(list) == 0 {
		return nil
	}
	var errs []error
	for _, s := range list {
		size := int64(len(s.mapping.Data()))
		err := l.files.Remove(s.name)
		l.mu.Lock()
		if err == nil {
			delete(l.names, s.name)
			l.bytes -= size
		}
		errs = append(errs, err, l.release(s))
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
