package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// usageKeyColumns 之后是 sumColumns；usage_delta 的头一栏叫 minute，各级的叫 bucket。
var usageKeyColumns = []string{"server", "app", "model", "served_model", "source", "code"}

// sumColumns 是各表共有的数字与直方图，次序与 usage.Sum 一致。
func sumColumns() []string {
	counters, histograms := usage.CounterColumns(), usage.HistogramColumns()
	return append(counters[:], histograms[:]...)
}

func deltaColumns() []string {
	return append(append([]string{"minute"}, usageKeyColumns...), sumColumns()...)
}

// deltaSource 让 COPY 逐行取用；直方图编在同一块缓冲里。
func deltaSource(rows []usage.Entry) pgx.CopyFromSource {
	buffer := make([]byte, 0, 256) // 空的直方图是空的，不是 NULL
	values := make([]any, 0, 7+int(usage.NumCounters)+usage.NumHistograms)
	return pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
		r := rows[i]
		values = append(values[:0], r.Bucket, r.Server, r.App, r.Model, r.ServedModel, int16(r.Source), r.Code)
		for _, n := range r.Counts {
			values = append(values, n)
		}
		buffer = buffer[:0]
		for h := range r.Histograms {
			from := len(buffer)
			buffer = r.Histograms[h].Append(buffer)
			values = append(values, buffer[from:len(buffer):len(buffer)])
		}
		return values, nil
	})
}

func gapParams(b usage.Batch, g usage.GapRow) sqlcgen.AddUsageGapParams {
	return sqlcgen.AddUsageGapParams{
		NodeID: b.NodeID, Epoch: int64(b.Epoch), FirstSeq: int64(g.First), LastSeq: int64(g.Last), Reason: g.Reason,
		Requests: g.Totals.Requests, Attempts: g.Totals.Attempts, Refused: g.Totals.Refused,
		PromptTokens: g.Totals.PromptTokens, CompletionTokens: g.Totals.CompletionTokens,
		CachedTokens: g.Totals.CachedTokens, ReasoningTokens: g.Totals.ReasoningTokens,
		CostNano: g.Totals.CostNano, Lost: g.Totals.Lost,
	}
}

func columnList(columns []string) string { return strings.Join(columns, ", ") }
