package schedule

import "github.com/vega-gateway/vega/proto/ruleset"

// Dispatch 给出下一个该开始的与它的候选的下标：单位已经扣下，账已经记上，它已经离开所有的队。
// 叫到 ok 为假为止；没有什么变过的时候只是看一眼。
//
// 几个 server 都有谁可以开始时，先给等得最久的：它们可能都要同一个 app 的单位，按名字的先后会饿死后面的。
func (c *Core) Dispatch(now Time) (w *Waiter, candidate int, ok bool) {
	c.tick(now)
	c.reconsider(now)
	for len(c.dirty) > 0 {
		last := len(c.dirty) - 1
		s := c.dirty[last]
		c.dirty[last] = nil
		c.dirty = c.dirty[:last]
		c.look(now, s)
	}
	if c.ready.len() == 0 {
		return nil, 0, false
	}
	w = c.turn(now, c.ready.top()).pick.w
	candidate, ok = c.choose(now, w)
	s := c.servers[w.Candidates[candidate].Server]
	c.begin(now, s, s.pick.lane.flow, &w.Request, true)
	c.Remove(now, w)
	return w, candidate, ok
}

// reconsider 重新判停着的 flow：排头过得了 app 的池的入场。
func (c *Core) reconsider(now Time) {
	for len(c.doubtful) > 0 {
		last := len(c.doubtful) - 1
		a := c.doubtful[last]
		c.doubtful[last] = nil
		c.doubtful = c.doubtful[:last]
		a.doubted = false
		for _, f := range a.flows {
			if f.parked == 0 {
				continue
			}
			n := needs(&f.head.w.Request)
			m := a.pools.blocks(now, &n)
			c.park(f, m, a.pools.wake(m, &n))
			if m == 0 {
				c.enter(f)
				c.touch(f.server)
			}
		}
	}
}

// look 定下 s 该轮到谁、它能不能开始。排头被 app 自己的池挡住的 flow 停到一边，不占着队；
// 排头被 s 的池挡住则整个队等它，后面小的不得越过。
func (c *Core) look(now Time, s *server) {
	s.dirty, s.pick, s.blocked = false, nil, 0
	for f := s.next(); f != nil; f = s.next() {
		n := needs(&f.head.w.Request)
		if m := f.app.pools.blocks(now, &n); m != 0 {
			if broken(bugParkedHolds) {
				s.pick, s.blocked = f.head, m
				break
			}
			c.leave(f)
			c.park(f, m, f.app.pools.wake(m, &n))
			continue
		}
		s.pick, s.blocked = f.head, s.pools.blocks(now, &n)
		break
	}
	if s.blocked != 0 && broken(bugBypass) {
		s.bypass(now)
	}
	var wake Time
	if s.blocked != 0 {
		n := needs(&s.pick.w.Request)
		wake = s.pools.wake(s.blocked, &n)
	}
	if s.pick != nil && s.blocked == 0 {
		wake = c.preferring(now, s.pick)
	}
	c.arm(&s.timer, wake)
	if s.pick != nil && s.blocked == 0 && wake == 0 {
		c.ready.push(s)
	}
}

// preferring 说 e 此刻只是因为还有更好的一层才不去，到何时为止；0 即去得。更好的一层在这里没有空位不等于没有：
// 节点手上没有它的单位，授予者那里或许有，所以先问。问了一阵没有回音（授予者还在学）就不再挑。
func (c *Core) preferring(now Time, e *entry) Time {
	w := e.w
	if now >= w.spot.prefer {
		return 0
	}
	tier := w.Candidates[e.candidate].Priority
	for i := range w.Candidates {
		v := &w.Candidates[i]
		if v.Weight <= 0 || v.Priority >= tier {
			continue
		}
		if s := c.servers[v.Server]; s == nil || !s.paused(now, v.UpstreamModel) {
			return w.spot.prefer
		}
	}
	return 0
}

// bypass 是一处故意的错误：排头过不去时让后面过得去的先走。
func (s *server) bypass(now Time) {
	for i := range s.classes {
		for _, f := range s.classes[i].active.items {
			n := needs(&f.head.w.Request)
			if f.app.pools.blocks(now, &n) == 0 && s.pools.blocks(now, &n) == 0 {
				s.pick, s.blocked = f.head, 0
				return
			}
		}
	}
}

// turn 从 s 起找真正该走的一处：若 s 的排头更想去的一层还去得了、只是那里先轮到别人，就让那里先走，
// 免得它因为看的先后落到较低的一层。每处至多让一次，所以总会停。
func (c *Core) turn(now Time, s *server) *server {
	c.hops++
	for {
		s.hop = c.hops
		next := c.preferred(now, s)
		if next == nil {
			return s
		}
		s = next
	}
}

func (c *Core) preferred(now Time, s *server) (best *server) {
	w := s.pick.w
	at, _ := c.choose(now, w)
	tier := w.Candidates[at].Priority
	n := needs(&w.Request)
	for i := range w.Candidates {
		cand := &w.Candidates[i]
		t := c.servers[cand.Server]
		if cand.Priority >= tier || cand.Weight <= 0 || t.ready == 0 || t.hop == c.hops ||
			t.paused(now, cand.UpstreamModel) || t.pools.blocks(now, &n) != 0 {
			continue
		}
		best, tier = t, cand.Priority
	}
	return best
}

func (c *Core) choose(now Time, w *Waiter) (int, bool) {
	return ruleset.Choose(len(w.Candidates),
		func(i int) int64 { return w.Candidates[i].Priority },
		func(i int) int64 { return w.Candidates[i].Weight },
		func(i int) ruleset.Verdict { return c.verdict(now, w, i) },
		w.spot.seed)
}

// verdict 是 i 号候选此刻能不能接 w：那个 server 也正好轮到 w 才算，否则就是插了那里的队。
func (c *Core) verdict(now Time, w *Waiter, i int) ruleset.Verdict {
	cand := &w.Candidates[i]
	s := c.servers[cand.Server]
	switch {
	case s == nil || s.ready == 0 || s.pick.w != w:
		return ruleset.Full
	case s.paused(now, cand.UpstreamModel):
		return ruleset.Paused
	}
	return ruleset.Startable
}
