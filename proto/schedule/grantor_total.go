package schedule

import "time"

// oldTotal 是一个 server 从前的 Total：照它开始的调用，改小之后还会跑那么久。
type oldTotal struct {
	total    time.Duration
	revision uint64 // 从这一版起不再用它
	until    Time   // 人人都换上了那一版的话，此刻起再没有照它开始的在跑
}

// keepTotals 记下被 spec 改小或撤掉的 Total；留到不会再用到为止。
func (g *Grantor) keepTotals(now Time, spec *Spec) {
	next := make(map[string]time.Duration, len(spec.Servers))
	for i := range spec.Servers {
		next[spec.Servers[i].Name] = spec.Servers[i].Total
	}
	for name, v := range g.totals {
		if now >= v.until && !g.behind(v.revision) {
			delete(g.totals, name)
		}
	}
	for name, s := range g.servers {
		if s.Total <= next[name] {
			continue
		}
		total := max(s.Total, g.totals[name].total)
		g.totals[name] = oldTotal{total: total, revision: spec.Revision, until: now + outlast(total)}
	}
}

// behind 说还有谁可能在用 revision 之前的配置。
func (g *Grantor) behind(revision uint64) bool {
	for _, m := range g.order {
		if !m.cleared && m.revision < revision {
			return true
		}
	}
	return false
}

// quarantine 是 m 失联之后多久，这个池里它在租期内开始的一定都结束了；Pool{} 指不知道是哪个池的。
func (g *Grantor) quarantine(m *member, p Pool) Time {
	if s := g.servers[p.Server]; s != nil {
		return outlast(max(s.Total, g.oldTotal(m, p.Server)))
	}
	total := g.longest()
	for name := range g.totals {
		total = max(total, g.oldTotal(m, name))
	}
	return outlast(total)
}

// oldTotal 是 m 的调用可能还照着的、name 从前的 Total；没有则为 0。
func (g *Grantor) oldTotal(m *member, name string) time.Duration {
	if v, kept := g.totals[name]; kept && (m.revision < v.revision || m.lostAt < v.until) {
		return v.total
	}
	return 0
}

func (g *Grantor) longest() (d time.Duration) {
	if g.spec != nil {
		for i := range g.spec.Servers {
			d = max(d, g.spec.Servers[i].Total)
		}
	}
	return d
}

// outlast 是租期内开始的、至多 total 的调用，在租期结束之后多久一定都结束了。
func outlast(total time.Duration) Time {
	wait := total + LeaseTTL + 3*slack
	return Time(wait + wait*4*drift/100)
}
