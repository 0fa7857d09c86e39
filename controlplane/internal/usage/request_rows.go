package usage

import (
	"cmp"
	"time"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// Requests 给出 b 里序号大于 after、按 sample 该留下的请求，次序同 b；after 是这一批之前的高水位。
// 没有留下的不产生任何东西：总数另由 Plan 计，与取样无关。
func Requests(b Batch, after uint64, sample float64) []Request {
	var rows []Request
	for _, r := range b.Records {
		q := r.GetRequest()
		if q == nil || r.GetSeq() <= after || !Sampled(q.GetId(), q.GetOutcome(), sample) {
			continue
		}
		if rows == nil {
			rows = make([]Request, 0, len(b.Records))
		}
		rows = append(rows, requestOf(q, b))
	}
	return rows
}

func requestOf(q *usagev1.Request, b Batch) Request {
	elapsed := max(q.GetEndedUnixMs()-q.GetStartedUnixMs(), 0)
	ended := b.Clock.Instant(q.GetEndedUnixMs())
	r := Request{
		ID: clean(q.GetId(), maxName), ClientRequestID: clean(q.GetClientRequestId(), maxName), NodeID: b.NodeID,
		KeyID: clean(q.GetKeyId(), maxName), App: clean(q.GetApp(), maxName),
		Model: clean(q.GetModel(), maxModel), ServedModel: clean(q.GetServedModel(), maxModel), Endpoint: clean(q.GetEndpoint(), maxName),
		Outcome: q.GetOutcome(), Status: int(int16(q.GetStatus())), Stream: q.GetStream(), Replayed: q.GetReplayed(), Unjournalled: q.GetUnjournalled() || b.Volatile,
		StartedAt: ended.Add(-time.Duration(elapsed) * time.Millisecond), EndedAt: ended,
		QueueUS: q.GetQueueUs(), FirstByteUS: q.GetFirstByteUs(), DurationUS: elapsed * 1000,
		Revision: q.GetRevision(), Attempts: make([]Attempt, 0, len(q.GetAttempts())),
	}
	for _, a := range q.GetAttempts() {
		at := attemptOf(a, q)
		r.Attempts = append(r.Attempts, at)
		r.Server, r.Source = at.Server, at.Source
		r.Tokens = r.Tokens.plus(at.Tokens)
		r.CostNano += at.CostNano
	}
	return r
}

func attemptOf(a *usagev1.Attempt, q *usagev1.Request) Attempt {
	at := Attempt{
		Number: int(a.GetNumber()), Server: clean(a.GetServer(), maxName), UpstreamModel: clean(a.GetUpstreamModel(), maxModel),
		ServedModel: clean(cmp.Or(a.GetServedModel(), q.GetServedModel()), maxModel),
		Outcome:     a.GetOutcome(), Status: int(int16(a.GetStatus())), DurationUS: a.GetDurationUs(), Source: a.GetSource(), CostNano: a.GetCostNano(),
	}
	if u := a.GetUsage(); u != nil {
		at.Tokens = Tokens{Prompt: u.PromptTokens, Completion: u.CompletionTokens, Cached: u.CachedTokens, Reasoning: u.ReasoningTokens}
	}
	return at
}

// plus 逐栏相加；两边都缺席的仍缺席。
func (t Tokens) plus(o Tokens) Tokens {
	return Tokens{
		Prompt: addKnown(t.Prompt, o.Prompt), Completion: addKnown(t.Completion, o.Completion),
		Cached: addKnown(t.Cached, o.Cached), Reasoning: addKnown(t.Reasoning, o.Reasoning),
	}
}

func addKnown(a, b *int64) *int64 {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	sum := *a + *b
	return &sum
}
