package postgres

import (
	"fmt"
	"strings"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// figureTargets 的次序就是 usage.CounterColumns 的次序。
func figureTargets(f *usage.Figures) []any {
	return []any{
		&f.Requests, &f.Attempts, &f.Refused, &f.ErrorsClient, &f.ErrorsUpstream, &f.ErrorsGateway, &f.ErrorsLimit,
		&f.Aborted, &f.AttemptErrors, &f.AttemptsWithUsage, &f.Replayed, &f.Unjournalled,
		&f.PromptTokens, &f.CompletionTokens, &f.CachedTokens, &f.ReasoningTokens, &f.CostNano,
		&f.QueueUS, &f.FirstByteUS, &f.FirstByteCount, &f.DurationUS, &f.UpstreamUS,
	}
}

// usageSQL 攒着一条查询的参数。栏名与表名只来自固定的文字，值只走参数。
type usageSQL struct {
	q    usage.Query
	r    usage.Reading
	args []any
}

func (u *usageSQL) arg(v any) string {
	u.args = append(u.args, v)
	return fmt.Sprintf("$%d", len(u.args))
}

// usageRowsSQL 的行里，挪空了的桶不算一行；每一笔至少有请求、调用、拒绝之一。各栏：桶、名次、各维度、CounterColumns，然后每个来源四栏。
func usageRowsSQL(q usage.Query, r usage.Reading, limit int) (string, []any) {
	u := &usageSQL{q: q, r: r}
	dims := u.dims("d")
	ranks, join, group := "", "", "b"+dims
	rank := "0"
	if q.Top > 0 {
		rank = "least(rank, " + u.arg(q.Top) + "::bigint + 1)::int"
		ranks = ",\nranks AS (SELECT row_number() OVER (ORDER BY usage_sum(" + orderExpr(q.OrderBy) + ") DESC" + u.tieBreak() + ") AS rank" + dims +
			" FROM u GROUP BY " + dims[2:] + ")"
		join = " JOIN ranks USING (" + dims[2:] + ")"
		dims = u.topDims()
		group = "b, 2" + dims
	}
	var b strings.Builder
	fmt.Fprintf(&b, "WITH u AS (%s)%s\nSELECT b, %s%s", u.source(), ranks, rank, dims)
	for _, c := range usage.CounterColumns() {
		fmt.Fprintf(&b, ", usage_sum(%s)", c)
	}
	for source := 1; source < len(usage.BySourceFigures{}); source++ {
		these := fmt.Sprintf("FILTER (WHERE source = %d)", source)
		if usage.SourceNames()[source] == "unknown" {
			these = fmt.Sprintf("FILTER (WHERE source NOT BETWEEN 1 AND %d)", source-1)
		}
		for _, c := range []string{"requests", "attempts", "prompt_tokens + completion_tokens", "cost_nano"} {
			fmt.Fprintf(&b, ", usage_sum(%s) %s", c, these)
		}
	}
	fmt.Fprintf(&b, "\nFROM u%s GROUP BY %s\nHAVING usage_sum(requests) <> 0 OR usage_sum(attempts) <> 0 OR usage_sum(refused) <> 0\nLIMIT %s", join, group, u.arg(limit))
	return b.String(), u.args
}

// dims 列出 ", d1, d2…"；没有分组为空。
func (u *usageSQL) dims(prefix string) string {
	var b strings.Builder
	for i := range u.q.GroupBy {
		fmt.Fprintf(&b, ", %s%d", prefix, i+1)
	}
	return b.String()
}

// tieBreak 让一样大的几组次序固定，不随数据库的排序规则变。
func (u *usageSQL) tieBreak() string {
	var b strings.Builder
	for i := range u.q.GroupBy {
		fmt.Fprintf(&b, `, d%d COLLATE "C"`, i+1)
	}
	return b.String()
}

// topDims 把前几名之外的维度抹平，它们才会并成一组。
func (u *usageSQL) topDims() string {
	top := u.arg(u.q.Top) + "::bigint"
	var b strings.Builder
	for i := range u.q.GroupBy {
		fmt.Fprintf(&b, ", CASE WHEN rank <= %s THEN d%d ELSE '' END", top, i+1)
	}
	return b.String()
}

func orderExpr(o usage.Order) string {
	switch o {
	case usage.OrderErrors:
		return "errors_client + errors_upstream + errors_gateway + errors_limit"
	case usage.OrderTokens:
		return "prompt_tokens + completion_tokens"
	case usage.OrderCost:
		return "cost_nano"
	case usage.OrderAttempts, usage.OrderRefused, usage.OrderAborted, usage.OrderPromptTokens, usage.OrderCompletionTokens:
		return string(o)
	default:
		return "requests"
	}
}

// source 是各级与增量的部分和，栏为 b、d1…、source 与 CounterColumns；同一组可以有几行，挪走的一行是负的。
func (u *usageSQL) source() string {
	sums := make([]string, 0, usage.NumCounters)
	for _, c := range usage.CounterColumns() {
		sums = append(sums, fmt.Sprintf("usage_sum(%s) AS %s", c, c))
	}
	columns := ", source, " + strings.Join(sums, ", ")
	parts := u.union(u.r.Sums, func(single bool, l usage.Level) (string, string) {
		if single && l == finest(u.q.Interval) {
			// 一行已经是一组，先加一遍只是白做。
			counters := usage.CounterColumns()
			return ", source, " + columnList(counters[:]), ""
		}
		return columns, " GROUP BY b" + u.dims("d") + ", source"
	})
	for _, m := range u.r.Moves {
		parts = append(parts, u.moved(m, columns))
	}
	return strings.Join(parts, "\nUNION ALL\n")
}

// union 从每一级与增量里各选 b、d1… 与 pick 给的各栏，加上它给的结尾。
func (u *usageSQL) union(levels []usage.Part, pick func(single bool, l usage.Level) (columns, tail string)) []string {
	var parts []string
	add := func(table, column, bucket string, single bool, l usage.Level, spans []usage.Span) {
		columns, tail := pick(single, l)
		parts = append(parts, fmt.Sprintf("SELECT %s AS b%s%s\nFROM %s%s",
			u.bucket(bucket), u.selectDims(single), columns, u.from(table, column, single, spans), tail))
	}
	for _, p := range levels {
		bucket := "bucket"
		if p.Level == usage.LevelDay {
			bucket = "bucket + interval '12 hours'"
		}
		single := u.single(p.Level)
		add(u.table(p.Level, single), "bucket", bucket, single, p.Level, p.Spans)
	}
	add("usage_delta", "minute", "minute", false, usage.LevelMinute, []usage.Span{u.r.Deltas})
	return parts
}

// finest 是一行恰好一个桶的那一级；不分桶时没有，给的是哪一级都不相等的。
func finest(i usage.Interval) usage.Level {
	switch i {
	case usage.IntervalMinute:
		return usage.LevelMinute
	case usage.IntervalHour:
		return usage.LevelHour
	case usage.IntervalDay:
		return usage.LevelDay
	default:
		return usage.LevelRequest
	}
}

// moved 把算错了桶的几段各加一次、减一次。
func (u *usageSQL) moved(p usage.MovePart, columns string) string {
	spans := make([]usage.Span, len(p.Moves))
	right, wrong := make([]int32, len(p.Moves)), make([]int32, len(p.Moves))
	for i, m := range p.Moves {
		spans[i], right[i], wrong[i] = m.Span, int32(m.Right), int32(m.Wrong)
	}
	single := u.single(p.Level)
	counters := usage.CounterColumns()
	return fmt.Sprintf("SELECT (CASE sign WHEN 1 THEN %s::int[] ELSE %s::int[] END)[n]%s, source, sign * %s\nFROM (SELECT n%s%s\nFROM %s GROUP BY n%s, source) AS moved, (VALUES (1), (-1)) AS signs (sign)",
		u.arg(right), u.arg(wrong), u.dims("d"), strings.Join(counters[:], ", sign * "),
		u.selectDims(single), columns, u.from(u.table(p.Level, single), "bucket", single, spans), u.dims("d"))
}

func (u *usageSQL) single(l usage.Level) bool { return u.r.Single && l != usage.LevelMinute }

func (u *usageSQL) table(l usage.Level, single bool) string {
	if single {
		l += usage.LevelHourBy - usage.LevelHour
	}
	return l.Table()
}

// bucket 是第几个桶，从 1 起。
func (u *usageSQL) bucket(column string) string {
	if len(u.r.Buckets) == 0 {
		return "0"
	}
	return "width_bucket(" + column + ", " + u.arg(u.r.Buckets) + "::timestamptz[])"
}

func (u *usageSQL) selectDims(single bool) string {
	var b strings.Builder
	for i, d := range u.q.GroupBy {
		fmt.Fprintf(&b, ", %s AS d%d", u.dimension(d, single), i+1)
	}
	return b.String()
}

// dimension 是那一个维度在表里的样子，总是文字。
func (u *usageSQL) dimension(d usage.Dimension, single bool) string {
	switch {
	case d == usage.BySource:
		return "coalesce((ARRAY['" + strings.Join(usage.SourceNames()[1:], "','") + "'])[source], '')"
	case single:
		return "name"
	default:
		return string(d)
	}
}

// from 是表与条件。几段时 n 是第几段，从 1 起；OFFSET 0 要计划器一段一段地走索引，而不是读完整段再逐行与各段相比。
func (u *usageSQL) from(table, bucket string, single bool, spans []usage.Span) string {
	if len(spans) == 1 {
		return "(VALUES (1)) AS spans (n), " + table + " WHERE " + u.where(bucket, single, spans)
	}
	since, till := make([]time.Time, len(spans)), make([]time.Time, len(spans))
	for i, s := range spans {
		since[i], till[i] = s.From, s.To
	}
	return fmt.Sprintf(`unnest(%s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY AS spans (since, till, n),
LATERAL (SELECT * FROM %s WHERE %s >= since AND %s < till AND %s OFFSET 0) AS level`,
		u.arg(since), u.arg(till), table, bucket, bucket, u.where(bucket, single, spans))
}

func (u *usageSQL) where(bucket string, single bool, spans []usage.Span) string {
	first, last := spans[0], spans[len(spans)-1]
	where := []string{
		bucket + " >= " + u.arg(first.From) + "::timestamptz",
		bucket + " < " + u.arg(last.To) + "::timestamptz",
	}
	if single {
		where = append(where, "dim = "+u.arg(int16(dimNumber(u.r.By)))+"::smallint")
	}
	for _, f := range u.q.Filters() {
		if f.By == usage.BySource {
			where = append(where, "source = ANY("+u.arg(sourceNumbers(f.Values))+"::smallint[])")
			continue
		}
		where = append(where, u.dimension(f.By, single)+" = ANY("+u.arg(f.Values)+"::text[])")
	}
	return strings.Join(where, " AND ")
}

// dimNumber 是 *_by 表的 dim。
func dimNumber(d usage.Dimension) usage.Dim {
	switch d {
	case usage.ByServer:
		return usage.DimServer
	case usage.ByApp:
		return usage.DimApp
	case usage.ByModel:
		return usage.DimModel
	default:
		return usage.DimAll
	}
}

func sourceNumbers(names []string) []int16 {
	var out []int16
	for _, want := range names {
		for i, name := range usage.SourceNames() {
			if name == want {
				out = append(out, int16(i))
			}
		}
	}
	return out
}
