package catalog

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestPrice_IsExact(t *testing.T) {
	for literal, want := range map[string]Price{
		"0": 0, "2.5": 2_500_000_000, "0.1": 100_000_000, "0.000000001": 1, "10": 10_000_000_000, "-1.5": -1_500_000_000,
		"1e-9": 1, "2.5e2": 250_000_000_000, "25E-1": 2_500_000_000, "0.0000000010": 1, "9223372036.854775807": math.MaxInt64,
	} {
		if got, err := ParsePrice(literal); err != nil || got != want {
			t.Errorf("%s: got %d, %v", literal, got, err)
		}
	}
	for _, literal := range []string{"", "x", "0.0000000001", "1e-10", "9223372036.854775808", "1e300", "1e99999999999"} {
		if got, err := ParsePrice(literal); err == nil {
			t.Errorf("%s: accepted as %d", literal, got)
		}
	}
}

func TestPrice_SurvivesItsOwnText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Price(rapid.Int64().Draw(t, "nano"))
		if back, err := ParsePrice(p.String()); err != nil || back != p {
			t.Fatalf("%d → %s → %d, %v", p, p, back, err)
		}
	})
}
