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
	// VacuumUsage 清扫取走了的增量留下的空位。
	VacuumUsage(ctx context.Context) error
}

// RollResult 是并了一次的结果：取走的增量行数与写下的各级行数。
type RollResult struct {
	Deltas, Rows int
	Busy         bool
}

// RollerConfig 的零值可用。
type RollerConfig struct {
	// Every 是多久并一次；0 为 2 秒。查询与预算连增量一起读，并得慢不使它们变旧，只使增量多攒一点。
	Every time.Duration
	// Chunk 是一个事务至多取走的增量行数；0 为 50000。取满了就立刻再来。
	Chunk int
	// VacuumAfter 是取走多少行之后清扫一次增量表；0 为 100000。读增量的都从头扫它，空位要及时腾出。
	VacuumAfter int
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
	// taken 是上次清扫以来取走的行数；只有 Run 用。
	taken int
}

// NewRoller 造 Roller，由 Run 跑起来。
func NewRoller(cfg RollerConfig, deps RollerDeps) *Roller {
	if cfg.Every == 0 {
		cfg.Every = 2 * time.Second
	}
	if cfg.Chunk == 0 {
		cfg.Chunk = 50_000
	}
	if cfg.VacuumAfter == 0 {
		cfg.VacuumAfter = 100_000
	}
	return &Roller{cfg: cfg, deps: deps}
}

// Run 定期并入，直到 ctx 结束。
func (r *Roller) Run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.Every)
	defer tick.Stop()
	for {
		r.drain(ctx)
		r.vacuum(ctx)
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
		r.taken += done.Deltas
		if done.Deltas < r.cfg.Chunk {
			return
		}
	}
}

func (r *Roller) vacuum(ctx context.Context) {
	if r.taken < r.cfg.VacuumAfter || ctx.Err() != nil {
		return
	}
	r.taken = 0
	if err := r.deps.Store.VacuumUsage(ctx); err != nil && ctx.Err() == nil {
		r.deps.Log.Warn("cannot vacuum the usage deltas", zap.Error(err))
	}
}
