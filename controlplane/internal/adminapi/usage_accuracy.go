package adminapi

import (
	"encoding/json"
	"math"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// accuracy 说数字是怎么来的，有多全、多新。
type accuracy struct {
	Sources              map[string]share `json:"sources"`
	RequestsReplayed     int64            `json:"requests_replayed"`
	RequestsUnjournalled int64            `json:"requests_unjournalled"`
	Lost                 loss             `json:"lost"`
	LostLater            loss             `json:"lost_later"`
	AsOf                 time.Time        `json:"as_of"`
	CompleteUntil        time.Time        `json:"complete_until"`
	Pending              int64            `json:"pending"`
	BehindNodes          int64            `json:"behind_nodes"`
	BehindRecords        int64            `json:"behind_records"`
	SilentNodes          int64            `json:"silent_nodes"`
}

type share struct {
	Requests      int64       `json:"requests"`
	RequestsShare float64     `json:"requests_share"`
	Attempts      int64       `json:"attempts"`
	Tokens        int64       `json:"tokens"`
	TokensShare   float64     `json:"tokens_share"`
	Cost          json.Number `json:"cost"`
}

type loss struct {
	Records  int64       `json:"records"`
	Requests int64       `json:"requests"`
	Tokens   int64       `json:"tokens"`
	Cost     json.Number `json:"cost"`
}

// latency 没有一次观察的一项缺席：那不是零。
type latency struct {
	Queue     map[string]float64 `json:"queue_ms,omitempty"`
	FirstByte map[string]float64 `json:"first_byte_ms,omitempty"`
	Duration  map[string]float64 `json:"duration_ms,omitempty"`
}

func accuracyOf(res usage.Result) accuracy {
	a, t := res.Accuracy, res.Totals
	out := accuracy{
		Sources: make(map[string]share), RequestsReplayed: t.Replayed, RequestsUnjournalled: t.Unjournalled,
		Lost: lossOf(a.Lost), LostLater: lossOf(a.LostLater), AsOf: a.AsOf.UTC(), CompleteUntil: a.CompleteUntil.UTC(),
		Pending: a.Pending, BehindNodes: a.BehindNodes, BehindRecords: a.BehindRecords, SilentNodes: a.SilentNodes,
	}
	tokens := t.PromptTokens + t.CompletionTokens
	for i, s := range t.BySource[1:] {
		out.Sources[usage.SourceName(usagev1.Source(i+1))] = share{
			Requests: s.Requests, RequestsShare: ratio(s.Requests, t.Requests), Attempts: s.Attempts,
			Tokens: s.Tokens, TokensShare: ratio(s.Tokens, tokens), Cost: json.Number(usage.FormatNano(s.CostNano)),
		}
	}
	return out
}

func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return rounded(float64(part)/float64(whole), shareDigits)
}

const (
	shareDigits = 1e6 // 百万分之一：再少的一份也不写成零
	msDigits    = 1e3 // 一微秒，量到的就是这么细
)

// rounded 舍入到 1/digits：再往后的位数是除法的，不是量到的。
func rounded(v, digits float64) float64 { return math.Round(v*digits) / digits }

func lossOf(t usage.Totals) loss {
	return loss{Records: t.Lost, Requests: t.Requests, Tokens: t.PromptTokens + t.CompletionTokens, Cost: json.Number(usage.FormatNano(t.CostNano))}
}

func latencyOf(l *usage.Latency, percentiles []float64) *latency {
	if l == nil {
		return nil
	}
	named := func(values []float64) map[string]float64 {
		out := make(map[string]float64, len(values))
		for i, v := range values {
			out[usage.PercentileName(percentiles[i])] = rounded(v, msDigits)
		}
		return out
	}
	return &latency{named(l.QueueMS), named(l.FirstByteMS), named(l.DurationMS)}
}
