package usage

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
)

// KeeperStore 是保留期所要的。
type KeeperStore interface {
	LoadSettings(ctx context.Context) (Settings, uint64, error)
	// PrepareUsage 建好各级从 from 至 to 的分区。
	PrepareUsage(ctx context.Context, from, to time.Time) error
	// RetireUsage 删去 level 在 floor 之前的分区，返回删了几个。
	RetireUsage(ctx context.Context, level Level, floor time.Time) (int, error)
	// VacuumUsage 清扫取走了的增量留下的空位。
	VacuumUsage(ctx context.Context) error
}

// KeeperConfig 的零值可用。
type KeeperConfig struct {
	// Every 是多久做一次；0 为 10 分钟。
	Every time.Duration
}

// KeeperDeps 除 Now 外都必须给；Now 为 nil 是 time.Now。
type KeeperDeps struct {
	Store KeeperStore
	Log   *zap.Logger
	Now   func() time.Time
}

// Keeper 先建分区、后删过期的；几个副本同时做也无妨。
type Keeper struct {
	cfg  KeeperConfig
	deps KeeperDeps
}

const (
	partitionsBehind = day
	partitionsAhead  = 2 * day
)

// NewKeeper 造 Keeper；开始服务之前先调一次 Prepare。
func NewKeeper(cfg KeeperConfig, deps KeeperDeps) *Keeper {
	if cfg.Every == 0 {
		cfg.Every = 10 * time.Minute
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Keeper{cfg: cfg, deps: deps}
}

// Prepare 建好昨天至后天的分区。
func (k *Keeper) Prepare(ctx context.Context) error {
	now := k.deps.Now()
	return k.deps.Store.PrepareUsage(ctx, now.Add(-partitionsBehind), now.Add(partitionsAhead))
}

// Run 定期建与删，直到 ctx 结束。
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.cfg.Every)
	defer tick.Stop()
	for {
		if err := k.Keep(ctx); err != nil && ctx.Err() == nil {
			k.deps.Log.Warn("cannot maintain the usage tables", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Keep 做一次：建分区，按设置删过期的，清扫增量表。一件做不成不妨碍别的，错误合在一起返回。
func (k *Keeper) Keep(ctx context.Context) error {
	now := k.deps.Now()
	return errors.Join(k.Prepare(ctx), k.retire(ctx, now), k.deps.Store.VacuumUsage(ctx))
}

func (k *Keeper) retire(ctx context.Context, now time.Time) error {
	settings, _, err := k.deps.Store.LoadSettings(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, level := range AllLevels() {
		floor := settings.Retention.Floor(level, now)
		dropped, err := k.deps.Store.RetireUsage(ctx, level, floor)
		failed = errors.Join(failed, err)
		if dropped > 0 {
			k.deps.Log.Info("expired usage was dropped", zap.String("table", level.Table()), zap.Int("partitions", dropped), zap.Time("kept_from", floor))
		}
	}
	return failed
}
