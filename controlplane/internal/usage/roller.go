package usage

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// RollStore 是 roller 所要的。
type RollStore interface {
	// RollUsage 在一个事务里把至多 limit 行增量并入各级；别人正在并时 Busy 为真，什么也没做。
	RollUsage(ctx context.Context, limit int) (RollResult, error)
}

// RollResult 是并了一次的结果：取走的增量行数与写下的各级行数。
type RollResult struct {
	Deltas, Rows int
	Busy         bool
}

// RollerConfig 的零值可用。
type RollerConfig struct {
	// Every 是多久并一次；0 为 1 秒。
	Every time.Duration
	// Chunk 是一个事务至多取走的增量行数；0 为 50000。取满了就立刻再来。
	Chunk int
}

// RollerDeps 都必须给。
type RollerDeps struct {
	Store   RollStore
	Metrics *Metrics
	Log     *zap.Logger
}

// Roller 把增量并入各级；每个副本都有一个，同一时刻只有一个在并。
type Roller struct {
	cfg  RollerConfig
	deps RollerDeps
}

// NewRoller 造 Roller，由 Run 跑起来。
func NewRoller(cfg RollerConfig, deps RollerDeps) *Roller {
	if cfg.Every == 0 {
		cfg.Every = time.Second
	}
	if cfg.Chunk == 0 {
		cfg.Chunk = 50_000
	}
	return &Roller{cfg: cfg, deps: deps}
}

// Run 定期并入，直到 ctx 结束。
func (r *Roller) Run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.Every)
	defer tick.Stop()
	for {
		r.drain(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// drain 并到不再取满为止。
func (r *Roller) drain(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		done, err := r.deps.Store.RollUsage(ctx, r.cfg.Chunk)
		if err != nil {
			if ctx.Err() == nil {
				r.deps.Metrics.rollFailures.Inc()
				r.deps.Log.Warn("cannot roll usage up", zap.Error(err))
			}
			return
		}
		if !done.Busy {
			r.deps.Metrics.rolled(done, time.Since(began))
		}
		if done.Deltas < r.cfg.Chunk {
			return
		}
	}
}
