package usage

import (
	"cmp"
	"time"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// Counter 是各级用量表里可相加的一栏。
type Counter int

// 次序就是 CounterColumns 的次序。
const (
	CountRequests Counter = iota
	CountAttempts
	CountRefused
	CountErrorsClient
	CountErrorsUpstream
	CountErrorsGateway
	CountErrorsLimit
	CountAborted
	CountAttemptErrors
	CountAttemptsWithUsage
	CountReplayed
	CountUnjournalled
	CountPromptTokens
	CountCompletionTokens
	CountCachedTokens
	CountReasoningTokens
	CountCostNano
	CountQueueUS
	CountFirstByteUS
	CountFirstByteCount
	CountDurationUS
	CountUpstreamUS
	NumCounters
)

// CounterColumns 给出各栏在表里的名字，以 Counter 为下标。
func CounterColumns() [NumCounters]string {
	return [NumCounters]string{
		"requests", "attempts", "refused", "errors_client", "errors_upstream", "errors_gateway", "errors_limit",
		"aborted", "attempt_errors", "attempts_with_usage", "replayed", "unjournalled",
		"prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "cost_nano",
		"queue_us", "first_byte_us", "first_byte_count", "duration_us", "upstream_us",
	}
}

// 三个直方图，都是每个请求一次：排队、首字节（有的话）、从到达至结束。
const (
	HistQueue = iota
	HistFirstByte
	HistDuration
	NumHistograms
)

// HistogramColumns 给出直方图在表里的名字，以 HistQueue 等为下标。
func HistogramColumns() [NumHistograms]string {
	return [NumHistograms]string{"queue_hist", "first_byte_hist", "duration_hist"}
}

// Sum 是一组数：各栏之和与三个直方图。零值是什么也没有。
type Sum struct {
	Counts     [NumCounters]int64
	Histograms [NumHistograms]Histogram
}

// Add 加上 o。
func (s *Sum) Add(o *Sum) {
	for i, n := range o.Counts {
		s.Counts[i] += n
	}
	for i := range o.Histograms {
		s.Histograms[i].Merge(&o.Histograms[i])
	}
}

// Totals 是守恒核对所看的几栏。
func (s *Sum) Totals() Totals {
	return Totals{
		Requests: s.Counts[CountRequests], Attempts: s.Counts[CountAttempts], Refused: s.Counts[CountRefused],
		PromptTokens: s.Counts[CountPromptTokens], CompletionTokens: s.Counts[CountCompletionTokens],
		CachedTokens: s.Counts[CountCachedTokens], ReasoningTokens: s.Counts[CountReasoningTokens],
		CostNano: s.Counts[CountCostNano],
	}
}

// Key 是 usage_delta、usage_minute、usage_hour、usage_day 的键；Bucket 是那一级的起点（UTC）。
// Code 非空的是拒绝：Server 与 ServedModel 为空，Source 为 0。
type Key struct {
	Bucket      time.Time
	Server      string
	App         string
	Model       string
	ServedModel string
	Source      usagev1.Source
	Code        string
}

// Entry 是一行。
type Entry struct {
	Key
	*Sum
}

// Compare 是主键的次序。
func (k Key) Compare(o Key) int {
	return cmp.Or(k.Bucket.Compare(o.Bucket), cmp.Compare(k.Server, o.Server), cmp.Compare(k.App, o.App),
		cmp.Compare(k.Model, o.Model), cmp.Compare(k.ServedModel, o.ServedModel), cmp.Compare(k.Source, o.Source), cmp.Compare(k.Code, o.Code))
}

// Dim 是 usage_hour_by 与 usage_day_by 的 dim：按哪一个维度合计。
type Dim int16

// DimAll 的 Name 为空。
const (
	DimAll Dim = iota
	DimServer
	DimApp
	DimModel
)

// ByKey 是 usage_hour_by 与 usage_day_by 的键。
type ByKey struct {
	Bucket time.Time
	Dim    Dim
	Name   string
	Source usagev1.Source
}

// ByEntry 是一行。
type ByEntry struct {
	ByKey
	*Sum
}

// Compare 是主键的次序。
func (k ByKey) Compare(o ByKey) int {
	return cmp.Or(cmp.Compare(k.Dim, o.Dim), cmp.Compare(k.Name, o.Name), k.Bucket.Compare(o.Bucket), cmp.Compare(k.Source, o.Source))
}
