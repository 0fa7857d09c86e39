package admit

// Load 是一个 server 上此刻的数。
type Load struct{ InFlight, Waiting int64 }

// Totals 给出本节点在途与在等的请求数；一个请求在等只算一次，不论它站在几个队里。
func (g *Gate) Totals() Load {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := Load{Waiting: g.waiting}
	for _, l := range g.servers {
		out.InFlight += l.inFlight
	}
	return out
}

// Servers 给出每个 server 的数；在等的请求在每个候选的 server 上各算一次。
func (g *Gate) Servers() map[string]Load {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[string]Load, len(g.servers))
	for name, l := range g.servers {
		out[name] = Load{InFlight: l.inFlight, Waiting: l.waiting}
	}
	return out
}

// Leaks 是发出而没有归还的许可数；没有在途请求时必为零，否则是缺陷。
func (g *Gate) Leaks() int64 { return g.issued.Load() - g.released.Load() }
