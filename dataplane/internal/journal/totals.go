package journal

import usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

// Totals 是可相加的总数，字段与线上的同名消息一一对应。
type Totals struct {
	Requests, Attempts, Refused int64
	Prompt, Completion          int64
	Cached, Reasoning           int64
	CostNano                    int64
	Lost                        int64
}

// TotalsOf 是一条记录的贡献。请求的 token 与成本是它全部上游调用之和，缺席的按 0；
// Gap 的贡献是它的 totals，lost 总是它盖住的条数：里面有什么不知道的时候，条数也是知道的。
func TotalsOf(r *usagev1.Record) Totals {
	switch b := r.GetBody().(type) {
	case *usagev1.Record_Request:
		t := Totals{Requests: 1, Attempts: int64(len(b.Request.GetAttempts()))}
		for _, a := range b.Request.GetAttempts() {
			u := a.GetUsage()
			t.Prompt += u.GetPromptTokens()
			t.Completion += u.GetCompletionTokens()
			t.Cached += u.GetCachedTokens()
			t.Reasoning += u.GetReasoningTokens()
			t.CostNano += a.GetCostNano()
		}
		return t
	case *usagev1.Record_Refusals:
		return Totals{Refused: b.Refusals.GetCount()}
	case *usagev1.Record_Gap:
		t := FromProto(b.Gap.GetTotals())
		t.Lost = int64(b.Gap.GetLastSeq() - r.GetSeq() + 1)
		return t
	}
	return Totals{}
}

// LastSeq 是一条记录覆盖到的序号：Gap 覆盖一段，别的只有自己。
func LastSeq(r *usagev1.Record) uint64 {
	if g := r.GetGap(); g != nil {
		return g.GetLastSeq()
	}
	return r.GetSeq()
}

// FromProto 读线上的总数；nil 即全零。
func FromProto(p *usagev1.Totals) Totals {
	return Totals{
		Requests: p.GetRequests(), Attempts: p.GetAttempts(), Refused: p.GetRefused(),
		Prompt: p.GetPromptTokens(), Completion: p.GetCompletionTokens(),
		Cached: p.GetCachedTokens(), Reasoning: p.GetReasoningTokens(),
		CostNano: p.GetCostNano(), Lost: p.GetLost(),
	}
}

// Proto 是线上的写法。
func (t Totals) Proto() *usagev1.Totals {
	return &usagev1.Totals{
		Requests: t.Requests, Attempts: t.Attempts, Refused: t.Refused,
		PromptTokens: t.Prompt, CompletionTokens: t.Completion, CachedTokens: t.Cached, ReasoningTokens: t.Reasoning,
		CostNano: t.CostNano, Lost: t.Lost,
	}
}

// Plus 是逐项之和。
func (t Totals) Plus(o Totals) Totals {
	return Totals{
		Requests: t.Requests + o.Requests, Attempts: t.Attempts + o.Attempts, Refused: t.Refused + o.Refused,
		Prompt: t.Prompt + o.Prompt, Completion: t.Completion + o.Completion,
		Cached: t.Cached + o.Cached, Reasoning: t.Reasoning + o.Reasoning,
		CostNano: t.CostNano + o.CostNano, Lost: t.Lost + o.Lost,
	}
}

// Minus 是逐项之差。
func (t Totals) Minus(o Totals) Totals {
	return t.Plus(Totals{
		Requests: -o.Requests, Attempts: -o.Attempts, Refused: -o.Refused,
		Prompt: -o.Prompt, Completion: -o.Completion, Cached: -o.Cached, Reasoning: -o.Reasoning,
		CostNano: -o.CostNano, Lost: -o.Lost,
	})
}
