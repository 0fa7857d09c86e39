package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/controlplane/internal/usage/seeded"
)

// levelRows 是一级要加上的行：keys 是各键栏的数组，与 sums 等长。
type levelRows struct {
	level   usage.Level
	columns []string
	types   []string
	keys    []any
	buckets []time.Time
	sums    []*usage.Sum
}

func entryRows(level usage.Level, rows []usage.Entry) levelRows {
	n := len(rows)
	buckets, sums, sources := make([]time.Time, n), make([]*usage.Sum, n), make([]int16, n)
	var texts [5][]string
	for i := range texts {
		texts[i] = make([]string, n)
	}
	for i, r := range rows {
		buckets[i], sums[i], sources[i] = r.Bucket, r.Sum, int16(r.Source)
		for t, v := range [...]string{r.Server, r.App, r.Model, r.ServedModel, r.Code} {
			texts[t][i] = v
		}
	}
	return levelRows{
		level: level, buckets: buckets, sums: sums,
		columns: append([]string{"bucket"}, usageKeyColumns...),
		types:   []string{"timestamptz", "text", "text", "text", "text", "smallint", "text"},
		keys:    []any{buckets, texts[0], texts[1], texts[2], texts[3], sources, texts[4]},
	}
}

func byRows(level usage.Level, rows []usage.ByEntry) levelRows {
	n := len(rows)
	buckets, sums, sources := make([]time.Time, n), make([]*usage.Sum, n), make([]int16, n)
	dims, names := make([]int16, n), make([]string, n)
	for i, r := range rows {
		buckets[i], sums[i], sources[i], dims[i], names[i] = r.Bucket, r.Sum, int16(r.Source), int16(r.Dim), r.Name
	}
	return levelRows{
		level: level, buckets: buckets, sums: sums,
		columns: []string{"bucket", "dim", "name", "source"},
		types:   []string{"timestamptz", "smallint", "text", "smallint"},
		keys:    []any{buckets, dims, names, sources},
	}
}

// addToLevel 把已有的直方图并进来，再把各栏加上去。只有握着 rollLock 的事务写各级，读到的因此不会变。
func addToLevel(ctx context.Context, tx pgx.Tx, w levelRows) error {
	if len(w.sums) == 0 {
		return nil
	}
	if err := ensurePartitions(ctx, tx, w.level, w.buckets); err != nil {
		return err
	}
	added := make([][usage.NumCounters]int64, len(w.sums))
	for i, s := range w.sums {
		added[i] = s.Counts
	}
	if !seeded.Broken(seeded.HistogramReplaced) {
		if err := mergeHistograms(ctx, tx, w); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, upsertSQL(w), upsertArgs(w, added)...)
	return err
}

func mergeHistograms(ctx context.Context, tx pgx.Tx, w levelRows) error {
	histograms := usage.HistogramColumns()
	on := make([]string, len(w.columns))
	for i, c := range w.columns {
		on[i] = "u." + c + " = k." + c
	}
	rows, err := tx.Query(ctx, fmt.Sprintf("SELECT k.place, u.%s FROM unnest(%s) WITH ORDINALITY AS k (%s, place) JOIN %s AS u ON %s",
		strings.Join(histograms[:], ", u."), placeholders(w.types, 1), columnList(w.columns), w.level.Table(), strings.Join(on, " AND ")), w.keys...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var place int64
	var stored [usage.NumHistograms][]byte
	for rows.Next() {
		if err := rows.Scan(&place, (*pgtype.DriverBytes)(&stored[0]), (*pgtype.DriverBytes)(&stored[1]), (*pgtype.DriverBytes)(&stored[2])); err != nil {
			return err
		}
		for i, h := range stored {
			if err := w.sums[place-1].Histograms[i].MergeEncoded(h); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}

func upsertSQL(w levelRows) string {
	counters, histograms := usage.CounterColumns(), usage.HistogramColumns()
	columns, types := slices.Concat(w.columns, sumColumns()), slices.Clone(w.types)
	sets := make([]string, 0, len(columns))
	for _, c := range counters {
		types = append(types, "bigint")
		sets = append(sets, c+" = u."+c+" + EXCLUDED."+c)
	}
	for _, h := range histograms {
		types = append(types, "bytea")
		sets = append(sets, h+" = EXCLUDED."+h)
	}
	return fmt.Sprintf("INSERT INTO %s AS u (%s) SELECT * FROM unnest(%s) ON CONFLICT (%s) DO UPDATE SET %s",
		w.level.Table(), columnList(columns), placeholders(types, 1), columnList(w.columns), strings.Join(sets, ", "))
}

func upsertArgs(w levelRows, added [][usage.NumCounters]int64) []any {
	args := append([]any{}, w.keys...)
	for c := range usage.NumCounters {
		column := make([]int64, len(added))
		for i := range added {
			column[i] = added[i][c]
		}
		args = append(args, column)
	}
	for h := range usage.NumHistograms {
		column := make([][]byte, len(w.sums))
		for i, s := range w.sums {
			column[i] = s.Histograms[h].Append([]byte{})
		}
		args = append(args, column)
	}
	return args
}

func placeholders(types []string, from int) string {
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = fmt.Sprintf("$%d::%s[]", from+i, t)
	}
	return strings.Join(out, ", ")
}
