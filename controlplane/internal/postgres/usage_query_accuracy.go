package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// usageAccuracySQL：节点有没有交来的记录，就以它的游标最近前进的时刻为准；没有游标的以连上的时刻。
// 2 秒是一条记录从结束到入库的上限。连着与否同 ListNodes：副本被杀来不及写，10 秒没有音讯的不算连着；
// 心跳一秒一次，3 秒没有音讯的只说得到它最近一次心跳为止。
const usageAccuracySQL = `
WITH behind AS (
    SELECT n.id, n.unreported, coalesce((SELECT max(c.updated_at) FROM usage_cursor AS c WHERE c.node_id = n.id), n.connected_at) AS heard
    FROM nodes AS n WHERE n.unreported > 0
), live AS (
    SELECT last_seen FROM nodes WHERE connected AND last_seen >= now() - interval '10 seconds'
)
SELECT now(), least(now() - interval '2 seconds', (SELECT min(heard) FROM behind),
        (SELECT min(last_seen) FROM live WHERE last_seen < now() - interval '3 seconds')),
    (SELECT count(*) FROM usage_delta), (SELECT count(*) FROM behind), (SELECT coalesce(sum(unreported), 0)::bigint FROM behind),
    (SELECT count(*) FROM nodes) - (SELECT count(*) FROM live)`

const usageGapSQL = `
SELECT recorded_at >= $2, coalesce(sum(requests), 0)::bigint, coalesce(sum(attempts), 0)::bigint, coalesce(sum(refused), 0)::bigint,
    coalesce(sum(prompt_tokens), 0)::bigint, coalesce(sum(completion_tokens), 0)::bigint,
    coalesce(sum(cached_tokens), 0)::bigint, coalesce(sum(reasoning_tokens), 0)::bigint,
    coalesce(sum(cost_nano), 0)::bigint, coalesce(sum(lost), 0)::bigint
FROM usage_gap WHERE recorded_at >= $1 GROUP BY 1`

func usageAccuracy(ctx context.Context, tx pgx.Tx, r usage.Reading) (usage.Accuracy, error) {
	var a usage.Accuracy
	err := tx.QueryRow(ctx, usageAccuracySQL).Scan(&a.AsOf, &a.CompleteUntil, &a.Pending, &a.BehindNodes, &a.BehindRecords, &a.SilentNodes)
	if err != nil {
		return a, fmt.Errorf("read how complete usage is: %w", err)
	}
	rows, err := tx.Query(ctx, usageGapSQL, r.From, r.To)
	if err != nil {
		return a, fmt.Errorf("read usage gaps: %w", err)
	}
	var later bool
	var t usage.Totals
	_, err = pgx.ForEachRow(rows, []any{&later, &t.Requests, &t.Attempts, &t.Refused, &t.PromptTokens, &t.CompletionTokens,
		&t.CachedTokens, &t.ReasoningTokens, &t.CostNano, &t.Lost}, func() error {
		if later {
			a.LostLater = t
		} else {
			a.Lost = t
		}
		return nil
	})
	if err != nil {
		return a, fmt.Errorf("read usage gaps: %w", err)
	}
	return a, nil
}
