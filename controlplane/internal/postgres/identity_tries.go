package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
)

// Charge 实现 identity.Store。行按桶号锁，两个副本因此不会互锁；钟是数据库的，各副本因此看见同一个时刻。
func (s *Store) Charge(ctx context.Context, buckets []identity.Bucket) (wait time.Duration, err error) {
	numbers := make([]int32, 0, len(buckets))
	rules := map[int32]identity.Rule{}
	for _, b := range buckets {
		numbers, rules[b.Number] = append(numbers, b.Number), b.Rule
	}
	slices.Sort(numbers)
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		if err := q.AddTries(ctx, numbers); err != nil {
			return fmt.Errorf("add tries: %w", err)
		}
		rows, err := q.LockTries(ctx, numbers)
		if err != nil {
			return fmt.Errorf("lock tries: %w", err)
		}
		charged := make([]sqlcgen.SaveTriesParams, 0, len(rows))
		for _, row := range rows {
			next, pause := rules[row.Bucket].Charge(identity.Tries{Failures: int(row.Failures), FreeAt: row.FreeAt, LastAt: row.LastAt}, row.Now)
			wait = max(wait, pause)
			charged = append(charged, sqlcgen.SaveTriesParams{Bucket: row.Bucket, Failures: int32(next.Failures), FreeAt: next.FreeAt, LastAt: next.LastAt})
		}
		if wait > 0 {
			return nil
		}
		for _, p := range charged {
			if err := q.SaveTries(ctx, p); err != nil {
				return fmt.Errorf("save tries: %w", err)
			}
		}
		return nil
	})
	return wait, configErr(err)
}

// Absolve 实现 identity.Store。
func (s *Store) Absolve(ctx context.Context, forget, refund identity.Bucket) error {
	if err := s.q.ForgetTries(ctx, forget.Number); err != nil {
		return configErr(err)
	}
	return s.Refund(ctx, []identity.Bucket{refund})
}

// Refund 实现 identity.Store；行按桶号锁，同 Charge。
func (s *Store) Refund(ctx context.Context, buckets []identity.Bucket) error {
	numbers := make([]int32, 0, len(buckets))
	for _, b := range buckets {
		numbers = append(numbers, b.Number)
	}
	return configErr(s.q.RefundTries(ctx, numbers))
}
