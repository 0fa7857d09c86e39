package adminapi

import (
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// budgetStatus 的钱以原文写成 JSON 数：经过浮点会丢位。
type budgetStatus struct {
	App         string        `json:"app"`
	Period      string        `json:"period"`
	TimeZone    string        `json:"time_zone"`
	PeriodStart time.Time     `json:"period_start"`
	ResetsAt    time.Time     `json:"resets_at"`
	Amount      catalog.Price `json:"amount"`
	Tokens      int64         `json:"tokens"`
	Spent       catalog.Price `json:"spent"`
	SpentTokens int64         `json:"spent_tokens"`
	SoftPercent int64         `json:"soft_percent"`
	Percent     json.Number   `json:"percent"`
	State       budget.State  `json:"state"`
}

// ListBudgets 实现 GET /budgets。
func (a *api) ListBudgets(c echo.Context) error {
	cat, err := a.load(c)
	if err != nil {
		return err
	}
	rows, err := a.budgetRows(c, budget.Plans(cat))
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, rows)
}

// GetAppBudget 实现 GET /apps/{name}/budget。
func (a *api) GetAppBudget(c echo.Context, name string) error {
	cat, err := a.load(c)
	if err != nil {
		return err
	}
	if _, ok := cat.Apps[name]; !ok {
		return vegaerr.New(vegaerr.NotFound, "", "app %q does not exist", name)
	}
	plans := slices.DeleteFunc(budget.Plans(cat), func(p budget.Plan) bool { return p.App != name })
	if len(plans) == 0 {
		return vegaerr.New(vegaerr.NotFound, "", "app %q has no budget", name)
	}
	rows, err := a.budgetRows(c, plans)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, rows[0])
}

func (a *api) budgetRows(c echo.Context, plans []budget.Plan) ([]budgetStatus, error) {
	statuses, err := a.deps.Budgets.Statuses(c.Request().Context(), plans)
	if err != nil {
		return nil, err
	}
	rows := make([]budgetStatus, 0, len(statuses))
	for _, s := range statuses {
		rows = append(rows, budgetRow(s))
	}
	return rows, nil
}

func budgetRow(s budget.Status) budgetStatus {
	row := budgetStatus{
		App: s.App, Period: "month", TimeZone: s.Zone.String(), PeriodStart: s.Start.In(s.Zone), ResetsAt: s.End.In(s.Zone),
		Amount: catalog.Price(s.Limit.Nano), Tokens: s.Limit.Tokens, Spent: catalog.Price(s.Spent.Nano), SpentTokens: s.Spent.Tokens,
		SoftPercent: s.SoftPercent, Percent: percent(s.Percent100()), State: s.State(),
	}
	if s.Period == configv1.BudgetPeriod_BUDGET_PERIOD_DAY {
		row.Period = "day"
	}
	return row
}

// percent 写成百分之几，小数两位；再大也只写到约九十亿倍。
func percent(hundredths int64) json.Number {
	const nano = 10_000_000 // 百分之一的百分之一是这么多个 10⁻⁹
	return json.Number(catalog.Price(min(hundredths, math.MaxInt64/nano) * nano).String())
}
