package admit

import (
	"crypto/sha256"
	"maps"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/schedule"
)

const (
	// DefaultPause 是上游 429 没有说等多久时的暂停。
	DefaultPause = time.Second
	// MaxPause 是一次暂停的上限，上游说得再久也只信这么多。
	MaxPause = time.Minute
)

type targetKey struct {
	id       state.TargetID
	identity [sha256.Size]byte
}

// Pause 让一个目标在全部节点上停一会儿：d 为零取 DefaultPause，超过 MaxPause 取 MaxPause；已有更晚的则不改。返回暂停到何时。
func (g *Gate) Pause(t *state.Target, d time.Duration) time.Time {
	if d <= 0 {
		d = DefaultPause
	}
	d = min(d, MaxPause)
	g.lock()
	defer g.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(g.paused, func(_ targetKey, until time.Time) bool { return !now.Before(until) })
	key, until := targetKey{t.ID, t.Server.Identity}, now.Add(d)
	if at := g.paused[key]; at.After(until) {
		return at
	}
	g.paused[key] = until
	g.step(schedule.TargetPaused{Server: t.Server.Name, Upstream: t.UpstreamModel, For: d})
	return until
}

// pausedFor 是这些目标都还要停多久，有一个没停即 0；须持锁。
func (g *Gate) pausedFor(targets []*state.Target) time.Duration {
	if len(g.paused) == 0 {
		return 0
	}
	least := MaxPause
	for _, t := range targets {
		least = min(least, time.Until(g.paused[targetKey{t.ID, t.Server.Identity}]))
	}
	return max(least, 0)
}
