package segments

import (
	"context"
	"fmt"
	"runtime/debug"
)

// syncAll 使此刻已发布的帧落盘，按次序一段一段来。
func (l *Log) syncAll() {
	l.mu.Lock()
	l.dirty = false
	var list []*segment
	for _, s := range l.segs {
		if s.synced < s.count && !s.failed {
			l.pin(s)
			list = append(list, s)
		}
	}
	l.mu.Unlock()
	for _, s := range list {
		l.syncOne(s)
		l.unpin(s)
	}
	l.advance()
}

// syncOne 使 s 已发布的帧落盘；段头里的计数在同一次里，所以盘上的计数从不比落了盘的帧少。
func (l *Log) syncOne(s *segment) {
	l.mu.Lock()
	count, tail := s.count, int(s.tail.Load())
	l.mu.Unlock()
	var err error
	if !broken(bugNoSync) {
		err = s.sync(tail)
	}
	if err != nil {
		l.cfg.Notify(l.abandon(s, err))
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.synced = count
	l.tally.syncs++
	l.retry = l.cfg.RetryEvery
}

func (s *segment) sync(n int) (err error) {
	defer catchFault(s.data, &err, debug.SetPanicOnFault(true))
	return s.mapping.Sync(n)
}

// abandon 在落盘失败之后封住 s：失败之后内核会把脏页当作干净的，再试一次“成功”什么也不说明。
// 其中没有落盘的帧报出去，由还留着它们的人在新段里重写。
func (l *Log) abandon(s *segment, err error) Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally.syncFailures++
	h := Hole{First: s.first + s.synced, Last: s.end() - 1, Reason: fmt.Sprintf("sync failed: %v", err)}
	if !broken(bugSyncRetried) {
		if l.active == s {
			l.seal()
		}
		s.failed, s.synced = true, s.count
	}
	l.suspects = append(l.suspects, h)
	l.troubled(err)
	return Event{Kind: SyncFailed, First: h.First, Last: h.Last, Err: err}
}

// advance 推进 synced：它以下的每一帧，不是已落盘，就是已报作没有落盘。
func (l *Log) advance() {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.synced
	for _, s := range l.segs {
		if s.first+s.synced > at+1 {
			at = s.first + s.synced - 1
		}
		if s.synced < s.count {
			break
		}
	}
	if at > l.synced {
		l.synced = at
		close(l.moved)
		l.moved = make(chan struct{})
	}
}

// Synced 是落了盘的最大序号：它及以前的帧，断电不丢，除了 Suspects 里的。
func (l *Log) Synced() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.synced
}

// Suspects 是落盘失败过、还没有 Drop 的序号。
func (l *Log) Suspects() []Hole {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Hole(nil), l.suspects...)
}

// WaitSynced 等到 index 落盘；落盘失败是 ErrUnsynced。要 Run 正在跑。
func (l *Log) WaitSynced(ctx context.Context, index uint64) error {
	for {
		l.mu.Lock()
		moved, done, closed := l.moved, l.synced >= index, l.closed
		bad := within(l.suspects, index)
		l.mu.Unlock()
		switch {
		case bad:
			return ErrUnsynced
		case done:
			return nil
		case closed:
			return ErrClosed
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func within(list []Hole, index uint64) bool {
	for _, h := range list {
		if h.First <= index && index <= h.Last {
			return true
		}
	}
	return false
}
