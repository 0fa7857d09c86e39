package schedule

import (
	"slices"
	"time"
)

// reconfigure 换上一版配置。限额变了的池当场生效：多了就叫醒在等的，少了就等它们自己结束。
func (g *Grantor) reconfigure(now Time, spec *Spec) {
	opening := g.spec == nil
	old, before := g.pools, g.servers
	g.keepTotals(now, spec)
	g.spec, g.pools = spec, nil
	g.servers, g.apps = make(map[string]*ServerSpec, len(spec.Servers)), make(map[string]*AppSpec, len(spec.Apps))
	for i := range spec.Servers {
		s := &spec.Servers[i]
		g.servers[s.Name] = s
		g.core.SetServer(s.Name, s.MaxWaiting)
		g.limit(Pool{Server: s.Name}, s.Limits)
	}
	for i := range spec.Apps {
		a := &spec.Apps[i]
		g.apps[a.Name] = a
		g.limit(Pool{App: a.Name}, a.Limits)
	}
	slices.SortFunc(g.pools, comparePools)
	g.quotas = make([]quota, len(g.pools))
	for i, p := range g.pools {
		g.quotas[i] = g.quota(p)
	}
	for _, p := range g.pools {
		if _, was := slices.BinarySearchFunc(old, p, comparePools); !was && !opening && p.Kind == InFlight {
			g.settling[p] = settling{revision: spec.Revision, until: now.Add(settleFor)}
		}
	}
	for _, p := range old {
		if _, still := slices.BinarySearchFunc(g.pools, p, comparePools); !still {
			g.core.SetCap(now, p, Cap{})
			delete(g.tight, p)
			delete(g.settling, p)
			g.dirty[p] = true
		}
	}
	g.renewed.learn(now, g.core, before, g.servers, spec.Revision)
	for name := range before {
		if g.servers[name] == nil {
			g.core.SetServer(name, 0)
		}
	}
	for _, m := range g.order {
		if m.share.unknown { // 它报到时换掉
			g.assumeAll(m)
		}
	}
	g.applyCaps(now)
	if opening && !g.learning {
		g.endLearning(now)
	}
	g.noteDoubt(now)
	g.replan(now)
}

func (g *Grantor) limit(p Pool, l Limits) {
	for _, v := range [...]struct {
		kind Kind
		n    int64
	}{{InFlight, l.MaxConcurrency}, {Requests, l.RequestsPerMinute}, {Tokens, l.TokensPerMinute}} {
		if p.Kind = v.kind; v.n > 0 {
			g.pools = append(g.pools, p)
		}
	}
}

// limitOf 是一个池的限额与突发比例；0 即不限。
func (g *Grantor) limitOf(p Pool) (n, burst int64) {
	var l Limits
	if s := g.servers[p.Server]; s != nil && p.Server != "" {
		l, burst = s.Limits, s.BurstPercent
	} else if a := g.apps[p.App]; a != nil && p.App != "" {
		l, burst = a.Limits, AppBurstPercent
	}
	switch p.Kind {
	case InFlight:
		return l.MaxConcurrency, burst
	case Requests:
		return l.RequestsPerMinute, burst
	}
	return l.TokensPerMinute, burst
}

// applyCaps 把所有的限额告诉 core。
func (g *Grantor) applyCaps(now Time) {
	for _, p := range g.pools {
		g.applyCap(now, p)
	}
}

// applyRates 在一个节点失联或回来之后，把它有份额的速率池的限额再告诉 core 一遍。
func (g *Grantor) applyRates(now Time, m *member) {
	for _, u := range m.share.bounds() {
		if n, _ := g.limitOf(u.Pool); n > 0 && u.Pool.Kind != InFlight {
			g.applyCap(now, u.Pool)
		}
	}
}

// lent 是失联的节点可能自己在用的份额：它们的桶补多少、能攒多少，见 bucket.lend。
func (g *Grantor) lent(p Pool, percent int64) (l Lent) {
	for _, m := range g.order {
		if !m.lost {
			continue
		}
		if n := m.share.bound(p); n > 0 {
			l.Rate += n
			l.Size += Burst(n, percent)
		}
	}
	return l
}

// applyCap 告诉 core 一个池的限额。速率池要让出失联节点可能自己在用的份额；在途池的份额已经记在账上。
func (g *Grantor) applyCap(now Time, p Pool) {
	n, burst := g.limitOf(p)
	c := Cap{Mode: Count, N: n}
	if _, wait := g.settling[p]; wait {
		c.N = 0
	}
	if p.Kind != InFlight {
		c = Cap{Mode: Rate, N: n, BurstPercent: burst, Lent: g.lent(p, burst)}
	}
	g.core.SetCap(now, p, c)
	g.dirty[p] = true
}

// emptyRates 使速率池从空的开始：上一任与各节点的份额刚刚放行过多少，没有人知道。在学完的时候做，
// 因为学的时候还没有报到的节点仍在用它们的份额。各份额与上一任的容量加起来可能大于 B，多出来的先欠着，道理同 bucket.lend。
func (g *Grantor) emptyRates(now Time) {
	for _, p := range g.pools {
		if p.Kind == InFlight {
			continue
		}
		n, percent := g.limitOf(p)
		level := Burst(n, percent) - 1
		for _, m := range g.order {
			if share := m.share.bound(p); share > 0 {
				level -= Burst(share, percent)
			}
		}
		g.core.SetLevel(now, p, min(level, 0))
	}
}

// Burst 是每分钟 n 个、突发 percent % 的速率池能攒下的量。
func Burst(n, percent int64) int64 { return max(1, n*percent/100) }

// settleFor 盖过一次租期：那时还没有回音的节点已经按失联算。
const settleFor = LeaseTTL + 2*time.Second

type settling struct {
	revision uint64
	until    Time
	atLeast  Time // 还没有用上那一版就重新运行的节点，上一轮跑着的没有人认：等到它们一定没有了
}

// settleDown 放开新设了限额的池：每个在的节点都用上了那一版，在途的都认下了。
func (g *Grantor) settleDown(now Time) {
	if len(g.settling) == 0 {
		return
	}
	oldest := ^uint64(0)
	for _, m := range g.order {
		if m.seen && !m.lost {
			oldest = min(oldest, m.revision)
		}
	}
	var ready []Pool
	for p, v := range g.settling {
		if now >= v.atLeast && (oldest >= v.revision || now >= v.until) {
			ready = append(ready, p)
		}
	}
	slices.SortFunc(ready, comparePools)
	for _, p := range ready {
		delete(g.settling, p)
		g.applyCap(now, p)
	}
}
