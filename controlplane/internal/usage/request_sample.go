package usage

import (
	"math"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// Sampled 说一个请求要不要逐条留下。失败的总是留下：出事的时候要看的正是它们；成功与客户端自己走掉的按 rate 取。
// 只看 id，所以各副本、重送的批次判得一样；rate 变大时，原来留下的仍会留下。rate 不大于 0 只留失败的，不小于 1 全留。
func Sampled(id string, o usagev1.Outcome, rate float64) bool {
	switch {
	case rate >= 1:
		return true
	case o != usagev1.Outcome_OUTCOME_OK && o != usagev1.Outcome_OUTCOME_ABORTED:
		return true
	case !(rate > 0): // NaN 也在内
		return false
	}
	return float64(spread(id)) < rate*math.MaxUint64
}

// spread 是 FNV-1a 再过一遍 MurmurHash3 的 fmix64：FNV 的高位对相近的 id 散得不够。
func spread(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
