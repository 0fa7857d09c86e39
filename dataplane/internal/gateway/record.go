package gateway

import (
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

func newRecord() *record {
	r := &record{}
	r.req.Attempts = r.list[:0]
	return r
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
		if c.from.Set {
			n[i] = c.from.Value
			*c.to = &n[i]
		}
	}
}
