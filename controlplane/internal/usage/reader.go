package usage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // 最小的镜像里没有时区表

	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	maxRows    = 100_000
	maxFilters = 1000
)

// QueryStore 在用量的表上求和；q 已校验，至多返回 limit 行，次序不拘。
type QueryStore interface {
	QueryUsage(ctx context.Context, q Query, limit int) ([]Row, error)
}

// Reader 回答用量的查询。
type Reader struct {
	store QueryStore
	now   func() time.Time
}

// NewReader 造 Reader；now 为 nil 是 time.Now。
func NewReader(store QueryStore, now func() time.Time) *Reader {
	if now == nil {
		now = time.Now
	}
	return &Reader{store: store, now: now}
}

// Query 校验 q 并求和；不合规矩为 vegaerr.Invalid，Problems 按参数名（from、interval、group_by…）列出。
func (r *Reader) Query(ctx context.Context, q Query) (Result, error) {
	q, problems := normalize(q, r.now())
	if len(problems) > 0 {
		return Result{}, vegaerr.New(vegaerr.Invalid, "", "the usage query is not valid").WithProblems(problems)
	}
	rows, err := r.store.QueryUsage(ctx, q, maxRows+1)
	if err != nil {
		return Result{}, err
	}
	if len(rows) > maxRows {
		return Result{}, tooMany("interval", "the answer would have more than %d rows; narrow the range, the filters or the grouping", maxRows)
	}
	slices.SortFunc(rows, compareRow)
	res := Result{Rows: rows}
	for i := range rows {
		rows[i].Bucket = inZone(rows[i].Bucket, q.TimeZone)
		res.Totals = res.Totals.Plus(rows[i].Figures)
	}
	return res, nil
}

func compareRow(a, b Row) int {
	return cmp.Or(a.Bucket.Compare(b.Bucket), cmp.Compare(a.Server, b.Server), cmp.Compare(a.App, b.App), cmp.Compare(a.Model, b.Model))
}

// inZone 让时刻以所问的时区显示；零值不动。
func inZone(t time.Time, zone string) time.Time {
	loc, err := time.LoadLocation(zone)
	if err != nil || t.IsZero() {
		return t
	}
	return t.In(loc)
}

// normalize 补上缺省、对齐到分钟，并列出所有不合规矩之处。
func normalize(q Query, now time.Time) (Query, []vegaerr.Problem) {
	var problems []vegaerr.Problem
	bad := func(path, format string, args ...any) {
		problems = append(problems, vegaerr.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	q.Interval = cmp.Or(q.Interval, IntervalNone)
	q.TimeZone = cmp.Or(q.TimeZone, "UTC")
	if q.To.IsZero() {
		q.To = now
	}
	if q.From.IsZero() {
		q.From = q.To.Add(-24 * time.Hour)
	}
	q.From = q.From.UTC().Truncate(time.Minute)
	q.To = q.To.UTC().Add(time.Minute - 1).Truncate(time.Minute)
	if !q.From.Before(q.To) {
		bad("from", "must be before to")
	}
	if q.From.Year() < 1970 || q.From.Year() > 9999 {
		bad("from", "must be between the years 1970 and 9999")
	}
	if q.To.Year() < 1970 || q.To.Year() > 9999 {
		bad("to", "must be between the years 1970 and 9999")
	}
	if _, err := time.LoadLocation(q.TimeZone); err != nil || q.TimeZone == "Local" {
		bad("time_zone", "is not an IANA time zone such as Asia/Shanghai")
	}
	checkInterval(q, bad)
	checkGroups(q, bad)
	checkFilters(q, bad)
	return q, problems
}

type badFunc func(path, format string, args ...any)

func checkInterval(q Query, bad badFunc) {
	width, ok := map[Interval]time.Duration{
		IntervalNone: 0, IntervalMinute: time.Minute, IntervalHour: time.Hour, IntervalDay: 24 * time.Hour}[q.Interval]
	if !ok {
		bad("interval", "must be one of none, minute, hour, day")
	}
	if width > 0 && q.To.Sub(q.From)/width > maxRows {
		bad("interval", "from..to holds more than %d intervals; take a longer interval or a shorter range", maxRows)
	}
}

func checkGroups(q Query, bad badFunc) {
	seen := make(map[Dimension]bool)
	for _, d := range q.GroupBy {
		switch {
		case d != ByServer && d != ByApp && d != ByModel:
			bad("group_by", "%.40q is not one of server, app, model", string(d))
		case seen[d]:
			bad("group_by", "%s is named twice", d)
		}
		seen[d] = true
	}
}

func checkFilters(q Query, bad badFunc) {
	for _, f := range []struct {
		path   string
		values []string
	}{{"server", q.Servers}, {"app", q.Apps}, {"model", q.Models}} {
		if len(f.values) > maxFilters {
			bad(f.path, "at most %d values are allowed", maxFilters)
		}
		if slices.ContainsFunc(f.values, func(v string) bool { return strings.ContainsRune(v, 0) || strings.ToValidUTF8(v, "") != v }) {
			bad(f.path, "is not valid text")
		}
	}
}

func tooMany(path, format string, args ...any) error {
	return vegaerr.New(vegaerr.Invalid, "", "the usage query is not valid").WithProblems(
		[]vegaerr.Problem{{Path: path, Message: fmt.Sprintf(format, args...)}})
}
