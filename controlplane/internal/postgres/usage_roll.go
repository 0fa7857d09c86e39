package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/controlplane/internal/usage/seeded"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// rollLock 是 roller 的咨询锁：一个事务之内独占，死了就放。
const rollLock = 0x7665_6761_0001

// rollTimeout 是握着 rollLock 的事务的上限：平常几秒，久到这样是连接或数据库坏了，不放手就再没有人能并、能删。
const rollTimeout = 2 * time.Minute

// limitStatements 让数据库自己也守这个上限：这一头不在了，它正在做的语句未必会停。语句之间的由 idleInTransaction 管。
func (s *Store) limitStatements(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "SELECT set_config('statement_timeout', $1::bigint::text, true)", s.rollTimeout.Milliseconds()); err != nil {
		return fmt.Errorf("set the statement timeout: %w", err)
	}
	return nil
}

// RollUsage 把至多 limit 行增量并入各级：删增量与加总数在同一个事务里，因此死在哪里都不丢不重。
// 早于一级的 usage_floor 的不再写进那一级。另一个副本正在并时什么也不做，Busy 为真。
func (s *Store) RollUsage(ctx context.Context, limit int) (usage.RollResult, error) {
	var result usage.RollResult
	ctx, cancel := context.WithTimeout(ctx, s.rollTimeout)
	defer cancel()
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := s.limitStatements(ctx, tx); err != nil {
			return err
		}
		var mine bool
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(rollLock)).Scan(&mine); err != nil {
			return fmt.Errorf("take the roll lock: %w", err)
		}
		if !mine && !seeded.Broken(seeded.RollUnlocked) {
			result.Busy = true
			return nil
		}
		var err error
		result, err = s.roll(ctx, tx, limit)
		return err
	})
	if err != nil {
		return usage.RollResult{}, vegaerr.Wrap(err, vegaerr.Unavailable, "", "usage cannot be rolled up now")
	}
	return result, nil
}

func (s *Store) roll(ctx context.Context, tx pgx.Tx, limit int) (usage.RollResult, error) {
	// 各级的表都大，而碰到的键少；增量表忽大忽小，统计总是过时的。逐键走主键，不让计划器去扫整张表。
	if _, err := tx.Exec(ctx, "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"); err != nil {
		return usage.RollResult{}, fmt.Errorf("set the planner: %w", err)
	}
	var from querier = tx
	if seeded.Broken(seeded.TakenApart) {
		from = s.pool
	}
	levels, q := usage.NewLevels(), s.q.WithTx(tx)
	deltas, err := takeDeltas(ctx, from, levels, limit)
	if err != nil || deltas == 0 {
		return usage.RollResult{}, err
	}
	levels.Fold()
	floors, err := readFloors(ctx, q)
	if err != nil {
		return usage.RollResult{}, err
	}
	if seeded.Broken(seeded.FloorIgnored) {
		floors = nil
	}
	if late := levels.Retire(floors); late != (usage.Totals{}) {
		if err := q.AddUsageRetired(ctx, lateParams(late)); err != nil {
			return usage.RollResult{}, fmt.Errorf("keep the totals of late records: %w", err)
		}
	}
	result := usage.RollResult{Deltas: deltas}
	for _, w := range []levelRows{
		entryRows(usage.LevelMinute, levels.Minutes()), entryRows(usage.LevelHour, levels.Hours()), entryRows(usage.LevelDay, levels.Days()),
		byRows(usage.LevelHourBy, levels.HoursBy()), byRows(usage.LevelDayBy, levels.DaysBy()),
	} {
		if w.level == usage.LevelHourBy && seeded.Broken(seeded.LevelForgotten) {
			continue
		}
		if err := addToLevel(ctx, tx, w); err != nil {
			return usage.RollResult{}, fmt.Errorf("add to %s: %w", w.level.Table(), err)
		}
		result.Rows += len(w.sums)
	}
	return result, nil
}

// lateParams 是晚得连天都已清退的记录：只剩总数。
func lateParams(t usage.Totals) sqlcgen.AddUsageRetiredParams {
	return sqlcgen.AddUsageRetiredParams{
		Partition: "late", Requests: t.Requests, Attempts: t.Attempts, Refused: t.Refused, PromptTokens: t.PromptTokens,
		CompletionTokens: t.CompletionTokens, CachedTokens: t.CachedTokens, ReasoningTokens: t.ReasoningTokens, CostNano: t.CostNano,
	}
}

// querier 是事务或连接池。
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// takeDeltas 删去最旧的 limit 行，加进 levels 的分钟。
func takeDeltas(ctx context.Context, from querier, levels *usage.Levels, limit int) (int, error) {
	rows, err := from.Query(ctx, "DELETE FROM usage_delta WHERE ctid = ANY (ARRAY(SELECT ctid FROM usage_delta ORDER BY id LIMIT $1)) RETURNING "+
		columnList(deltaColumns()), limit)
	if err != nil {
		return 0, fmt.Errorf("take usage deltas: %w", err)
	}
	defer rows.Close()
	var key usage.Key
	var minute time.Time
	var counts [usage.NumCounters]int64
	var histograms [usage.NumHistograms][]byte
	into := []any{&minute, &key.Server, &key.App, &key.Model, &key.ServedModel, &key.Source, &key.Code}
	for i := range counts {
		into = append(into, &counts[i])
	}
	for i := range histograms {
		into = append(into, (*pgtype.DriverBytes)(&histograms[i]))
	}
	n := 0
	for ; rows.Next(); n++ {
		if err := rows.Scan(into...); err != nil {
			return 0, fmt.Errorf("read usage deltas: %w", err)
		}
		key.Bucket = minute.UTC()
		sum := levels.Minute(key)
		for i, c := range counts {
			sum.Counts[i] += c
		}
		for i, h := range histograms {
			if err := sum.Histograms[i].MergeEncoded(h); err != nil {
				return 0, fmt.Errorf("merge usage deltas: %w", err)
			}
		}
	}
	return n, rows.Err()
}
