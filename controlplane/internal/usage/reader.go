package usage

import (
	"cmp"
	"context"
	"slices"
	"time"
	_ "time/tzdata" // 最小的镜像里没有时区表

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// QueryStore 在用量的表上求和。
type QueryStore interface {
	// QueryUsage 在一个快照里回答已校验的 q：各级加上还没有并入的增量。各行次序不拘、至多 limit 行，
	// 带 Rank、Other、BySource 与（问了的话）Latency；Totals 只有 Latency；Accuracy 是整段的。
	QueryUsage(ctx context.Context, q Query, limit int) (Result, error)
}

// Reader 回答用量的查询。
type Reader struct {
	store QueryStore
	now   func() time.Time
	gate  gate
}

// NewReader 造 Reader；now 为 nil 是 time.Now。
func NewReader(store QueryStore, now func() time.Time) *Reader {
	if now == nil {
		now = time.Now
	}
	return &Reader{store: store, now: now, gate: newGate()}
}

// Query 校验 q 并求和；不合规矩为 vegaerr.Invalid，Problems 按参数名（from、interval、group_by…）列出。
// 已有太多查询在进行而等不到，为 vegaerr.Unavailable，带多久以后再来。
func (r *Reader) Query(ctx context.Context, q Query) (Result, error) {
	q, problems := normalize(q, r.now())
	if len(problems) > 0 {
		return Result{}, vegaerr.New(vegaerr.Invalid, "", "the usage query is not valid").WithProblems(problems)
	}
	leave, err := r.gate.enter(ctx)
	if err != nil {
		return Result{}, err
	}
	defer leave()
	limit := maxRows
	if len(q.Percentiles) > 0 {
		limit = maxPercentileRows
	}
	res, err := r.store.QueryUsage(ctx, q, limit+1)
	if err != nil {
		return Result{}, err
	}
	if len(res.Rows) > limit {
		return Result{}, tooManyRows(q, limit)
	}
	res.Percentiles = q.Percentiles
	slices.SortFunc(res.Rows, compareRow)
	loc, err := time.LoadLocation(q.TimeZone)
	if err != nil {
		return Result{}, vegaerr.Wrap(err, vegaerr.Internal, "", "internal error")
	}
	for i := range res.Rows {
		row := &res.Rows[i]
		if !row.Bucket.IsZero() {
			row.Bucket = row.Bucket.In(loc)
		}
		res.Totals.Figures = res.Totals.Plus(row.Figures)
		res.Totals.BySource = res.Totals.BySource.Plus(row.BySource)
	}
	return res, nil
}

func tooManyRows(q Query, limit int) error {
	if len(q.Percentiles) > 0 {
		return refuse("percentiles", "the answer would have more than %d rows, the limit with percentiles; narrow the range, the filters or the grouping, or take top", limit)
	}
	return refuse("interval", "the answer would have more than %d rows; narrow the range, the filters or the grouping, or take top", limit)
}

func compareRow(a, b Row) int {
	if c := cmp.Or(a.Bucket.Compare(b.Bucket), cmp.Compare(a.Rank, b.Rank)); c != 0 {
		return c
	}
	for _, d := range Dimensions() {
		if c := cmp.Compare(*a.Dimension(d), *b.Dimension(d)); c != 0 {
			return c
		}
	}
	return 0
}
