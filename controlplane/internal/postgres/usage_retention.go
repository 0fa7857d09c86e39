package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/controlplane/internal/usage/seeded"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// PrepareUsage 建好各级在 from 与 to 之间的分区，并把先落在默认分区里的请求搬过去。
func (s *Store) PrepareUsage(ctx context.Context, from, to time.Time) error {
	for _, level := range usage.AllLevels() {
		var starts []time.Time
		for p := level.PartitionOf(from); !p.From.After(to); p = level.PartitionOf(p.To) {
			starts = append(starts, p.From)
		}
		err := s.maintain(ctx, func(tx pgx.Tx) error { return ensurePartitions(ctx, tx, level, starts) })
		if err != nil {
			return err
		}
	}
	return nil
}

// RetireUsage 删去 level 在 floor 之前的分区，返回删了几个。天的合计移进 usage_retired：守恒不因删除而断。
func (s *Store) RetireUsage(ctx context.Context, level usage.Level, floor time.Time) (int, error) {
	var dropped int
	err := s.maintain(ctx, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		if err := q.RaiseUsageFloor(ctx, level.Table(), floor); err != nil {
			return fmt.Errorf("raise floor: %w", err)
		}
		names, err := partitionsOf(ctx, tx, level)
		if err != nil {
			return err
		}
		for _, name := range names {
			p, ok := level.ParsePartition(name)
			if !ok || p.To.After(floor) {
				continue
			}
			if err := retire(ctx, tx, level, p); err != nil {
				return fmt.Errorf("retire %s: %w", name, err)
			}
			dropped++
		}
		if level == usage.LevelRequest {
			return q.DeleteOldRequests(ctx, floor)
		}
		return nil
	})
	return dropped, err
}

// maintain 与 roller 互斥；等不到表锁就放手，不让查询在它后面排队。
func (s *Store) maintain(ctx context.Context, f func(pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.rollTimeout)
	defer cancel()
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := s.limitStatements(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(rollLock)); err != nil {
			return fmt.Errorf("take the roll lock: %w", err)
		}
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '2s'"); err != nil {
			return fmt.Errorf("set the lock timeout: %w", err)
		}
		return f(tx)
	})
	if err != nil {
		return vegaerr.Wrap(err, vegaerr.Unavailable, "", "usage tables cannot be maintained now")
	}
	return nil
}

func partitionsOf(ctx context.Context, tx pgx.Tx, level usage.Level) ([]string, error) {
	rows, err := tx.Query(ctx, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::text::regclass ORDER BY 1", level.Table())
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	return names, nil
}

func retire(ctx context.Context, tx pgx.Tx, level usage.Level, p usage.Partition) error {
	if level == usage.LevelDayBy && !seeded.Broken(seeded.RetireForgets) {
		_, err := tx.Exec(ctx, fmt.Sprintf(`INSERT INTO usage_retired AS u (partition, requests, attempts, refused, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_nano)
SELECT '%[1]s', sum(requests), sum(attempts), sum(refused), sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), sum(reasoning_tokens), sum(cost_nano)
FROM %[1]s WHERE dim = 0 HAVING count(*) > 0
ON CONFLICT (partition) DO UPDATE SET requests = u.requests + EXCLUDED.requests, attempts = u.attempts + EXCLUDED.attempts, refused = u.refused + EXCLUDED.refused,
    prompt_tokens = u.prompt_tokens + EXCLUDED.prompt_tokens, completion_tokens = u.completion_tokens + EXCLUDED.completion_tokens,
    cached_tokens = u.cached_tokens + EXCLUDED.cached_tokens, reasoning_tokens = u.reasoning_tokens + EXCLUDED.reasoning_tokens,
    cost_nano = u.cost_nano + EXCLUDED.cost_nano, retired_at = now()`, p.Name))
		if err != nil {
			return fmt.Errorf("keep its totals: %w", err)
		}
	}
	_, err := tx.Exec(ctx, "DROP TABLE "+p.Name)
	return err
}

// UsageFloors 给出各级从何时起齐全；没有删过的级不在其中。
func (s *Store) UsageFloors(ctx context.Context) (map[usage.Level]time.Time, error) {
	floors, err := readFloors(ctx, s.q)
	if err != nil {
		return nil, vegaerr.Wrap(err, vegaerr.Unavailable, "", "usage cannot be read now")
	}
	return floors, nil
}

func readFloors(ctx context.Context, q *sqlcgen.Queries) (map[usage.Level]time.Time, error) {
	rows, err := q.UsageFloors(ctx)
	if err != nil {
		return nil, fmt.Errorf("read floors: %w", err)
	}
	out := make(map[usage.Level]time.Time, len(rows))
	for _, level := range usage.AllLevels() {
		for _, r := range rows {
			if r.Level == level.Table() {
				out[level] = r.Floor.UTC()
			}
		}
	}
	return out, nil
}

// VacuumUsage 清扫取走了的增量留下的空位。
func (s *Store) VacuumUsage(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.rollTimeout)
	defer cancel()
	if _, err := s.pool.Exec(ctx, "VACUUM usage_delta"); err != nil {
		return vegaerr.Wrap(err, vegaerr.Unavailable, "", "usage tables cannot be maintained now")
	}
	return nil
}
