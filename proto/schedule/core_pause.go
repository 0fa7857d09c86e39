package schedule

import (
	"cmp"
	"maps"
	"slices"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// TargetPause 是一个被上游 429 的目标暂停到何时。
type TargetPause struct {
	Server, Upstream string
	Until            Time
}

// Pause 把一个目标暂停到 until；已有更晚的暂停照旧。只等它的被越过，不挡别的。
func (c *Core) Pause(now Time, server, upstream string, until Time) {
	c.tick(now)
	if until <= now {
		return
	}
	s := c.server(server)
	for _, t := range s.targets {
		if len(t.lanes) == 0 && t.until <= now {
			c.discard(t)
		}
	}
	t := c.target(s, upstream)
	t.until, t.paused = max(t.until, until), true
	c.watch(t)
	for _, l := range t.lanes {
		c.refresh(l.flow)
	}
}

// resume 在暂停到点时让等它的重新入场。
func (c *Core) resume(t *target) {
	t.paused = false
	for _, l := range t.lanes {
		c.refresh(l.flow)
	}
}

// Renew 说一个 server 换成了另一个上游：它的暂停都不作数。
func (c *Core) Renew(now Time, server string) {
	c.tick(now)
	for _, p := range c.Pauses(now) {
		if p.Server != server {
			continue
		}
		t := c.servers[server].targets[p.Upstream]
		t.until = 0
		c.resume(t)
		if c.watch(t); len(t.lanes) == 0 {
			c.discard(t)
		}
	}
	if s := c.servers[server]; s != nil {
		c.retire(now, s)
	}
}

// pausedUntil 是一个目标暂停到何时；没有在暂停为 0。
func (c *Core) pausedUntil(now Time, server, upstream string) Time {
	if s := c.servers[server]; s != nil && s.paused(now, upstream) {
		return s.targets[upstream].until
	}
	return 0
}

// renewals 记得各 server 最近一次换成另一个上游的是哪一版：更早的版本里说的暂停不作数。
type renewals map[string]uint64

// learn 由 old 换成 next 时忘掉换了的与不在了的 server 的暂停。
func (r renewals) learn(now Time, c *Core, old, next map[string]*ServerSpec, revision uint64) {
	for _, name := range slices.Sorted(maps.Keys(old)) {
		switch s := next[name]; {
		case s == nil:
			delete(r, name)
			c.Renew(now, name)
		case s.Identity != old[name].Identity:
			r[name] = revision
			c.Renew(now, name)
		}
	}
}

// pauseMessage 说一个目标还要暂停多久；宁可多说一微秒，不可让对面以为已经停完。
func pauseMessage(now Time, server, upstream string, until Time) *admissionv1.Pause {
	return &admissionv1.Pause{Server: server, UpstreamModel: upstream, ForUs: until.Sub(now).Microseconds() + 1}
}

func pauseMessages(now Time, c *Core) (list []*admissionv1.Pause) {
	for _, p := range c.Pauses(now) {
		list = append(list, pauseMessage(now, p.Server, p.Upstream, p.Until))
	}
	return list
}

// Pauses 是此刻在暂停的目标，按名字排好。
func (c *Core) Pauses(now Time) []TargetPause {
	var list []TargetPause
	for _, s := range c.servers {
		for _, t := range s.targets {
			if t.until > now {
				list = append(list, TargetPause{Server: s.name, Upstream: t.name, Until: t.until})
			}
		}
	}
	slices.SortFunc(list, func(a, b TargetPause) int {
		return cmp.Or(cmp.Compare(a.Server, b.Server), cmp.Compare(a.Upstream, b.Upstream))
	})
	return list
}
