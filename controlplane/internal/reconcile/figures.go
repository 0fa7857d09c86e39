package reconcile

import (
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

// Day 是所问时区里的一天。
type Day struct {
	Year  int
	Month time.Month
	Date  int
}

// DayOf 是 t 在它自己的时区里的那一天。
func DayOf(t time.Time) Day {
	y, m, d := t.Date()
	return Day{y, m, d}
}

// Start 是这一天在 loc 里的起点；零点因夏令时不存在的，是它之后的第一刻，有两次的是前一次。
func (d Day) Start(loc *time.Location) time.Time {
	start, _ := ruleset.PeriodAt(configv1.BudgetPeriod_BUDGET_PERIOD_DAY, loc, time.Date(d.Year, d.Month, d.Date, 12, 0, 0, 0, loc))
	return start
}

// utc 只用来比较与书写：先后与写法都与时区无关。
func (d Day) utc() time.Time { return time.Date(d.Year, d.Month, d.Date, 0, 0, 0, 0, time.UTC) }

// Next 是后一天。
func (d Day) Next() Day { return DayOf(time.Date(d.Year, d.Month, d.Date+1, 0, 0, 0, 0, time.UTC)) }

// Before 说 d 早于 o。
func (d Day) Before(o Day) bool { return d.utc().Before(o.utc()) }

// String 写成 2006-01-02。
func (d Day) String() string { return d.utc().Format(time.DateOnly) }

// Metric 是一栏可比的数。
type Metric int

const (
	Requests Metric = iota
	Prompt
	Completion
	Cached
	Cost
	metrics
)

// Metrics 列出每一栏。
func Metrics() []Metric { return []Metric{Requests, Prompt, Completion, Cached, Cost} }

// Theirs 是供应商说的；nil 是没有给。费用的单位是 10⁻⁹ 货币单位。
type Theirs struct {
	Values [metrics]*int64
	// CostSlack 是费用各行四舍五入最多能差多少。
	CostSlack int64
	Lines     int
}

func (t Theirs) plus(o Theirs) Theirs {
	for i, v := range o.Values {
		t.Values[i] = addKnown(t.Values[i], v)
	}
	t.CostSlack, t.Lines = t.CostSlack+o.CostSlack, t.Lines+o.Lines
	return t
}

func addKnown(a, b *int64) *int64 {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	sum := *a + *b
	return &sum
}

// Sum 是我们的一组数。
type Sum struct {
	// Requests 是客户端的请求，记在最后一次调用上；与供应商比的是 Attempts。
	Requests int64
	Attempts int64
	// Failed 是以错误告终的调用：供应商可以不算它。
	Failed     int64
	Prompt     int64
	Completion int64
	Cached     int64
	CostNano   int64
}

func (s Sum) plus(o Sum) Sum {
	return Sum{
		Requests: s.Requests + o.Requests, Attempts: s.Attempts + o.Attempts, Failed: s.Failed + o.Failed,
		Prompt: s.Prompt + o.Prompt, Completion: s.Completion + o.Completion, Cached: s.Cached + o.Cached, CostNano: s.CostNano + o.CostNano,
	}
}

func (s Sum) value(m Metric) int64 {
	return [...]int64{s.Attempts, s.Prompt, s.Completion, s.Cached, s.CostNano}[m]
}

// Ours 是我们的一组数，按 token 从哪里来分开。
type Ours struct {
	Sum
	Reported, Counted, Partial, Unknown Sum
}

func (o Ours) plus(p Ours) Ours {
	return Ours{
		Sum: o.Sum.plus(p.Sum), Reported: o.Reported.plus(p.Reported), Counted: o.Counted.plus(p.Counted),
		Partial: o.Partial.plus(p.Partial), Unknown: o.Unknown.plus(p.Unknown),
	}
}

// add 把一组数记到它的来源上；不认识的来源当作不知道。
func (o *Ours) add(source string, s Sum) {
	o.Sum = o.Sum.plus(s)
	of := map[string]*Sum{"reported": &o.Reported, "counted": &o.Counted, "partial": &o.Partial}[source]
	if of == nil {
		of = &o.Unknown
	}
	*of = of.plus(s)
}
