package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
)

// Store 是连接池之上的一层；各名词的方法在同名文件里。
type Store struct {
	pool *pgxpool.Pool
	q    *sqlcgen.Queries
	// vault 在 Unlock 之前是零值，那时不能读写配置。
	vault vault
	// last 为 nil 表示还没有读过配置；它所指的只读。
	last atomic.Pointer[loaded]
	// sample 是最近读到的请求取样；nil 表示还没有读过。
	sample atomic.Pointer[sampling]
	// touched 让每把 key 的最近使用每分钟只写一次。
	touched touched
	// rollTimeout 见同名的常量；造好之后不变。
	rollTimeout time.Duration
}

const (
	// defaultConns 够几个等锁的写与几十个节点的入账同时进行；pgx 的缺省在小机器上只有 4。
	defaultConns = 16
	// idleInTransaction 让断了网的副本不能一直握着 config_head 的锁：对端不在了，PostgreSQL 自己未必知道。
	idleInTransaction = "30s"
)

// Open 连上 url 所指的数据库并确认它应答；maxConns 为 0 用 url 里的 pool_max_conns，也没有则 16。结构由 Migrate 另行保证。
func Open(ctx context.Context, url string, maxConns int32) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parse database URL: %w", err)
	}
	switch {
	case maxConns > 0:
		cfg.MaxConns = maxConns
	case !strings.Contains(url, "pool_max_conns="):
		cfg.MaxConns = defaultConns
	}
	const setting = "idle_in_transaction_session_timeout"
	if params := cfg.ConnConfig.RuntimeParams; params[setting] == "" {
		params[setting] = idleInTransaction
	}
	cfg.HealthCheckPeriod = 5 * time.Second
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("reach database: %w", err)
	}
	return &Store{pool: pool, q: sqlcgen.New(pool), rollTimeout: rollTimeout}, nil
}

// Ping 问数据库是否应答。
func (s *Store) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

// Close 等在用的连接归还后关闭。
func (s *Store) Close() { s.pool.Close() }
