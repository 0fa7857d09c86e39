package app

import (
	"github.com/vega-gateway/vega/controlplane/internal/live"
	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// watched 是管理 API 的总览与事件；要跑的只有 Publisher。
type watched struct {
	*live.Meter
	*live.Publisher
}

// newWatched 的用量查询不经管理 API 的那个 Reader：它只放几个查询同时进去，有人在跑很大的报表时，总览会一停就是五秒。
// 总览自己同时只问一个，而且小。
func newWatched(store *postgres.Store, deps live.PublisherDeps, budgets live.Budgets) watched {
	deps.Configs = store
	deps.Meter = live.NewMeter(live.MeterConfig{}, live.MeterDeps{
		Store: store, Configs: store, Nodes: deps.Nodes, Hub: deps.Hub, Queues: deps.Queues, Budgets: budgets, Usage: usage.NewReader(store, nil), Settings: store})
	return watched{deps.Meter, live.NewPublisher(live.PublisherConfig{}, deps)}
}
