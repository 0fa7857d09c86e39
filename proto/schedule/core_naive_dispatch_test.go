package schedule

import (
	"maps"
	"slices"

	"github.com/vega-gateway/vega/proto/ruleset"
)

// naivePick 是一个 server 轮到的与挡着它的池。
type naivePick struct {
	w       *Waiter
	blocked []Pool
}

// picks 从头算每个 server 轮到谁。
func (n *naive) picks(now Time) map[string]naivePick {
	n.refresh(now, true)
	n.blocked = map[Pool]bool{}
	picks := map[string]naivePick{}
	names := map[string]bool{}
	for k := range n.flows {
		names[k.server] = true
	}
	for name := range names {
		for {
			f, ok := n.fairest(name)
			if !ok {
				break
			}
			s := n.flows[f]
			if len(n.blocking(now, name, &s.head.Request, false)) > 0 {
				s.parked = true
				continue
			}
			picks[name] = naivePick{s.head, n.blocking(now, name, &s.head.Request, true)}
			break
		}
	}
	for _, p := range picks {
		for _, b := range p.blocked {
			n.blocked[b] = true
		}
	}
	for k, s := range n.flows {
		if s.parked {
			for _, b := range n.blocking(now, k.server, &s.head.Request, false) {
				n.blocked[b] = true
			}
		}
	}
	return picks
}

// fairest 是在场的流里该轮到的：先比类别的计数，再比流的，平手看排头。
func (n *naive) fairest(server string) (best naiveFlow, ok bool) {
	tops := map[Class]naiveFlow{}
	for k, s := range n.flows {
		if k.server != server || s.head == nil || s.parked {
			continue
		}
		top, has := tops[k.class]
		if !has || s.counter < n.flows[top].counter || s.counter == n.flows[top].counter && order(s.head, n.flows[top].head) < 0 {
			tops[k.class] = k
		}
	}
	for class, k := range tops {
		a := at(n.classes, k.naiveClass).counter
		if !ok {
			best, ok = tops[class], true
			continue
		}
		if b := at(n.classes, best.naiveClass).counter; a < b || a == b && order(n.flows[k].head, n.flows[best].head) < 0 {
			best = k
		}
	}
	return best, ok
}

func (n *naive) dispatch(now Time) (*Waiter, int, bool) {
	picks := n.picks(now)
	var first string
	for _, name := range slices.Sorted(maps.Keys(picks)) {
		if len(picks[name].blocked) == 0 && (first == "" || order(picks[name].w, picks[first].w) < 0) {
			first = name
		}
	}
	if first == "" {
		return nil, 0, false
	}
	seen := map[string]bool{}
	w := picks[first].w
	for name := first; name != ""; {
		seen[name] = true
		w = picks[name].w
		name = n.better(now, picks, w, seen)
	}
	i, _ := n.choose(now, picks, w)
	server := w.Candidates[i].Server
	n.take(now, server, &w.Request)
	n.bill(server, &w.Request, n.fee(server, &w.Request), true)
	n.remove(now, w)
	return w, i, true
}

func (n *naive) choose(now Time, picks map[string]naivePick, w *Waiter) (int, bool) {
	return ruleset.Choose(len(w.Candidates),
		func(i int) int64 { return w.Candidates[i].Priority },
		func(i int) int64 { return w.Candidates[i].Weight },
		func(i int) ruleset.Verdict {
			c := w.Candidates[i]
			if p := picks[c.Server]; p.w != w || len(p.blocked) > 0 || n.paused(now, c.Server, c.UpstreamModel) {
				return ruleset.Full
			}
			return ruleset.Startable
		}, hash(w.Node, w.ID))
}

// better 是 w 更想去、去得了、却先轮到别人的 server：让那里先走。
func (n *naive) better(now Time, picks map[string]naivePick, w *Waiter, seen map[string]bool) (best string) {
	i, _ := n.choose(now, picks, w)
	tier := w.Candidates[i].Priority
	for _, c := range w.Candidates {
		p, has := picks[c.Server]
		if c.Priority < tier && c.Weight > 0 && has && len(p.blocked) == 0 && !seen[c.Server] &&
			!n.paused(now, c.Server, c.UpstreamModel) && len(n.blocking(now, c.Server, &w.Request, true)) == 0 {
			best, tier = c.Server, c.Priority
		}
	}
	return best
}

// arrive 说是否收下。
func (n *naive) arrive(now Time, w *Waiter) bool {
	crowded, some := true, false
	for _, c := range w.Candidates {
		if c.Weight <= 0 {
			continue
		}
		some = true
		if most := n.most[c.Server]; most == 0 || n.count(now, c.Server) < most {
			crowded = false
		}
	}
	if some && crowded {
		return false
	}
	n.refresh(now, false)
	n.waiting = append(n.waiting, w)
	n.refresh(now, false)
	return true
}

func (n *naive) count(now Time, server string) (total int64) {
	for _, w := range n.waiting {
		if n.stands(now, w, server, false) {
			total++
		}
	}
	return total
}

// oldest 是站在 server 的那些里最早的到达；没有为 0。
func (n *naive) oldest(now Time, server string) (at Time) {
	found := false
	for _, w := range n.waiting {
		if n.stands(now, w, server, false) && (!found || w.Arrived < at) {
			at, found = w.Arrived, true
		}
	}
	return at
}

func (n *naive) remove(now Time, w *Waiter) {
	n.refresh(now, false)
	n.waiting = slices.DeleteFunc(n.waiting, func(o *Waiter) bool { return o == w })
	n.refresh(now, false)
}

// expire 取走期限最早的一个已到期的。
func (n *naive) expire(now Time) (first *Waiter) {
	for _, w := range n.waiting {
		if w.Deadline > 0 && w.Deadline <= now && (first == nil || w.Deadline < first.Deadline || w.Deadline == first.Deadline && order(w, first) < 0) {
			first = w
		}
	}
	if first != nil {
		n.remove(now, first)
	}
	return first
}

// forget 在一个 server 不限、没有谁在等、没有暂停之后忘掉它的账。
func (n *naive) forget(now Time, server string) {
	for k := InFlight; k <= Tokens; k++ {
		if p := n.pool(Pool{Server: server, Kind: k}); p.cap.Mode != Unlimited || p.used > 0 {
			return
		}
	}
	if n.count(now, server) > 0 || n.most[server] > 0 {
		return
	}
	for k, until := range n.pauses {
		if k[0] == server && until > now {
			return
		}
	}
	maps.DeleteFunc(n.flows, func(k naiveFlow, _ *naiveState) bool { return k.server == server })
	maps.DeleteFunc(n.classes, func(k naiveClass, _ *naiveState) bool { return k.server == server })
	delete(n.servers, server)
	delete(n.fees, server)
}
