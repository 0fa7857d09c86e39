package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// addLatency 逐行流过直方图，并进 res 的各行与总数；内存只随行数涨，不随读的行数涨。
func addLatency(ctx context.Context, tx pgx.Tx, q usage.Query, r usage.Reading, res *usage.Result) error {
	u := &usageSQL{q: q, r: r}
	histograms := usage.HistogramColumns()
	parts := u.union(r.Parts, func(bool, usage.Level) (string, string) { return ", " + columnList(histograms[:]), "" })
	sql := strings.Join(parts, "\nUNION ALL\n")
	rows, err := tx.Query(ctx, sql, u.args...)
	if err != nil {
		return fmt.Errorf("read histograms: %w", err)
	}
	defer rows.Close()
	merged := make([]usage.LatencyHistograms, len(res.Rows))
	find := groupFinder(q, r, res.Rows)
	for rows.Next() {
		raw := rows.RawValues()
		n := len(raw)
		at, err := find(raw[:n-3])
		if err != nil {
			return err
		}
		if err := merged[at].MergeEncoded(raw[n-3], raw[n-2], raw[n-1]); err != nil {
			return vegaerr.Wrap(err, vegaerr.Internal, "", "internal error")
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read histograms: %w", err)
	}
	var total usage.LatencyHistograms
	for i := range merged {
		res.Rows[i].Latency = merged[i].Latency(q.Percentiles)
		total.Merge(&merged[i])
	}
	res.Totals.Latency = total.Latency(q.Percentiles)
	return nil
}

// groupFinder 由一行的 b、d1… 找出它属于结果的第几行；前几名之外的都属于同一桶的 Other。
func groupFinder(q usage.Query, r usage.Reading, rows []usage.Row) func(raw [][]byte) (int, error) {
	index := make(map[usageKey]int, len(rows))
	other := make(map[int]int)
	for i := range rows {
		row := &rows[i]
		k := usageKey{}
		if len(r.Buckets) > 0 {
			n, _ := slices.BinarySearchFunc(r.Buckets, row.Bucket, timeCompare)
			k.bucket = n + 1
		}
		if row.Other {
			other[k.bucket] = i
			continue
		}
		for d, dim := range q.GroupBy {
			k.dims[d] = *row.Dimension(dim)
		}
		index[k] = i
	}
	return func(raw [][]byte) (int, error) {
		k := usageKey{bucket: int(int32From(raw[0]))}
		for d := range q.GroupBy {
			k.dims[d] = string(raw[d+1])
		}
		if i, ok := index[k]; ok {
			return i, nil
		}
		if i, ok := other[k.bucket]; ok {
			return i, nil
		}
		return 0, vegaerr.New(vegaerr.Internal, "", "internal error")
	}
}

func timeCompare(a, b time.Time) int { return a.Compare(b) }

func int32From(raw []byte) int32 { return int32(binary.BigEndian.Uint32(raw)) }
