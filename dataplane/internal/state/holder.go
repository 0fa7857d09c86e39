package state

import (
	"sync"
	"sync/atomic"
)

// Holder 持有在用的一版配置。用 New 造。
type Holder struct {
	current atomic.Pointer[State]
	first   sync.Once
	ready   chan struct{}
	after   func(*State)
}

// New 造一个还没有配置的 Holder。
func New() *Holder { return &Holder{ready: make(chan struct{})} }

// Load 返回在用的一版；第一次 Swap 之前是 nil。
func (h *Holder) Load() *State { return h.current.Load() }

// After 让每次 Swap 之后都调用 fn，如放掉旧版用过的连接；须在第一次 Swap 之前设，fn 不得阻塞。
func (h *Holder) After(fn func(*State)) { h.after = fn }

// Swap 换上一版；s 不可为 nil。
func (h *Holder) Swap(s *State) {
	h.current.Store(s)
	if h.after != nil {
		h.after(s)
	}
	h.first.Do(func() { close(h.ready) })
}

// Ready 在第一次 Swap 时关闭，此后一直关着。
func (h *Holder) Ready() <-chan struct{} { return h.ready }
