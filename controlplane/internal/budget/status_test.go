package budget

import (
	"math"
	"testing"
)

func TestStatus_StateTurnsExactlyAtTheLine(t *testing.T) {
	for _, c := range []struct {
		limit, spent Spend
		soft         int64
		want         State
	}{
		{Spend{Tokens: 1000}, Spend{Tokens: 799}, 80, OK},
		{Spend{Tokens: 1000}, Spend{Tokens: 800}, 80, Warning},
		{Spend{Tokens: 1000}, Spend{Tokens: 999}, 0, OK},
		{Spend{Tokens: 1000}, Spend{Tokens: 1000}, 0, Exhausted},
		{Spend{Tokens: 3}, Spend{Tokens: 2}, 67, OK},
		{Spend{Nano: 100}, Spend{Tokens: 1 << 60}, 80, OK},
		{Spend{Nano: 100, Tokens: 10}, Spend{Nano: 1, Tokens: 10}, 80, Exhausted},
		{Spend{Nano: 1e18}, Spend{Nano: 1e18 - 1}, 100, OK},
		{Spend{Nano: 1e18}, Spend{Nano: math.MaxInt64}, 100, Exhausted},
		{Spend{Nano: 100}, Spend{Nano: -1}, 80, OK},
	} {
		if got := (Status{Plan: Plan{Limit: c.limit, SoftPercent: c.soft}, Spent: c.spent}).State(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestStatus_RatioIsTheWorseOfTheTwo(t *testing.T) {
	s := Status{Plan: Plan{Limit: Spend{Nano: 200, Tokens: 10}}, Spent: Spend{Nano: 100, Tokens: 1}}
	if s.Ratio() != 0.5 {
		t.Error(s.Ratio())
	}
	if (Status{}).Ratio() != 0 {
		t.Error("no limit, no share")
	}
}

func TestStatus_PercentIsRoundedDownExactly(t *testing.T) {
	for _, c := range []struct{ spent, limit, want int64 }{
		{57, 100, 5700}, {43, 125, 3440}, {99_999, 100_000, 9999}, {8, 7, 11428}, {0, 7, 0}, {5, 0, 0}, {-1, 7, 0},
		{math.MaxInt64, math.MaxInt64, 10_000}, {math.MaxInt64 - 1, math.MaxInt64, 9999}, {math.MaxInt64, 1, math.MaxInt64},
	} {
		for _, s := range []Status{{Plan: Plan{Limit: Spend{Tokens: c.limit}}, Spent: Spend{Tokens: c.spent}}, {Plan: Plan{Limit: Spend{Nano: c.limit, Tokens: 1 << 60}}, Spent: Spend{Nano: c.spent}}} {
			if got := s.Percent100(); got != c.want {
				t.Errorf("%d of %d is %d", c.spent, c.limit, got)
			}
		}
	}
}
