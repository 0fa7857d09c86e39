package admit

import (
	"time"

	"github.com/vega-gateway/vega/proto/schedule"
)

// Load 是一个 server 上此刻的数。
type Load struct{ InFlight, Waiting int64 }

// load 是一个 server 上的数；server 改名即新的一个。
type load struct {
	inFlight, waiting int64
	recent            time.Duration // 最近一个等到头的等了多久；没有人在等即 0
	moved             schedule.Time // 最近一次有人等到，或有人开始等的时刻
}

// newcomer 是现在来的一个大概要等多久：与最近等到头的一样久；许久没有人等到，就至少还要这么久。
func (l *load) newcomer(now schedule.Time) time.Duration {
	if l == nil || l.waiting == 0 {
		return 0
	}
	return max(l.recent, now.Sub(l.moved))
}

func (g *Gate) load(server string) *load {
	l := g.servers[server]
	if l == nil {
		l = &load{}
		g.servers[server] = l
	}
	return l
}

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

// overdueMargin 是一次调用的总时限之外，许可还可以晚多久还。
const overdueMargin = time.Minute

// overdueAt 是此刻发出的许可到何时还没有还就算漏了；不限时长的即 0，从不算。
func (g *Gate) overdueAt(total time.Duration) schedule.Time {
	if total <= 0 {
		return 0
	}
	return g.now.Add(total + overdueMargin)
}

// Leaked 查账：发出去比一次调用的总时限还久仍没有还的许可，加上状态机里在途的与本节点发出的对不上的数。总应是零。
func (g *Gate) Leaked() int64 {
	g.lock()
	defer g.mu.Unlock()
	var leaked int64
	for p := g.newest; p != nil; p = p.older {
		if p.overdue != 0 && g.now > p.overdue {
			leaked++
		}
	}
	for _, pool := range g.holder.State().Pools {
		if p := pool.Pool; p.Server == "" || p.Kind != schedule.InFlight {
			continue
		}
		var open int64
		if l := g.servers[pool.Pool.Server]; l != nil {
			open = l.inFlight
		}
		leaked += max(pool.Busy-open, open-pool.Busy)
	}
	return leaked
}
