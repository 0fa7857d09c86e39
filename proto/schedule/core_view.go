package schedule

import "slices"

// Queued 说 w 是否在队里。
func (c *Core) Queued(w *Waiter) bool { return w.spot.queued }

// WaitingTotal 是在等的请求数。
func (c *Core) WaitingTotal() int64 { return c.waiting }

// Waiting 按 app 的名字逐个给出站在这个 server 队里的请求数，与其中最早的一个何时到。
func (c *Core) Waiting(server string, yield func(app string, n int64, oldest Time)) {
	s := c.servers[server]
	if s == nil {
		return
	}
	type stand struct {
		n      int64
		oldest Time
	}
	by := map[string]stand{}
	names := make([]string, 0, 8)
	for i := range s.classes {
		for name, f := range s.classes[i].flows {
			if f.waiting == 0 {
				continue
			}
			x, oldest := by[name], f.oldest()
			if x.n == 0 {
				names = append(names, name)
				x.oldest = oldest
			}
			by[name] = stand{x.n + f.waiting, min(x.oldest, oldest)}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		yield(name, by[name].n, by[name].oldest)
	}
}

// oldest 是 f 里最早到的那个的到达；f 里须有谁在等。
func (f *flow) oldest() Time {
	at := f.lanes[0].root.first().w.Arrived
	for _, l := range f.lanes[1:] {
		at = min(at, l.root.first().w.Arrived)
	}
	return at
}

// Next 是不再有新事件时 Dispatch 或 Expire 下一次可能有事可做的时刻；0 即永不。
func (c *Core) Next() Time {
	var at Time
	if c.timers.len() > 0 {
		at = c.timers.top().at
	}
	if c.deadlines.len() > 0 {
		if d := c.deadlines.top().Deadline; at == 0 || d < at {
			at = d
		}
	}
	return at
}

// Blocked 说最近一次 Dispatch 时这个池是不是正挡着某个在等的请求。
func (c *Core) Blocked(p Pool) bool {
	if p.Server != "" {
		s := c.servers[p.Server]
		return s != nil && s.blocked&bit(p.Kind) != 0
	}
	a := c.apps[p.App]
	return a != nil && a.blocked[p.Kind-InFlight] > 0
}
