package schedule

// simAccount 是授予者账上的一个在途池。
type simAccount struct {
	limit, free, quarantined, reserved int64
	nodes                              []simShare
}

type simShare struct {
	node  string
	units int64
}

func (a *simAccount) of(node string) int64 {
	for _, s := range a.nodes {
		if s.node == node {
			return s.units
		}
	}
	return 0
}

func (a *simAccount) sum() (n int64) {
	for _, s := range a.nodes {
		n += s.units
	}
	return n
}

// audit 核对两边的账：一边之内守恒，节点持有的不多于授予者记着的。
func (w *simWorld) audit(r *simReplica, healthy []*simNode) {
	pools := make([]Pool, 0, 16)
	for _, s := range r.cfg.spec.Servers {
		if s.Limits.MaxConcurrency > 0 {
			pools = append(pools, Pool{Server: s.Name, Kind: InFlight})
		}
	}
	for _, a := range r.cfg.spec.Apps {
		if a.Limits.MaxConcurrency > 0 {
			pools = append(pools, Pool{App: a.Name, Kind: InFlight})
		}
	}
	for _, p := range pools {
		book := simBook(r.g, p, r.now())
		if sum := book.free + book.sum() + book.quarantined + book.reserved; sum != book.limit {
			w.fail("conservation: %v: free %d + held %v + quarantined %d + reserved %d != limit %d", p, book.free, book.nodes, book.quarantined, book.reserved, book.limit)
		}
		for _, n := range healthy {
			if h := simHeld(n.h, p); n.cfg == r.cfg && h > book.of(n.name) && h > book.of(n.name)+simClaimed(n.h, p) {
				w.fail("conservation: %s holds %d of %v, the grantor's book says %d", n.name, h, p, book.of(n.name))
			}
		}
	}
}

// checkEmpty 在一切静下来之后查：上游空了，没有人在等，两边的账一致，没有隔离着的。
func (w *simWorld) checkEmpty() {
	if w.failure != "" {
		return
	}
	for i := range w.truth.servers {
		if n := w.truth.servers[i].inflight; n != 0 {
			w.fail("simulation: %d calls still run at s%d", n, i)
		}
	}
	r := w.leader()
	if r == nil || simLearning(r.g) {
		w.fail("leak: no leader at rest")
		return
	}
	for _, n := range w.nodes {
		if len(n.waiting) != 0 {
			w.fail("leak: %s still has %d waiters, first is %d", n.name, len(n.waiting), n.waiting[0].w.ID)
		}
		if !n.healthy(r) {
			w.fail("leak: %s is not connected at rest", n.name)
			return
		}
	}
	for i, s := range r.cfg.spec.Servers {
		if s.Limits.MaxConcurrency > 0 {
			w.checkPool(r, Pool{Server: simServer(i), Kind: InFlight}, s.Limits.MaxConcurrency)
		}
	}
	for i, a := range r.cfg.spec.Apps {
		if a.Limits.MaxConcurrency > 0 {
			w.checkPool(r, Pool{App: simApp(i), Kind: InFlight}, a.Limits.MaxConcurrency)
		}
	}
	v := r.g.View(r.now())
	for _, s := range v.Servers {
		if s.Waiting != 0 {
			w.fail("leak: the grantor still counts %d waiting at %s", s.Waiting, s.Server)
		}
	}
}

func (w *simWorld) checkPool(r *simReplica, p Pool, limit int64) {
	book := simBook(r.g, p, r.now())
	if book.limit != limit || book.quarantined != 0 || book.reserved != 0 {
		w.fail("leak: at rest %v is %+v, limit %d", p, book, limit)
	}
	for _, n := range w.nodes {
		if h, used := simHeld(n.h, p), simUsed(n.h, p); h != book.of(n.name) || used != 0 {
			w.fail("leak: at rest %s holds %d of %v with %d used, the grantor's book says %d", n.name, h, p, used, book.of(n.name))
		}
	}
}

// probe 是最后的一探：每个只有在途限额的 server 都能再被占满，一个不少。
func (w *simWorld) probe() {
	if w.failure != "" {
		return
	}
	for i := range w.plan.servers {
		l := w.config().server(i).Limits
		if l.MaxConcurrency == 0 || l.RequestsPerMinute > 0 || l.TokensPerMinute > 0 {
			continue
		}
		w.probing(i, l.MaxConcurrency)
	}
}

func (w *simWorld) probing(i int, limit int64) {
	start, most := w.now, int64(0)
	w.load.throttled = 0
	for range limit {
		q := w.load.draw()
		q.app, q.App, q.model, q.leaves, q.service, q.patience = 0, simApp(0), 4+i, 0, 5*simSec, 30e9
		w.after(w.between(0, 50*simMs), func() { w.load.deliver(q) })
	}
	for k := range int64(50) {
		w.at(start+k*100*simMs, func() { most = max(most, w.truth.servers[i].inflight) })
	}
	w.until(start + 12*simSec)
	if w.failure == "" && most != limit {
		w.fail("leak: after everything healed s%d admits %d at once, limit %d", i, most, limit)
	}
	w.until(w.now + 12*simSec)
}
