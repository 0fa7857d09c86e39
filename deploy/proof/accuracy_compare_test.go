package proof

import (
	"context"
	"fmt"
	"testing"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// audit 是对账的结果；零值之外的每一项都有名字。
type audit struct {
	requests, attempts, ledger   int
	lost, duplicated, twice      int   // 上游有而表里没有的；表里多出一份的；上游同名来过两次的
	tokenDiff                    int64 // 报告了用量的每一次调用，四种 token 之差的绝对值之和
	exact                        int   // 其中客户端看到了结尾、核对过的
	unreported                   int   // 客户端看到了结尾、上游报告了用量，表里却不是 reported
	killed, asUnknown, asPartial int   // 重放补上的，各以什么身份
	strange                      int   // 重放补上的却另有身份，或客户端看到了结尾却算作被杀
	withoutLedger, notUnknown    int   // 表里有而上游没有的；其中不是 unknown 的
	misplaced                    int   // 记在别的 server、app 或 model 上的
	totalsDiff                   int64 // GET /usage 与逐条相加之差
	levelsDiff                   int64 // 各级的合计与逐条相加之差
	unjournalled                 int
	bySource                     map[string]int // 各种来源的调用有多少
	sample                       string         // 第一件不对的事
}

// wrong 记下一件不对的事。
func (a *audit) wrong(n *int, format string, args ...any) {
	if *n++; a.sample == "" {
		a.sample = fmt.Sprintf(format, args...)
	}
}

// books 是要放在一起对的几本账。
type books struct {
	ledger map[call]upstreamtest.Entry
	twice  int
	seen   []outcome
	rows   []booked
	totals map[place]figure // GET /usage
	levels map[string]figure
}

// audit 读齐各本账，对一遍。
func (f *fleet) audit(ctx context.Context, seen []outcome) *audit {
	f.t.Helper()
	ledger, twice := f.ledger()
	return books{ledger, twice, seen, f.requests(ctx), f.totalled(ctx), f.levels(ctx)}.compare()
}

// compare 以逐条的请求为中心：一头是上游的账与客户端看到的，一头是总数。
func (b books) compare() *audit {
	a := &audit{requests: len(b.rows), ledger: len(b.ledger), twice: b.twice, bySource: map[string]int{}}
	whole := map[string]bool{}
	for _, o := range b.seen {
		if o.whole && o.id != "" {
			whole[o.id] = true
		}
	}
	had, once, sums := map[call]bool{}, map[string]bool{}, figuresBy{}
	for i := range b.rows {
		r := &b.rows[i]
		if once[r.id] {
			a.wrong(&a.duplicated, "request %s is there twice", r.id)
		}
		once[r.id] = true
		a.request(r, whole[r.id])
		for _, at := range r.attempts {
			k := call{r.id, at.number}
			if had[k] {
				a.wrong(&a.duplicated, "attempt %s-%d is there twice", k.id, k.number)
			}
			had[k] = true
			e, ok := b.ledger[k]
			a.attempt(r, at, &e, ok, whole[r.id] && at.number == len(r.attempts))
			sums.book(place{at.server, r.app, r.model, ""}, figure{attempts: 1, tokens: at.tokens})
			sums.book(place{"", r.app, r.model, at.source}, figure{attempts: 1, tokens: at.tokens})
		}
		sums.book(place{r.server, r.app, r.model, ""}, figure{requests: 1})
		sums.book(place{"", r.app, r.model, r.source}, figure{requests: 1})
	}
	for k, e := range b.ledger {
		if !had[k] {
			a.wrong(&a.lost, "the upstream served %s-%d (%s, status %d, finished %t), the tables do not have it", k.id, k.number, e.Model, e.Status, e.Finished)
		}
	}
	a.totals(sums, b.totals)
	a.levels(sums, b.levels)
	return a
}

func (a *audit) request(r *booked, whole bool) {
	if r.unjournalled {
		a.unjournalled++
	}
	if !r.replayed {
		return
	}
	a.killed++
	switch r.source {
	case "unknown":
		a.asUnknown++
	case "partial":
		a.asPartial++
	default:
		a.wrong(&a.strange, "request %s was killed in flight and is %q", r.id, r.source)
	}
	if whole {
		a.wrong(&a.strange, "request %s was killed in flight, yet its client saw the end", r.id)
	}
}

func (a *audit) attempt(r *booked, at bookedAttempt, e *upstreamtest.Entry, inLedger, whole bool) {
	a.attempts++
	a.bySource[at.source]++
	if !inLedger {
		a.withoutLedger++
		if at.source != "unknown" {
			a.wrong(&a.notUnknown, "attempt %s-%d never reached the upstream and is %q", r.id, at.number, at.source)
		}
		return
	}
	if p, booked := told(e), (place{at.server, r.app, r.model, ""}); p != booked {
		a.wrong(&a.misplaced, "attempt %s-%d is booked at %v, the upstream says %v", r.id, at.number, booked, p)
	}
	if whole && e.UsageSent && at.source != "reported" {
		a.wrong(&a.unreported, "attempt %s-%d (%s) reported its usage and is %q", r.id, at.number, e.Model, at.source)
	}
	if at.source != "reported" || !e.UsageSent || !e.Finished {
		return
	}
	if whole {
		a.exact++
	}
	if d := at.minus(tokens{int64(e.Prompt), int64(e.Completion), int64(e.Cached), int64(e.Reasoning)}); d != 0 {
		a.differ(&a.tokenDiff, d, "attempt %s-%d (%s): %+v, the upstream said %+v", r.id, at.number, e.Model, at.tokens, e.Usage)
	}
}

// totals 要求总数等于逐条之和，一格一格地。
func (a *audit) totals(want, got map[place]figure) {
	keys := map[place]bool{}
	for _, m := range []map[place]figure{want, got} {
		for p := range m {
			keys[p] = true
		}
	}
	for p := range keys {
		if d := want[p].minus(got[p]); d != 0 {
			a.differ(&a.totalsDiff, d, "%+v: the requests add up to %+v, GET /usage says %+v", p, want[p], got[p])
		}
	}
}

// levels 要求每一级的合计都等于逐条之和。
func (a *audit) levels(want map[place]figure, got map[string]figure) {
	sum := figuresBy{}
	for p, f := range want {
		if p.source == "" { // 另一半是同样的请求换一种分法
			sum.book(place{}, f)
		}
	}
	for name, f := range got {
		if d := sum[place{}].minus(f); d != 0 {
			a.differ(&a.levelsDiff, d, "%s adds up to %+v, the requests to %+v", name, f, sum[place{}])
		}
	}
}

// differ 把差加到 sum 上，记下第一件不对的事。
func (a *audit) differ(sum *int64, d int64, format string, args ...any) {
	one := 0
	a.wrong(&one, format, args...)
	*sum += d
}

// String 是印出来的一行里属于对账的部分。
func (a *audit) String() string {
	return fmt.Sprintf("requests=%d attempts=%d ledger=%d lost=%d duplicated=%d token_diff=%d exact=%d unreported=%d killed_in_flight=%d as_unknown=%d as_partial=%d strange=%d "+
		"ids_without_ledger=%d not_unknown=%d sent_twice=%d misplaced=%d totals_diff=%d levels_diff=%d unjournalled=%d sources=reported:%d,counted:%d,partial:%d,unknown:%d,none:%d",
		a.requests, a.attempts, a.ledger, a.lost, a.duplicated, a.tokenDiff, a.exact, a.unreported, a.killed, a.asUnknown, a.asPartial, a.strange,
		a.withoutLedger, a.notUnknown, a.twice, a.misplaced, a.totalsDiff, a.levelsDiff, a.unjournalled,
		a.bySource["reported"], a.bySource["counted"], a.bySource["partial"], a.bySource["unknown"], a.bySource["none"])
}

// bad 是不对的事有几件。
func (a *audit) bad() int64 {
	return int64(a.lost+a.duplicated+a.unreported+a.strange+a.notUnknown+a.twice+a.misplaced) + a.tokenDiff + a.totalsDiff + a.levelsDiff
}

// judge 要求一处不差。
func (a *audit) judge(t *testing.T) {
	t.Helper()
	if a.bad() > 0 {
		t.Errorf("the books differ: %s\nthe first: %s", a, a.sample)
	}
	if a.exact == 0 {
		t.Error("no call was compared to the token")
	}
}
