package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// SampleUsage 随机取有数的一天与其中一小时，给出它们在各级的和，都出自一个快照；一行也没有时 Sums 为空。
func (s *Store) SampleUsage(ctx context.Context) (usage.Sample, error) {
	var sample usage.Sample
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, usageQueryLocks); err != nil {
			return fmt.Errorf("lock the levels: %w", err)
		}
		floors, err := readFloors(ctx, s.q.WithTx(tx))
		if err != nil {
			return err
		}
		day, err := oneOf(ctx, tx, "SELECT bucket FROM usage_day_by WHERE dim = 0 AND bucket >= $1 ORDER BY random() LIMIT 1", comparableFrom(floors))
		if err != nil || day.IsZero() {
			return err
		}
		// 由天找小时：小时若整个不见了，也看得出。
		sample.Hour, err = oneOf(ctx, tx, "SELECT bucket FROM (SELECT DISTINCT bucket FROM usage_hour WHERE bucket >= $1 AND bucket < $1 + interval '1 day') AS h ORDER BY random() LIMIT 1", day)
		if err != nil {
			return err
		}
		if sample.Hour.IsZero() {
			sample.Hour = day
		}
		sample.Sums, err = sampleSums(ctx, tx, sample.Hour, day, !sample.Hour.Before(floors[usage.LevelMinute]))
		return err
	})
	if err != nil {
		return usage.Sample{}, vegaerr.Wrap(err, vegaerr.Unavailable, "", "usage cannot be read now")
	}
	return sample, nil
}

// comparableFrom 是各级从何时起都还留着；分钟另算。清退是逐级的，做到一半时各级不一样长。
func comparableFrom(floors map[usage.Level]time.Time) (from time.Time) {
	for _, l := range []usage.Level{usage.LevelHour, usage.LevelDay, usage.LevelHourBy, usage.LevelDayBy} {
		if floors[l].After(from) {
			from = floors[l]
		}
	}
	return from
}

// oneOf 是 query 的那一个时刻；没有则为零值。
func oneOf(ctx context.Context, tx pgx.Tx, query string, from time.Time) (time.Time, error) {
	var t time.Time
	err := tx.QueryRow(ctx, query, from).Scan(&t)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("choose what to compare: %w", err)
	}
	return t.UTC(), nil
}

func sampleSums(ctx context.Context, tx pgx.Tx, hour, day time.Time, minutes bool) ([]usage.LevelSum, error) {
	counters := usage.CounterColumns()
	columns := make([]string, len(counters))
	for i, c := range counters {
		columns[i] = "COALESCE(sum(" + c + "), 0)::bigint"
	}
	var parts []string
	add := func(name, span, where string, level usage.Level, day bool) {
		parts = append(parts, fmt.Sprintf("SELECT '%s', %t, %s FROM %s WHERE bucket >= %s%s", name, day, strings.Join(columns, ", "), level.Table(), span, where))
	}
	const inHour, inDay = "$1 AND bucket < $1 + interval '1 hour'", "$2 AND bucket < $2 + interval '1 day'"
	if minutes {
		add("minute", inHour, "", usage.LevelMinute, false)
	}
	add("hour", inHour, "", usage.LevelHour, false)
	add("hour", inDay, "", usage.LevelHour, true)
	add("day", inDay, "", usage.LevelDay, true)
	for dim, name := range []string{"all", "server", "app", "model"} {
		where := fmt.Sprintf(" AND dim = %d", dim)
		add("hour_by_"+name, inHour, where, usage.LevelHourBy, false)
		add("day_by_"+name, inDay, where, usage.LevelDayBy, true)
	}
	rows, err := tx.Query(ctx, strings.Join(parts, "\nUNION ALL\n"), hour, day)
	if err != nil {
		return nil, fmt.Errorf("sum the levels: %w", err)
	}
	sums, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (usage.LevelSum, error) {
		var l usage.LevelSum
		into := []any{&l.Name, &l.Day}
		for i := range l.Counts {
			into = append(into, &l.Counts[i])
		}
		return l, row.Scan(into...)
	})
	if err != nil {
		return nil, fmt.Errorf("sum the levels: %w", err)
	}
	return sums, nil
}
