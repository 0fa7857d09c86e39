package usage

import (
	"context"
	"runtime"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	queryWait  = 5 * time.Second
	queryRetry = 5 * time.Second
)

// maxQueries 是一个副本同时在数据库里算的查询：一半的核。每个查询占一个核，多了只会与入库、与同一台机器上的别的抢 CPU，并不更快答完。
func maxQueries() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// gate 只放 maxQueries 个查询同时进去，后来的等一会。
type gate struct{ seats chan struct{} }

func newGate() gate { return gate{make(chan struct{}, maxQueries())} }

// enter 返回离开时要调用的函数；等过 queryWait 为 vegaerr.Unavailable。
func (g gate) enter(ctx context.Context) (leave func(), err error) {
	timer := time.NewTimer(queryWait)
	defer timer.Stop()
	select {
	case g.seats <- struct{}{}:
		return func() { <-g.seats }, nil
	case <-timer.C:
		return nil, vegaerr.New(vegaerr.Unavailable, "", "%d such queries are running already; try again", cap(g.seats)).WithRetryAfter(queryRetry)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
