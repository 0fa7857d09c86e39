package schedule

import (
	"hash/fnv"
	"maps"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

const (
	planWork  = 6_000 // 一步看够这么多（节点 × 池）就停
	planPause = 10 * time.Millisecond
)

// plan 重算各节点的安全份额：每个池平分，除不尽的由池名定从谁数起。先缩后增：
// 缩的先发，等确认；增的只用确实空出来的，而且成员表写好了才发，新任授予者因此总知道上界。
func (g *Grantor) plan(now Time) {
	if g.learning || g.spec == nil || len(g.order) == 0 {
		return
	}
	var rows []Member
	var raised []*member
	work := 0
	for ; g.unplanned > 0; g.unplanned-- {
		if work > planWork { // 池与节点都很多时分几步做，事件循环不能停太久
			g.planAt = now.Add(planPause)
			break
		}
		i := g.planned % len(g.order)
		g.planned = i + 1
		m := g.order[i]
		if m.conn == 0 || !m.joined || m.share.pendingAck() {
			continue
		}
		work += len(g.pools)
		next, up, changed := g.nextShare(m, i)
		if !changed {
			continue
		}
		m.share.version = g.nextVersion(m)
		g.reshare(m, m.share.current, next)
		rows = append(rows, g.row(now, m))
		if !up { // 不必等写好；写下它的号，下一任才认得
			m.frame().Share = g.shareMessage(m)
			continue
		}
		m.share.saving = true
		raised = append(raised, m)
	}
	if len(rows) > 0 {
		g.save(rows, func(now Time) { g.sendShares(raised) })
	}
}

// replan 在 planDelay 之后把每个节点的份额再看一遍；正看着的从看到的地方接着看满一圈。
func (g *Grantor) replan(now Time) {
	g.unplanned = len(g.order)
	g.planAt = earliest(g.planAt, now.Add(planDelay))
}

// nextShare 是一个节点的下一份：该缩的缩到底，该增的增到空出来的为止。
func (g *Grantor) nextShare(m *member, i int) (next map[Pool]int64, up, changed bool) {
	next = make(map[Pool]int64, len(g.pools))
	for k, p := range g.pools {
		q := &g.quotas[k]
		was, want := m.share.current[p], q.of(i, len(g.order))
		n := min(was, want)
		if more := want - was; more > 0 {
			room := q.all - g.bounds[p]
			if broken(bugGrowBeforeShrink) {
				room = more
			}
			if more = min(more, room); more > 0 {
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

// quota 是一个池在控制面不在时可以分出去的量，与除不尽的从谁数起。
type quota struct{ all, first int64 }

func (g *Grantor) quota(p Pool) quota {
	n, percent := g.limitOf(p)
	if p.Kind != InFlight {
		n += 1 - Burst(n, percent) // 与授予者在时的速率一样，交接的那一分钟才不会超
	}
	h := fnv.New32a()
	h.Write([]byte(p.Server))
	h.Write([]byte{0})
	h.Write([]byte(p.App))
	return quota{n, int64(h.Sum32())}
}

// of 是 nodes 个节点里第 i 个该有的份额。
func (q *quota) of(i, nodes int) int64 {
	n := int64(nodes)
	share := q.all / n
	if (int64(i)-q.first%n+n)%n < q.all%n {
		share++
	}
	return share
}

// reshare 换一个节点的份额，连同各池的上界之和。
func (g *Grantor) reshare(m *member, current, issued map[Pool]int64) {
	for p, n := range m.share.pools() {
		if g.bounds[p] -= n; g.bounds[p] == 0 {
			delete(g.bounds, p)
		}
	}
	m.share.current, m.share.issued = current, issued
	for p, n := range m.share.pools() {
		if n != 0 {
			g.bounds[p] += n
		}
	}
}

// sorted 是 sortedUnits；全在配置里的不必再排，g.pools 已经有次序。
func (g *Grantor) sorted(m map[Pool]int64) []Units {
	list, rest := make([]Units, 0, len(m)), len(m)
	for _, p := range g.pools {
		if n, ok := m[p]; ok {
			if rest--; n != 0 {
				list = append(list, Units{p, n})
			}
		}
	}
	if rest > 0 {
		return sortedUnits(m)
	}
	return list
}

// row 是一个节点在成员表里该有的一行。
func (g *Grantor) row(now Time, m *member) Member {
	return Member{Node: m.name, Epoch: m.epoch, Instance: m.instance, Clear: m.cleared, SilentFor: max(now.Sub(m.heardAt), 0), ShareVersion: m.share.version, Shares: g.sorted(m.share.pools())}
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
	s.acked = v
	g.reshare(m, s.issued, s.issued)
	g.save([]Member{g.row(now, m)}, nil)
	g.replan(now)
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
	g.reshare(m, map[Pool]int64{}, next)
	s.version, s.unknown, s.saving = g.nextVersion(m), false, false
	g.assumeAll(m)
	g.save([]Member{g.row(now, m)}, nil)
	m.frame().Share = g.shareMessage(m)
}

// assumeAll 当 m 在用的是各池的整个限额。
func (g *Grantor) assumeAll(m *member) {
	current := maps.Clone(m.share.current)
	for k, p := range g.pools {
		current[p] = max(current[p], g.quotas[k].all)
	}
	g.reshare(m, current, m.share.issued)
}

func (g *Grantor) shareMessage(m *member) *admissionv1.Share {
	v := &admissionv1.Share{Version: m.share.version}
	for _, u := range g.sorted(m.share.issued) {
		n, _ := g.limitOf(u.Pool)
		v.Amounts = append(v.Amounts, &admissionv1.Amount{Pool: poolMessage(u.Pool), Units: u.N, Limit: n})
	}
	return v
}
