package schedule

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// hangup 连接断了：在等的递不到了，手上的照旧归它。
func (g *Grantor) hangup(now Time, m *member) {
	delete(g.conns, m.conn)
	m.conn, m.joined, m.pending, m.ackDue = 0, false, nil, 0
	g.withdraw(now, m)
}

func (g *Grantor) drop(now Time, m *member, why string) {
	if m.conn != 0 {
		g.emit(GrantorEffect{Kind: Drop, Conn: m.conn, Reason: why})
		g.hangup(now, m)
	}
}

// withdraw 撤下一个节点在等的全部；它重新报到时会再说一遍。
func (g *Grantor) withdraw(now Time, m *member) {
	g.shelve(now, m)
	clear(m.waiters)
}

// shelve 让一个节点在等的暂时不在队里。
func (g *Grantor) shelve(now Time, m *member) {
	for _, w := range m.waiting() {
		g.core.Remove(now, w)
	}
}

// unshelve 让它们回到原来的位置。
func (g *Grantor) unshelve(now Time, m *member) {
	if !m.open() {
		return
	}
	for _, w := range m.waiting() {
		if !g.core.Queued(w) {
			g.queue(now, m, w, false)
		}
	}
}

// waiting 是它在等的请求，按 id 升序。
func (m *member) waiting() []*Waiter {
	list := make([]*Waiter, 0, len(m.waiters))
	for _, w := range m.waiters {
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b *Waiter) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// lose 租期过了。它可能还在跑手上的，也会靠份额开始新的：两者取大的替它留着。
func (g *Grantor) lose(now Time, m *member) {
	m.lost, m.joined, m.muted = true, false, false
	if m.seen {
		m.lostAt = m.leaseUntil()
	}
	g.withdraw(now, m)
	m.keep, m.demand, m.busy = map[Pool]int64{}, nil, map[Pool]int64{}
	for _, u := range m.share.bounds() {
		if u.Pool.Kind != InFlight {
			continue
		}
		if more := u.N - m.held[u.Pool]; more > 0 {
			m.reserve[u.Pool] = more
			g.take(now, u.Pool, more)
		}
	}
	if broken(bugNoQuarantine) {
		for _, u := range sortedUnits(m.held) {
			g.give(now, u.Pool, u.N)
		}
		m.held = map[Pool]int64{}
	}
	g.applyRates(now, m)
}

// quarantine 是失联之后多久，这个池里它在租期内开始的一定都结束了。
func (g *Grantor) quarantine(p Pool) Time {
	total := g.longest()
	if s := g.servers[p.Server]; s != nil {
		total = s.Total
	}
	wait := total + LeaseTTL + 3*slack
	return Time(wait + wait*4*drift/100)
}

func (g *Grantor) longest() (d time.Duration) {
	if g.spec != nil {
		for i := range g.spec.Servers {
			d = max(d, g.spec.Servers[i].Total)
		}
	}
	return d
}

// fade 失联够久了：先放到只剩份额，再放掉份额。
func (g *Grantor) fade(now Time, m *member) {
	maps.DeleteFunc(m.held, func(_ Pool, n int64) bool { return n == 0 }) // 还完了的也占一栏，留着就永远放不完
	for _, u := range sortedUnits(m.held) {
		if now < m.lostAt+g.quarantine(u.Pool) {
			continue
		}
		share := m.share.bound(u.Pool)
		g.give(now, u.Pool, u.N+m.reserve[u.Pool]-share)
		delete(m.held, u.Pool)
		m.reserve[u.Pool] = share
	}
	if len(m.held) == 0 && !m.cleared && (m.seen || now >= m.lostAt+g.quarantine(Pool{})) {
		m.cleared, m.durable = true, false
		g.save([]Member{m.row()}, nil)
	}
	if now >= m.lostAt.Add(ShareTTL) {
		g.bury(now, m)
	}
}

func (g *Grantor) fadeAt(m *member) Time {
	at := m.lostAt.Add(ShareTTL)
	if !m.cleared {
		at = min(at, m.lostAt+g.quarantine(Pool{}))
	}
	for p := range m.held {
		at = min(at, m.lostAt+g.quarantine(p))
	}
	return at
}

// bury 忘掉一个节点，连同它的份额。
func (g *Grantor) bury(now Time, m *member) {
	for _, u := range sortedUnits(m.held) {
		g.give(now, u.Pool, u.N)
	}
	for _, u := range sortedUnits(m.reserve) {
		g.give(now, u.Pool, u.N)
	}
	m.held, m.reserve = map[Pool]int64{}, map[Pool]int64{}
	lost := m.lost
	m.lost = false
	if lost {
		g.applyRates(now, m)
	}
	g.remove(m)
	g.emit(GrantorEffect{Kind: Delete, Node: m.name})
}

// part 节点自己走了：手上什么也没有，份额归公。
func (g *Grantor) part(now Time, m *member) {
	g.drop(now, m, "goodbye")
	m.seen = true
	g.bury(now, m)
}

// forget 运维说一个不在了的节点不会回来了。
func (g *Grantor) forget(now Time, name string) {
	if m := g.members[name]; m != nil && m.conn == 0 {
		g.bury(now, m)
		if len(g.limbo) > 0 && g.allSeen() {
			g.limboUntil = now
		}
	}
}

// allSeen 说成员表里可能拿着许可的都报到了。
func (g *Grantor) allSeen() bool {
	for _, m := range g.order {
		if !m.seen && !m.cleared {
			return false
		}
	}
	return true
}

// endLearning 从此可以授予。还没有报到的按失联算；它们拿着多少说不清，此刻空闲的全都可能是它们的。
func (g *Grantor) endLearning(now Time) {
	g.learning = false
	known := g.allSeen()
	for _, m := range g.order {
		if !m.seen && !m.lost {
			if !m.cleared {
				m.lostAt = now
			}
			g.lose(now, m)
		}
	}
	if known {
		return
	}
	for _, p := range g.pools {
		if free, _ := g.core.Free(now, p); p.Kind == InFlight && free > 0 {
			g.limbo[p] = free
			g.take(now, p, free)
		}
	}
	g.limboUntil = now + g.quarantine(Pool{})
}

func (g *Grantor) endLimbo(now Time) {
	for _, u := range sortedUnits(g.limbo) {
		g.give(now, u.Pool, u.N)
	}
	clear(g.limbo)
}
