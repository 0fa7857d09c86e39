package journal

import usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

// 控制面收的数字的上限，与它那边的检查一致。一个数字越界，整批就被退回，这个节点的用量从此再也交不出去；
// 荒唐的数字来自上游（报一万亿个 token）与走错的钟，因此入账时就压住。
const (
	maxNumber = 1 << 40 // token 数，与一次调用的微秒数
	maxTime   = 1 << 43 // 毫秒的时刻，与微秒的等待
	maxCost   = 1 << 53 // 10⁻⁹ 货币单位：一次调用约九百万
)

// boundNumbers 使一条记录的数字都在控制面收的范围之内。
func boundNumbers(r *usagev1.Request) {
	for _, n := range [...]*int64{&r.QueueUs, &r.FirstByteUs, &r.StartedUnixMs, &r.EndedUnixMs} {
		*n = bound(*n, maxTime)
	}
	for _, a := range r.Attempts {
		a.DurationUs, a.CostNano = bound(a.DurationUs, maxNumber), bound(a.CostNano, maxCost)
		if u := a.Usage; u != nil {
			for _, n := range [...]*int64{u.PromptTokens, u.CompletionTokens, u.CachedTokens, u.ReasoningTokens} {
				if n != nil {
					*n = bound(*n, maxNumber)
				}
			}
		}
	}
}

func bound(n, limit int64) int64 { return min(max(n, 0), limit) }
