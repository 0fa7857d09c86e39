package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/controlplane/internal/usage/seeded"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// IngestUsage 在一个事务里锁游标、算出要加的、推进游标、追加增量；返回这一批的下场。
// 数据库不可达为 vegaerr.Unavailable，那时什么也没有计入，或者计入了而游标知道。
func (s *Store) IngestUsage(ctx context.Context, b usage.Batch) (usage.Verdict, error) {
	var step usage.Step
	var uses []usage.KeyUse
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		cursor, err := lockCursor(ctx, q, b.NodeID, b.Epoch)
		if err != nil {
			return err
		}
		step = usage.Plan(cursor, b)
		if step.Verdict.Kind != usage.Applied {
			return nil
		}
		if err := s.apply(ctx, tx, q, b, step); err != nil {
			return err
		}
		uses, err = s.touchKeys(ctx, q, b, step)
		return err
	})
	if err != nil {
		return usage.Verdict{}, vegaerr.Wrap(err, vegaerr.Unavailable, "", "usage cannot be stored now")
	}
	s.touched.note(uses)
	return step.Verdict, nil
}

func lockCursor(ctx context.Context, q *sqlcgen.Queries, nodeID string, epoch uint64) (usage.Cursor, error) {
	row, err := q.LockUsageCursor(ctx, nodeID, int64(epoch))
	if errors.Is(err, pgx.ErrNoRows) {
		if err := q.EnsureUsageCursor(ctx, nodeID, int64(epoch)); err != nil {
			return usage.Cursor{}, fmt.Errorf("create usage cursor: %w", err)
		}
		row, err = q.LockUsageCursor(ctx, nodeID, int64(epoch))
	}
	if err != nil {
		return usage.Cursor{}, fmt.Errorf("lock usage cursor: %w", err)
	}
	c := usage.Cursor{HighWater: uint64(row.Hwm), Totals: usage.Totals{
		Requests: row.CumRequests, Attempts: row.CumAttempts, Refused: row.CumRefused,
		PromptTokens: row.CumPromptTokens, CompletionTokens: row.CumCompletionTokens,
		CachedTokens: row.CumCachedTokens, ReasoningTokens: row.CumReasoningTokens,
		CostNano: row.CumCostNano, Lost: row.CumLost,
	}}
	if row.CumMismatch != nil {
		if err := json.Unmarshal(row.CumMismatch, &c.Mismatch); err != nil {
			return usage.Cursor{}, fmt.Errorf("decode usage mismatch: %w", err)
		}
	}
	return c, nil
}

// apply 只追加与改自己那一行游标：各节点互不相等，也就不会互锁。各节点共有的行只有 touchKeys 的，按次序锁。
func (s *Store) apply(ctx context.Context, tx pgx.Tx, q *sqlcgen.Queries, b usage.Batch, step usage.Step) error {
	if err := advance(ctx, q, b, step.Cursor); err != nil {
		return err
	}
	for _, g := range step.Gaps {
		if err := q.AddUsageGap(ctx, gapParams(b, g)); err != nil {
			return fmt.Errorf("add usage gap: %w", err)
		}
	}
	if len(step.Deltas) == 0 || seeded.Broken(seeded.CursorAlone) {
		return nil
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"usage_delta"}, deltaColumns(), deltaSource(step.Deltas)); err != nil {
		return fmt.Errorf("append usage deltas: %w", err)
	}
	return s.storeRequests(ctx, tx, b, step)
}

func advance(ctx context.Context, q *sqlcgen.Queries, b usage.Batch, c usage.Cursor) error {
	var mismatch []byte
	if c.Mismatch != (usage.Totals{}) {
		var err error
		if mismatch, err = json.Marshal(c.Mismatch); err != nil {
			return fmt.Errorf("encode usage mismatch: %w", err)
		}
	}
	err := q.AdvanceUsageCursor(ctx, sqlcgen.AdvanceUsageCursorParams{
		NodeID: b.NodeID, Epoch: int64(b.Epoch), Hwm: int64(c.HighWater), CumMismatch: mismatch,
		CumRequests: c.Totals.Requests, CumAttempts: c.Totals.Attempts, CumRefused: c.Totals.Refused,
		CumPromptTokens: c.Totals.PromptTokens, CumCompletionTokens: c.Totals.CompletionTokens,
		CumCachedTokens: c.Totals.CachedTokens, CumReasoningTokens: c.Totals.ReasoningTokens,
		CumCostNano: c.Totals.CostNano, CumLost: c.Totals.Lost,
	})
	if err != nil {
		return fmt.Errorf("advance usage cursor: %w", err)
	}
	return nil
}

// UsageHighWater 是已计入的最大序号，没有则为 0。
func (s *Store) UsageHighWater(ctx context.Context, nodeID string, epoch uint64) (uint64, error) {
	hwm, err := s.q.UsageHighWater(ctx, nodeID, int64(epoch))
	if err != nil {
		return 0, vegaerr.Wrap(err, vegaerr.Unavailable, "", "the usage cursor cannot be read now")
	}
	return uint64(hwm), nil
}

// UsageConservation 是各级、还没有并入的增量、已清退的与洞之和减去各游标的累计；必须是零值。
func (s *Store) UsageConservation(ctx context.Context) (usage.Totals, error) {
	r, err := s.q.UsageConservation(ctx)
	if err != nil {
		return usage.Totals{}, vegaerr.Wrap(err, vegaerr.Unavailable, "", "usage cannot be read now")
	}
	return usage.Totals{
		Requests: r.Requests, Attempts: r.Attempts, Refused: r.Refused, PromptTokens: r.PromptTokens,
		CompletionTokens: r.CompletionTokens, CachedTokens: r.CachedTokens, ReasoningTokens: r.ReasoningTokens,
		CostNano: r.CostNano, Lost: r.Lost,
	}, nil
}
