package gateway

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/vega-gateway/vega/dataplane/internal/meter"
	"github.com/vega-gateway/vega/dataplane/internal/state"
)

func count(v int64) meter.Count { return meter.Count{Value: v, Set: true} }

func TestCost_RoundsHalfUpOncePerAttempt(t *testing.T) {
	p := state.Prices{Input: 2_500_000_000, CachedInput: 1_250_000_000, Output: 10_000_000_000}
	if got := cost(p, meter.Usage{Prompt: count(1000), Cached: count(200), Completion: count(50)}); got != 800*2500+200*1250+50*10000 {
		t.Fatalf("%d", got)
	}
	for _, c := range []struct{ price, tokens, want int64 }{{1, 499_999, 0}, {1, 500_000, 1}, {1, 1_499_999, 1}, {0, 9, 0}, {9, 0, 0}} {
		if got := cost(state.Prices{Input: c.price}, meter.Usage{Prompt: count(c.tokens)}); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestCost_AgreesWithBigIntegersAndNeverOverflows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, math.MaxInt64)
		p := state.Prices{Input: n.Draw(t, "in"), CachedInput: n.Draw(t, "cached price"), Output: n.Draw(t, "out")}
		u := meter.Usage{Prompt: count(n.Draw(t, "prompt")), Cached: count(n.Draw(t, "cached")), Completion: count(n.Draw(t, "completion"))}
		cached := min(u.Cached.Value, u.Prompt.Value)
		sum := new(big.Int)
		for _, f := range [][2]int64{{u.Prompt.Value - cached, p.Input}, {cached, p.CachedInput}, {u.Completion.Value, p.Output}} {
			sum.Add(sum, new(big.Int).Mul(big.NewInt(f[0]), big.NewInt(f[1])))
		}
		sum.Add(sum, big.NewInt(perMillion/2)).Div(sum, big.NewInt(perMillion))
		want := int64(math.MaxInt64)
		if sum.IsInt64() {
			want = sum.Int64()
		}
		if got := cost(p, u); got != want {
			t.Fatalf("%d, want %d", got, want)
		}
	})
}
