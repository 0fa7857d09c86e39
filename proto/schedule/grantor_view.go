package schedule

import "time"

// View 是此刻的全貌，供运维看；与 Grantor 不共用内存。
type View struct {
	Term     uint64
	Learning bool
	Nodes    []NodeView
	Servers  []ServerView
	Apps     []AppView
}

// NodeView 是一个节点。
type NodeView struct {
	Node      string
	Epoch     uint64
	Version   string
	Connected bool
	Muted     bool // 连着而没有声音
	Lost      bool
	LeaseLeft time.Duration
	Waiting   int64
	Held      []Units
}

// ServerView 是一个 server。没有限额的 InFlightLimit 为 0。
type ServerView struct {
	Server                       string
	InFlightLimit                int64
	InFlight                     int64 // 在途，见 running
	Held                         int64 // 各节点持有的，含闲置
	Quarantined                  int64 // 隔离的、替失联节点留的
	Free                         int64
	RequestsLimit, RequestsLevel int64
	TokensLimit, TokensLevel     int64
	Waiting                      int64
	OldestWait                   time.Duration // 等得最久的一个等了多久；没有在等的则无意义
	ByApp                        []AppWaiting
	EstimatedWait                time.Duration // 此刻新来一个要等多久；负即还说不出
	Tight                        bool
	Pauses                       []TargetPause
}

// AppWaiting 是一个 app 在一个 server 的队里有几个，等得最久的等了多久。
type AppWaiting struct {
	App        string
	Waiting    int64
	OldestWait time.Duration
}

// AppView 是一个 app 自己的限额。
type AppView struct {
	App                          string
	InFlightLimit, InFlight      int64
	Quarantined, Free            int64 // 同 ServerView
	RequestsLimit, RequestsLevel int64
	TokensLimit, TokensLevel     int64
	Waiting                      int64 // 在等的请求，各算一次
	Tight                        bool
}

// View 给出此刻的全貌。
func (g *Grantor) View(now Time) *View {
	v := &View{Term: g.term, Learning: g.learning}
	for _, m := range g.order {
		n := NodeView{Node: m.name, Epoch: m.epoch, Version: m.version, Connected: m.conn != 0, Muted: m.muted, Lost: m.lost,
			Waiting: int64(len(m.waiters)), Held: sortedUnits(m.held)}
		if m.seen && !m.lost {
			n.LeaseLeft = max(m.leaseUntil().Sub(now), 0)
		}
		v.Nodes = append(v.Nodes, n)
	}
	if g.spec == nil {
		return v
	}
	pauses := g.core.Pauses(now)
	for i := range g.spec.Servers {
		v.Servers = append(v.Servers, g.viewServer(now, &g.spec.Servers[i], pauses))
	}
	waiting := g.waitingByApp()
	for i := range g.spec.Apps {
		v.Apps = append(v.Apps, g.viewApp(now, &g.spec.Apps[i], waiting))
	}
	return v
}

func (g *Grantor) waitingByApp() map[string]int64 {
	by := map[string]int64{}
	for _, m := range g.order {
		for _, w := range m.waiters {
			by[w.App]++
		}
	}
	return by
}

func (g *Grantor) viewApp(now Time, s *AppSpec, waiting map[string]int64) AppView {
	p := Pool{App: s.Name, Kind: InFlight}
	x := AppView{App: s.Name, InFlightLimit: s.Limits.MaxConcurrency, RequestsLimit: s.Limits.RequestsPerMinute, TokensLimit: s.Limits.TokensPerMinute, Waiting: waiting[s.Name]}
	if x.InFlightLimit > 0 {
		a := g.Audit(now, p)
		x.Quarantined, x.Free = a.Quarantined, a.Free
	}
	for _, m := range g.order {
		x.InFlight += g.running(m, p)
	}
	x.RequestsLevel, x.TokensLevel = g.levelsOf(now, p)
	for _, k := range [...]Kind{InFlight, Requests, Tokens} {
		p.Kind = k
		_, tight := g.tight[p]
		x.Tight = x.Tight || tight
	}
	return x
}

// running 是 m 在一个在途池里跑着的。紧的时候闲置的都还了回来，持有的就是在跑的；松的时候是它上一拍说的。
func (g *Grantor) running(m *member, p Pool) int64 {
	if _, tight := g.tight[p]; tight && !m.lost {
		return m.held[p]
	}
	return m.busy[p]
}

func (g *Grantor) levelsOf(now Time, p Pool) (requests, tokens int64) {
	p.Kind = Requests
	requests, _ = g.core.Free(now, p)
	p.Kind = Tokens
	tokens, _ = g.core.Free(now, p)
	return requests, tokens
}

func (g *Grantor) viewServer(now Time, s *ServerSpec, pauses []TargetPause) ServerView {
	p := Pool{Server: s.Name, Kind: InFlight}
	x := ServerView{Server: s.Name, InFlightLimit: s.Limits.MaxConcurrency, RequestsLimit: s.Limits.RequestsPerMinute, TokensLimit: s.Limits.TokensPerMinute,
		EstimatedWait: g.core.Estimate(now, s.Name, &Request{Class: Standard, Weight: 1})}
	a := g.Audit(now, p)
	x.Held, x.Quarantined = a.Held, a.Quarantined
	if x.InFlightLimit > 0 {
		x.Free = a.Free
	}
	for _, m := range g.order {
		x.InFlight += g.running(m, p)
	}
	g.core.Waiting(s.Name, func(app string, n int64, oldest Time) {
		wait := max(now.Sub(oldest), 0)
		x.ByApp = append(x.ByApp, AppWaiting{app, n, wait})
		x.Waiting, x.OldestWait = x.Waiting+n, max(x.OldestWait, wait)
	})
	x.RequestsLevel, x.TokensLevel = g.levelsOf(now, p)
	for _, t := range pauses {
		if t.Server == s.Name {
			x.Pauses = append(x.Pauses, t)
		}
	}
	for _, k := range [...]Kind{InFlight, Requests, Tokens} {
		_, tight := g.tight[Pool{Server: s.Name, Kind: k}]
		x.Tight = x.Tight || tight
	}
	return x
}

// PoolAudit 是一个在途池的账：Free + Held + Quarantined = 限额（限额降低之后 Free 可以是负的）。
type PoolAudit struct{ Limit, Free, Held, Quarantined int64 }

// Audit 给出一个在途池的账。
func (g *Grantor) Audit(now Time, p Pool) PoolAudit {
	a := PoolAudit{Quarantined: g.limbo[p]}
	a.Limit, _ = g.limitOf(p)
	a.Free, _ = g.core.Free(now, p)
	if _, wait := g.settling[p]; wait {
		a.Free += a.Limit // 空闲的在，只是还不给
	}
	for _, m := range g.order {
		if m.lost {
			a.Quarantined += m.held[p]
		} else {
			a.Held += m.held[p]
		}
		a.Quarantined += m.reserve[p]
	}
	for i := range g.ghosts {
		a.Quarantined += g.ghosts[i].units[p]
	}
	return a
}

// HeldBy 是授予者账上一个节点在一个在途池里持有的；供审计。
func (g *Grantor) HeldBy(node string, p Pool) int64 {
	if m := g.members[node]; m != nil {
		return m.held[p]
	}
	return 0
}
