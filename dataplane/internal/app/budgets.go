package app

import "github.com/vega-gateway/vega/dataplane/internal/budget"

// newBudgets 造预算的守卫；要在用量记录打开之后：先前没有入库的花费，记到记录此刻的末尾。
func (a *App) newBudgets() (*budget.Guard, error) {
	return budget.New(budget.Config{Node: a.node, Dir: a.dataDir.path}, budget.Deps{
		Log: a.log,
		Reached: func() (marks []budget.Mark) {
			for _, s := range a.records.Sources() {
				marks = append(marks, budget.Mark{Epoch: s.Epoch(), Seq: s.Stats().LastSeq})
			}
			return marks
		},
	})
}
