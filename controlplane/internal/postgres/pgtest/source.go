package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/postgres"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/embedded"
)

const (
	envURL    = "VEGA_TEST_DATABASE_URL"
	dirPrefix = "vega-pgtest-"
	// settle 之内的目录可能正在启动，还没来得及上锁，不清扫。
	settle = time.Minute
	image  = "postgres:17-alpine"
)

// open 按包注释里的次序找一台服务器。
func open(ctx context.Context) (*server, error) {
	if url := os.Getenv(envURL); url != "" {
		s, err := connect(ctx, url, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", envURL, err)
		}
		return s, nil
	}
	s, err := openLocal(ctx, dataBase(), "")
	if !errors.Is(err, embedded.ErrNoBinaries) {
		return s, err
	}
	s, dockerErr := openContainer(ctx)
	if dockerErr != nil {
		return nil, fmt.Errorf("no PostgreSQL to test on: %s is not set; %w; no healthy Docker: %w", envURL, err, dockerErr)
	}
	return s, nil
}

// openLocal 用本机程序启动服务器，数据在 base 之下；binDir 为空时自行寻找。
func openLocal(ctx context.Context, base, binDir string) (*server, error) {
	sweepDirs(ctx, base, time.Now())
	dir, err := os.MkdirTemp(base, dirPrefix)
	if err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	pg, err := embedded.Start(ctx, embedded.Config{DataDir: dir, BinDir: binDir})
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return connect(ctx, pg.URL(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err := errors.Join(pg.Stop(ctx), embedded.Discard(ctx, dir))
		if err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
		}
	})
}

// dataBase 是放数据的地方：内存盘上克隆一个库只要二三十毫秒，磁盘上可以到几百。
func dataBase() string {
	const shm = "/dev/shm"
	if probe, err := os.MkdirTemp(shm, dirPrefix+"probe-"); err == nil {
		os.Remove(probe)
		return shm
	}
	return os.TempDir()
}

// sweepDirs 删掉被杀死的测试进程留下的数据目录；活着的都锁着。
func sweepDirs(ctx context.Context, base string, now time.Time) {
	stale, _ := filepath.Glob(filepath.Join(base, dirPrefix+"*"))
	for _, dir := range stale {
		info, err := os.Lstat(dir)
		if err == nil && info.IsDir() && now.Sub(info.ModTime()) > settle {
			_ = embedded.Discard(ctx, dir) // 别人的目录、正在用的目录都会拒绝，正合所愿
		}
	}
}

// openContainer 在健康的 Docker 上启动一个容器；进程被杀时由 Ryuk 收走。
func openContainer(ctx context.Context) (*server, error) {
	if err := dockerHealthy(ctx); err != nil {
		return nil, err
	}
	c, err := postgres.Run(ctx, image,
		postgres.WithDatabase("vega"), postgres.WithUsername("vega"), postgres.WithPassword("vega"),
		postgres.BasicWaitStrategies(),
		testcontainers.WithTmpfs(map[string]string{"/var/lib/postgresql/data": "rw"}),
		testcontainers.WithCmd("postgres", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=300"),
		testcontainers.WithLogger(log.New(io.Discard, "", 0)),
	)
	stop := func() {
		if err := testcontainers.TerminateContainer(c); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
		}
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("run %s: %w", image, err)
	}
	url, err := c.ConnectionString(ctx, "sslmode=disable")
	if err != nil {
		stop()
		return nil, fmt.Errorf("find the container's port: %w", err)
	}
	return connect(ctx, url, stop)
}

// dockerHealthy 问 Docker 引擎是否可用；没有 Docker 时 testcontainers 会 panic，在此化为错误。
func dockerHealthy(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	provider, err := testcontainers.ProviderDefault.GetProvider()
	if err != nil {
		return err
	}
	defer func() { _ = provider.Close() }()
	return provider.Health(ctx)
}
