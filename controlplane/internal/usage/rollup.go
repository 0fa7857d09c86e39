package usage

import (
	"cmp"
	"maps"
	"slices"
	"time"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// MinuteKey 是 usage_minute 的主键；Minute 是 UTC。
type MinuteKey struct {
	Minute      time.Time
	Server      string
	App         string
	Model       string
	ServedModel string
	Source      usagev1.Source
}

// MinuteRow 是要加进 usage_minute 的一行；Figures.Refused 与 Errors 不用。
type MinuteRow struct {
	MinuteKey
	Figures
}

// RefusedKey 是 usage_refused 的主键。
type RefusedKey struct {
	Minute time.Time
	App    string
	Model  string
	Code   string
}

// RefusedRow 是要加进 usage_refused 的一行。
type RefusedRow struct {
	RefusedKey
	Count int64
}

// rollup 在内存里把一批记录并成各行。
type rollup struct {
	clock   Clock
	minutes map[MinuteKey]*Figures
	refused map[RefusedKey]int64
}

func newRollup(c Clock) *rollup {
	return &rollup{clock: c, minutes: make(map[MinuteKey]*Figures), refused: make(map[RefusedKey]int64)}
}

func (r *rollup) at(k MinuteKey) *Figures {
	f := r.minutes[k]
	if f == nil {
		f = new(Figures)
		r.minutes[k] = f
	}
	return f
}

// request 把请求记在最后一次调用的那一行，把每次调用记在它自己的那一行。
func (r *rollup) request(q *usagev1.Request) {
	key := MinuteKey{
		Minute: r.clock.Minute(q.GetEndedUnixMs()),
		App:    clean(q.GetApp(), maxName), Model: clean(q.GetModel(), maxModel), ServedModel: clean(q.GetServedModel(), maxModel),
	}
	for _, a := range q.GetAttempts() {
		key.Server, key.Source = clean(a.GetServer(), maxName), a.GetSource()
		key.ServedModel = clean(cmp.Or(a.GetServedModel(), q.GetServedModel()), maxModel)
		addAttempt(r.at(key), a)
	}
	f := r.at(key)
	f.Requests++
	addOutcome(f, q.GetOutcome())
	f.QueueUS += q.GetQueueUs()
	f.DurationUS += max(q.GetEndedUnixMs()-q.GetStartedUnixMs(), 0) * 1000
	if q.GetFirstByteUs() > 0 {
		f.FirstByteUS += q.GetFirstByteUs()
		f.FirstByteCount++
	}
}

func addAttempt(f *Figures, a *usagev1.Attempt) {
	f.Attempts++
	f.UpstreamUS += a.GetDurationUs()
	f.CostNano += a.GetCostNano()
	if o := a.GetOutcome(); o != usagev1.Outcome_OUTCOME_OK && o != usagev1.Outcome_OUTCOME_ABORTED {
		f.AttemptErrors++
	}
	u := a.GetUsage()
	if u == nil {
		return
	}
	if u.PromptTokens != nil || u.CompletionTokens != nil {
		f.AttemptsWithUsage++
	}
	f.PromptTokens += u.GetPromptTokens()
	f.CompletionTokens += u.GetCompletionTokens()
	f.CachedTokens += u.GetCachedTokens()
	f.ReasoningTokens += u.GetReasoningTokens()
}

func addOutcome(f *Figures, o usagev1.Outcome) {
	switch o {
	case usagev1.Outcome_OUTCOME_OK:
	case usagev1.Outcome_OUTCOME_ABORTED:
		f.Aborted++
	case usagev1.Outcome_OUTCOME_CLIENT_ERROR:
		f.ErrorsClient++
	case usagev1.Outcome_OUTCOME_UPSTREAM_ERROR:
		f.ErrorsUpstream++
	case usagev1.Outcome_OUTCOME_LIMITED:
		f.ErrorsLimit++
	default: // 说不出下场也是我们的缺陷
		f.ErrorsGateway++
	}
}

// refusals 计拒绝。不认识的模型名由客户端随意给出，入库会让表无限长，因此不留。
func (r *rollup) refusals(q *usagev1.Refusals) {
	key := RefusedKey{
		Minute: r.clock.Minute(q.GetSecondUnix() * 1000),
		App:    clean(q.GetApp(), maxName), Model: clean(q.GetModel(), maxModel), Code: clean(q.GetCode(), maxName),
	}
	if key.Code == "model_not_found" {
		key.Model = ""
	}
	r.refused[key] += q.GetCount()
}

func (r *rollup) minuteRows() []MinuteRow {
	rows := make([]MinuteRow, 0, len(r.minutes))
	for _, k := range slices.SortedFunc(maps.Keys(r.minutes), compareMinute) {
		rows = append(rows, MinuteRow{MinuteKey: k, Figures: *r.minutes[k]})
	}
	return rows
}

func (r *rollup) refusedRows() []RefusedRow {
	rows := make([]RefusedRow, 0, len(r.refused))
	for _, k := range slices.SortedFunc(maps.Keys(r.refused), compareRefused) {
		rows = append(rows, RefusedRow{RefusedKey: k, Count: r.refused[k]})
	}
	return rows
}

func compareMinute(a, b MinuteKey) int {
	return cmp.Or(a.Minute.Compare(b.Minute), cmp.Compare(a.Server, b.Server), cmp.Compare(a.App, b.App),
		cmp.Compare(a.Model, b.Model), cmp.Compare(a.ServedModel, b.ServedModel), cmp.Compare(a.Source, b.Source))
}

func compareRefused(a, b RefusedKey) int {
	return cmp.Or(a.Minute.Compare(b.Minute), cmp.Compare(a.App, b.App), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Code, b.Code))
}
