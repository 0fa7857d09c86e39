package schedule

import (
	"hash/fnv"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

const (
	planWork  = 50_000 // 一步至多看这么多（节点 × 池）
	planPause = 10 * time.Millisecond
)

// plan 重算各节点的安全份额：每个池平分，除不尽的由池名定从谁数起。先缩后增：
// 缩的先发，等确认；增的只用确实空出来的，而且成员表写好了才发，新任授予者因此总知道上界。
func (g *Grantor) plan(now Time) {
	if g.learning || g.spec == nil || len(g.order) == 0 {
		return
	}
	slack := map[Pool]int64{}
	for _, p := range g.pools {
		total := g.shared(p)
		for _, m := range g.order {
			total -= m.share.bound(p)
		}
		slack[p] = total
	}
	var rows []Member
	var raised []*member
	work := 0
	for i, m := range g.order {
		if work > planWork { // 池与节点都很多时分几步做，事件循环不能停太久
			g.planAt = now.Add(planPause)
			break
		}
		if m.conn == 0 || !m.joined || m.share.pendingAck() {
			continue
		}
		work += len(g.pools)
		next, up, changed := g.nextShare(m, i, slack)
		if !changed {
			continue
		}
		m.share.version = g.nextVersion(m)
		m.share.issued = next
		if !up { // 不必等写好；写下它的号，下一任才认得
			rows = append(rows, m.row(now))
			m.frame().Share = g.shareMessage(m)
			continue
		}
		m.share.saving = true
		rows = append(rows, m.row(now))
		raised = append(raised, m)
	}
	if len(rows) > 0 {
		g.save(rows, func(now Time) { g.sendShares(raised) })
	}
}

// nextShare 是一个节点的下一份：该缩的缩到底，该增的增到空出来的为止。
func (g *Grantor) nextShare(m *member, i int, slack map[Pool]int64) (next map[Pool]int64, up, changed bool) {
	next = map[Pool]int64{}
	for _, p := range g.pools {
		was, want := m.share.current[p], g.target(p, i)
		n := min(was, want)
		if more := want - was; more > 0 {
			room := slack[p]
			if broken(bugGrowBeforeShrink) {
				room = more
			}
			if more = min(more, room); more > 0 {
				slack[p] -= more
				n += more
				up = true
			}
		}
		next[p] = n
		changed = changed || n != was
	}
	for p, was := range m.share.current {
		if n, _ := g.limitOf(p); n == 0 && was != 0 {
			changed = true // 限额撤了，份额随之没有
		}
	}
	return next, up, changed
}

// shared 是一个池在控制面不在时可以分出去的量。
func (g *Grantor) shared(p Pool) int64 {
	n, percent := g.limitOf(p)
	if p.Kind != InFlight {
		n += 1 - Burst(n, percent) // 与授予者在时的速率一样，交接的那一分钟才不会超
	}
	return n
}

// target 是第 i 个节点在一个池里该有的份额。
func (g *Grantor) target(p Pool, i int) int64 {
	n, all := int64(len(g.order)), g.shared(p)
	h := fnv.New32a()
	h.Write([]byte(p.Server))
	h.Write([]byte{0})
	h.Write([]byte(p.App))
	first := int64(h.Sum32()) % n
	share := all / n
	if (int64(i)-first+n)%n < all%n {
		share++
	}
	return share
}

func (g *Grantor) sendShares(list []*member) {
	for _, m := range list {
		m.share.saving = false
		if m.conn != 0 && m.joined {
			m.frame().Share = g.shareMessage(m)
		}
	}
}

// shareAcked 节点说它在用哪一版：从此缩掉的真的空出来了。
func (g *Grantor) shareAcked(now Time, m *member, v uint64) {
	s := &m.share
	if v < s.acked || s.saving {
		return
	}
	if v < s.version || s.acked == v {
		return
	}
	s.acked, s.current = v, s.issued
	g.save([]Member{m.row(now)}, nil)
	g.planAt = earliest(g.planAt, now.Add(planDelay))
}

// nextVersion 是 m 的下一版份额：任期在高位，同一个号因此只有一种内容，数据库回到过去也一样。
func (g *Grantor) nextVersion(m *member) uint64 { return max(m.share.version, g.term<<32) + 1 }

// shareJoined 对上节点报到时说的版本：它没有拿到最近的一版就再发一遍；它的反而新（那一行被忘掉过），
// 它在用多少就没有人知道，当场换一版，确认之前当它整个限额都用得到。
func (g *Grantor) shareJoined(now Time, m *member, v uint64) {
	s := &m.share
	switch {
	case v > s.version || s.unknown:
		s.version = max(s.version, v)
		g.replaceShare(now, m)
	case v != s.version && !s.saving:
		m.frame().Share = g.shareMessage(m)
	}
}

// replaceShare 换掉一份说不清的：给它账上的那么多（账上也说不清的不给），收齐之前不给别人增。
func (g *Grantor) replaceShare(now Time, m *member) {
	s := &m.share
	next := s.pools()
	if s.unknown {
		clear(next)
	}
	s.issued, s.current = next, map[Pool]int64{}
	s.version, s.unknown, s.saving = g.nextVersion(m), false, false
	g.assumeAll(m)
	g.save([]Member{m.row(now)}, nil)
	m.frame().Share = g.shareMessage(m)
}

// assumeAll 当 m 在用的是各池的整个限额。
func (g *Grantor) assumeAll(m *member) {
	for _, p := range g.pools {
		m.share.current[p] = max(m.share.current[p], g.shared(p))
	}
}

func (g *Grantor) shareMessage(m *member) *admissionv1.Share {
	v := &admissionv1.Share{Version: m.share.version}
	for _, u := range sortedUnits(m.share.issued) {
		n, _ := g.limitOf(u.Pool)
		v.Amounts = append(v.Amounts, &admissionv1.Amount{Pool: poolMessage(u.Pool), Units: u.N, Limit: n})
	}
	return v
}
