package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/console"
	"github.com/vega-gateway/vega/controlplane/internal/nodeauth"
	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/ops"
)

// Run 起一个控制面，直到 ctx 结束（那时返回 nil）或有一处出错。
func Run(ctx context.Context, cfg Config, version string) error {
	log, err := ops.NewLogger(cfg.LogLevel, "controlplane")
	if err != nil {
		return fmt.Errorf("make logger: %w", err)
	}
	defer log.Sync()
	tracers, flushTraces, err := ops.Tracing(ctx, "vega-controlplane", version)
	if err != nil {
		return err
	}
	defer flushTraces(context.WithoutCancel(ctx))
	l, err := listen(cfg)
	if err != nil {
		return err
	}
	defer l.close()

	registry := ops.NewRegistry()
	var ready atomic.Pointer[func(context.Context) error]
	opsServer := serve(l.ops, ops.Handler(ops.Config{PProf: cfg.PProf, Ready: func(ctx context.Context) error {
		if check := ready.Load(); check != nil {
			return (*check)(ctx)
		}
		return errors.New("still starting")
	}}, registry), log)
	defer opsServer.Close()
	log.Info("starting", zap.String("version", version), zap.Stringer("http", l.http.Addr()), zap.Stringer("grpc", l.grpc.Addr()), zap.Stringer("ops", l.ops.Addr()))

	creds, err := loadSecrets(cfg, log)
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, cfg, creds, log)
	if err != nil {
		return stoppedOr(ctx, err)
	}
	defer db.close()

	pushMetrics := push.NewMetrics(registry)
	hub := push.NewHub(pushMetrics)
	reloader := push.NewReloader(push.ReloaderConfig{}, push.ReloaderDeps{Source: source{db.store}, Hub: hub, Listen: db.store.Listen, Metrics: pushMetrics, Log: log})
	fleet := push.NewFleet(push.FleetConfig{Replica: replicaName(cfg, l.grpc.Addr())}, push.FleetDeps{Store: db.store, Hub: hub, Metrics: pushMetrics, Log: log})
	watch := push.NewService(push.ServiceConfig{}, push.ServiceDeps{Hub: hub, Fleet: fleet, Refresher: reloader, Metrics: pushMetrics, Log: log})
	ingest := usage.New(usage.Config{}, usage.Deps{Store: db.store, Metrics: usage.NewMetrics(registry), Log: log})

	auth, err := nodeauth.New(nodeauth.Config{JoinToken: creds.joinToken}, log)
	if err != nil {
		return fmt.Errorf("guard gRPC: %w", err)
	}
	grpcServer := grpc.NewServer(append(push.ServerOptions(), l.grpcOption, grpc.ChainStreamInterceptor(auth.Stream()), grpc.ChainUnaryInterceptor(auth.Unary()),
		grpc.MaxRecvMsgSize(16<<20))...)
	configv1.RegisterConfigServiceServer(grpcServer, watch)
	usagev1.RegisterUsageServiceServer(grpcServer, ingest)

	page, err := console.New(console.Config{PublicAPIURL: cfg.PublicAPIURL}, console.Deps{})
	if err != nil {
		return fmt.Errorf("load console: %w", err)
	}
	api, err := adminapi.New(adminapi.Config{Token: creds.adminToken}, adminapi.Deps{
		Store: db.store, Fleet: fleet, Usage: usage.NewReader(db.store, nil), Mint: db.store.Mint(), Log: log, Metrics: registry, Console: page})
	if err != nil {
		return fmt.Errorf("make admin API: %w", err)
	}
	check := func(ctx context.Context) error { return readiness(ctx, db.store, hub) }
	ready.Store(&check)

	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return reloader.Run(running) })
	g.Go(func() error { return fleet.Run(running) })
	g.Go(func() error { return ingest.Run(running) })
	g.Go(func() error { return runGRPC(running, grpcServer, l.grpc) })
	g.Go(func() error {
		return runHTTP(running, newServer(otelhttp.NewHandler(api, "admin", otelhttp.WithTracerProvider(tracers)), log), l.http)
	})
	g.Go(func() error { return db.watch(running) })
	err = g.Wait()
	log.Info("stopped", zap.Error(err))
	return stoppedOr(ctx, err)
}

// readiness 要数据库应答，并且已经编出过一版快照。
func readiness(ctx context.Context, store *postgres.Store, hub *push.Hub) error {
	if err := store.Ping(ctx); err != nil {
		return errors.New("the database does not answer")
	}
	if hub.Head() == nil {
		return errors.New("no configuration loaded yet")
	}
	return nil
}

// stoppedOr 在我们自己被要求停下之后不把连带的错误当错误。
func stoppedOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func replicaName(cfg Config, grpcAddr net.Addr) string {
	if cfg.AdvertiseAddr != "" {
		return cfg.AdvertiseAddr
	}
	return grpcAddr.String()
}

// runGRPC 服务到 ctx 结束；流由它们各自的主人结束，超过 5 秒的强行断开。
func runGRPC(ctx context.Context, s *grpc.Server, l net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve gRPC: %w", err)
	case <-ctx.Done():
	}
	hard := time.AfterFunc(5*time.Second, s.Stop)
	defer hard.Stop()
	s.GracefulStop()
	return nil
}

// runHTTP 服务到 ctx 结束，再给在途的请求 15 秒（wait=true 最多 10 秒）。
func runHTTP(ctx context.Context, s *http.Server, l net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	if err := s.Shutdown(grace); err != nil {
		return s.Close()
	}
	return nil
}
