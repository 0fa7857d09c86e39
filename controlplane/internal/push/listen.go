package push

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
)

const (
	listenBackoffMin = 100 * time.Millisecond
	listenBackoffMax = 5 * time.Second
)

// listen 守着通知直到 ctx 结束；连接断了以带抖动的退避重来，每次重来都叫醒一次，补上漏掉的通知。
func (r *Reloader) listen(ctx context.Context) {
	backoff := listenBackoffMin
	for ctx.Err() == nil {
		began := time.Now()
		err := r.deps.Listen(ctx, func(uint64) { r.Wake() })
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > listenBackoffMax {
			backoff = listenBackoffMin
		}
		r.deps.Log.Warn("lost the database notifications; polling goes on", zap.Error(err), zap.Duration("retry_in", backoff))
		if !sleep(ctx, backoff/2+rand.N(backoff/2)) {
			return
		}
		backoff = min(2*backoff, listenBackoffMax)
		r.Wake()
	}
}

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
