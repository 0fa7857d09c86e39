package segments

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// maxRetry 是盘不行之后再试的间隔的上限。
const maxRetry = time.Minute

// Run 成组地落盘、预备下一段，直到 ctx 结束；那时落最后一次盘，返回 nil。
func (l *Log) Run(ctx context.Context) error {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			l.syncAll()
			return nil
		case <-l.kick:
		case <-retry.C:
		}
		pace := time.NewTimer(l.cfg.SyncEvery)
		l.syncAll()
		l.warm()
		if wait := l.tidy(); wait > 0 {
			retry.Reset(wait)
		}
		select {
		case <-ctx.Done():
		case <-pace.C:
		}
		pace.Stop()
	}
}

// warmAhead 是写到的地方之前总有多少字节已经就位：够最忙的 10 ms 用，又不多写几页零。
const warmAhead = 256 << 10

// warm 使接下来要写的几页就位。落过盘的页下一次写要再缺一次页，所以每轮都来。
func (l *Log) warm() {
	l.mu.Lock()
	s := l.active
	if s == nil {
		l.mu.Unlock()
		return
	}
	l.pin(s)
	l.mu.Unlock()
	defer l.unpin(s)
	s.mapping.Warm(0, headerSize)
	tail := int(s.tail.Load())
	s.mapping.Warm(tail, tail+warmAhead)
}

// tidy 做目录里的活：删空段，改名，预备下一段。返回多久之后要再来，0 即不必。
func (l *Log) tidy() time.Duration {
	l.dir.Lock()
	l.removeRetired()
	l.nameSynced()
	l.dir.Unlock()
	return l.prepare()
}

// removeRetired 删掉空段；要等后面的段落过盘，否则断电之后谁也不知道下一个序号是多少。
func (l *Log) removeRetired() {
	l.mu.Lock()
	var list []*segment
	if n := len(l.segs); n > 0 && l.segs[n-1].synced > 0 {
		list, l.retired = l.retired, nil
	}
	l.mu.Unlock()
	if len(list) > 0 {
		l.note(l.discard(list))
	}
}

// nameSynced 给落过盘的新段正式的名字。先落盘后改名：有正式名字的，段头必在盘上。
func (l *Log) nameSynced() {
	l.mu.Lock()
	var list []*segment
	for _, s := range l.segs {
		if !s.named && !s.failed && s.synced > 0 {
			list = append(list, s)
		}
	}
	l.mu.Unlock()
	for _, s := range list {
		l.note(l.rename(s, segmentName(s.first)))
	}
	if len(list) > 0 {
		l.note(l.files.SyncDir())
	}
}

// rename 给 s 换名字；要拿着 dir。
func (l *Log) rename(s *segment, to string) error {
	if s.name != to {
		if l.names[to] {
			return fmt.Errorf("name a segment: %s is taken", to)
		}
		if err := l.files.Rename(s.name, to); err != nil {
			return fmt.Errorf("name a segment: %w", err)
		}
		delete(l.names, s.name)
		l.names[to] = true
	}
	l.mu.Lock()
	s.name, s.named = to, true
	l.mu.Unlock()
	return nil
}

// note 记下一件不碍事的错，给看状态的人。
func (l *Log) note(err error) {
	if err != nil {
		l.mu.Lock()
		l.tally.problem = err.Error()
		l.mu.Unlock()
	}
}

// prepare 预备下一段；已有、没有配额则不必。返回失败之后多久再试。
func (l *Log) prepare() time.Duration {
	l.dir.Lock()
	defer l.dir.Unlock()
	l.mu.Lock()
	size := l.cfg.SegmentBytes
	if l.ahead != nil || l.closed {
		l.mu.Unlock()
		return 0
	}
	if l.bytes+int64(size) > l.cfg.Quota {
		l.refusal = ErrQuota
		l.mu.Unlock()
		return 0 // Drop 腾出地方时会叫
	}
	if wait := time.Until(l.tally.notBefore); wait > 0 {
		l.mu.Unlock()
		return wait
	}
	l.number++
	number := l.number
	l.mu.Unlock()

	s, err := l.create(number, size)
	l.mu.Lock()
	if err != nil {
		wait := l.troubled(err)
		l.tally.allocFailures++
		l.mu.Unlock()
		l.cfg.Notify(Event{Kind: AllocFailed, Err: err})
		return wait
	}
	l.ahead, l.bytes = s, l.bytes+int64(size)
	again := errors.Is(l.refusal, ErrDegraded)
	l.refusal = ErrFull
	l.mu.Unlock()
	if again {
		l.cfg.Notify(Event{Kind: Recovered})
	}
	return 0
}

// create 造一个空白的段，名字落盘之后才给出来：此后落盘的帧才找得到。
func (l *Log) create(number uint64, size int) (*segment, error) {
	name := aheadName(number)
	m, err := l.files.Create(name, size)
	if err != nil {
		return nil, fmt.Errorf("allocate a segment: %w", err)
	}
	if err := l.files.SyncDir(); err != nil {
		_ = m.Close()
		_ = l.files.Remove(name)
		return nil, fmt.Errorf("sync the directory: %w", err)
	}
	l.names[name] = true
	m.Warm(0, warmAhead)
	return newSegment(name, number, m), nil
}

// troubled 记下盘不行，返回多久再试；每次加倍。要拿着 mu。
func (l *Log) troubled(err error) time.Duration {
	wait := l.retry
	l.retry = min(2*l.retry, maxRetry)
	l.refusal = ErrDegraded
	l.tally.problem = err.Error()
	l.tally.notBefore = time.Now().Add(wait)
	return wait
}
