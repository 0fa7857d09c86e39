package schedule

import (
	"slices"
	"time"

	"github.com/vega-gateway/vega/proto/ruleset"
)

// Arrive 让 w 站进它每个候选 server 的队。每个候选 server 的队都到了上限则拒绝（true，没有入队）；
// refuse 为真时，预计等待超过剩余期限的九成也拒绝。码说挡住它的是 app 自己的限额还是 server。
func (c *Core) Arrive(now Time, w *Waiter, refuse bool) (Refusal, bool) {
	c.tick(now)
	c.Remove(now, w)
	if c.crowded(w) {
		return Refusal{Code: codeQueueFull, RetryAfter: c.retry(now, w)}, true
	}
	if refuse && w.Deadline > 0 && !c.startable(now, w) {
		f := c.forecast(now, w)
		if left := max(0, w.Deadline.Sub(now)); f.known && f.wait > left/10*9 {
			return Refusal{Code: f.code(), RetryAfter: max(f.wait, time.Second)}, true
		}
	}
	c.stand(now, w)
	w.spot.queued = true
	c.waiting++
	a := c.app(w.App)
	a.waiting++
	a.refs++
	if w.Deadline > 0 {
		c.deadlines.push(w)
	}
	return Refusal{}, false
}

// crowded 说是不是每个候选 server 的队都到了上限。
func (c *Core) crowded(w *Waiter) bool {
	some := false
	for i := range w.Candidates {
		if w.Candidates[i].Weight <= 0 {
			continue
		}
		some = true
		s := c.servers[w.Candidates[i].Server]
		if s == nil || s.maxWaiting == 0 || s.waiting < s.maxWaiting {
			return false
		}
	}
	return some
}

// Change 换 w 的候选；它的位置只看 Arrived，所以不变。与现在的一样则什么也不动：换配置时对每个在等的都会叫它。
func (c *Core) Change(now Time, w *Waiter, candidates []Candidate) {
	c.tick(now)
	if !w.spot.queued || slices.Equal(w.Candidates, candidates) {
		w.Candidates = candidates
		return
	}
	c.depart(w)
	w.Candidates = candidates
	c.stand(now, w)
}

// Remove 让 w 离开所有的队，O(log n)；不在队里则什么也不做。
func (c *Core) Remove(now Time, w *Waiter) {
	c.tick(now)
	if !w.spot.queued {
		return
	}
	if broken(bugCancelLeaves) && len(w.spot.entries) > 1 {
		w.spot.entries = w.spot.entries[1:]
	}
	c.depart(w)
	w.spot.queued = false
	c.waiting--
	a := c.apps[w.App]
	a.waiting--
	a.refs--
	c.release(a)
	c.deadlines.remove(w)
}

// Expire 取走一个期限已到的，没有则为 nil。期限在堆里，从不逐个扫。
func (c *Core) Expire(now Time) *Waiter {
	c.tick(now)
	if c.deadlines.len() == 0 {
		return nil
	}
	w := c.deadlines.top()
	due := w.Deadline
	if broken(bugExpiryLate) {
		due = due.Add(20 * time.Millisecond)
	}
	if due > now {
		return nil
	}
	c.Remove(now, w)
	return w
}

// stand 让 w 站进候选的队。权重不为正的候选从不被选，不站。
func (c *Core) stand(now Time, w *Waiter) {
	spot := &w.spot
	spot.seed = hash(w.Node, w.ID)
	spot.seat(len(w.Candidates))
	for i := range w.Candidates {
		cand := &w.Candidates[i]
		if cand.Weight <= 0 {
			continue
		}
		s := c.server(cand.Server)
		f := c.flowOf(s, &w.Request)
		counted := true
		for j := range spot.entries {
			counted = counted && spot.entries[j].lane.flow != f
		}
		spot.entries = append(spot.entries, entry{
			w: w, candidate: int32(i), counted: counted,
			priority: uint32(mix(spot.seed + uint64(i))),
			lane:     c.lane(now, f, c.target(s, cand.UpstreamModel)),
		})
		if counted {
			c.enlist(f, w.Weight)
		}
		spot.entries[len(spot.entries)-1].enter()
		c.refresh(f)
	}
}

// enlist 记下 f 多了一个在等的。
func (c *Core) enlist(f *flow, weight int64) {
	f.weigh(weight)
	f.class.idle.remove(f)
	f.app.list(f)
	f.waiting++
	f.server.waiting++
}

// depart 让 w 离开它站着的每一处。从后往前：代表它的那一处排在前面，最后才走，flow 不会在它还站着别处时被收起。
func (c *Core) depart(w *Waiter) {
	for i := len(w.spot.entries) - 1; i >= 0; i-- {
		e := &w.spot.entries[i]
		l := e.lane
		f := l.flow
		if e.counted {
			f.waiting--
			f.server.waiting--
		}
		e.exit()
		if l.root == nil {
			c.drop(l)
		}
		c.refresh(f)
		*e = entry{}
	}
	w.spot.entries = w.spot.entries[:0]
}

func (e *entry) enter() {
	l := e.lane
	l.root = plant(l.root, e)
	if l.head == nil || e.before(l.head) {
		l.head = e
	}
}

func (e *entry) exit() {
	l := e.lane
	l.root = uproot(l.root, e)
	if l.head == e {
		l.head = l.root.first()
	}
}

// startable 说 w 此刻就能在某个候选上开始：那就不会等，无从提前拒绝。
func (c *Core) startable(now Time, w *Waiter) bool {
	for i := range w.Candidates {
		if v := &w.Candidates[i]; v.Weight > 0 && c.Judge(now, v.Server, v.UpstreamModel, &w.Request) == ruleset.Startable {
			return true
		}
	}
	return false
}
