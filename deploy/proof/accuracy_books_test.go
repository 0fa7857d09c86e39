package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// sources 是表里的数与它的名字（usagev1.Source）。
var sources = []string{"none", "reported", "counted", "partial", "unknown"}

// tokens 是四种 token；缺席的算零。
type tokens struct{ prompt, completion, cached, reasoning int64 }

func (t tokens) minus(o tokens) int64 {
	return distance(t.prompt, o.prompt) + distance(t.completion, o.completion) + distance(t.cached, o.cached) + distance(t.reasoning, o.reasoning)
}

func (t *tokens) add(o tokens) {
	t.prompt, t.completion = t.prompt+o.prompt, t.completion+o.completion
	t.cached, t.reasoning = t.cached+o.cached, t.reasoning+o.reasoning
}

func distance(a, b int64) int64 { return max(a-b, b-a) }

// booked 是 usage_request 里的一行。
type booked struct {
	id, app, model, server, source string
	replayed, unjournalled         bool
	attempts                       []bookedAttempt
}

// bookedAttempt 是它的一次上游调用。
type bookedAttempt struct {
	number         int
	server, source string
	tokens
}

// requests 读出逐条的请求。
func (f *fleet) requests(ctx context.Context) []booked {
	f.t.Helper()
	var out []booked
	for _, r := range f.sql(ctx, `SELECT id, app, model, server, source, replayed, unjournalled, attempts FROM usage_request`) {
		b := booked{id: r[0], app: r[1], model: r[2], server: r[3], source: f.source(r[4]), replayed: r[5] == "t", unjournalled: r[6] == "t"}
		var list []map[string]any
		if err := json.Unmarshal([]byte(r[7]), &list); err != nil {
			f.t.Fatalf("attempts of %s: %v\n%s", b.id, err, r[7])
		}
		for _, a := range list {
			n := func(key string) int64 { v, _ := a[key].(float64); return int64(v) }
			server, _ := a["server"].(string)
			b.attempts = append(b.attempts, bookedAttempt{number: int(n("number")), server: server, source: f.source(fmt.Sprint(a["source"])),
				tokens: tokens{n("prompt_tokens"), n("completion_tokens"), n("cached_tokens"), n("reasoning_tokens")}})
		}
		out = append(out, b)
	}
	return out
}

// source 认得数字，也认得名字。
func (f *fleet) source(s string) string {
	if i, err := strconv.Atoi(s); err == nil && i >= 0 && i < len(sources) {
		return sources[i]
	}
	return s
}

// sql 问数据库；它可能刚起来，还在恢复。
func (f *fleet) sql(ctx context.Context, query string) [][]string {
	f.t.Helper()
	var err error
	for range 100 {
		var rows [][]string
		if rows, err = f.pg.Query(ctx, query); err == nil {
			return rows
		}
		pause(ctx, 100*time.Millisecond)
	}
	f.t.Fatal(err)
	return nil
}

// place 是核对的一格。
type place struct{ server, app, model string }

// figure 是一格里的数。
type figure struct {
	requests, attempts int64
	tokens
}

func (f figure) minus(o figure) int64 {
	return distance(f.requests, o.requests) + distance(f.attempts, o.attempts) + f.tokens.minus(o.tokens)
}

// figuresBy 是各格的数。
type figuresBy map[place]figure

func (m figuresBy) book(p place, f figure) {
	g := m[p]
	g.requests, g.attempts = g.requests+f.requests, g.attempts+f.attempts
	g.add(f.tokens)
	m[p] = g
}

// levels 是各级总数（连同还没有并入的增量）各自的合计；各级都该等于逐条之和。
func (f *fleet) levels(ctx context.Context) map[string]figure {
	f.t.Helper()
	out := map[string]figure{}
	for name, where := range map[string]string{"usage_minute": "", "usage_hour": "", "usage_day": "", "usage_hour_by": " WHERE dim = 0", "usage_day_by": " WHERE dim = 0"} {
		out[name] = f.figure(ctx, fmt.Sprintf("(SELECT %s FROM %s%s UNION ALL SELECT %s FROM usage_delta) AS u", summed, name, where, summed))
	}
	return out
}

const summed = "requests, attempts, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens"

