package gateway

import (
	"net/http"
	"strconv"

	"github.com/vega-gateway/vega/dataplane/internal/budget"
	"github.com/vega-gateway/vega/dataplane/internal/meter"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// holdBudget 在上游调用之前预留这一次预计的花费；排队的当中预算可能已经用完，那时许可原样还回。
func (x *exchange) holdBudget() error {
	if x.key.App.Budget == nil {
		return nil
	}
	err := x.gw.budgets.Take(x.key.App, x.expectedSpend(), &x.hold)
	if err != nil {
		x.permit.Unused()
		x.leave()
	}
	return err
}

// expectedSpend 是这次调用预计的花费；没有点名模型的看不出来，是零。
func (x *exchange) expectedSpend() budget.Spend {
	c := x.estimate()
	s := budget.Spend{Tokens: c.Prompt + c.Output}
	if x.model != nil {
		s.Nano = cost(x.model.Prices, meter.Usage{
			Prompt: meter.Count{Value: c.Prompt, Set: true}, Completion: meter.Count{Value: c.Output, Set: true},
		})
	}
	return s
}

// spentBy 是一个请求的全部调用真正的花费，与账上的算法相同：没有报告用量的是零。
func spentBy(r *usagev1.Request) (s budget.Spend) {
	for _, a := range r.GetAttempts() {
		s.Nano += a.GetCostNano()
		s.Tokens += a.GetUsage().GetPromptTokens() + a.GetUsage().GetCompletionTokens()
	}
	return s
}

// setBudgetHeader 在预算花到警告线之后说花到了百分之几。
func (x *exchange) setBudgetHeader(h http.Header) {
	if x.key == nil || x.key.App.Budget == nil {
		return
	}
	if percent, ok := x.gw.budgets.Warning(x.key.App); ok {
		h["X-Vega-Budget-Warning"] = []string{strconv.FormatInt(percent, 10)}
	}
}
