package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// BudgetFleet 给出连着的节点数与各节点的用量游标。
func (s *Store) BudgetFleet(ctx context.Context) (budget.Fleet, error) {
	nodes, err := s.q.BudgetNodes(ctx)
	if err != nil {
		return budget.Fleet{}, budgetUnavailable(err)
	}
	rows, err := s.q.UsageCursors(ctx)
	if err != nil {
		return budget.Fleet{}, budgetUnavailable(err)
	}
	f := budget.Fleet{Nodes: nodes, Cursors: make([]budget.Cursor, len(rows))}
	for i, r := range rows {
		f.Cursors[i] = budget.Cursor{Node: r.NodeID, Epoch: uint64(r.Epoch), HighWater: uint64(r.Hwm)}
	}
	return f, nil
}

// BudgetSpent 给出各 app 从各自的起点到现在花了多少；没有用量的是零。
func (s *Store) BudgetSpent(ctx context.Context, since map[string]time.Time) (map[string]budget.Spend, error) {
	apps, starts := make([]string, 0, len(since)), make([]time.Time, 0, len(since))
	for app, start := range since {
		apps, starts = append(apps, app), append(starts, start)
	}
	var rows []sqlcgen.BudgetSpentRow
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL jit = off"); err != nil { // 每秒一次的小查询，编译比执行久十倍
			return err
		}
		var err error
		rows, err = s.q.WithTx(tx).BudgetSpent(ctx, apps, starts)
		return err
	})
	if err != nil {
		return nil, budgetUnavailable(err)
	}
	spent := make(map[string]budget.Spend, len(rows))
	for _, r := range rows {
		spent[r.App] = budget.Spend{Nano: r.CostNano, Tokens: r.Tokens}
	}
	return spent, nil
}

func budgetUnavailable(err error) error {
	return vegaerr.Wrap(err, vegaerr.Unavailable, "", "the spending of the budgets cannot be read now")
}
