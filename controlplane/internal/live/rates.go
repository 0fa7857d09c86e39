package live

import (
	"math"
	"time"
)

// Totals 是某一刻的累计。
type Totals struct {
	// At 是数据库的钟。
	At                             time.Time
	Requests, Errors, Refused      int64
	PromptTokens, CompletionTokens int64
}

// Rates 是每秒的速率；只有一次取样时 Window 为 0，各项也是 0。
type Rates struct {
	Window                         time.Duration
	Requests, Errors, Refused      float64
	PromptTokens, CompletionTokens float64
}

const (
	// rateWindow 比入库的节拍长好几倍，速率才不一跳一跳。
	rateWindow = 10 * time.Second
	// maxWindow 之前的取样说的不是此刻。
	maxWindow = 15 * time.Second
	// maxAnchor 是累计的起点至多多老：一直有人看着也要换，不然要读的天数只增不减，起点迟早被清退。
	maxAnchor = 49 * time.Hour
)

// ring 是最近的几次取样，从旧到新，共一个起点。零值可用；不可并发。
type ring struct {
	since   time.Time
	samples []Totals
}

// anchor 是该从何时起累计：没有取样，或起点老了，就换成 now 前一天的零点（UTC），丢掉的取样下一秒就补上。
// now 是本机的钟，只用来定起点：与数据库的钟差一点不要紧。
func (r *ring) anchor(now time.Time) time.Time {
	if len(r.samples) == 0 || now.Sub(r.since) > maxAnchor {
		r.samples = nil
		r.since = now.UTC().Truncate(24 * time.Hour).Add(-24 * time.Hour)
	}
	return r.since
}

// add 记下一次取样；钟倒着走的，前面的都不算数了。
func (r *ring) add(t Totals) {
	if n := len(r.samples); n > 0 && !t.At.After(r.samples[n-1].At) {
		r.samples = nil
	}
	r.samples = append(r.samples, t)
	r.forget(t.At)
}

func (r *ring) forget(now time.Time) {
	keep := 0
	for keep < len(r.samples) && now.Sub(r.samples[keep].At) > maxWindow {
		keep++
	}
	r.samples = append([]Totals(nil), r.samples[keep:]...)
}

// rates 取最近的一次与约 rateWindow 之前的一次之差。累计变小（清退、数据库回到过去）的一项算零。
func (r *ring) rates() Rates {
	n := len(r.samples)
	if n < 2 {
		return Rates{}
	}
	last, first := r.samples[n-1], r.samples[0]
	for _, s := range r.samples[1 : n-1] {
		if last.At.Sub(s.At) < rateWindow {
			break
		}
		first = s
	}
	window := last.At.Sub(first.At)
	per := func(to, from int64) float64 {
		const digits = 1e3
		return math.Round(float64(max(to-from, 0))/window.Seconds()*digits) / digits
	}
	return Rates{
		Window: window, Requests: per(last.Requests, first.Requests), Errors: per(last.Errors, first.Errors), Refused: per(last.Refused, first.Refused),
		PromptTokens: per(last.PromptTokens, first.PromptTokens), CompletionTokens: per(last.CompletionTokens, first.CompletionTokens),
	}
}
