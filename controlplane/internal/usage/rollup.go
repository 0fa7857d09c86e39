package usage

import (
	"cmp"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// rollup 在内存里把一批记录并成增量的各行。
type rollup struct {
	clock    Clock
	volatile bool
	rows     map[Key]*Sum
}

func newRollup(c Clock, volatile bool) *rollup {
	return &rollup{clock: c, volatile: volatile, rows: make(map[Key]*Sum)}
}

// request 把请求记在最后一次调用的那一行，把每次调用记在它自己的那一行。
func (r *rollup) request(q *usagev1.Request) {
	key := Key{
		Bucket: r.clock.Minute(q.GetEndedUnixMs()),
		App:    clean(q.GetApp(), maxName), Model: clean(q.GetModel(), maxModel), ServedModel: clean(q.GetServedModel(), maxModel),
	}
	for _, a := range q.GetAttempts() {
		key.Server, key.Source = clean(a.GetServer(), maxName), a.GetSource()
		key.ServedModel = clean(cmp.Or(a.GetServedModel(), q.GetServedModel()), maxModel)
		addAttempt(at(r.rows, key), a)
	}
	s := at(r.rows, key)
	addRequest(s, q)
	if r.volatile || q.GetUnjournalled() {
		s.Counts[CountUnjournalled]++
	}
}

func addRequest(s *Sum, q *usagev1.Request) {
	c := &s.Counts
	c[CountRequests]++
	if column, ok := outcomeColumn(q.GetOutcome()); ok {
		c[column]++
	}
	if q.GetReplayed() {
		c[CountReplayed]++
	}
	duration := max(q.GetEndedUnixMs()-q.GetStartedUnixMs(), 0) * 1000
	c[CountQueueUS] += q.GetQueueUs()
	c[CountDurationUS] += duration
	s.Histograms[HistQueue].Observe(q.GetQueueUs())
	s.Histograms[HistDuration].Observe(duration)
	if q.GetFirstByteUs() > 0 {
		c[CountFirstByteUS] += q.GetFirstByteUs()
		c[CountFirstByteCount]++
		s.Histograms[HistFirstByte].Observe(q.GetFirstByteUs())
	}
}

func addAttempt(s *Sum, a *usagev1.Attempt) {
	c := &s.Counts
	c[CountAttempts]++
	c[CountUpstreamUS] += a.GetDurationUs()
	c[CountCostNano] += a.GetCostNano()
	if o := a.GetOutcome(); o != usagev1.Outcome_OUTCOME_OK && o != usagev1.Outcome_OUTCOME_ABORTED {
		c[CountAttemptErrors]++
	}
	u := a.GetUsage()
	if u == nil {
		return
	}
	if u.PromptTokens != nil || u.CompletionTokens != nil {
		c[CountAttemptsWithUsage]++
	}
	c[CountPromptTokens] += u.GetPromptTokens()
	c[CountCompletionTokens] += u.GetCompletionTokens()
	c[CountCachedTokens] += u.GetCachedTokens()
	c[CountReasoningTokens] += u.GetReasoningTokens()
}

// outcomeColumn 是那种下场所计的一栏；成功的没有。
func outcomeColumn(o usagev1.Outcome) (Counter, bool) {
	switch o {
	case usagev1.Outcome_OUTCOME_OK:
		return 0, false
	case usagev1.Outcome_OUTCOME_ABORTED:
		return CountAborted, true
	case usagev1.Outcome_OUTCOME_CLIENT_ERROR:
		return CountErrorsClient, true
	case usagev1.Outcome_OUTCOME_UPSTREAM_ERROR:
		return CountErrorsUpstream, true
	case usagev1.Outcome_OUTCOME_LIMITED:
		return CountErrorsLimit, true
	default: // 说不出下场也是我们的缺陷
		return CountErrorsGateway, true
	}
}

// refusals 计拒绝。不认识的模型名由客户端随意给出，入库会让表无限长，因此不留。
// 空的错误码也要有个名字：code 为空的行是请求。
func (r *rollup) refusals(q *usagev1.Refusals) {
	key := Key{
		Bucket: r.clock.Minute(q.GetSecondUnix() * 1000),
		App:    clean(q.GetApp(), maxName), Model: clean(q.GetModel(), maxModel), Code: cmp.Or(clean(q.GetCode(), maxName), "unknown"),
	}
	if key.Code == "model_not_found" {
		key.Model = ""
	}
	at(r.rows, key).Counts[CountRefused] += q.GetCount()
}
