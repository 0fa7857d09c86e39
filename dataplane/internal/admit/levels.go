package admit

import "github.com/vega-gateway/vega/proto/schedule"

// RateLevels 是一个 app 自己的两个速率限额此刻的样子，供 x-ratelimit-*。
type RateLevels = schedule.RateLevels

// Levels 给出 app 的速率限额此刻的样子，至多一秒旧；没有速率限额则为假。
func (g *Gate) Levels(app string) (RateLevels, bool) {
	g.lock()
	defer g.mu.Unlock()
	return g.holder.Levels(app)
}
