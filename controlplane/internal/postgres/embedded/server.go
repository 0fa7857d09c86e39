package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
)

// orphanWait 是 postmaster 被杀后，等残余后端放开共享内存的时间。
const orphanWait = 10 * time.Second

// Server 是一个正在运行的私有 PostgreSQL；只能由 Start 得到。
type Server struct {
	cfg     Config
	home    *home
	acct    account
	socks   string
	child   *child
	sink    *logSink
	stopped chan struct{} // Stop 开始时关闭，用来区分寿终与横死
	once    sync.Once
	stopErr error
}

// Start 启动 cfg.DataDir 里的数据库，需要时先建簇，直到能查询才返回。ctx 只管启动；到期或取消时已启动的部分都会停掉。
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	h, err := openHome(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, home: h, stopped: make(chan struct{})}
	if err := s.start(ctx); err != nil {
		if s.child != nil {
			err = errors.Join(err, shutDown(context.WithoutCancel(ctx), s.child.target()))
		}
		h.close()
		return nil, fmt.Errorf("start embedded PostgreSQL in %s: %w", cfg.DataDir, err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	cluster := s.home.cluster()
	major, err := clusterMajor(cluster)
	if err != nil {
		return err
	}
	bin, err := findBinaries(ctx, s.cfg.BinDir, major)
	if err != nil {
		return err
	}
	if s.acct, err = accountFor(cluster); err != nil {
		return err
	}
	if err := stopLeftover(ctx, cluster, s.cfg.Logger); err != nil {
		return err
	}
	if err := s.home.sweep(); err != nil {
		s.cfg.Logger.Warn("cannot remove leftovers of a previous run", zap.Error(err))
	}
	if major == 0 {
		began := time.Now()
		if err := initCluster(ctx, s.home, bin, s.acct, s.cfg.Durable); err != nil {
			return err
		}
		s.cfg.Logger.Info("PostgreSQL data directory created",
			zap.String("data_dir", cluster), zap.Int("major", bin.major), zap.Duration("took", time.Since(began)))
	}
	if s.socks, err = s.home.makeSocketDir(s.acct); err != nil {
		return err
	}
	if err := s.launch(ctx, bin); err != nil {
		return err
	}
	return s.ensureDatabase(ctx)
}

// launch 启动 postmaster 并等它接受连接；残余后端还占着共享内存时重试。
func (s *Server) launch(ctx context.Context, bin binaries) error {
	for deadline := time.Now().Add(orphanWait); ; {
		if err := s.spawnPostmaster(bin); err != nil {
			return err
		}
		err := s.awaitReady(ctx)
		if err == nil || !strings.Contains(s.sink.tail(), "shared memory block") || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * pollEvery)
	}
}

func (s *Server) spawnPostmaster(bin binaries) error {
	cmd, closeDirs, err := command(bin.path("postgres"), s.acct, syscall.SIGINT, s.home.cluster(), s.socks)
	if err != nil {
		return err
	}
	defer closeDirs()
	cmd.Args = append(cmd.Args, "-D", cmd.lent[0], "-k", cmd.lent[1])
	for _, setting := range append(s.cfg.settings(), markerSetting(s.home.cluster())) {
		cmd.Args = append(cmd.Args, "-c", setting)
	}
	s.sink = &logSink{log: s.cfg.Logger}
	cmd.Stderr = s.sink
	c, err := spawn(cmd.Cmd)
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("run %s as account %q: %w", bin.path("postgres"), s.acct.name, err)
	}
	if err != nil {
		return fmt.Errorf("run postgres: %w", err)
	}
	s.child = c
	return nil
}

// awaitReady 等到能以 roleName 登录；恢复需要多久就等多久，只受 ctx 限制。
func (s *Server) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.urlOf("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.child.done:
			return s.ended("while starting")
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer (%w): %w", err, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func (s *Server) ensureDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.urlOf("postgres"))
	if err != nil {
		return fmt.Errorf("connect to create the database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", databaseName).Scan(&exists); err != nil {
		return fmt.Errorf("look for the database: %w", err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+databaseName); err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	return nil
}

// URL 给出 pgx 与 libpq 都认的连接串，经 UNIX 套接字到库 vega；用户是超级用户 vega。
func (s *Server) URL() string { return s.urlOf(databaseName) }

func (s *Server) urlOf(database string) string {
	q := url.Values{"host": {s.socks}, "port": {port}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", User: url.User(roleName), Path: "/" + database, RawQuery: q.Encode()}).String()
}

// Done 在 postmaster 结束时关闭，无论自行死去还是被 Stop。
func (s *Server) Done() <-chan struct{} { return s.child.done }

// Err 在 Done 关闭之后说明 postmaster 为何自行结束；还活着或由 Stop 停掉的是 nil。
func (s *Server) Err() error {
	select {
	case <-s.child.done:
	default:
		return nil
	}
	select {
	case <-s.stopped:
		return nil
	default:
		return s.ended("unexpectedly")
	}
}

// ended 说 postmaster 怎么结束的，连同它最后的话；在 child.done 关闭之后调用。
func (s *Server) ended(how string) error {
	if s.child.err == nil {
		return fmt.Errorf("postgres ended %s (exit status 0): %s", how, s.sink.tail())
	}
	return fmt.Errorf("postgres ended %s (%w): %s", how, s.child.err, s.sink.tail())
}

// Stop 停掉服务器并放开 DataDir。ctx 是快速关闭的期限（它没有期限时最多 60 s），过后改用立即关闭；
// 所以 ctx 应当是新的，而不是那个已经取消、促使进程退出的。可重复调用。
func (s *Server) Stop(ctx context.Context) error {
	s.once.Do(func() {
		if s.Err() == nil {
			close(s.stopped)
		}
		if err := shutDown(ctx, s.child.target()); err != nil {
			s.stopErr = fmt.Errorf("stop embedded PostgreSQL: %w", err)
		}
		s.home.close()
	})
	return s.stopErr
}

// Discard 停掉遗留在 dataDir 上的服务器并删掉整个目录；有活着的进程在用时返回 ErrLocked。供测试清扫。
func Discard(ctx context.Context, dataDir string) error {
	h, err := openHome(dataDir)
	if err != nil {
		return err
	}
	defer h.close()
	if err := stopLeftover(ctx, h.cluster(), zap.NewNop()); err != nil {
		return err
	}
	if err := h.sweep(); err != nil {
		return fmt.Errorf("remove leftovers: %w", err)
	}
	if err := os.RemoveAll(dataDir); err != nil {
		return fmt.Errorf("remove data directory: %w", err)
	}
	return nil
}
