package schedule

import (
	"cmp"
	"slices"
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
