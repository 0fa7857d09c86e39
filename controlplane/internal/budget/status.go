package budget

import (
	"math"
	"math/bits"
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

// Spend 是一笔花费：钱以 10⁻⁹ 货币单位计，Tokens 是输入与输出之和。
type Spend struct{ Nano, Tokens int64 }

// Plan 是一个 app 的预算；Limit 里为 0 的一项不限。
type Plan struct {
	App         string
	Limit       Spend
	Period      configv1.BudgetPeriod
	Zone        *time.Location
	SoftPercent int64
}

// State 是花到了哪一步。
type State string

const (
	OK        State = "ok"
	Warning   State = "warning"   // 过了警告线
	Exhausted State = "exhausted" // 用完了
)

// Status 是一个 app 在这一期里的处境。
type Status struct {
	Plan
	Start, End time.Time
	Spent      Spend
}

// at 给出 now 所在的一期，花费还没有填。
func (p Plan) at(now time.Time) Status {
	start, end := ruleset.PeriodAt(p.Period, p.Zone, now)
	return Status{Plan: p, Start: start, End: end}
}

// Ratio 是花掉的占预算的几分之几，两项里大的那个。
func (s Status) Ratio() float64 {
	return max(ratio(s.Spent.Nano, s.Limit.Nano), ratio(s.Spent.Tokens, s.Limit.Tokens))
}

func ratio(spent, limit int64) float64 {
	if limit == 0 {
		return 0
	}
	return float64(spent) / float64(limit)
}

// Percent100 是花掉的占预算的万分之几，两项里大的那个，向下取整：没到的不说到了。大得装不下的停在 MaxInt64。
func (s Status) Percent100() int64 {
	return max(percent100(s.Spent.Nano, s.Limit.Nano), percent100(s.Spent.Tokens, s.Limit.Tokens))
}

// percent100 以 128 位相乘：经过浮点，57/100 会成了 5699。
func percent100(spent, limit int64) int64 {
	if limit <= 0 || spent < 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(spent), 10_000)
	if hi >= uint64(limit) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(limit))
	return int64(min(q, math.MaxInt64))
}

// State 以整数判断：花到的那一刻就算。
func (s Status) State() State {
	switch {
	case reached(s.Spent, s.Limit, 100):
		return Exhausted
	case s.SoftPercent > 0 && reached(s.Spent, s.Limit, s.SoftPercent):
		return Warning
	}
	return OK
}

func reached(spent, limit Spend, percent int64) bool {
	return reachedOne(spent.Nano, limit.Nano, percent) || reachedOne(spent.Tokens, limit.Tokens, percent)
}

// reachedOne 说 spent 有没有到 limit 的百分之 percent；128 位相乘，不溢出。
func reachedOne(spent, limit, percent int64) bool {
	if limit == 0 || spent < 0 {
		return false
	}
	ah, al := bits.Mul64(uint64(spent), 100)
	bh, bl := bits.Mul64(uint64(limit), uint64(percent))
	return ah > bh || ah == bh && al >= bl
}
