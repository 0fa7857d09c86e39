package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// usageRows 读出各行。只按一个有合计的维度分前几名时分三步：整段的名次（天一级就答得出），这几名的各桶，
// 其余由总的合计减出来；别的名字一行也不读。
func usageRows(ctx context.Context, tx pgx.Tx, q usage.Query, r usage.Reading, floors map[usage.Level]time.Time, limit int) ([]usage.Row, error) {
	if q.Top == 0 || len(r.Buckets) == 0 || !r.Single || len(q.GroupBy) != 1 || q.GroupBy[0] != r.By || len(q.Filters()) > 0 {
		return readUsageRows(ctx, tx, q, r, limit)
	}
	ranking := q
	ranking.Interval = usage.IntervalNone
	whole, err := usage.PlanQuery(ranking, floors)
	if err != nil {
		return nil, err
	}
	ranked, err := readUsageRows(ctx, tx, ranking, whole, limit)
	if err != nil {
		return nil, err
	}
	ranks := make(map[string]int, len(ranked))
	for i := range ranked {
		if !ranked[i].Other {
			ranks[*ranked[i].Dimension(r.By)] = ranked[i].Rank
		}
	}
	if len(ranks) == len(ranked) {
		return readUsageRows(ctx, tx, q, r, limit)
	}
	return topAndOther(ctx, tx, q, r, ranks, limit)
}

func topAndOther(ctx context.Context, tx pgx.Tx, q usage.Query, r usage.Reading, ranks map[string]int, limit int) ([]usage.Row, error) {
	named, all := q, q
	named.Top, all.Top, all.GroupBy = 0, 0, nil
	for name := range ranks {
		names := map[usage.Dimension]*[]string{usage.ByServer: &named.Servers, usage.ByApp: &named.Apps, usage.ByModel: &named.Models}[r.By]
		*names = append(*names, name)
	}
	rows, err := readUsageRows(ctx, tx, named, r, limit)
	if err != nil || len(rows) >= limit {
		return rows, err
	}
	r.By = ""
	others, err := readUsageRows(ctx, tx, all, r, limit)
	if err != nil {
		return nil, err
	}
	at := make(map[time.Time]*usage.Row, len(others))
	for i := range others {
		others[i].Rank, others[i].Other = q.Top+1, true
		at[others[i].Bucket] = &others[i]
	}
	for i := range rows {
		row := &rows[i]
		row.Rank = ranks[*row.Dimension(q.GroupBy[0])]
		rest := at[row.Bucket]
		rest.Figures, rest.BySource = rest.Minus(row.Figures), rest.BySource.Minus(row.BySource)
	}
	for _, o := range others {
		if o.Requests != 0 || o.Attempts != 0 || o.Refused != 0 {
			rows = append(rows, o)
		}
	}
	return rows, nil
}
