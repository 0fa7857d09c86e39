package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// rollLock 是 roller 的咨询锁：一个事务之内独占，死了就放。
const rollLock = 0x7665_6761_0001

// RollUsage 把至多 limit 行增量并入各级：删增量与加总数在同一个事务里，因此死在哪里都不丢不重。
// 早于一级的 usage_floor 的不再写进那一级。另一个副本正在并时什么也不做，Busy 为真。
func (s *Store) RollUsage(ctx context.Context, limit int) (usage.RollResult, error) {
	var result usage.RollResult
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var mine bool
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(rollLock)).Scan(&mine); err != nil {
			return fmt.Errorf("take the roll lock: %w", err)
		}
		if !mine {
			result.Busy = true
			return nil
		}
		var err error
		result, err = roll(ctx, tx, s.q.WithTx(tx), limit)
		return err
	})
	if err != nil {
		return usage.RollResult{}, vegaerr.Wrap(err, vegaerr.Unavailable, "", "usage cannot be rolled up now")
	}
	return result, nil
}

func roll(ctx context.Context, tx pgx.Tx, q *sqlcgen.Queries, limit int) (usage.RollResult, error) {
	// 各级的表都大，而碰到的键少；增量表忽大忽小，统计总是过时的。逐键走主键，不让计划器去扫整张表。
	if _, err := tx.Exec(ctx, "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"); err != nil {
		return usage.RollResult{}, fmt.Errorf("set the planner: %w", err)
	}
	levels := usage.NewLevels()
	deltas, err := takeDeltas(ctx, tx, levels, limit)
	if err != nil || deltas == 0 {
		return usage.RollResult{}, err
	}
	levels.Fold()
	floors, err := readFloors(ctx, q)
	if err != nil {
		return usage.RollResult{}, err
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

// takeDeltas 删去最旧的 limit 行，加进 levels 的分钟。
func takeDeltas(ctx context.Context, tx pgx.Tx, levels *usage.Levels, limit int) (int, error) {
	rows, err := tx.Query(ctx, "DELETE FROM usage_delta WHERE ctid = ANY (ARRAY(SELECT ctid FROM usage_delta ORDER BY id LIMIT $1)) RETURNING "+
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

// levelRows 是一级要加上的行：keys 是各键栏的数组，与 sums 等长。
type levelRows struct {
	level   usage.Level
	columns []string
	types   []string
	keys    []any
	buckets []time.Time
	sums    []*usage.Sum
}

func entryRows(level usage.Level, rows []usage.Entry) levelRows {
	n := len(rows)
	buckets, sums, sources := make([]time.Time, n), make([]*usage.Sum, n), make([]int16, n)
	var texts [5][]string
	for i := range texts {
		texts[i] = make([]string, n)
	}
	for i, r := range rows {
		buckets[i], sums[i], sources[i] = r.Bucket, r.Sum, int16(r.Source)
		for t, v := range [...]string{r.Server, r.App, r.Model, r.ServedModel, r.Code} {
			texts[t][i] = v
		}
	}
	return levelRows{
		level: level, buckets: buckets, sums: sums,
		columns: append([]string{"bucket"}, usageKeyColumns...),
		types:   []string{"timestamptz", "text", "text", "text", "text", "smallint", "text"},
		keys:    []any{buckets, texts[0], texts[1], texts[2], texts[3], sources, texts[4]},
	}
}

func byRows(level usage.Level, rows []usage.ByEntry) levelRows {
	n := len(rows)
	buckets, sums, sources := make([]time.Time, n), make([]*usage.Sum, n), make([]int16, n)
	dims, names := make([]int16, n), make([]string, n)
	for i, r := range rows {
		buckets[i], sums[i], sources[i], dims[i], names[i] = r.Bucket, r.Sum, int16(r.Source), int16(r.Dim), r.Name
	}
	return levelRows{
		level: level, buckets: buckets, sums: sums,
		columns: []string{"bucket", "dim", "name", "source"},
		types:   []string{"timestamptz", "smallint", "text", "smallint"},
		keys:    []any{buckets, dims, names, sources},
	}
}

// addToLevel 把已有的直方图并进来，再把各栏加上去。只有握着 rollLock 的事务写各级，读到的因此不会变。
func addToLevel(ctx context.Context, tx pgx.Tx, w levelRows) error {
	if len(w.sums) == 0 {
		return nil
	}
	if err := ensurePartitions(ctx, tx, w.level, w.buckets); err != nil {
		return err
	}
	added := make([][usage.NumCounters]int64, len(w.sums))
	for i, s := range w.sums {
		added[i] = s.Counts
	}
	if err := mergeHistograms(ctx, tx, w); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, upsertSQL(w), upsertArgs(w, added)...)
	return err
}

func mergeHistograms(ctx context.Context, tx pgx.Tx, w levelRows) error {
	histograms := usage.HistogramColumns()
	on := make([]string, len(w.columns))
	for i, c := range w.columns {
		on[i] = "u." + c + " = k." + c
	}
	rows, err := tx.Query(ctx, fmt.Sprintf("SELECT k.place, u.%s FROM unnest(%s) WITH ORDINALITY AS k (%s, place) JOIN %s AS u ON %s",
		strings.Join(histograms[:], ", u."), placeholders(w.types, 1), columnList(w.columns), w.level.Table(), strings.Join(on, " AND ")), w.keys...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var place int64
	var stored [usage.NumHistograms][]byte
	for rows.Next() {
		if err := rows.Scan(&place, (*pgtype.DriverBytes)(&stored[0]), (*pgtype.DriverBytes)(&stored[1]), (*pgtype.DriverBytes)(&stored[2])); err != nil {
			return err
		}
		for i, h := range stored {
			if err := w.sums[place-1].Histograms[i].MergeEncoded(h); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}

func upsertSQL(w levelRows) string {
	counters, histograms := usage.CounterColumns(), usage.HistogramColumns()
	columns, types := slices.Concat(w.columns, sumColumns()), slices.Clone(w.types)
	sets := make([]string, 0, len(columns))
	for _, c := range counters {
		types = append(types, "bigint")
		sets = append(sets, c+" = u."+c+" + EXCLUDED."+c)
	}
	for _, h := range histograms {
		types = append(types, "bytea")
		sets = append(sets, h+" = EXCLUDED."+h)
	}
	return fmt.Sprintf("INSERT INTO %s AS u (%s) SELECT * FROM unnest(%s) ON CONFLICT (%s) DO UPDATE SET %s",
		w.level.Table(), columnList(columns), placeholders(types, 1), columnList(w.columns), strings.Join(sets, ", "))
}

func upsertArgs(w levelRows, added [][usage.NumCounters]int64) []any {
	args := append([]any{}, w.keys...)
	for c := range usage.NumCounters {
		column := make([]int64, len(added))
		for i := range added {
			column[i] = added[i][c]
		}
		args = append(args, column)
	}
	for h := range usage.NumHistograms {
		column := make([][]byte, len(w.sums))
		for i, s := range w.sums {
			column[i] = s.Histograms[h].Append([]byte{})
		}
		args = append(args, column)
	}
	return args
}

func placeholders(types []string, from int) string {
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = fmt.Sprintf("$%d::%s[]", from+i, t)
	}
	return strings.Join(out, ", ")
}
