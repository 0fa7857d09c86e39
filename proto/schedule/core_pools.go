package schedule

import "time"

// pool 找到一个池与它的主人；没有则 p 为 nil。
func (c *Core) pool(at Pool) (p *pool, s *server, a *app) {
	if at.Server != "" {
		if s = c.servers[at.Server]; s != nil {
			p = &s.pools[at.Kind-InFlight]
		}
		return p, s, nil
	}
	if a = c.apps[at.App]; a != nil {
		p = &a.pools[at.Kind-InFlight]
	}
	return p, nil, a
}

// grown 是 pool，没有主人的先立一个。
func (c *Core) grown(at Pool) (p *pool, s *server, a *app) {
	if at.Server != "" {
		c.server(at.Server)
	} else {
		c.app(at.App)
	}
	return c.pool(at)
}

func (c *Core) shrunk(now Time, s *server, a *app) {
	if s != nil {
		c.retire(now, s)
	}
	if a != nil {
		c.release(a)
	}
}

// SetCap 定一个池的限额；与现在的一样则什么也不做。Count 可以降到 used 之下：余量为负，还清之前不再放行。
// 新的 Rate 池是满的，由 Rate 改成 Rate 的按容量的比例保留余量而欠账照旧；改了 Mode 的从头来，Stock 从 0 起。
func (c *Core) SetCap(now Time, at Pool, next Cap) {
	c.tick(now)
	if p, _, _ := c.pool(at); p == nil && next.Mode == Unlimited {
		return
	}
	p, s, a := c.grown(at)
	if p.setCap(now, next) {
		c.shift(s, a)
	}
	c.shrunk(now, s, a)
}

// SetLevel 定 Rate 或 Stock 的余量；Rate 不超过容量。
func (c *Core) SetLevel(now Time, at Pool, level int64) {
	c.tick(now)
	p, s, a := c.pool(at)
	if p == nil {
		return
	}
	switch p.cap.Mode {
	case Rate:
		p.bucket.advance(now)
		p.bucket.set(min(level, p.bucket.top()))
	case Stock:
		p.bucket.set(level)
	default:
		return
	}
	c.shift(s, a)
}

// SetServer 定一个 server 的队里至多几个，0 不限。
func (c *Core) SetServer(name string, maxWaiting int64) {
	s := c.servers[name]
	if s == nil && maxWaiting <= 0 {
		return
	}
	s = c.server(name)
	s.maxWaiting = max(0, maxWaiting)
	c.retire(c.now, s)
}

// Take 从池里移走 n 个单位，从不拒绝。不限的在途池也记，别的不限的池不记。
func (c *Core) Take(now Time, at Pool, n int64) {
	c.tick(now)
	if p, _, _ := c.pool(at); p == nil && (at.Kind != InFlight || n <= 0) {
		return
	}
	p, s, a := c.grown(at)
	p.take(now, at.Kind, n)
	c.shift(s, a)
}

// Give 归还 n 个单位；Rate 不超过容量，Count 不低于 0。要守住任何 60 s，Rate 里会归还的在 Take 之后须 Leave。
func (c *Core) Give(now Time, at Pool, n int64) {
	c.tick(now)
	p, s, a := c.pool(at)
	if p == nil {
		return
	}
	p.take(now, at.Kind, -n)
	c.shift(s, a)
	if p.cap.Mode == Unlimited {
		c.shrunk(now, s, a)
	}
}

// Leave 说从 Rate 池里 Take 走的 n 个还会 Give 回来：在那之前它们占着容量。n 为负即其中的一些不会再回来，或者就要 Give。
func (c *Core) Leave(now Time, at Pool, n int64) {
	c.tick(now)
	if p, s, a := c.pool(at); p != nil && p.cap.Mode == Rate {
		p.bucket.leave(now, n)
		c.shift(s, a)
	}
}

// Free 是一个池的余量：Count 是 N−used，可以为负；Rate 与 Stock 是余量向下取整。不限则 limited 为假。
func (c *Core) Free(now Time, at Pool) (free int64, limited bool) {
	if p, _, _ := c.pool(at); p != nil {
		return p.free(now)
	}
	return 0, false
}

// Burst 是 Rate 池的容量，别的为 0。
func (c *Core) Burst(at Pool) int64 {
	if p, _, _ := c.pool(at); p != nil && p.cap.Mode == Rate {
		return p.bucket.size
	}
	return 0
}

// Full 是 Rate 池还要多久回满，别的为 0。
func (c *Core) Full(now Time, at Pool) time.Duration {
	if p, _, _ := c.pool(at); p != nil {
		return p.full(now)
	}
	return 0
}
