package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/live"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// liveSettings 只管总览的一个事务：有人看着时每秒都来，编译比执行久；跑得太久就停，页面留着上一份；不与入库抢 CPU。
const liveSettings = `
SELECT set_config('statement_timeout', '5s', true), set_config('jit', 'off', true), set_config('work_mem', '32MB', true),
    set_config('max_parallel_workers_per_gather', '0', true)`

// LiveTotals 给出从 since（UTC 的零点）到此刻的累计。
func (s *Store) LiveTotals(ctx context.Context, since time.Time) (out live.Totals, err error) {
	err = s.liveRead(ctx, func(q *sqlcgen.Queries) error {
		row, err := q.LiveTotals(ctx, since)
		out = live.Totals{
			At: row.At, Requests: row.Requests, Errors: row.Errors, Refused: row.Refused,
			PromptTokens: row.PromptTokens, CompletionTokens: row.CompletionTokens,
		}
		return err
	})
	return out, err
}

// LiveHour 给出最近 60 分钟；known 是读过直方图的分钟（起点的 Unix 秒）与那时的个数，个数没有变的不再读。
func (s *Store) LiveHour(ctx context.Context, known map[int64]int64) (out live.Hour, err error) {
	err = s.liveRead(ctx, func(q *sqlcgen.Queries) error {
		since, err := q.LiveSince(ctx)
		if err != nil {
			return err
		}
		out = live.Hour{At: since.At.UTC(), Since: since.Since.UTC(), Ever: since.Ever, FirstByte: map[int64]*usage.Histogram{}}
		rows, err := q.LiveHour(ctx, live.TopNames, since.Since)
		if err != nil {
			return err
		}
		for _, r := range rows {
			addLive(&out, r)
		}
		return addFirstByte(ctx, q, known, &out)
	})
	return out, err
}

// addLive 按 GROUPING 的位把一行放到它的那一样里。
func addLive(h *live.Hour, r sqlcgen.LiveHourRow) {
	busy := live.Busy{Name: r.Name, Requests: r.Requests, Errors: r.Errors, Tokens: r.Tokens, CostNano: r.CostNano}
	switch r.Kind {
	case 7:
		h.Minutes = append(h.Minutes, live.Minute{
			At: r.Bucket.UTC(), Requests: r.Requests, Errors: r.Errors, Refused: r.Refused, Tokens: r.Tokens, Observed: r.Observed})
	case 11:
		h.Apps = append(h.Apps, busy)
	case 13:
		h.Servers = append(h.Servers, busy)
	case 14:
		h.Models = append(h.Models, busy)
	}
}

func addFirstByte(ctx context.Context, q *sqlcgen.Queries, known map[int64]int64, h *live.Hour) error {
	var changed []time.Time
	for _, m := range h.Minutes {
		if k := m.At.Unix(); m.Observed > 0 && known[k] != m.Observed {
			changed = append(changed, m.At)
			h.FirstByte[k] = new(usage.Histogram)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	rows, err := q.LiveFirstByte(ctx, changed)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := h.FirstByte[r.Minute.Unix()].MergeEncoded(r.FirstByteHist); err != nil {
			return fmt.Errorf("decode a histogram: %w", err)
		}
	}
	return nil
}

// liveRead 在一个只读的快照里读。
func (s *Store) liveRead(ctx context.Context, read func(q *sqlcgen.Queries) error) error {
	err := pgx.BeginTxFunc(ctx, s.pool, readOnly, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, liveSettings); err != nil {
			return fmt.Errorf("prepare the transaction: %w", err)
		}
		return read(s.q.WithTx(tx))
	})
	if err != nil {
		return vegaerr.Wrap(err, vegaerr.Unavailable, "", "the overview cannot be read now")
	}
	return nil
}
