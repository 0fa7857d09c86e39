package usage

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// slowQueries 答得要多慢有多慢。
type slowQueries struct{ release chan struct{} }

func (s slowQueries) QueryUsage(ctx context.Context, _ Query, _ int) (Result, error) {
	select {
	case <-s.release:
		return Result{}, nil
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

func (s slowQueries) ScanRequests(ctx context.Context, _ RequestScan) (Scanned, error) {
	_, err := s.QueryUsage(ctx, Query{}, 0)
	return Scanned{}, err
}

func (s slowQueries) FindRequest(context.Context, string) (Request, error) { return Request{}, nil }

// asking 是两种会占住数据库的查询。
func asking(store slowQueries) map[string]func(context.Context) error {
	usage, requests := NewReader(store, nil), NewRequestReader(RequestConfig{}, store)
	return map[string]func(context.Context) error{
		"usage":    func(ctx context.Context) error { _, err := usage.Query(ctx, Query{}); return err },
		"requests": func(ctx context.Context) error { _, err := requests.Requests(ctx, RequestFilter{}, "", 0); return err },
	}
}

func TestReader_OnlyAFewQueriesRunTheRestWaitAndAreThenSentAway(t *testing.T) {
	for name := range asking(slowQueries{}) {
		t.Run(name, func(t *testing.T) { onlyAFew(t, name) })
	}
}

func onlyAFew(t *testing.T, name string) {
	synctest.Test(t, func(t *testing.T) {
		store := slowQueries{make(chan struct{})}
		query := asking(store)[name]
		answers := make(chan error)
		ask := func() { answers <- query(t.Context()) }
		for range maxQueries {
			go ask()
		}
		synctest.Wait()
		began := time.Now()
		go ask()
		err := <-answers
		if e := vegaerr.As(err); e.Code != vegaerr.Unavailable || e.RetryAfter <= 0 || time.Since(began) != queryWait {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
		go ask()
		synctest.Wait()
		close(store.release)
		for range maxQueries + 1 {
			if err := <-answers; err != nil {
				t.Fatalf("the one that waited a little: %v", err)
			}
		}
	})
}

func TestReader_AClientThatLeavesGivesItsSeatBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, query := range asking(slowQueries{make(chan struct{})}) {
			for range 3 * maxQueries {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if err := query(ctx); err == nil || vegaerr.CodeOf(err) == vegaerr.Unavailable {
					t.Fatalf("%s: %v", name, err)
				}
				cancel()
			}
		}
	})
}
