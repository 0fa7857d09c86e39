package app

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/dataplane/internal/admit"
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

// Run 起一个数据面，直到 ctx 结束或控制面要它排空（那时做完手上的再返回 nil），或有一处出错。
func Run(ctx context.Context, cfg Config, version string) error {
	log, err := ops.NewLogger(cfg.LogLevel, "dataplane")
	if err != nil {
		return fmt.Errorf("make logger: %w", err)
	}
	defer log.Sync()
	tracers, flushTraces, err := ops.Tracing(ctx, "vega-dataplane", version)
	if err != nil {
		return err
	}
	defer flushTraces(context.WithoutCancel(ctx))
	l, err := listen(cfg, log)
	if err != nil {
		return err
	}
	defer l.close()
	dataDir := usableDir(cfg.DataDir, log)
	id, err := nodeID(cfg)
	if err != nil {
		log.Warn("node id will change with the next start", zap.Error(err))
	}
	conn, err := dialControlplane(cfg)
	if err != nil {
		return err
	}
	defer conn.Close()

	registry := ops.NewRegistry()
	holder := state.New()
	gate := admit.New(admit.Deps{})
	router := route.New(route.Config{}, route.Deps{})
	upstreams := proxy.New(proxy.Config{})
	holder.After(func(s *state.State) { upstreams.Retain(s.Servers()) })
	records := journal.New(journal.Config{})
	road, err := gateway.New(gateway.Config{MaxBodyBytes: cfg.MaxBodyBytes}, gateway.Deps{State: holder, Gate: gate, Router: router, Upstreams: upstreams,
		Journal: records, Log: log, Registerer: registry, Tracer: tracerOf(tracers)})
	if err != nil {
		return fmt.Errorf("make gateway: %w", err)
	}
	reporter, err := report.New(report.Config{NodeID: id}, report.Deps{Client: usagev1.NewUsageServiceClient(conn), Journal: records, Log: log})
	if err != nil {
		return err
	}
	d := newDrain()
	var subscriber *subscribe.Subscriber
	status := func() *configv1.NodeStatus {
		load, stats := gate.Totals(), records.Stats()
		return &configv1.NodeStatus{InFlight: load.InFlight, Waiting: load.Waiting, Draining: d.started(), LastError: subscriber.LastError(),
			Ejections: router.Ejections(), Unreported: stats.Unreported}
	}
	subscriber, err = subscribe.New(subscribe.Config{NodeID: id, Version: version, Epoch: randomEpoch(), DataDir: dataDir, JoinToken: cfg.JoinToken},
		subscribe.Deps{Client: configv1.NewConfigServiceClient(conn), Holder: holder, Status: status, Drain: d.start, Log: log})
	if err != nil {
		return err
	}
	registerNode(registry, holder, subscriber, reporter, records, l.api)

	ready := func(context.Context) error {
		switch {
		case d.started():
			return errors.New("draining")
		case holder.Load() == nil:
			return errors.New("no configuration yet")
		}
		return nil
	}
	opsServer := serveOps(l.ops, ops.Handler(ops.Config{Ready: ready, PProf: cfg.PProf}, registry), log)
	defer opsServer.Close()
	log.Info("starting", zap.String("version", version), zap.String("node", id), zap.Stringer("http", l.api.Addr()), zap.Stringer("ops", l.ops.Addr()),
		zap.Strings("controlplane", cfg.ControlplaneAddr), zap.Bool("plaintext_grpc", cfg.plaintext()),
		zap.Uint64("file_descriptors", l.api.Files()), zap.Int64("max_connections", l.api.Max()))
	if subscriber.Boot() {
		log.Info("serving the last known good configuration from disk", zap.Uint64("revision", holder.Load().Revision))
	}

	// 与控制面的两条流活到用量交清之后，所以不跟着 ctx 结束。
	streams, endStreams := context.WithCancel(context.WithoutCancel(ctx))
	defer endStreams()
	background := runAll(streams, subscriber.Run, reporter.Run)
	server := httpapi.Server(httpapi.New(httpapi.Config{CORSOrigins: cfg.CORSOrigins}, httpapi.Deps{Gateway: road}))
	server.ErrorLog = zap.NewStdLog(log.Named("http"))
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(l.served) }()
	select {
	case err := <-serving:
		return fmt.Errorf("serve HTTP: %w", err)
	case err := <-background:
		return fmt.Errorf("control plane streams: %w", err)
	case <-d.wanted:
	case <-ctx.Done():
		d.start("signal")
	}
	return shutdown(cfg, log, server, reporter, func() { endStreams(); upstreams.CloseIdle(); <-background })
}

// usableDir 确认数据目录写得进；不行就不用它：节点照常工作，只是重启时没有盘上的配置。
func usableDir(dir string, log *zap.Logger) string {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(dir, ".writable-*"); err == nil {
			probe.Close()
			os.Remove(probe.Name())
			return dir
		}
	}
	log.Error("data directory cannot be written: no last known good configuration will be kept", zap.String("path", dir), zap.Error(err))
	return ""
}

func randomEpoch() uint64 {
	var b [8]byte
	rand.Read(b[:]) // 从不返回错误
	return binary.LittleEndian.Uint64(b[:])
}

// registerNode 登记节点自己的指标；各零件的在各零件里。
func registerNode(reg prometheus.Registerer, holder *state.Holder, sub *subscribe.Subscriber, rep *report.Reporter, records *journal.Journal, api *httpapi.Limit) {
	gauge := func(name, help string, f func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	gauge("vega_config_revision", "Configuration revision in use.", func() float64 {
		if s := holder.Load(); s != nil {
			return float64(s.Revision)
		}
		return 0
	})
	gauge("vega_config_stream_connected", "Whether the configuration stream is up.", func() float64 { return truth(sub.Connected()) })
	gauge("vega_usage_stream_connected", "Whether the usage stream is up.", func() float64 { return truth(rep.Connected()) })
	gauge("vega_usage_unreported", "Usage records not yet acknowledged by the control plane.", func() float64 { return float64(records.Stats().Unreported) })
	gauge("vega_usage_dropped_total", "Usage records lost because the ring was full.", func() float64 { return float64(records.Stats().Dropped) })
	gauge("vega_client_connections", "Open client connections.", func() float64 { return float64(api.Open()) })
	gauge("vega_client_connections_refused_total", "Client connections refused to stay below the descriptor limit.", func() float64 { return float64(api.Refused()) })
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// runAll 让各个零件跑到 ctx 结束；第一个提前出错的，或全体结束，进通道。
func runAll(ctx context.Context, parts ...func(context.Context) error) <-chan error {
	out := make(chan error, 1)
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() { ended <- part(ctx) }()
	}
	go func() {
		var first error
		for range parts {
			if err := <-ended; err != nil && first == nil && ctx.Err() == nil {
				first = err
				out <- err
			}
		}
		close(out)
	}()
	return out
}
