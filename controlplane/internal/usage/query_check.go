package usage

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	maxRows = 100_000
	// maxPercentileRows 乘以三个直方图（各至多 2.6 KB）是一个查询的内存上限。
	maxPercentileRows = 10_000
	maxFilters        = 1000
	maxGroups         = 3
	maxTop            = 1000
	maxPercentiles    = 10
)

type badFunc func(path, format string, args ...any)

// Problems 列出 q 不合规矩之处；与 Reader.Query 所查的相同。
func Problems(q Query) []vegaerr.Problem {
	_, problems := normalize(q, time.Now())
	return problems
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
	q.open = !q.To.Before(now)
	checkRange(q, bad)
	if _, err := time.LoadLocation(q.TimeZone); err != nil || q.TimeZone == "Local" {
		bad("time_zone", "is not an IANA time zone such as Asia/Shanghai")
	}
	checkInterval(q, bad)
	checkGroups(q, bad)
	checkFilters(q, bad)
	checkTop(&q, bad)
	checkPercentiles(q, bad)
	return q, problems
}

func checkRange(q Query, bad badFunc) {
	if !q.From.Before(q.To) {
		bad("from", "must be before to")
	}
	for _, end := range []struct {
		path string
		at   time.Time
	}{{"from", q.From}, {"to", q.To}} {
		if end.at.Year() < 1970 || end.at.Year() > 9999 {
			bad(end.path, "must be between the years 1970 and 9999")
		}
	}
}

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
		case !slices.Contains(Dimensions(), d):
			bad("group_by", "%.40q is not one of %s", string(d), list(Dimensions()))
		case seen[d]:
			bad("group_by", "%s is named twice", d)
		}
		seen[d] = true
	}
	if len(q.GroupBy) > maxGroups {
		bad("group_by", "at most %d dimensions are allowed", maxGroups)
	}
}

func checkFilters(q Query, bad badFunc) {
	for _, f := range q.Filters() {
		if len(f.Values) > maxFilters {
			bad(string(f.By), "at most %d values are allowed", maxFilters)
		}
		if slices.ContainsFunc(f.Values, func(v string) bool { return strings.ContainsRune(v, 0) || strings.ToValidUTF8(v, "") != v }) {
			bad(string(f.By), "is not valid text")
		}
	}
	for _, s := range q.Sources {
		if !slices.Contains(SourceNames(), s) {
			bad("source", "%.40q is not one of %s", s, list(SourceNames()[1:]))
		}
	}
}

func checkTop(q *Query, bad badFunc) {
	switch {
	case q.Top < 0 || q.Top > maxTop:
		bad("top", "must be between 1 and %d", maxTop)
	case q.Top > 0 && len(q.GroupBy) == 0:
		bad("top", "needs group_by")
	case q.Top == 0 && q.OrderBy != "":
		bad("order_by", "needs top")
	}
	q.OrderBy = cmp.Or(q.OrderBy, OrderRequests)
	if !slices.Contains(Orders(), q.OrderBy) {
		bad("order_by", "%.40q is not one of %s", string(q.OrderBy), list(Orders()))
	}
}

func checkPercentiles(q Query, bad badFunc) {
	if len(q.Percentiles) > maxPercentiles {
		bad("percentiles", "at most %d values are allowed", maxPercentiles)
	}
	for i, p := range q.Percentiles {
		if math.IsNaN(p) || p <= 0 || p > 100 {
			bad("percentiles", "%v is not above 0 and at most 100", p)
		}
		if slices.Contains(q.Percentiles[:i], p) {
			bad("percentiles", "%v is named twice", p)
		}
	}
}

// list 把取值写成 "a, b, c"。
func list[S ~string](values []S) string {
	names := make([]string, 0, len(values))
	for _, v := range values {
		names = append(names, string(v))
	}
	return strings.Join(names, ", ")
}

// refuse 说 path 这个参数为什么用不得。
func refuse(path, format string, args ...any) error {
	return vegaerr.New(vegaerr.Invalid, "", "the usage query is not valid").WithProblems(
		[]vegaerr.Problem{{Path: path, Message: fmt.Sprintf(format, args...)}})
}
