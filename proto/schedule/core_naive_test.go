package schedule

import (
	"cmp"
	"slices"

	"github.com/vega-gateway/vega/proto/ruleset"
)

// naive 是照着文字写的对照：一张在等的请求的平表，每次都从头算过，什么都不忘，没有堆也没有记号。
type naive struct {
	pools   map[Pool]*naivePool
	most    map[string]int64
	waiting []*Waiter
	flows   map[naiveFlow]*naiveState
	classes map[naiveClass]*naiveState
	servers map[string]*naiveState
	pauses  map[[2]string]Time
	blocked map[Pool]bool
	fees    map[string]*pace
}

type naiveClass struct {
	server string
	class  Class
}

type naiveFlow struct {
	naiveClass
	app string
}

// naiveState 的 counter 是流的计数；virtual 是它下面一层的虚时间；parked、head 只用于 app 一层。
type naiveState struct {
	counter, virtual int64
	parked           bool
	head             *Waiter
}

func newNaive() *naive {
	return &naive{
		pools: map[Pool]*naivePool{}, most: map[string]int64{},
		flows: map[naiveFlow]*naiveState{}, classes: map[naiveClass]*naiveState{}, servers: map[string]*naiveState{},
		pauses: map[[2]string]Time{}, blocked: map[Pool]bool{}, fees: map[string]*pace{},
	}
}

func at[K comparable, V any](m map[K]*V, k K) *V {
	if m[k] == nil {
		m[k] = new(V)
	}
	return m[k]
}

func (n *naive) pool(p Pool) *naivePool {
	if n.pools[p] == nil {
		n.pools[p] = &naivePool{level: big64(0)}
	}
	return n.pools[p]
}

func known(c Class) Class {
	if c == Interactive || c == Batch {
		return c
	}
	return Standard
}

func flowKey(server string, r *Request) naiveFlow {
	return naiveFlow{naiveClass{server, known(r.Class)}, r.App}
}

// needed 是一个请求在一个 server 要的一整组。
func needed(server, app string, r *Request) []Units {
	return []Units{
		{Pool{Server: server, Kind: InFlight}, 1}, {Pool{Server: server, Kind: Requests}, 1}, {Pool{Server: server, Kind: Tokens}, r.Cost.Tokens()},
		{Pool{App: app, Kind: InFlight}, 1}, {Pool{App: app, Kind: Requests}, 1}, {Pool{App: app, Kind: Tokens}, r.Cost.Tokens()},
	}
}

// blocking 是挡着 r 的那些池；side 选 server 的（true）还是 app 的。
func (n *naive) blocking(now Time, server string, r *Request, side bool) (list []Pool) {
	for _, u := range needed(server, r.App, r) {
		if (u.Pool.Server != "") == side && !n.pool(u.Pool).admits(now, u.N) {
			list = append(list, u.Pool)
		}
	}
	return list
}

func (n *naive) paused(now Time, server, upstream string) bool {
	return n.pauses[[2]string{server, upstream}] > now
}

// stands 说 w 站在 server 的队里，去 free 的目标（不在暂停的）。
func (n *naive) stands(now Time, w *Waiter, server string, free bool) bool {
	return slices.ContainsFunc(w.Candidates, func(c Candidate) bool {
		return c.Weight > 0 && c.Server == server && (!free || !n.paused(now, server, c.UpstreamModel))
	})
}

// head 是一个流里最早的一个去得了的。
func (n *naive) head(now Time, k naiveFlow) (head *Waiter) {
	for _, w := range n.waiting {
		if flowKey(k.server, &w.Request) == k && n.stands(now, w, k.server, true) && (head == nil || order(w, head) < 0) {
			head = w
		}
	}
	return head
}

func order(a, b *Waiter) int {
	return cmp.Or(cmp.Compare(a.Arrived, b.Arrived), cmp.Compare(a.Node, b.Node), cmp.Compare(a.ID, b.ID))
}

// present 说一个类别有没有流在场。
func (n *naive) present(k naiveClass) bool {
	for f, s := range n.flows {
		if f.naiveClass == k && s.head != nil && !s.parked {
			return true
		}
	}
	return false
}

func (n *naive) anyPresent(server string) bool {
	return n.present(naiveClass{server, Interactive}) || n.present(naiveClass{server, Standard}) || n.present(naiveClass{server, Batch})
}

// refresh 重算每个流的排头；从没有排头变为有的，或不再停着的，计数提到虚时间。
func (n *naive) refresh(now Time, unpark bool) {
	for _, w := range n.waiting {
		for _, c := range w.Candidates {
			if c.Weight > 0 {
				at(n.flows, flowKey(c.Server, &w.Request))
			}
		}
	}
	was := map[naiveClass]bool{}
	for k, s := range n.flows {
		if s.head != nil && !s.parked {
			was[k.naiveClass] = true
		}
	}
	for k, s := range n.flows {
		in := s.head != nil && !s.parked
		s.head = n.head(now, k)
		if s.parked && (s.head == nil || unpark && len(n.blocking(now, k.server, &s.head.Request, false)) == 0) {
			s.parked = false
		}
		if !in && s.head != nil && !s.parked {
			class := at(n.classes, k.naiveClass)
			s.counter = max(s.counter, class.virtual)
			if !was[k.naiveClass] {
				class.counter = max(class.counter, at(n.servers, k.server).virtual)
			}
		}
	}
}

// fee 是开始一个请求要记的代价；没有 token 的按别的平均。
func (n *naive) fee(server string, r *Request) int64 {
	mean := at(n.fees, server)
	if cost := r.Cost.Prompt + 2*r.Cost.Output; cost > 0 {
		mean.add(float64(cost), 1)
		return cost
	}
	return max(1, int64(mean.mean))
}

// bill 记账。
func (n *naive) bill(server string, r *Request, cost int64, dispatched bool) {
	k := flowKey(server, r)
	f, c, s := at(n.flows, k), at(n.classes, k.naiveClass), at(n.servers, server)
	classIn, serverIn := n.present(k.naiveClass), n.anyPresent(server)
	if cost >= 0 {
		if f.head == nil || f.parked {
			f.counter = max(f.counter, c.virtual)
		}
		if !classIn {
			c.counter = max(c.counter, s.virtual)
		}
	}
	if dispatched || cost >= 0 && !classIn {
		c.virtual = max(c.virtual, f.counter)
	}
	if dispatched || cost >= 0 && !serverIn {
		s.virtual = max(s.virtual, c.counter)
	}
	f.counter += cost * 1024 / max(1, r.Weight)
	c.counter += cost * 1024 / k.class.Weight()
}

func (n *naive) take(now Time, server string, r *Request) {
	for _, u := range needed(server, r.App, r) {
		if p := n.pool(u.Pool); p.cap.Mode != Unlimited {
			p.move(now, u.Pool.Kind, -u.N)
		}
	}
}

func (n *naive) judge(now Time, server, upstream string, r *Request) ruleset.Verdict {
	n.refresh(now, false)
	if n.paused(now, server, upstream) {
		return ruleset.Paused
	}
	same := slices.ContainsFunc(n.waiting, func(w *Waiter) bool {
		return flowKey(server, &w.Request) == flowKey(server, r) && n.stands(now, w, server, false)
	})
	if same || n.anyPresent(server) || len(n.blocking(now, server, r, true))+len(n.blocking(now, server, r, false)) > 0 {
		return ruleset.Full
	}
	return ruleset.Startable
}
