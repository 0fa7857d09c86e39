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
	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/console"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/live"
	"github.com/vega-gateway/vega/controlplane/internal/nodeauth"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/controlplane/internal/reconcile"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/ops"
)

// Run 起一个控制面，直到 ctx 结束（那时返回 nil）或有一处出错。
func Run(ctx context.Context, cfg Config, version string) error {
	a, err := Start(ctx, cfg, version)
	if err == nil {
		err = a.Run(ctx)
	}
	if ctx.Err() == nil {
		return err
	}
	return nil // 我们自己被要求停下：连带的错误不算错误
}

// App 是一个起好的控制面：监听已绑上，数据库已打开，运维监听已应答，只差 Run。
type App struct {
	log       *zap.Logger
	listeners *listeners
	ready     atomic.Pointer[readiness]
	// parts 是各长命的零件，Run 之下各占一个协程；closers 倒着做。
	parts   []func(context.Context) error
	closers []func()
}

// Start 造好一切，等到数据库应答为止；出错时已经起了的都会停掉。成功之后必须调用 Run。
func Start(ctx context.Context, cfg Config, version string) (*App, error) {
	log, err := ops.NewLogger(cfg.LogLevel, "controlplane")
	if err != nil {
		return nil, fmt.Errorf("make logger: %w", err)
	}
	a := &App{log: log}
	if err := a.assemble(ctx, cfg, version); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// Run 跑到 ctx 结束（返回 nil）或有一个零件出错，然后停下一切。只可调用一次。
func (a *App) Run(ctx context.Context) error {
	defer a.close()
	g, running := errgroup.WithContext(ctx)
	for _, part := range a.parts {
		g.Go(func() error { return part(running) })
	}
	err := g.Wait()
	a.log.Info("stopped", zap.Error(err))
	return err
}

// HTTPAddr、GRPCAddr、OpsAddr 是绑上了的地址；设置里的端口可以是 0。
func (a *App) HTTPAddr() net.Addr { return a.listeners.http.Addr() }

// GRPCAddr 见 HTTPAddr。
func (a *App) GRPCAddr() net.Addr { return a.listeners.grpc.Addr() }

// OpsAddr 见 HTTPAddr。
func (a *App) OpsAddr() net.Addr { return a.listeners.ops.Addr() }

func (a *App) assemble(ctx context.Context, cfg Config, version string) error {
	tracers, flushTraces, err := ops.Tracing(ctx, "vega-controlplane", version)
	if err != nil {
		return err
	}
	a.onClose(func() error { return flushTraces(context.WithoutCancel(ctx)) })
	if a.listeners, err = listen(cfg); err != nil {
		return err
	}
	a.onClose(a.listeners.close)
	registry := ops.NewRegistry()
	opsServer := serveOps(a.listeners.ops, ops.Handler(ops.Config{PProf: cfg.PProf, Ready: a.checkReady}, registry), a.log)
	a.onClose(opsServer.Close)
	a.log.Info("starting", zap.String("version", version), zap.Stringer("http", a.HTTPAddr()), zap.Stringer("grpc", a.GRPCAddr()), zap.Stringer("ops", a.OpsAddr()))
	if cfg.plaintext() {
		a.log.Warn("gRPC is plaintext, join token and upstream credentials included", zap.Stringer("grpc", a.GRPCAddr()))
	}
	if advertised(cfg, a.GRPCAddr()) == "" {
		a.log.Info("no address to give to nodes and to other replicas; with more than one replica set VEGA_ADVERTISE_ADDR", zap.Stringer("grpc", a.GRPCAddr()))
	}

	creds, err := loadSecrets(cfg, a.log)
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, cfg, creds, a.log)
	if err != nil {
		return err
	}
	a.onClose(db.close)

	pushMetrics := push.NewMetrics(registry)
	hub := push.NewHub(pushMetrics)
	reloader := push.NewReloader(push.ReloaderConfig{}, push.ReloaderDeps{Source: source{db.store}, Hub: hub, Listen: db.store.Listen, Metrics: pushMetrics, Log: a.log})
	board := &push.Board{}
	fleet := push.NewFleet(push.FleetConfig{Replica: replicaName(cfg, a.GRPCAddr())}, push.FleetDeps{Store: db.store, Hub: hub, Metrics: pushMetrics, Log: a.log})
	watch := push.NewService(push.ServiceConfig{}, push.ServiceDeps{Hub: hub, Board: board, Fleet: fleet, Refresher: reloader, Metrics: pushMetrics, Log: a.log})
	usageMetrics := usage.NewMetrics(registry)
	ingest := usage.New(usage.Config{}, usage.Deps{Store: db.store, Metrics: usageMetrics, Log: a.log})
	keeper := usage.NewKeeper(usage.KeeperConfig{}, usage.KeeperDeps{Store: db.store, Log: a.log})
	a.prepareUsage(ctx, keeper)
	roller := usage.NewRoller(usage.RollerConfig{}, usage.RollerDeps{Store: db.store, Metrics: usageMetrics, Log: a.log})
	budgets := budget.New(budget.Config{}, budget.Deps{Store: db.store, Hub: hub, Board: board, Log: a.log, Registerer: registry})
	peers, err := peerCredentials(cfg)
	if err != nil {
		return err
	}
	grantor := admission.New(admission.Config{Elector: admission.ElectorConfig{Address: advertised(cfg, a.GRPCAddr())}}, admission.Deps{
		Store: db.admission, Hub: hub, Refresher: reloader, Peers: admission.NewDialer(peers, creds.joinToken),
		Metrics: admission.NewMetrics(registry), Log: a.log.Named("admission")})

	auth, err := nodeauth.New(nodeauth.Config{JoinToken: creds.joinToken}, a.log)
	if err != nil {
		return fmt.Errorf("guard gRPC: %w", err)
	}
	grpcServer := grpc.NewServer(append(push.ServerOptions(), a.listeners.grpcOption, grpc.ConnectionTimeout(handshakeTimeout),
		grpc.ChainStreamInterceptor(auth.Stream()), grpc.ChainUnaryInterceptor(auth.Unary()))...)
	configv1.RegisterConfigServiceServer(grpcServer, watch)
	usagev1.RegisterUsageServiceServer(grpcServer, ingest)
	admissionv1.RegisterAdmissionServiceServer(grpcServer, admission.NewService(admission.ServiceConfig{}, grantor))

	page, err := console.New(console.Config{PublicAPIURL: cfg.PublicAPIURL}, console.Deps{})
	if err != nil {
		return fmt.Errorf("load console: %w", err)
	}
	people, err := identity.New(identity.Config{Idle: cfg.SessionIdle, Lifetime: cfg.SessionLifetime}, identity.Deps{Store: db.store, Log: a.log})
	if err != nil {
		return fmt.Errorf("make identity: %w", err)
	}
	if err := ensureFirst(ctx, cfg, people, a.log); err != nil {
		return err
	}
	reader := usage.NewReader(db.store, nil)
	watched := newWatched(db.store, live.PublisherDeps{Nodes: fleet, Queues: grantor, Hub: hub, Log: a.log, Metrics: registry}, budgets)
	about := adminapi.About{Version: version, PublicAPIURL: cfg.PublicAPIURL, Replica: replicaName(cfg, a.GRPCAddr()), StartedAt: time.Now()}
	api, err := a.adminAPI(cfg, creds, about, adminapi.Deps{
		Live: watched, Store: db.store, Fleet: fleet, Usage: reader, Reconcile: reconcile.New(reader, db.store), Queues: grantor, Budgets: budgets, Settings: db.store, Requests: usage.NewRequestReader(usage.RequestConfig{}, db.store), Mint: db.store.Mint(), Log: a.log, Metrics: registry, Console: page, Identity: people})
	if err != nil {
		return fmt.Errorf("make admin API: %w", err)
	}
	httpServer := newServer(otelhttp.NewHandler(api, "admin", otelhttp.WithTracerProvider(tracers)), a.log)

	a.ready.Store(&readiness{db.store, hub})
	a.parts = []func(context.Context) error{reloader.Run, fleet.Run, budgets.Run, ingest.Run, roller.Run, keeper.Run, grantor.Run, people.Run, watched.Run, db.watch,
		func(ctx context.Context) error { return runGRPC(ctx, grpcServer, a.listeners.grpc) },
		func(ctx context.Context) error { return runHTTP(ctx, httpServer, a.listeners.http) },
	}
	return nil
}

