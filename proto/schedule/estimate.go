package schedule

import (
	"math"
	"time"
)

const (
	codeQueueFull   = "queue_full"
	codeRateLimited = "rate_limit_exceeded"
)

// forecast 是一个请求的估计。
type forecast struct {
	position int64
	wait     time.Duration
	known    bool
	own      bool // 挡着它的是 app 自己的限额
}

func (f forecast) code() string {
	if f.own {
		return codeRateLimited
	}
	return codeQueueFull
}

// at 是一个请求（已经在队里的，或者刚来的）在 s 的位置与要等的秒数。
func (c *Core) at(now Time, s *server, w *Waiter) (position, wait float64, known bool) {
	k := &s.classes[classIndex(w.Class)]
	f := k.flows[w.App]
	n := needs(&w.Request)
	position = s.position(k, f, max(1, w.Weight), ahead(f, w))
	if !s.active() && s.pools.blocks(now, &n) == 0 {
		return position, 0, true
	}
	wait, known = s.pools.seconds(now, position, &s.pace, &s.tokens)
	return position, max(wait, 0), known
}

func ahead(f *flow, w *Waiter) (n int64) {
	if f == nil {
		return 0
	}
	for _, l := range f.lanes {
		n += l.root.ahead(w)
	}
	return n
}

// forecast 把候选合起来：各处以“秒数分之一”的快慢一起放行它，只有一处时就是那一处的秒数。
func (c *Core) forecast(now Time, w *Waiter) (out forecast) {
	position, speed := math.Inf(1), 0.0
	for i := range w.Candidates {
		if w.Candidates[i].Weight <= 0 || seen(w.Candidates[:i], w.Candidates[i].Server) {
			continue
		}
		s := c.servers[w.Candidates[i].Server]
		if s == nil {
			position, speed, out.known = min(position, 1), math.Inf(1), true
			continue
		}
		p, wait, known := c.at(now, s, w)
		position = min(position, p)
		if known {
			out.known, speed = true, speed+1/wait
		}
	}
	if math.IsInf(position, 1) {
		position = 1
	}
	out.position = int64(math.Ceil(position))
	wait := 0.0
	if out.known {
		wait = 1 / speed
	}
	if own, known := c.own(now, w); known && own > 0 && own >= wait {
		wait, out.own, out.known = own, true, true
	}
	out.wait = time.Duration(min(wait, 1e9) * float64(time.Second))
	return out
}

func seen(list []Candidate, server string) bool {
	for i := range list {
		if list[i].Weight > 0 && list[i].Server == server {
			return true
		}
	}
	return false
}

// own 是 app 自己的限额让它等的秒数：它自己的队按比例折成 app 的全部在等的。
func (c *Core) own(now Time, w *Waiter) (wait float64, known bool) {
	a := c.apps[w.App]
	if a == nil {
		return 0, false
	}
	n := needs(&w.Request)
	if a.waiting == 0 && a.pools.blocks(now, &n) == 0 {
		return 0, true
	}
	share := 1.0
	for i := range w.Candidates {
		s := c.servers[w.Candidates[i].Server]
		if s == nil {
			continue
		}
		if f := s.classes[classIndex(w.Class)].flows[w.App]; f != nil && f.waiting > 0 {
			share = min(share, float64(ahead(f, w))/float64(f.waiting))
		}
	}
	return a.pools.seconds(now, share*float64(a.waiting)+1, &a.pace, &a.tokens)
}

// retry 是拒绝时请客户端多久之后再来；说不出则 1 s。
func (c *Core) retry(now Time, w *Waiter) time.Duration {
	if f := c.forecast(now, w); f.known {
		return max(f.wait, time.Second)
	}
	return time.Second
}

// Place 是 w 排第几与预计还要等多久；同一个 flow 内精确，flow 之间按份额估计。
func (c *Core) Place(now Time, w *Waiter) Place {
	c.tick(now)
	f := c.forecast(now, w)
	if !f.known {
		f.wait = -1
	}
	return Place{Position: f.position, Wait: f.wait}
}

// Estimate 是一个新的请求在这个 server 预计要等多久，说不出为 −1。
func (c *Core) Estimate(now Time, server string, r *Request) time.Duration {
	c.tick(now)
	w := Waiter{Request: *r, Arrived: math.MaxInt64, Candidates: []Candidate{{Server: server, Weight: 1}}}
	if f := c.forecast(now, &w); f.known {
		return f.wait
	}
	return -1
}
