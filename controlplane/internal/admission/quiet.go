package admission

import (
	"context"
	"time"
)

// sleep 等 d；ctx 先结束则返回 false。
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// repeatLog 让同一种失败先记一次，之后每 30 秒记一次。零值可用；不可并发使用。
type repeatLog struct {
	last    time.Time
	failing bool
}

func (l *repeatLog) due(now time.Time) bool {
	if l.failing && now.Sub(l.last) < 30*time.Second {
		return false
	}
	l.failing, l.last = true, now
	return true
}

// over 说失败刚刚结束。
func (l *repeatLog) over() bool {
	was := l.failing
	l.failing = false
	return was
}
