package usage

import usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

// Totals 是可相加、可相减的累计；零值是什么也没有。
type Totals struct {
	Requests         int64 `json:"requests"`
	Attempts         int64 `json:"attempts"`
	Refused          int64 `json:"refused"`
	PromptTokens     int64 `json:"prompt_tokens"`
	CompletionTokens int64 `json:"completion_tokens"`
	CachedTokens     int64 `json:"cached_tokens"`
	ReasoningTokens  int64 `json:"reasoning_tokens"`
	CostNano         int64 `json:"cost_nano"`
	Lost             int64 `json:"lost"`
}

// Plus 是两者之和。
func (t Totals) Plus(o Totals) Totals {
	return Totals{
		Requests: t.Requests + o.Requests, Attempts: t.Attempts + o.Attempts, Refused: t.Refused + o.Refused,
		PromptTokens: t.PromptTokens + o.PromptTokens, CompletionTokens: t.CompletionTokens + o.CompletionTokens,
		CachedTokens: t.CachedTokens + o.CachedTokens, ReasoningTokens: t.ReasoningTokens + o.ReasoningTokens,
		CostNano: t.CostNano + o.CostNano, Lost: t.Lost + o.Lost,
	}
}

// Minus 是 t 减 o；各栏可为负。
func (t Totals) Minus(o Totals) Totals {
	return t.Plus(Totals{
		Requests: -o.Requests, Attempts: -o.Attempts, Refused: -o.Refused,
		PromptTokens: -o.PromptTokens, CompletionTokens: -o.CompletionTokens,
		CachedTokens: -o.CachedTokens, ReasoningTokens: -o.ReasoningTokens,
		CostNano: -o.CostNano, Lost: -o.Lost,
	})
}

// Columns 逐栏给出名字与值，供指标与日志。
func (t Totals) Columns() map[string]int64 {
	return map[string]int64{
		"requests": t.Requests, "attempts": t.Attempts, "refused": t.Refused,
		"prompt_tokens": t.PromptTokens, "completion_tokens": t.CompletionTokens,
		"cached_tokens": t.CachedTokens, "reasoning_tokens": t.ReasoningTokens,
		"cost_nano": t.CostNano, "lost": t.Lost,
	}
}

func (t Totals) nonNegative() bool {
	for _, n := range t.Columns() {
		if n < 0 {
			return false
		}
	}
	return true
}

func totalsOf(p *usagev1.Totals) Totals {
	return Totals{
		Requests: p.GetRequests(), Attempts: p.GetAttempts(), Refused: p.GetRefused(),
		PromptTokens: p.GetPromptTokens(), CompletionTokens: p.GetCompletionTokens(),
		CachedTokens: p.GetCachedTokens(), ReasoningTokens: p.GetReasoningTokens(),
		CostNano: p.GetCostNano(), Lost: p.GetLost(),
	}
}

// requestTotals 是一条请求记录对累计的贡献；节点算 Batch.cumulative 时用同样的规则。
func requestTotals(r *usagev1.Request) Totals {
	t := Totals{Requests: 1, Attempts: int64(len(r.GetAttempts()))}
	for _, a := range r.GetAttempts() {
		u := a.GetUsage()
		t.PromptTokens += u.GetPromptTokens()
		t.CompletionTokens += u.GetCompletionTokens()
		t.CachedTokens += u.GetCachedTokens()
		t.ReasoningTokens += u.GetReasoningTokens()
		t.CostNano += a.GetCostNano()
	}
	return t
}
