package gateway

import (
	"math"
	"math/bits"

	"github.com/vega-gateway/vega/dataplane/internal/meter"
	"github.com/vega-gateway/vega/dataplane/internal/state"
)

// perMillion 是价格的分母：价格是每百万 token 的 10⁻⁹ 货币单位。
const perMillion = 1_000_000

// cost 按一次调用的用量算钱，单位 10⁻⁹ 货币单位，四舍五入（半数进位），每次调用只舍入一次。
//
// (prompt − cached)·input + cached·cached_input + completion·output；cached 大于 prompt 时按 prompt 算。
// 中间和是 128 位，装不下 int64 的结果停在上限：宁可停住也不绕回成负数。
func cost(p state.Prices, u meter.Usage) int64 {
	cached := min(u.Cached.Value, u.Prompt.Value)
	var hi, lo uint64
	add := func(tokens, price int64) {
		if tokens <= 0 || price <= 0 {
			return
		}
		h, l := bits.Mul64(uint64(tokens), uint64(price))
		var carry uint64
		lo, carry = bits.Add64(lo, l, 0)
		hi, _ = bits.Add64(hi, h, carry)
	}
	add(u.Prompt.Value-cached, p.Input)
	add(cached, p.CachedInput)
	add(u.Completion.Value, p.Output)
	var carry uint64
	lo, carry = bits.Add64(lo, perMillion/2, 0)
	hi += carry
	if hi >= perMillion {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, perMillion)
	if q > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(q)
}
