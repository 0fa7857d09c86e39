package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// usageQueryLocks 先于快照：删分区要等它放手，因此读到的 floor 与读到的分区说的是同一件事。与读写都不相争。
const usageQueryLocks = `LOCK TABLE ONLY usage_minute, ONLY usage_hour, ONLY usage_day, ONLY usage_hour_by, ONLY usage_day_by IN ACCESS SHARE MODE`

// usageQuerySettings 只管一个用量查询的事务：跑得太久就停；JIT 编译比这些查询本身还久；
// 时间段变了计划就该变，因此不用通用的计划；多给些内存，几万组的散列不落盘；
// 不开并行的后台进程：同时进行的查询已经有两个，再多就与入库抢 CPU。
const usageQuerySettings = `
SELECT set_config('statement_timeout', '15s', true), set_config('jit', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true),
    set_config('work_mem', '64MB', true), set_config('max_parallel_workers_per_gather', '0', true)`

// QueryUsage 在一个只读的快照里求和：各级加上还没有并入的增量。roller 把增量搬进各级是一个事务，
// 因此快照里一条记录或在增量、或在各级，不会两处都在，也不会两处都不在。
func (s *Store) QueryUsage(ctx context.Context, q usage.Query, limit int) (usage.Result, error) {
	var res usage.Result
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		for _, sql := range []string{usageQueryLocks, usageQuerySettings} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return fmt.Errorf("prepare the transaction: %w", err)
			}
		}
		floors, err := readFloors(ctx, s.q.WithTx(tx))
		if err != nil {
			return err
		}
		reading, err := usage.PlanQuery(q, floors)
		if err != nil {
			return err
		}
		res = usage.Result{From: reading.From, To: reading.To, Notes: reading.Notes}
		if res.Rows, err = usageRows(ctx, tx, q, reading, floors, limit); err != nil || len(res.Rows) >= limit {
			return err
		}
		if len(q.Percentiles) > 0 {
			if err := addLatency(ctx, tx, q, reading, &res); err != nil {
				return err
			}
		}
		res.Accuracy, err = usageAccuracy(ctx, tx, reading)
		return err
	})
	if err != nil {
		return usage.Result{}, usageQueryError(err)
	}
	return res, nil
}

func readUsageRows(ctx context.Context, tx pgx.Tx, q usage.Query, r usage.Reading, limit int) ([]usage.Row, error) {
	sql, args := usageRowsSQL(q, r, limit)
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	out, err := pgx.CollectRows(rows, usageScanner(q, r))
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	return out, nil
}

// usageScanner 按 usageRowsSQL 的栏次读一行。
func usageScanner(q usage.Query, r usage.Reading) pgx.RowToFunc[usage.Row] {
	return func(row pgx.CollectableRow) (usage.Row, error) {
		var out usage.Row
		var bucket, rank int
		dims := make([]string, len(q.GroupBy))
		into := []any{&bucket, &rank}
		for i := range dims {
			into = append(into, &dims[i])
		}
		into = append(into, figureTargets(&out.Figures)...)
		for i := range out.BySource[1:] {
			b := &out.BySource[i+1]
			into = append(into, &b.Requests, &b.Attempts, &b.Tokens, &b.CostNano)
		}
		if err := row.Scan(into...); err != nil {
			return out, err
		}
		label(&out, usageKey{bucket, rank, [3]string(append(dims, "", "", "")[:3])}, q, r)
		f := &out.Figures
		f.Errors = f.ErrorsClient + f.ErrorsUpstream + f.ErrorsGateway + f.ErrorsLimit
		return out, nil
	}
}

// usageKey 是一组：第几个桶（从 1 起，不分桶为 0）、名次（没有为 0）、各维度的值。
type usageKey struct {
	bucket, rank int
	dims         [3]string
}

// label 把 k 写成行里的样子。
func label(row *usage.Row, k usageKey, q usage.Query, r usage.Reading) {
	if k.bucket > 0 {
		row.Bucket = r.Buckets[k.bucket-1]
	}
	row.Rank = k.rank
	if row.Other = q.Top > 0 && k.rank > q.Top; row.Other {
		return
	}
	for i, d := range q.GroupBy {
		*row.Dimension(d) = k.dims[i]
	}
}

// usageQueryError 认出跑得太久的查询；已经说清楚的原样传出。
func usageQueryError(err error) error {
	var known *vegaerr.Error
	switch {
	case errors.As(err, &known):
		return known
	case tookTooLong(err):
		return vegaerr.Wrap(err, vegaerr.Timeout, "", "the usage query took too long; narrow the range, the filters or the grouping")
	default:
		return vegaerr.Wrap(err, vegaerr.Unavailable, "", "usage cannot be read now")
	}
}

// tookTooLong 说数据库停下了它：statement_timeout。
func tookTooLong(err error) bool {
	const queryCanceled = "57014"
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == queryCanceled
}
