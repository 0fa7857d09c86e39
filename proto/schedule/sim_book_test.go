package schedule

import "fmt"

// 这里是模拟读两边的账的唯一地方。

func simStock(h *Holder, p Pool) *stock { return h.stocks[p] }

// simHeld 是节点在一个在途池里持有的。
func simHeld(h *Holder, p Pool) int64 {
	if s := simStock(h, p); s != nil {
		return s.held
	}
	return 0
}

// simUsed 是其中在途的，含善后的。
func simUsed(h *Holder, p Pool) int64 {
	if s := simStock(h, p); s != nil {
		return s.open
	}
	return 0
}

// simWelcomed 说节点在这一任期里报到过了，租期还在。
func simWelcomed(h *Holder, term uint64) bool { return h.welcomed && !h.safe && h.term == term }

// simBook 是授予者账上的一个在途池：失联的与上一轮的算隔离，替失联者留的与说不清在谁手里的算预留。
func simBook(g *Grantor, p Pool, now Time) *simAccount {
	a := &simAccount{}
	a.free = g.Audit(now, p).Free
	if s := g.servers[p.Server]; s != nil {
		a.limit = s.Limits.MaxConcurrency
	} else if s := g.apps[p.App]; s != nil {
		a.limit = s.Limits.MaxConcurrency
	}
	for _, m := range g.order {
		if m.lost {
			a.quarantined += m.held[p]
		} else {
			a.nodes = append(a.nodes, simShare{m.name, m.held[p]})
		}
		a.reserved += m.reserve[p]
	}
	for _, v := range g.ghosts {
		a.quarantined += v.units[p]
	}
	a.reserved += g.limbo[p]
	return a
}

func simLearning(g *Grantor) bool { return g.learning }

// simClaimed 是已经认下、对面还没有确认收到的。
func simClaimed(h *Holder, p Pool) (n int64) {
	for i := range h.wire.unacked {
		for _, c := range h.wire.unacked[i].frame.GetClaims() {
			if poolOf(c.GetPool()) == p {
				n += c.GetUnits()
			}
		}
	}
	return n
}

// simWakes 说 Next 由什么定下，供查为什么不走。
func simWakes(g *Grantor) string {
	s := fmt.Sprintf("wake %d core %d plan %d learn %d/%v limbo %d", g.wake, g.core.Next(), g.planAt, g.learnUntil, g.learning, g.limboUntil)
	for _, m := range g.order {
		s += fmt.Sprintf(" %s[out %d ack %d heard %d muted %v lost %v fade %d seen %v conn %d]", m.name, m.out.next(), m.ackDue, m.heardAt, m.muted, m.lost, g.fadeAt(m), m.seen, m.conn)
	}
	return s + simTimer(g.core)
}

// simWakesHolder 说 Next 由什么定下。
func simWakesHolder(h *Holder) string {
	s := fmt.Sprintf("wake %d core %d connected %v", h.wake, h.core.Next(), h.connected)
	if h.connected {
		s += fmt.Sprintf(" wire %d ack %d beat %d deaf %d", h.wire.next(), h.ackDue, h.beatAt, h.heardAt.Add(deafAfter))
	}
	return s + simTimer(h.core)
}

func simTimer(c *Core) (s string) {
	if c.timers.len() == 0 {
		return ""
	}
	t := c.timers.top()
	s = fmt.Sprintf(" timer %d", t.at)
	if t.server != nil {
		s += fmt.Sprintf(" server %s blocked %d", t.server.name, t.server.blocked)
		for _, p := range t.server.pools {
			s += fmt.Sprintf(" %+v", p)
		}
		if t.server.pick != nil {
			s += fmt.Sprintf(" pick %+v", needs(&t.server.pick.w.Request))
		}
	}
	if t.flow != nil {
		s += fmt.Sprintf(" flow %s parked %d", t.flow.app.name, t.flow.parked)
		for _, p := range t.flow.app.pools {
			s += fmt.Sprintf(" %+v", p)
		}
	}
	if t.target != nil {
		s += fmt.Sprintf(" target %+v", t.target.until)
	}
	return s
}