// figure 把一张表的几栏加起来。
func (f *fleet) figure(ctx context.Context, table string) figure {
	f.t.Helper()
	var sums []string
	for column := range strings.SplitSeq(summed, ", ") {
		sums = append(sums, "coalesce(sum("+column+"), 0)")
	}
	var n [6]int64
	for i, text := range f.sql(ctx, "SELECT "+strings.Join(sums, ", ")+" FROM "+table)[0] {
		var err error
		if n[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			f.t.Fatal(err)
		}
	}
	return figure{n[0], n[1], tokens{n[2], n[3], n[4], n[5]}}
}

// totalled 是 GET /usage 说的每一格。
func (f *fleet) totalled(ctx context.Context) map[place]figure {
	f.t.Helper()
	var report struct {
		Rows []struct {
			Server, App, Model string
			Requests, Attempts int64
			PromptTokens       int64 `json:"prompt_tokens"`
			CompletionTokens   int64 `json:"completion_tokens"`
			CachedTokens       int64 `json:"cached_tokens"`
			ReasoningTokens    int64 `json:"reasoning_tokens"`
		}
	}
	if err := f.Admin.Call(ctx, http.MethodGet, "/usage?group_by=server,app,model", nil, &report); err != nil {
		f.t.Fatal(err)
	}
	out := map[place]figure{}
	for _, r := range report.Rows {
		if r.Attempts > 0 || r.Requests > 0 { // 其余是拒绝
			out[place{r.Server, r.App, r.Model}] = figure{r.Requests, r.Attempts, tokens{r.PromptTokens, r.CompletionTokens, r.CachedTokens, r.ReasoningTokens}}
		}
	}
	return out
}

// call 是一次上游调用的名字：请求号与次序。
type call struct {
	id     string
	number int
}

// ledger 是上游的账，按调用；twice 是同一个名字来过不止一次的。
func (f *fleet) ledger() (rows map[call]upstreamtest.Entry, twice int) {
	rows = map[call]upstreamtest.Entry{}
	for _, e := range f.up.Ledger() {
		at := strings.LastIndexByte(e.RequestID, '-')
		n, err := strconv.Atoi(e.RequestID[at+1:])
		if err != nil {
			f.t.Fatalf("the upstream saw a request id without an attempt number: %q", e.RequestID)
		}
		k := call{e.RequestID[:at], n}
		if _, ok := rows[k]; ok {
			twice++
		}
		rows[k] = e
	}
	return rows, twice
}

// told 是上游说的这次调用在哪一格：server 从凭证，app 与要的模型从 User-Agent。
func told(e *upstreamtest.Entry) place {
	_, rest, _ := strings.Cut(e.Header.Get("User-Agent"), "/")
	app, model, _ := strings.Cut(rest, "/")
	return place{strings.TrimPrefix(e.Authorization, "Bearer sk-"), app, model}
}

// drained 等在途的都走完、每个节点都报完、增量都并入各级。
func (f *fleet) drained(ctx context.Context) {
	f.t.Helper()
	left := func() (n int, what string) {
		if n = int(f.up.InFlight()); n > 0 {
			return n, "in flight at the upstream"
		}
		if n = f.sum("vega_requests_in_flight"); n > 0 {
			return n, "in flight at the nodes"
		}
		if n = f.sum("vega_usage_unreported"); n > 0 {
			return n, "unreported"
		}
		n, _ = strconv.Atoi(f.sql(ctx, "SELECT count(*) FROM usage_delta")[0][0])
		return n, "deltas"
	}
	quiet := 0
	for deadline := time.Now().Add(2 * time.Minute); quiet < 5; pause(ctx, 200*time.Millisecond) {
		n, what := left()
		if quiet++; n > 0 {
			quiet = 0
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("not at rest: %d %s", n, what)
		}
	}
}

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
			sums.book(place{at.server, r.app, r.model}, figure{attempts: 1, tokens: at.tokens})
		}
		sums.book(place{r.server, r.app, r.model}, figure{requests: 1})
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
	if p := told(e); p != (place{at.server, r.app, r.model}) {
		a.wrong(&a.misplaced, "attempt %s-%d is booked at %v, the upstream says %v", r.id, at.number, place{at.server, r.app, r.model}, p)
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
	for _, f := range want {
		sum.book(place{}, f)
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
