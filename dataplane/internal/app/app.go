package app

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/dataplane/internal/admit"
	"github.com/vega-gateway/vega/dataplane/internal/budget"
	"github.com/vega-gateway/vega/dataplane/internal/gateway"
	"github.com/vega-gateway/vega/dataplane/internal/httpapi"
	"github.com/vega-gateway/vega/dataplane/internal/journal"
	"github.com/vega-gateway/vega/dataplane/internal/proxy"
	"github.com/vega-gateway/vega/dataplane/internal/report"
	"github.com/vega-gateway/vega/dataplane/internal/route"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/dataplane/internal/subscribe"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/ops"
)

// App 是一个跑着的数据面。用 Start 造，必须以 Wait 收尾。
type App struct {
	cfg     Config
	log     *zap.Logger
	node    string
	epoch   uint64 // 这一次运行的编号，比上一次的大
	dataDir dataDir
	listen  *listeners
	drain   *drain
	road    *gateway.Gateway

	holder     *state.Holder
	gate       *admit.Gate
	router     *route.Router
	records    *journal.Journal
	budgets    *budget.Guard
	subscriber *subscribe.Subscriber
	reporter   *report.Group
	server     *http.Server

	flushTimeout time.Duration
	failed       chan error // 长命的零件提前结束的缘由；容得下每个零件一条
	background   sync.WaitGroup
	closers      []func()
}

// Run 起一个数据面，直到 ctx 结束或控制面要它排空（那时做完手上的再返回 nil），或有一处出错。
func Run(ctx context.Context, cfg Config, version string) error {
	log, err := ops.NewLogger(cfg.LogLevel, "dataplane")
	if err != nil {
		return fmt.Errorf("make logger: %w", err)
	}
	defer log.Sync()
	a, err := Start(ctx, cfg, version, log)
	if err != nil {
		return err
	}
	return a.Wait(ctx)
}

// Start 接好全部零件并开始服务；出错时已经起来的都停掉。ctx 只管启动，停由 Wait 管。
func Start(ctx context.Context, cfg Config, version string, log *zap.Logger) (_ *App, err error) {
	a := &App{cfg: cfg, log: log, drain: newDrain(), flushTimeout: flushTimeout, failed: make(chan error, 5)}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	tracers, stopTraces, err := ops.Tracing(ctx, "vega-dataplane", version)
	if err != nil {
		return nil, err
	}
	a.onClose(func() { flushTraces(ctx, stopTraces, log) })
	if a.listen, err = listen(cfg); err != nil {
		return nil, err
	}
	a.onClose(a.listen.close)
	control, err := newControlplane(cfg)
	if err != nil {
		return nil, err
	}
	conn, err := control.dialAny()
	if err != nil {
		return nil, err
	}
	a.onClose(func() { _ = conn.Close() })
	if a.dataDir, err = openDataDir(cfg.DataDir, log); err != nil {
		return nil, err
	}
	a.node, a.epoch = nodeID(cfg, a.dataDir.path, log), nextEpoch(a.dataDir.path, log)

	registry := ops.NewRegistry()
	a.holder, a.router = state.New(), route.New(route.Config{}, route.Deps{})
	if a.gate, err = a.newGate(control, version, registry); err != nil {
		return nil, err
	}
	upstreams := proxy.New(proxy.Config{})
	a.onClose(upstreams.CloseIdle)
	a.openRecords()
	if a.budgets, err = a.newBudgets(); err != nil {
		return nil, err
	}
	a.road, err = gateway.New(gateway.Config{MaxBodyBytes: cfg.MaxBodyBytes}, gateway.Deps{State: a.holder, Gate: a.gate, Router: a.router,
		Upstreams: upstreams, Journal: a.records, Budgets: a.budgets, Log: log, Registerer: registry, Tracer: tracerOf(tracers)})
	if err != nil {
		return nil, fmt.Errorf("make gateway: %w", err)
	}
	a.holder.After(a.road.Reconfigured)
	a.reporter, err = report.NewGroup(report.Config{NodeID: a.node}, report.GroupDeps{Client: usagev1.NewUsageServiceClient(conn), Journal: a.records, Log: log})
	if err != nil {
		return nil, err
	}
	a.subscriber, err = subscribe.New(
		subscribe.Config{NodeID: a.node, Version: version, Epoch: a.epoch, DataDir: a.dataDir.path, JoinToken: cfg.JoinToken},
		subscribe.Deps{Client: configv1.NewConfigServiceClient(conn), Holder: a.holder, Status: a.status, Drain: a.drain.start, Budgets: a.budgets.Heard, Log: log})
	if err != nil {
		return nil, err
	}
	a.registerMetrics(registry)
	a.logStart(version)

	a.subscriber.Boot()
	a.serveOps(ops.Handler(ops.Config{Ready: a.ready, PProf: cfg.PProf}, registry))
	// 与控制面的三条流活到用量交清之后，所以不跟着 ctx 结束。
	streams, endStreams := context.WithCancel(context.WithoutCancel(ctx))
	a.onClose(endStreams)
	a.goOn("configuration stream", func() error { return a.subscriber.Run(streams) })
	a.goOn("usage stream", func() error { return a.reporter.Run(streams) })
	a.goOn("budgets", func() error { return a.budgets.Run(streams) })
	a.goOn("admission stream", func() error { return a.gate.Run(streams) })
	a.server = httpapi.Server(httpapi.New(httpapi.Config{CORSOrigins: cfg.CORSOrigins}, httpapi.Deps{Gateway: a.road}))
	a.server.ErrorLog = zap.NewStdLog(log.Named("http"))
	a.goOn("serve HTTP", func() error { return served(a.server.Serve(a.listen.served)) })
	return a, nil
}

// Wait 等到 ctx 结束、控制面要排空或有零件出错，然后按次序停下；返回时什么都不再跑。
func (a *App) Wait(ctx context.Context) error {
	var err error
	select {
	case err = <-a.failed:
		a.drain.start("failure")
	case <-a.drain.wanted:
	case <-ctx.Done():
		a.drain.start("signal")
	}
	a.shutdown()
	return err
}

// goOn 在后台跑一个长命的零件；它提前出错就结束整个进程。
func (a *App) goOn(what string, run func() error) {
	a.background.Go(func() {
		if err := run(); err != nil {
			a.failed <- fmt.Errorf("%s: %w", what, err)
		}
	})
}

// onClose 记下停的时候要做的；后记的先做。
func (a *App) onClose(f func()) { a.closers = append(a.closers, f) }

// close 断开一切，等后台的零件都结束；它们最后还要存盘，所以那之后才放开数据目录。
func (a *App) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.background.Wait()
	a.dataDir.close()
}
