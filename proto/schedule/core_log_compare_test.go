package schedule

func (p *pair) idle(when string) {
	if w := p.naive.expire(p.now); w != nil {
		p.fail("%s: %v had expired", when, w)
	}
	if w, _, ok := p.naive.dispatch(p.now); ok {
		p.fail("%s: %v could start", when, w)
	}
}

func (p *pair) expire() {
	for {
		w, twin := p.core.Expire(p.now), p.naive.expire(p.now)
		if (w == nil) != (twin == nil) || w != nil && p.twins[w] != twin {
			p.fail("expire: core %v, naive %v", w, twin)
		}
		if w == nil {
			return
		}
		p.gone(w)
	}
}

// compare 比较看得见的一切。
func (p *pair) compare() {
	for _, owner := range []Pool{{Server: "s1"}, {Server: "s2"}, {Server: "s3"}, {App: "a"}, {App: "b"}, {App: "c"}} {
		for k := InFlight; k <= Tokens; k++ {
			owner.Kind = k
			free, limited := p.core.Free(p.now, owner)
			if f, l := p.naive.pool(owner).free(p.now); f != free || l != limited {
				p.fail("free %v: core %d %v, naive %d %v", owner, free, limited, f, l)
			}
			if b := p.core.Blocked(owner); b != p.naive.blocked[owner] {
				p.fail("blocked %v: core %v, naive %v", owner, b, !b)
			}
		}
	}
	for range 4 {
		server, upstream, r := p.server(), one(p, "m", "n"), p.request()
		if v, nv := p.core.Judge(p.now, server, upstream, &r), p.naive.judge(p.now, server, upstream, &r); v != nv {
			p.fail("judge %s %s %v: core %v, naive %v", server, upstream, r, v, nv)
		}
	}
	for _, server := range []string{"s1", "s2", "s3"} {
		var total int64
		var oldest Time
		p.core.Waiting(server, func(_ string, n int64, since Time) {
			if total == 0 || since < oldest {
				oldest = since
			}
			total += n
		})
		if at := p.naive.oldest(p.now, server); at != oldest {
			p.fail("oldest at %s: core %v, naive %v", server, oldest, at)
		}
		if n := p.naive.count(p.now, server); n != total {
			p.fail("waiting at %s: core %d, naive %d", server, total, n)
		}
	}
	if len(p.queue) > 0 {
		p.rank(one(p, p.queue...))
	}
	if n := p.core.WaitingTotal(); n != int64(len(p.queue)) {
		p.fail("waiting: %d of %d", n, len(p.queue))
	}
}

// rank 数 w 在自己的流里前面有几个。
func (p *pair) rank(w *Waiter) {
	for _, c := range w.Candidates {
		if c.Weight <= 0 {
			continue
		}
		var n int64
		for _, o := range p.naive.waiting {
			if flowKey("", &o.Request) == flowKey("", &w.Request) && p.naive.stands(p.now, o, c.Server, false) && order(o, w) < 0 {
				n++
			}
		}
		s := p.core.servers[c.Server]
		if got := ahead(s.classes[classIndex(w.Class)].flows[w.App], w); got != n {
			p.fail("ahead of %v at %s: core %d, naive %d", w, c.Server, got, n)
		}
	}
}
