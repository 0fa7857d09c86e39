package gateway

import (
	"sync"

	"github.com/vega-gateway/vega/dataplane/internal/journal"
	"github.com/vega-gateway/vega/dataplane/internal/meter"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// record 是交给 journal 的一条，连同它的各次尝试与中途的用量；journal 只抄不留。
type record struct {
	req      usagev1.Request
	list     [maxTries]*usagev1.Attempt
	calls    [maxTries]callRecord
	progress journal.Progress
	soFar    [4]int64
}

// callRecord 是一次尝试连同它的用量。
type callRecord struct {
	attempt usagev1.Attempt
	usage   usagev1.Usage
	counts  [4]int64
}

// recordPool 是 record 的池，零值可用。
type recordPool struct{ p sync.Pool }

func (p *recordPool) get() *record {
	r, ok := p.p.Get().(*record)
	if !ok {
		r = &record{}
	}
	r.req.Attempts = r.list[:0]
	return r
}

// put 收回一条；它指着的字符串是客户端的头与配置里的，不留着。
func (p *recordPool) put(r *record) {
	for i := range len(r.req.Attempts) {
		r.calls[i].attempt.Reset()
		r.calls[i].usage.Reset()
	}
	clear(r.list[:])
	r.req.Reset()
	r.progress.Usage.Reset()
	p.p.Put(r)
}

// add 添一次尝试。
func (r *record) add() *usagev1.Attempt {
	a := &r.calls[len(r.req.Attempts)].attempt
	r.req.Attempts = append(r.req.Attempts, a)
	return a
}

// write 写下一次尝试的用量；a 是 add 给出的。
func (r *record) write(a *usagev1.Attempt, u meter.Usage) {
	for i := range r.calls {
		if c := &r.calls[i]; &c.attempt == a {
			put(&c.usage, &c.counts, u)
			a.Usage = &c.usage
		}
	}
}

// put 抄下用量，值放在 n 里；缺席的仍缺席。
func put(to *usagev1.Usage, n *[4]int64, u meter.Usage) {
	for i, c := range [...]struct {
		from meter.Count
		to   **int64
	}{
		{u.Prompt, &to.PromptTokens}, {u.Completion, &to.CompletionTokens},
		{u.Cached, &to.CachedTokens}, {u.Reasoning, &to.ReasoningTokens},
	} {
		*c.to = nil
		if c.from.Set && !(broken(bugZeroIsAbsent) && c.from.Value == 0) {
			n[i] = c.from.Value
			*c.to = &n[i]
		}
	}
}
