package usage

import (
	"context"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	// maxQueries 是一个副本同时在数据库里算的查询：多了只会与入库抢 CPU 与连接，并不更快答完。
	maxQueries = 2
	queryWait  = 5 * time.Second
	queryRetry = 5 * time.Second
)

// gate 只放 maxQueries 个查询同时进去，后来的等一会。
type gate struct{ seats chan struct{} }

func newGate() gate { return gate{make(chan struct{}, maxQueries)} }

// enter 返回离开时要调用的函数；等过 queryWait 为 vegaerr.Unavailable。
func (g gate) enter(ctx context.Context) (leave func(), err error) {
	timer := time.NewTimer(queryWait)
	defer timer.Stop()
	select {
	case g.seats <- struct{}{}:
		return func() { <-g.seats }, nil
	case <-timer.C:
		return nil, vegaerr.New(vegaerr.Unavailable, "", "%d such queries are running already; try again", maxQueries).WithRetryAfter(queryRetry)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
