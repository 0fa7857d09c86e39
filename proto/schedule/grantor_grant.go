package schedule

import (
	"slices"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// dispatch 把能给的都给出去。
func (g *Grantor) dispatch(now Time) {
	if !g.learning && g.spec != nil {
		for {
			w, i, ok := g.core.Dispatch(now)
			if !ok {
				break
			}
			g.grant(now, w, w.Candidates[i])
		}
	}
	for _, w := range g.arrive {
		if g.core.Queued(w) {
			m := g.members[w.Node]
			f := m.frame()
			f.Estimates = append(f.Estimates, g.estimate(now, w))
			g.touch(w)
		}
	}
	clear(g.arrive)
	g.arrive = g.arrive[:0]
}

// touch 记下一个没有得到许可的请求可能被哪些池挡着。
func (g *Grantor) touch(w *Waiter) {
	for _, k := range [...]Kind{InFlight, Requests, Tokens} {
		g.dirty[Pool{App: w.App, Kind: k}] = true
		for i := range w.Candidates {
			g.dirty[Pool{Server: w.Candidates[i].Server, Kind: k}] = true
		}
	}
}

// grant 先记账，再发出；core 已经扣了。
func (g *Grantor) grant(now Time, w *Waiter, t Candidate) {
	m := g.members[w.Node]
	delete(m.waiters, w.ID)
	v := &admissionv1.Grant{WaiterId: w.ID, AtUs: micros(now), Target: &admissionv1.Candidate{
		Server: t.Server, UpstreamModel: t.UpstreamModel, Weight: t.Weight, Priority: t.Priority}}
	for _, k := range [...]Kind{InFlight, Requests, Tokens} {
		for _, p := range [...]Pool{{Server: t.Server, Kind: k}, {App: w.App, Kind: k}} {
			if n, _ := g.limitOf(p); n == 0 {
				continue
			}
			units := int64(1)
			if k == Tokens {
				units = w.Cost.Tokens()
				m.owed[p] += units
			}
			if k == InFlight {
				m.hold(p, 1)
				if broken(bugNotBooked) {
					m.hold(p, -1)
					g.core.Give(now, p, 1)
				}
			}
			g.dirty[p] = true
			v.Amounts = append(v.Amounts, &admissionv1.Amount{Pool: poolMessage(p), Units: units, GrantedUs: v.AtUs})
		}
	}
	g.counts.Grants++
	f := m.frame()
	f.Grants = append(f.Grants, v)
}

// spare 是一个松的池还能放到节点去的：留下两成给没有闲置的节点。
func (g *Grantor) spare(now Time, p Pool) int64 {
	free, limited := g.core.Free(now, p)
	if !limited {
		return 0
	}
	size, _ := g.limitOf(p)
	if p.Kind != InFlight {
		size = g.core.Burst(p)
	}
	return max(free-(size+4)/5, 0)
}

// keeps 照节点想要的给它闲置的单位；紧的池一个也不留在外面。
func (g *Grantor) keeps(now Time, m *member) {
	if g.learning || !m.open() {
		return
	}
	for _, u := range m.demand {
		if n, _ := g.limitOf(u.Pool); n == 0 || u.N <= 0 {
			continue
		}
		keep, give := u.N, int64(0)
		if _, tight := g.tight[u.Pool]; tight {
			keep = 0
		} else {
			have := int64(0)
			if u.Pool.Kind == InFlight {
				have = m.held[u.Pool]
			}
			give = min(max(u.N-have, 0), g.spare(now, u.Pool))
		}
		g.keep(now, m, u.Pool, keep, give)
	}
}

func (g *Grantor) keep(now Time, m *member, p Pool, keep, give int64) {
	if keep == m.keep[p] && give == 0 {
		return
	}
	m.keep[p] = keep
	if give > 0 {
		g.take(now, p, give)
		switch p.Kind {
		case InFlight:
			m.hold(p, give)
		case Tokens:
			m.owed[p] += give
		}
		if p.Kind != InFlight && !broken(bugSparesNotKept) {
			g.core.Leave(now, p, give)
			m.spares = append(m.spares, spare{p, give, now.Add(unitLife)})
		}
	}
	f := m.frame()
	f.Keeps = append(f.Keeps, &admissionv1.Keep{Pool: poolMessage(p), Keep: keep, Units: give, AtUs: micros(now)})
}

// regimes 定下动过的与紧着的池此刻是松是紧。
func (g *Grantor) regimes(now Time) {
	if g.learning {
		return
	}
	for p := range g.tight {
		g.dirty[p] = true
	}
	if len(g.dirty) == 0 {
		return
	}
	list := make([]Pool, 0, len(g.dirty))
	for p := range g.dirty {
		list = append(list, p)
	}
	slices.SortFunc(list, comparePools)
	clear(g.dirty)
	for _, p := range list {
		g.regime(now, p)
	}
}

func (g *Grantor) regime(now Time, p Pool) {
	size, _ := g.limitOf(p)
	free, limited := g.core.Free(now, p)
	if size == 0 || !limited {
		delete(g.tight, p)
		return
	}
	if p.Kind != InFlight {
		size = max(g.core.Burst(p), 1)
	}
	blocked := g.core.Blocked(p)
	until, tight := g.tight[p]
	switch {
	case blocked || free*10 <= size:
		if !tight || blocked {
			g.tight[p] = now.Add(tightFor)
		}
		if !tight {
			g.recall(now, p)
		}
	case tight && free*5 > size && now >= until:
		delete(g.tight, p)
		for _, m := range g.order {
			g.keeps(now, m)
		}
	case tight && now >= until:
		g.tight[p] = now.Add(tightFor)
	}
}

// recall 要回一个池里所有闲置的单位。
func (g *Grantor) recall(now Time, p Pool) {
	for _, m := range g.order {
		if m.conn != 0 && m.keep[p] > 0 {
			g.keep(now, m, p, 0, 0)
		}
	}
}

// retrieve 收回放在一个节点那里的至多 n 个请求数单位；过了寿命的不再收。
func (g *Grantor) retrieve(now Time, m *member, p Pool, n int64) {
	g.give(now, p, g.reclaim(now, m, p, n))
}

// reclaim 说放在一个节点那里的至多 n 个就要退回来，不再替它们留着容量；返回有多少。请求数的过了寿命就不算，token 的总要退。
func (g *Grantor) reclaim(now Time, m *member, p Pool, n int64) (back int64) {
	for i := range m.spares {
		if v := &m.spares[i]; v.pool == p && (p.Kind == Tokens || now < v.until) {
			some := min(n-back, v.n)
			v.n -= some
			back += some
			g.core.Leave(now, p, -some)
		}
	}
	return back
}

// forfeit 放弃过了寿命的；all 则全部。
func (g *Grantor) forfeit(now Time, m *member, all bool) {
	n := 0
	for n < len(m.spares) && (all || now >= m.spares[n].until) {
		v := m.spares[n]
		g.core.Leave(now, v.pool, -v.n)
		n++
	}
	m.spares = slices.Delete(m.spares, 0, n)
}

func (g *Grantor) estimate(now Time, w *Waiter) *admissionv1.Estimate {
	at := g.core.Place(now, w)
	wait := int64(-1) // 不可换算：负的纳秒数除以一千是 0，那是“不必等”
	if at.Wait >= 0 {
		wait = at.Wait.Microseconds()
	}
	return &admissionv1.Estimate{WaiterId: w.ID, Position: at.Position, WaitUs: wait, AppLimited: g.appLimits(now, w)}
}

// appLimits 说一个在等的请求是不是被它的 app 自己的限额挡着。
func (g *Grantor) appLimits(now Time, w *Waiter) bool {
	for _, v := range [...]struct {
		kind Kind
		need int64
	}{{InFlight, 1}, {Requests, 1}, {Tokens, w.Cost.Tokens()}} {
		p := Pool{App: w.App, Kind: v.kind}
		need := v.need
		if v.kind == Tokens {
			need = min(need, g.core.Burst(p))
		}
		if free, limited := g.core.Free(now, p); limited && free < need {
			return true
		}
	}
	return false
}

const (
	placesEvery = time.Second
	maxPlaces   = 512
)

// places 隔一阵告诉节点在等的请求排到哪了；太多时只说最早的那些。
func (g *Grantor) places(now Time, m *member) {
	if len(m.waiters) == 0 || now < m.placed.Add(placesEvery) {
		return
	}
	m.placed = now
	f := m.frame()
	for i, w := range m.waiting() {
		if i == maxPlaces {
			break
		}
		if g.core.Queued(w) {
			f.Estimates = append(f.Estimates, g.estimate(now, w))
		}
	}
}

// levels 告诉节点它用着的 app 速率池的余量。
func (g *Grantor) levels(now Time, m *member) {
	for _, u := range m.demand {
		p := u.Pool
		n, _ := g.limitOf(p)
		if p.App == "" || p.Kind == InFlight || n == 0 {
			continue
		}
		free, limited := g.core.Free(now, p)
		if !limited {
			continue
		}
		f := m.frame()
		f.Levels = append(f.Levels, &admissionv1.Level{Pool: poolMessage(p), Remaining: max(free, 0),
			FullUs: g.core.Full(now, p).Microseconds(), Limit: n})
	}
}

// flush 发出攒下的；没有可说的，只在该确认时发空帧。
func (g *Grantor) flush(now Time) {
	for _, m := range g.order {
		if m.conn == 0 || m.pending == nil && (m.ackDue == 0 || now < m.ackDue) {
			continue
		}
		if m.joined {
			g.places(now, m)
		}
		f := m.pending
		m.pending = nil
		if f != nil {
			f.Seq = m.out.push(now, f)
		} else {
			f = &admissionv1.AdmitResponse{}
		}
		f.Term, f.Epoch, f.Stream, f.Ack, f.Revision = g.term, m.epoch, m.stream, m.in.received, g.revision()
		f.NowUs = micros(now)
		if m.joined && m.echo > 0 { // 报到入了账、成员表里有了它，才有租期
			f.EchoUs, f.TtlUs = m.echo, LeaseTTL.Microseconds()
		}
		m.ackDue = 0
		g.emit(GrantorEffect{Kind: Reply, Conn: m.conn, Response: f})
	}
}

func (g *Grantor) revision() uint64 {
	if g.spec == nil {
		return 0
	}
	return g.spec.Revision
}
