package app

import (
	"github.com/vega-gateway/vega/controlplane/internal/live"
	"github.com/vega-gateway/vega/controlplane/internal/postgres"
)

// watched 是管理 API 的总览与事件；要跑的只有 Publisher。
type watched struct {
	*live.Meter
	*live.Publisher
}

func newWatched(store *postgres.Store, deps live.PublisherDeps, budgets live.Budgets, usage live.Usage) watched {
	deps.Configs = store
	deps.Meter = live.NewMeter(live.MeterConfig{}, live.MeterDeps{
		Store: store, Configs: store, Nodes: deps.Nodes, Hub: deps.Hub, Queues: deps.Queues, Budgets: budgets, Usage: usage, Settings: store})
	return watched{deps.Meter, live.NewPublisher(live.PublisherConfig{}, deps)}
}
