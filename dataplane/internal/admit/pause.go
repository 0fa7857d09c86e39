package admit

import (
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/ruleset"
)

const (
	// DefaultPause 是上游 429 没有说等多久时的暂停。
	DefaultPause = time.Second
	// MaxPause 是一次暂停的上限，上游说得再久也只信这么多。
	MaxPause = time.Minute
)

// Pause 让一个目标停一会儿：d 为零取 DefaultPause，超过 MaxPause 取 MaxPause；已有更晚的则不改。返回暂停到何时。
func (g *Gate) Pause(t *state.Target, d time.Duration) time.Time {
	if d <= 0 {
		d = DefaultPause
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	until := now.Add(min(d, MaxPause))
	for k, at := range g.paused {
		if !now.Before(at) {
			delete(g.paused, k)
		}
	}
	if at := g.paused[keyOf(t)]; at.After(until) {
		return at
	}
	g.paused[keyOf(t)] = until
	return until
}

// verdict 说准入这边此刻准不准一个目标；须持锁。
func (g *Gate) verdict(t *state.Target) ruleset.Verdict {
	if len(g.paused) == 0 {
		return ruleset.Startable
	}
	if at, ok := g.paused[keyOf(t)]; ok && g.now().Before(at) {
		return ruleset.Paused
	}
	return ruleset.Startable
}
