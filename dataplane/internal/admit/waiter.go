package admit

import (
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/schedule"
)

// outcome 是一个在等的请求的结局，恰好一个。
type outcome uint8

const (
	pending outcome = iota
	granted
	refused
	expired
)

// waiter 是一个在等的请求。除 wake 外都由 Gate.mu 守着；站着的时候不可移动。
type waiter struct {
	schedule.Waiter
	permit  *Permit
	targets []*state.Target      // 与 Candidates 一一对应
	fresh   []schedule.Candidate // 重算候选时用
	loads   []*load              // 站着的那些 server，一个只记一次
	crowd   *crowd
	bytes   int64

	outcome outcome
	refusal schedule.Refusal
	look    bool // 该看一眼候选了
	wake    chan struct{}
	// entering 说 Permit.Position 是这一次进队定的，不是重试带来的。
	entering bool

	before, after *waiter // 站着的人排成一圈
}

func waiterOf(w *schedule.Waiter) *waiter { return w.Tag.(*waiter) }

// signal 叫醒它；容量 1，叫过的不必再叫。
func (w *waiter) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// standing 是站着的人。
type standing struct {
	first        *waiter // 下一个该看候选的
	waiting      int64
	waitingBytes int64
}

// crowd 是一个 app 站着的人；没有人时即忘。
type crowd struct{ waiting, bytes int64 }

// borrow 取一个空的 waiter。
func (g *Gate) borrow() *waiter {
	w, ok := g.pool.Get().(*waiter)
	if !ok {
		w = &waiter{wake: make(chan struct{}, 1)}
	}
	return w
}

// putAway 收起一个已经离开的 waiter。
func (g *Gate) putAway(w *waiter) {
	select {
	case <-w.wake:
	default:
	}
	clear(w.targets)
	clear(w.loads)
	*w = waiter{Waiter: schedule.Waiter{Candidates: w.Candidates[:0]}, targets: w.targets[:0], fresh: w.fresh[:0],
		loads: w.loads[:0], wake: w.wake}
	g.pool.Put(w)
}

// stand 让 w 站进队里：各处的数加上它。须持锁。
func (g *Gate) stand(w *waiter) {
	g.waiting++
	g.waitingBytes += w.bytes
	w.crowd.waiting++
	w.crowd.bytes += w.bytes
	g.count(w)
	if g.first == nil {
		w.before, w.after = w, w
		g.first = w
		g.lookAgain()
		return
	}
	w.after, w.before = g.first, g.first.before
	w.before.after, w.after.before = w, w
}

// leaveStand 是 stand 的逆。
func (g *Gate) leaveStand(w *waiter) {
	g.waiting--
	g.waitingBytes -= w.bytes
	w.crowd.waiting--
	w.crowd.bytes -= w.bytes
	if w.crowd.waiting == 0 {
		delete(g.apps, w.App)
	}
	g.uncount(w)
	if w.after == w {
		g.first = nil
	} else {
		w.before.after, w.after.before = w.after, w.before
		if g.first == w {
			g.first = w.after
		}
	}
	w.before, w.after = nil, nil
}

// count 把 w 算进它的每个候选 server，一个只算一次。
func (g *Gate) count(w *waiter) {
	w.loads = w.loads[:0]
	for _, t := range w.targets {
		l := g.load(t.Server.Name)
		seen := false
		for _, other := range w.loads {
			seen = seen || other == l
		}
		if !seen {
			w.loads = append(w.loads, l)
			if l.waiting++; l.waiting == 1 {
				l.moved = g.now
			}
		}
	}
}

func (g *Gate) uncount(w *waiter) {
	for _, l := range w.loads {
		if l.waiting--; l.waiting == 0 {
			l.recent = 0
		}
	}
}

// granted 说 w 得到了许可。须持锁。
func (g *Gate) granted(w *waiter) {
	g.leaveStand(w)
	w.outcome = granted
	p := w.permit
	for _, t := range w.targets {
		if t.Server.Name == p.permit.Server && t.UpstreamModel == p.permit.Upstream {
			p.Target = t
		}
	}
	var total time.Duration
	if p.Target != nil {
		total = p.Target.Server.Total
	}
	l := g.load(p.permit.Server)
	if l.moved = g.now; l.waiting > 0 {
		l.recent = g.now.Sub(w.Arrived)
	}
	g.open(p, l, g.overdueAt(total))
	w.signal()
}

// turnedAway 说 w 等不到了。须持锁。
func (g *Gate) turnedAway(w *waiter, why schedule.Refusal, late bool) {
	g.leaveStand(w)
	w.refusal, w.outcome = why, refused
	if late {
		w.outcome = expired
		for _, l := range w.loads {
			if l.waiting > 0 {
				l.recent = max(l.recent, g.now.Sub(w.Arrived))
			}
		}
	}
	w.signal()
}
