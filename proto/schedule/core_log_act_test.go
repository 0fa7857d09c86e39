package schedule

import (
	"slices"
	"time"

	"github.com/vega-gateway/vega/proto/ruleset"
)

// open 先设几个限额，免得日志的前半都是不限的。
func (p *pair) open() {
	for _, s := range []string{"s1", "s2", "s3"} {
		p.setCap(Pool{Server: s, Kind: InFlight}, Cap{Mode: Count, N: p.rng.Int64N(3) + 1})
	}
	for range p.rng.IntN(4) {
		at := p.pool()
		p.setCap(at, p.cap(at.Kind))
	}
}

func (p *pair) setCap(at Pool, next Cap) {
	p.core.SetCap(p.now, at, next)
	p.naive.refresh(p.now, false)
	p.naive.pool(at).setCap(p.now, next)
	if at.Server != "" {
		p.naive.forget(p.now, at.Server)
	}
}

// act 走随机的一步。
func (p *pair) act() {
	kinds := 24
	if p.seed%3 == 0 && p.rng.IntN(2) == 0 {
		kinds = 11 // 多来多去的日志：队长，公平的次序走得远
	}
	switch p.rng.IntN(kinds) {
	case 0, 1, 2, 3, 4, 5, 6:
		p.arrive()
	case 7, 8, 9, 10:
		p.give()
	case 11:
		at := p.pool()
		p.setCap(at, p.cap(at.Kind))
	case 12:
		at, n := p.pool(), p.rng.Int64N(5)
		p.core.Take(p.now, at, n)
		p.naive.refresh(p.now, false)
		p.naive.pool(at).move(p.now, at.Kind, -n)
		p.running = append(p.running, Units{at, n})
	case 13:
		at, level := p.pool(), p.rng.Int64N(200)-20
		p.core.SetLevel(p.now, at, level)
		p.naive.refresh(p.now, false)
		p.naive.pool(at).setLevel(p.now, level)
	case 14:
		server, most := p.server(), p.rng.Int64N(8)
		p.core.SetServer(server, most)
		p.naive.most[server] = most
		if most == 0 {
			p.naive.forget(p.now, server)
		}
	case 15:
		if len(p.queue) > 0 {
			w := one(p, p.queue...)
			p.core.Remove(p.now, w)
			p.naive.remove(p.now, p.twins[w])
			p.gone(w)
		}
	case 16:
		p.change()
	case 17:
		p.pause()
	case 18:
		p.charge()
	case 19, 20:
		p.start()
	default:
		p.pass()
	}
	p.expire()
}

func (p *pair) give() {
	if len(p.running) == 0 {
		return
	}
	i := p.rng.IntN(len(p.running))
	u := p.running[i]
	p.running = slices.Delete(p.running, i, i+1)
	p.core.Give(p.now, u.Pool, u.N)
	p.naive.refresh(p.now, false)
	pool := p.naive.pool(u.Pool)
	pool.move(p.now, u.Pool.Kind, u.N)
	if u.Pool.Server != "" && pool.cap.Mode == Unlimited {
		p.naive.forget(p.now, u.Pool.Server)
	}
}

func (p *pair) change() {
	if len(p.queue) == 0 {
		return
	}
	w := one(p, p.queue...)
	twin, list := p.twins[w], p.candidates()
	if p.rng.IntN(4) == 0 {
		list = slices.Clone(w.Candidates)
	}
	p.core.Change(p.now, w, list)
	if slices.Equal(twin.Candidates, list) {
		p.naive.refresh(p.now, false)
		return
	}
	p.naive.remove(p.now, twin)
	twin.Candidates = slices.Clone(list)
	p.naive.waiting = append(p.naive.waiting, twin)
	p.naive.refresh(p.now, false)
}

func (p *pair) pause() {
	server, upstream, until := p.server(), one(p, "m", "n"), p.now.Add(one(p, 0, time.Millisecond, time.Second, 20*time.Second))
	p.core.Pause(p.now, server, upstream, until)
	p.naive.refresh(p.now, false)
	key := [2]string{server, upstream}
	p.naive.pauses[key] = max(p.naive.pauses[key], until)
	p.naive.refresh(p.now, false)
}

func (p *pair) charge() {
	server, r, cost := p.server(), p.request(), p.rng.Int64N(3000)-1500
	p.core.Charge(p.now, server, r.App, r.Class, r.Weight, cost)
	p.naive.refresh(p.now, false)
	p.naive.bill(server, &r, cost, false)
}

// start 像宿主那样：判得能开始才开始。
func (p *pair) start() {
	server, upstream, r := p.server(), one(p, "m", "n"), p.request()
	if p.core.Judge(p.now, server, upstream, &r) != ruleset.Startable {
		return
	}
	p.core.Start(p.now, server, upstream, &r)
	p.naive.refresh(p.now, false)
	p.naive.take(p.now, server, &r)
	p.naive.bill(server, &r, p.naive.fee(server, &r), false)
	p.book(server, &r)
}

// pass 让时间过去；有时停在 Next 的前一刻，那之前什么也不该能派发。
func (p *pair) pass() {
	next := p.core.Next()
	switch p.rng.IntN(4) {
	case 0:
		if next > p.now+1 {
			p.now = next - 1
			p.idle("just before Next")
		} else if next == 0 {
			p.now = p.now.Add(10 * time.Minute)
			p.idle("Next says never")
		}
	case 1:
		p.now = max(p.now, next)
	default:
		p.now = p.now.Add(one(p, 1, time.Microsecond, 3*time.Millisecond, 700*time.Millisecond, 5*time.Second, 70*time.Second))
	}
}
