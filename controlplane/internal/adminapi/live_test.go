package adminapi_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/live"
	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

var _ live.Store = (*postgres.Store)(nil)

// watched 是真的总览与事件；节点、队列、预算照各自的稿。
type watched struct {
	*live.Meter
	*live.Publisher
	hub *push.Hub
}

func newLive(d adminapi.Deps, cfg live.PublisherConfig) watched {
	hub := push.NewHub(push.NewMetrics(prometheus.NewRegistry()))
	var store live.Store = quiet{}
	if s, ok := d.Store.(*postgres.Store); ok {
		store = s
	}
	m := live.NewMeter(live.MeterConfig{}, live.MeterDeps{
		Store: store, Configs: d.Store, Nodes: d.Fleet, Hub: hub, Queues: d.Queues, Budgets: d.Budgets, Usage: d.Usage, Settings: d.Settings})
	return watched{m, live.NewPublisher(cfg, live.PublisherDeps{
		Meter: m, Configs: d.Store, Nodes: d.Fleet, Queues: d.Queues, Hub: hub, Log: zap.NewNop()}), hub}
}

// ended 的事件已经停下；总览照常。
func ended(d adminapi.Deps) watched {
	w := newLive(d, live.PublisherConfig{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.Run(ctx)
	return w
}

// publish 如同配置推到了这个副本。
func (w watched) publish(revision uint64) {
	w.hub.Publish(&configv1.SnapshotUpdate{Revision: revision})
}

// running 让事件跑起来，测试结束（或 stop）时停下；w 此后可用。
func running(t *testing.T, w *watched, stop *context.CancelFunc, cfg live.PublisherConfig) func(*adminapi.Config, *adminapi.Deps) {
	return func(_ *adminapi.Config, d *adminapi.Deps) {
		*w = newLive(*d, cfg)
		d.Live = *w
		ctx, cancel := context.WithCancel(t.Context())
		if stop != nil {
			*stop = cancel
		}
		var wg sync.WaitGroup
		wg.Go(func() { _ = w.Run(ctx) })
		t.Cleanup(func() { cancel(); wg.Wait() })
	}
}

// quiet 是从来没有用量的库。
type quiet struct{}

func (quiet) LiveTotals(context.Context, time.Time) (live.Totals, error) {
	return live.Totals{At: time.Now()}, nil
}

func (quiet) LiveHour(context.Context, map[int64]int64) (live.Hour, error) {
	now := time.Now().UTC()
	return live.Hour{At: now, Since: now.Truncate(time.Minute).Add(-59 * time.Minute)}, nil
}
