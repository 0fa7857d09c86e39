package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
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

// place 是核对的一格；没有分开的一栏为空。
type place struct{ server, app, model, source string }

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

// totalled 是 GET /usage 说的每一格：按 server × app × model，与按 app × model × source。
func (f *fleet) totalled(ctx context.Context) map[place]figure {
	f.t.Helper()
	out := map[place]figure{}
	for _, by := range []string{"server,app,model", "app,model,source"} {
		var report struct {
			Rows []struct {
				Server, App, Model, Source string
				Requests, Attempts         int64
				PromptTokens               int64 `json:"prompt_tokens"`
				CompletionTokens           int64 `json:"completion_tokens"`
				CachedTokens               int64 `json:"cached_tokens"`
				ReasoningTokens            int64 `json:"reasoning_tokens"`
			}
		}
		if err := f.Admin.Call(ctx, http.MethodGet, "/usage?group_by="+by, nil, &report); err != nil {
			f.t.Fatal(err)
		}
		for _, r := range report.Rows {
			if r.Attempts == 0 && r.Requests == 0 { // 拒绝
				continue
			}
			if r.Server == "" && r.Source == "" {
				r.Source = sources[0]
			}
			out[place{r.Server, r.App, r.Model, r.Source}] = figure{r.Requests, r.Attempts, tokens{r.PromptTokens, r.CompletionTokens, r.CachedTokens, r.ReasoningTokens}}
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
	return place{server: strings.TrimPrefix(e.Authorization, "Bearer sk-"), app: app, model: model}
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
