package schedule

import (
	"fmt"
	"slices"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// heard 收下一帧。
func (g *Grantor) heard(now Time, conn uint64, r *admissionv1.AdmitRequest) {
	if r.GetTerm() > g.term {
		g.emit(GrantorEffect{Kind: Resign})
		return
	}
	m := g.conns[conn]
	if m == nil {
		if m = g.open(now, conn, r); m == nil {
			return
		}
	}
	if r.GetEpoch() != m.epoch || r.GetStream() != m.stream || r.GetNodeId() != m.name {
		g.drop(now, m, "a frame of another stream")
		return
	}
	if r.GetSentUs() > m.echo {
		m.echo, m.heardAt = r.GetSentUs(), now
	}
	if m.muted {
		m.muted = false
		g.unshelve(now, m)
	}
	m.out.acked(now, r.GetAck())
	m.ackDue = earliest(m.ackDue, now.Add(ackDelay))
	if r.GetSeq() != 0 && !m.in.arrived(r.GetSeq(), r, func(r *admissionv1.AdmitRequest) { g.read(now, m, r) }) {
		g.drop(now, m, "frames out of any order")
	}
}

// open 认下一条新的连接：首帧须是 Hello，且不比已知的旧。
func (g *Grantor) open(now Time, conn uint64, r *admissionv1.AdmitRequest) *member {
	refuse := func(why string) *member {
		g.emit(GrantorEffect{Kind: Drop, Conn: conn, Reason: why})
		return nil
	}
	if r.GetHello() == nil || r.GetSeq() != 1 {
		return refuse("the first frame must be a hello")
	}
	m := g.members[r.GetNodeId()]
	if m == nil {
		m = g.meet(r)
	}
	switch {
	case r.GetEpoch() < m.epoch:
		return refuse("a newer run of this node is known")
	case r.GetEpoch() == m.epoch && m.seen && r.GetStream() <= m.stream:
		return refuse("a newer stream of this node is known")
	}
	if m.conn != 0 {
		g.drop(now, m, "replaced by a newer stream")
	}
	if r.GetEpoch() != m.epoch {
		m = g.succeed(now, m, r)
	}
	m.conn, m.stream, m.echo, m.heardAt = conn, r.GetStream(), 0, now
	m.joined, m.muted = false, false
	m.in.reset()
	m.out.reset()
	m.pending, m.ackDue = nil, 0
	g.conns[conn] = m
	return m
}

// meet 认下一个从没有听说过的节点。
func (g *Grantor) meet(r *admissionv1.AdmitRequest) *member {
	m := g.add(r.GetNodeId())
	m.epoch, m.instance, m.cleared = r.GetEpoch(), r.GetHello().GetInstance(), true
	return m
}

// succeed 是同一个名字的后一次运行来了。目录独占着，所以同一个目录上的前一次一定已经结束；
// 换了目录（挪了机器、名字撞了、盘丢了）就说不清，前一次可能还在别处跑着，也还会用它那一份份额。
func (g *Grantor) succeed(now Time, m *member, r *admissionv1.AdmitRequest) *member {
	if i := r.GetHello().GetInstance(); i != "" && i == m.instance || broken(bugInstanceIgnored) {
		g.rebirth(now, m, r.GetEpoch())
		return m
	}
	g.displace(now, m)
	return g.meet(r)
}

// displace 让一个说不清结束没有的前一次运行改名留在成员表里，从此照失联的节点算：隔离许可，留着份额。
// 节点名里没有 @，撞不上；新任授予者读到的也是它。
func (g *Grantor) displace(now Time, m *member) {
	current, issued := m.share.current, m.share.issued
	g.remove(m)
	m.name = fmt.Sprintf("%s@%d", m.name, m.epoch)
	if again := g.members[m.name]; again != nil { // 上一任写下了它，没来得及改写原来那一行
		g.bury(now, again)
	}
	g.insert(m)
	g.reshare(m, current, issued)
	if m.seen && !m.lost {
		g.lose(now, m)
	}
	if m.lost {
		g.applyRates(now, m)
	}
	g.save([]Member{g.row(now, m)}, nil)
}

// rebirth 节点在原来的目录上重新运行了：上一轮的许可再占一会儿就放。
func (g *Grantor) rebirth(now Time, m *member, epoch uint64) {
	old := map[Pool]int64{}
	for p, n := range m.held {
		old[p] += n
	}
	for p, n := range m.reserve {
		old[p] += n
	}
	until := now.Add(GhostTTL)
	if broken(bugNoGhost) {
		until = now
	}
	g.ghosts = append(g.ghosts, ghost{until: until, units: old})
	if !m.seen && !m.cleared { // 上一轮拿着多少没有报过：此刻空闲的都可能是它的
		g.strayUntil = max(g.strayUntil, until)
		if len(g.limbo) > 0 {
			g.limboUntil = max(g.limboUntil, until)
		}
	}
	for p, v := range g.settling {
		if m.revision < v.revision {
			v.atLeast = max(v.atLeast, until)
			g.settling[p] = v
		}
	}
	m.clearRun()
	m.epoch, m.stream = epoch, 0
}

// join 以节点自己报的为准重新记账：流里没有到的授予由此收回，没有到的归还由此入账。
func (g *Grantor) join(now Time, m *member, r *admissionv1.AdmitRequest) {
	first := !m.seen
	m.telling, m.untold = true, m.untold || first
	h := r.GetHello()
	m.version = h.GetVersion()
	if m.instance != h.GetInstance() { // 那一行是不记这个编号的时候写的
		m.instance, m.durable = h.GetInstance(), false
	}
	held, owed := map[Pool]int64{}, map[Pool]int64{}
	for _, a := range h.GetHoldings() {
		if p := poolOf(a.GetPool()); a.GetUnits() == 0 {
			continue
		} else if p.Kind == InFlight {
			held[p] += a.GetUnits()
		} else {
			owed[p] += a.GetUnits()
		}
	}
	g.rebook(now, m, held)
	g.settle(now, m, r.GetSettled(), first)
	for _, u := range sortedUnits(m.owed) {
		if lost := u.N - owed[u.Pool]; !first && lost > 0 {
			g.give(now, u.Pool, lost)
		}
	}
	m.owed = owed
	g.withdraw(now, m)
	back := m.lost
	m.seen, m.lost, m.cleared = true, false, false
	if back {
		g.applyRates(now, m)
	}
	m.demand, m.keep = nil, map[Pool]int64{}
	g.shareJoined(now, m, r.GetShareVersion())
	g.replan(now)
	if m.recording = false; !m.onRecord(now) {
		g.record(now, m)
	}
}

// record 写下它此刻还听得见，写好了、报到也说完了就欢迎它。
func (g *Grantor) record(now Time, m *member) {
	stream := m.stream
	m.recording = true
	g.save([]Member{g.row(now, m)}, func(then Time) {
		m.durable, m.recorded = true, max(m.recorded, now)
		if m.stream != stream {
			return
		}
		if m.recording = false; m.conn != 0 && !m.joined && !m.telling {
			g.welcome(then, m)
		}
	})
}

// told 报到说完了：在等的都在手里，从此照次序授予；先到的那几帧若先进了队，后到的就吃亏。
func (g *Grantor) told(now Time, m *member) {
	m.telling, m.untold = false, false
	switch {
	case m.onRecord(now):
		g.welcome(now, m)
	case !m.recording:
		g.record(now, m)
	}
}

// hearing 说有没有节点正报到到一半：学习等它说完，否则先说完的先得。
func (g *Grantor) hearing() bool {
	return slices.ContainsFunc(g.order, func(m *member) bool { return m.conn != 0 && m.telling })
}

// rebook 把一个节点持有的改成 held，连同替它留的一起换掉。
func (g *Grantor) rebook(now Time, m *member, held map[Pool]int64) {
	was := map[Pool]int64{}
	for p, n := range m.held {
		was[p] += n
	}
	for p, n := range m.reserve {
		was[p] += n
	}
	for _, u := range sortedUnits(was) {
		g.give(now, u.Pool, u.N)
	}
	unknown := !m.seen && len(g.limbo) > 0
	for _, u := range sortedUnits(held) {
		g.take(now, u.Pool, u.N)
		if more := u.N - was[u.Pool]; unknown && more > 0 {
			back := min(more, g.limbo[u.Pool]) // 说不清在谁手里的那些，现在说清了
			g.limbo[u.Pool] -= back
			g.give(now, u.Pool, back)
		}
	}
	m.held, m.reserve = held, map[Pool]int64{}
	if unknown {
		m.seen = true
		if g.accounted() {
			g.limboUntil = min(g.limboUntil, now.Add(GhostTTL))
		}
	}
}

// welcome 从此可以授予它。
func (g *Grantor) welcome(now Time, m *member) {
	m.joined = true
	f := m.frame()
	f.Welcome = true
	f.Pauses = append(f.Pauses, pauseMessages(now, g.core)...)
	if !m.share.saving && m.share.acked < m.share.version {
		f.Share = g.shareMessage(m)
	}
	g.unshelve(now, m)
	g.keeps(now, m)
	g.replan(now)
}

// read 照字段号的次序做一帧里的事。
func (g *Grantor) read(now Time, m *member, r *admissionv1.AdmitRequest) {
	if r.GetHello() != nil {
		g.join(now, m, r)
	}
	m.revision = r.GetRevision()
	for _, a := range r.GetClaims() {
		p := poolOf(a.GetPool())
		m.hold(p, a.GetUnits())
		g.take(now, p, a.GetUnits())
	}
	for _, a := range r.GetReturns() {
		g.returned(now, m, a)
	}
	if r.GetHello() == nil {
		g.settle(now, m, r.GetSettled(), false)
	}
	g.count(now, m, r.GetServed())
	for _, id := range r.GetCancels() {
		if w := m.waiters[id]; w != nil {
			g.core.Remove(now, w)
			delete(m.waiters, id)
		}
	}
	for _, d := range r.GetWaiters() {
		g.want(now, m, d)
	}
	if b := r.GetBusy(); b != nil {
		m.busy = map[Pool]int64{}
		for _, a := range b.GetAmounts() {
			m.busy[poolOf(a.GetPool())] = a.GetUnits()
		}
	}
	for _, p := range r.GetPauses() {
		g.pause(now, m, p)
	}
	if v := r.GetShareVersion(); v != 0 {
		g.shareAcked(now, m, v)
	}
	if d := r.GetDemands(); d != nil {
		m.demand = m.demand[:0]
		for _, a := range d.GetAmounts() {
			m.demand = append(m.demand, Units{poolOf(a.GetPool()), a.GetUnits()})
		}
		g.keeps(now, m)
		g.levels(now, m)
	}
	if m.telling && !r.GetMore() {
		g.told(now, m)
	}
	if r.GetBye() {
		g.part(now, m)
	}
}

// returned 收下归还的单位。
func (g *Grantor) returned(now Time, m *member, a *admissionv1.Amount) {
	p, n := poolOf(a.GetPool()), a.GetUnits()
	if p.Kind == Requests {
		g.retrieve(now, m, p, n)
		return
	}
	n = min(n, m.held[p])
	m.hold(p, -n)
	g.give(now, p, n)
}

// settle 收下 token 池的累计结算；baseline 说只记起点。
func (g *Grantor) settle(now Time, m *member, list []*admissionv1.Settled, baseline bool) {
	for _, s := range list {
		p := poolOf(s.GetPool())
		old := m.settled[p]
		m.settled[p] = settledSeen{s.GetReserved(), s.GetUsed()}
		if baseline {
			continue
		}
		reserved, used := s.GetReserved()-old.reserved, s.GetUsed()-old.used
		m.owed[p] -= reserved
		if back := reserved - used; back > 0 { // 闲置着还回来的也在其中，分不出是哪些
			g.reclaim(now, m, p, back)
		}
		g.give(now, p, reserved-used)
	}
}

// count 收下服务的累计值；报到里头一回听说的只记起点。
func (g *Grantor) count(now Time, m *member, list []*admissionv1.Served) {
	for _, s := range list {
		k := servedKey{s.GetServer(), s.GetApp(), Class(s.GetClass())}
		old, known := m.served[k]
		next := servedSeen{s.GetCost(), s.GetRequests(), time.Duration(s.GetBusyUs()) * time.Microsecond}
		m.served[k] = next
		if m.untold && !known {
			continue
		}
		g.core.Charge(now, k.server, k.app, k.class, max(s.GetWeight(), 1), next.cost-old.cost)
		if n := next.requests - old.requests; n > 0 {
			g.core.Served(now, k.server, k.app, n, next.busy-old.busy)
		}
	}
}

// want 收下一个在等的请求，或它新的候选。
func (g *Grantor) want(now Time, m *member, d *admissionv1.Descriptor) {
	list := make([]Candidate, len(d.GetCandidates()))
	for i, c := range d.GetCandidates() {
		list[i] = Candidate{Server: c.GetServer(), UpstreamModel: c.GetUpstreamModel(), Weight: c.GetWeight(), Priority: c.GetPriority()}
	}
	if w := m.waiters[d.GetId()]; w != nil {
		if g.core.Queued(w) {
			g.core.Change(now, w, list)
		} else {
			w.Candidates = list
		}
		return
	}
	w := &Waiter{
		Request: Request{App: d.GetApp(), Class: Class(d.GetClass()), Weight: max(d.GetWeight(), 1),
			Cost: Cost{Prompt: max(d.GetPromptTokens(), 0), Output: max(d.GetOutputTokens(), 0)}},
		Node: m.name, ID: d.GetId(), Candidates: list, Arrived: now - fromMicros(max(d.GetAgeUs(), 0)),
	}
	if d.GetWaitUs() > 0 { // 期限归节点管，到时由它答复；这里只是忘掉它
		w.Deadline = now + fromMicros(d.GetWaitUs())
	}
	m.waiters[w.ID] = w
	if m.open() {
		g.queue(now, m, w, true)
	}
}

// queue 让一个请求进队；refuse 说等不到就提前拒绝。
func (g *Grantor) queue(now Time, m *member, w *Waiter, refuse bool) {
	if r, refused := g.core.Arrive(now, w, refuse); refused {
		delete(m.waiters, w.ID)
		g.counts.Refusals++
		f := m.frame()
		f.Refusals = append(f.Refusals, &admissionv1.Refusal{WaiterId: w.ID, Code: r.Code, RetryAfterUs: r.RetryAfter.Microseconds()})
		return
	}
	g.arrive = append(g.arrive, w)
}

// pauseSlack 是一次暂停在路上来回可能拖长的。
const pauseSlack = 100 * time.Millisecond

func (g *Grantor) pause(now Time, from *member, p *admissionv1.Pause) {
	if from.revision < g.renewed[p.GetServer()] {
		return // 说的是从前的那个上游
	}
	d := min(time.Duration(p.GetForUs())*time.Microsecond, time.Minute)
	known := g.core.pausedUntil(now, p.GetServer(), p.GetUpstreamModel())
	g.core.Pause(now, p.GetServer(), p.GetUpstreamModel(), now.Add(d))
	if now.Add(d) <= known.Add(pauseSlack) {
		return // 人人报到时都说一遍，不必再转告人人
	}
	for _, m := range g.order {
		if m != from && m.conn != 0 && m.joined {
			f := m.frame()
			f.Pauses = append(f.Pauses, &admissionv1.Pause{Server: p.GetServer(), UpstreamModel: p.GetUpstreamModel(), ForUs: d.Microseconds()})
		}
	}
}
