package admission

import (
	"sync/atomic"
	"time"
)

// Lease 是一个任期；到期之后（以自己的单调钟）什么也不可再做。可并发使用。
type Lease struct {
	Title
	// First 说在它之前从来没有过任期。
	First bool
	// Doubtful 说有节点见过比那一行更大的任期：数据库回到过去，成员表也是旧的。
	Doubtful bool

	origin   time.Time
	deadline atomic.Int64 // 自 origin 的纳秒
}

func newLease(t Title, deadline time.Time) *Lease {
	l := &Lease{Title: t, origin: time.Now()}
	l.extend(deadline)
	return l
}

// Left 是离停手还有多久；不大于 0 即已到期。
func (l *Lease) Left() time.Duration {
	return time.Duration(l.deadline.Load()) - time.Since(l.origin)
}

func (l *Lease) extend(deadline time.Time) { l.deadline.Store(int64(deadline.Sub(l.origin))) }
