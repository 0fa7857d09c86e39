package schedule

import "slices"

// Queued 说 w 是否在队里。
func (c *Core) Queued(w *Waiter) bool { return w.spot.queued }

// WaitingTotal 是在等的请求数。
func (c *Core) WaitingTotal() int64 { return c.waiting }

// Waiting 按 app 的名字逐个给出站在这个 server 队里的请求数。
func (c *Core) Waiting(server string, yield func(app string, n int64)) {
	s := c.servers[server]
	if s == nil {
		return
	}
	by := map[string]int64{}
	names := make([]string, 0, 8)
	for i := range s.classes {
		for name, f := range s.classes[i].flows {
			if f.waiting == 0 {
				continue
			}
			if by[name] == 0 {
				names = append(names, name)
			}
			by[name] += f.waiting
		}
	}
	slices.Sort(names)
	for _, name := range names {
		yield(name, by[name])
	}
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
