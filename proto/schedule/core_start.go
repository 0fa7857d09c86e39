package schedule

import "github.com/vega-gateway/vega/proto/ruleset"

// Judge 是一个新到的请求此刻能不能直接在这个目标上开始：Startable、Full 或 Paused。会插队也是 Full：
// 同一个 flow 有谁在这个 server 等，或者这里有 flow 在场（它被 server 的池挡着）。不分配内存。
func (c *Core) Judge(now Time, server, upstream string, r *Request) ruleset.Verdict {
	n := needs(r)
	if s := c.servers[server]; s != nil {
		if s.paused(now, upstream) {
			return ruleset.Paused
		}
		if s.waiting > 0 {
			f := s.classes[classIndex(r.Class)].flows[r.App]
			if s.active() || f != nil && f.waiting > 0 {
				return ruleset.Full
			}
		}
		if s.pools.blocks(now, &n) != 0 {
			return ruleset.Full
		}
	}
	if a := c.apps[r.App]; a != nil && a.pools.blocks(now, &n) != 0 {
		return ruleset.Full
	}
	return ruleset.Startable
}

// Start 不经排队开始一个请求：从 server 与 app 的有限的池里各扣一份，并记在公平账上。
func (c *Core) Start(now Time, server, upstream string, r *Request) {
	c.tick(now)
	s := c.server(server)
	c.begin(now, s, c.flowOf(s, r), r, false)
}

// begin 扣一整组单位并记账。
func (c *Core) begin(now Time, s *server, f *flow, r *Request, dispatched bool) {
	n := needs(r)
	s.pools.take(now, &n)
	if !broken(bugAppNotTaken) {
		f.app.pools.take(now, &n)
	}
	s.tokens.add(float64(n[Tokens-InFlight]), 1)
	f.app.tokens.add(float64(n[Tokens-InFlight]), 1)
	c.shift(s, f.app)
	f.weigh(r.Weight)
	c.bill(f, r.Weight, s.fee(r), dispatched)
}

// fee 是派发一个请求要记的代价。说不出 token 的（multipart）按这里别的请求的平均记：
// 它一样占着名额，不记账的话会永远排在最前，饿死别人。
func (s *server) fee(r *Request) int64 {
	cost := r.Cost.Charge()
	if cost > 0 {
		s.fees.add(float64(cost), 1)
		return cost
	}
	return max(1, int64(s.fees.mean))
}

// Charge 把一笔代价记在公平账上：比预计多或少的（可以为负），或在别处服务过的。
func (c *Core) Charge(now Time, server, app string, class Class, weight, cost int64) {
	c.tick(now)
	if cost < 0 && broken(bugRefundLost) {
		return
	}
	s := c.server(server)
	k := &s.classes[classIndex(class)]
	if f := k.flows[app]; f != nil || cost > 0 {
		c.bill(c.flowOf(s, &Request{App: app, Class: class, Weight: weight}), weight, cost, false)
		return
	}
	// 已经忘掉的 flow 没有账可退，它的类别有。
	k.counter += perWeight(cost, k.weight)
	c.touch(s)
}