// adminAPI 给管理 API 补上登录的设置。
func (a *App) adminAPI(cfg Config, creds secrets, about adminapi.About, deps adminapi.Deps) (http.Handler, error) {
	proxies, err := identity.ParseProxies(cfg.TrustedProxies)
	if err != nil {
		return nil, err
	}
	if deps.OIDC, err = cfg.provider(); err != nil {
		return nil, err
	}
	if cfg.InsecureHTTP {
		a.log.Warn("sessions may leave this machine in the clear (VEGA_INSECURE_HTTP)", zap.Stringer("http", a.HTTPAddr()))
	}
	return adminapi.New(adminapi.Config{Token: creds.adminToken, Proxies: proxies, InsecureHTTP: cfg.InsecureHTTP, ConsoleURL: cfg.ConsoleURL, About: about}, deps)
}

// prepareUsage 不等也不因此起不来：备份正读着、别的副本卡着都会做不成。缺的分区 roller 自己建，请求先落在默认分区里。
func (a *App) prepareUsage(ctx context.Context, keeper *usage.Keeper) {
	const patience = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := keeper.Prepare(ctx); err != nil {
		a.log.Warn("cannot prepare the usage tables; trying again in a while", zap.Error(err))
	}
}

// onClose 记下停的时候要做的事；停不干净不是新的错误，只记一行。
func (a *App) onClose(f func() error) {
	a.closers = append(a.closers, func() {
		if err := f(); err != nil && !errors.Is(err, net.ErrClosed) {
			a.log.Warn("did not stop cleanly", zap.Error(err))
		}
	})
}

func (a *App) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	_ = a.log.Sync()
}

// replicaName 给运维认副本用。
func replicaName(cfg Config, grpcAddr net.Addr) string {
	if cfg.AdvertiseAddr != "" {
		return cfg.AdvertiseAddr
	}
	return grpcAddr.String()
}

// advertised 是节点与别的副本怎样连到本副本的 gRPC；空即说不出：听在所有网卡上的地址，别的机器连它只会连到自己。
func advertised(cfg Config, grpcAddr net.Addr) string {
	if cfg.AdvertiseAddr != "" {
		return cfg.AdvertiseAddr
	}
	if tcp, ok := grpcAddr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return ""
	}
	return grpcAddr.String()
}

// handshakeTimeout 是一条连上而不说话的 gRPC 连接可以占多久；停下时也要等它，所以不能用缺省的两分钟。
const handshakeTimeout = 5 * time.Second
