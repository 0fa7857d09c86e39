package usage

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// 一页至多看这么多行、这么久；到了就把看到的交出去，说看到了哪里。
const (
	pageRows     = 200_000
	pageTime     = 2 * time.Second
	smallestScan = 1000
	largestScan  = 20_000
)

// RequestScan 问 Before 之后（更旧）的至多 Rows 行里，合乎 Filter 的至多 Limit 条。
type RequestScan struct {
	Filter RequestFilter
	Before Position
	Rows   int
	Limit  int
}

// Scanned 是一次扫描的结果：Items 由新到旧，Examined 是看过的行数，少于所问即到头了，Last 是看过的最后一行。
type Scanned struct {
	Items    []Request
	Examined int
	Last     Position
}

// RequestStore 是请求表。
type RequestStore interface {
	ScanRequests(ctx context.Context, s RequestScan) (Scanned, error)
	// FindRequest 按请求号找一条；没有为 vegaerr.NotFound。
	FindRequest(ctx context.Context, id string) (Request, error)
}

// RequestPage 是一页请求，由新到旧。
type RequestPage struct {
	Items []Request
	// NextCursor 为空即没有更多。
	NextCursor string
	// SearchedUntil 非零即这一页的预算用完了：比它新的都看过了，更旧的从 NextCursor 接着找。
	SearchedUntil time.Time
}

// RequestConfig 的零值可用。
type RequestConfig struct {
	// PageRows 是一页至多看的行数；0 为 200,000。
	PageRows int
	// PageTime 是一页至多找多久；0 为 2 秒。
	PageTime time.Duration
	// Now 是钟；nil 为 time.Now。
	Now func() time.Time
}

// RequestReader 回答逐条请求的查询。
type RequestReader struct {
	cfg   RequestConfig
	store RequestStore
	gate  gate
}

// NewRequestReader 造 RequestReader。
func NewRequestReader(cfg RequestConfig, store RequestStore) *RequestReader {
	cfg.PageRows, cfg.PageTime = cmp.Or(cfg.PageRows, pageRows), cmp.Or(cfg.PageTime, pageTime)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &RequestReader{cfg: cfg, store: store, gate: newGate()}
}

// Request 按请求号给出一条；没有为 vegaerr.NotFound。
func (r *RequestReader) Request(ctx context.Context, id string) (Request, error) {
	if problems := (RequestFilter{ID: id}).problems(); len(problems) > 0 || id == "" {
		return Request{}, vegaerr.New(vegaerr.NotFound, "", "there is no such request")
	}
	return r.store.FindRequest(ctx, id)
}

// Requests 给出一页，由新到旧；limit 为 0 是 50，至多 200。cursor 是上一页的 NextCursor，筛选须与那时相同。
// 不合规矩为 vegaerr.Invalid。已经在表里的，翻页之间不论写入了什么，都恰好出现一次。
// 已有太多查询在进行而等不到，为 vegaerr.Unavailable，带多久以后再来。
func (r *RequestReader) Requests(ctx context.Context, f RequestFilter, cursor string, limit int) (RequestPage, error) {
	limit = cmp.Or(limit, defaultRequests)
	problems := f.problems()
	if limit < 1 || limit > maxRequests {
		problems = append(problems, vegaerr.Problem{Path: "limit", Message: fmt.Sprintf("must be between 1 and %d", maxRequests)})
	}
	if len(problems) > 0 {
		return RequestPage{}, invalidRequests(problems...)
	}
	at, err := parsePosition(cursor, f)
	if err != nil {
		return RequestPage{}, err
	}
	leave, err := r.gate.enter(ctx)
	if err != nil {
		return RequestPage{}, err
	}
	defer leave()
	return r.page(ctx, f, at, limit)
}

// page 一段一段往旧处看，段由小到大：多数筛选第一段就够了，稀少的才值得大段。
func (r *RequestReader) page(ctx context.Context, f RequestFilter, at Position, limit int) (RequestPage, error) {
	var page RequestPage
	deadline := r.cfg.Now().Add(r.cfg.PageTime)
	rows, examined := max(smallestScan, limit+1), 0
	for {
		rows = min(rows, max(r.cfg.PageRows-examined, 1))
		// 多要一条，才知道后面还有没有。
		got, err := r.store.ScanRequests(ctx, RequestScan{Filter: f, Before: at, Rows: rows, Limit: limit + 1 - len(page.Items)})
		if err != nil {
			return RequestPage{}, err
		}
		page.Items = append(page.Items, got.Items...)
		examined, at = examined+got.Examined, got.Last
		switch {
		case len(page.Items) > limit:
			page.Items = page.Items[:limit]
			page.NextCursor = page.Items[limit-1].At().cursor(f)
			return page, nil
		case got.Examined < rows:
			return page, nil
		case examined >= r.cfg.PageRows || !r.cfg.Now().Before(deadline):
			page.NextCursor, page.SearchedUntil = at.cursor(f), at.EndedAt
			return page, nil
		}
		rows = min(rows*4, largestScan)
	}
}
