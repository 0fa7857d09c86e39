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

func TestReader_OnlyAFewQueriesRunTheRestWaitAndAreThenSentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := slowQueries{make(chan struct{})}
		r := NewReader(store, nil)
		answers := make(chan error)
		ask := func() { _, err := r.Query(t.Context(), Query{}); answers <- err }
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
		r := NewReader(slowQueries{make(chan struct{})}, nil)
		for range 3 * maxQueries {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := r.Query(ctx, Query{}); err == nil {
				t.Fatal("answered")
			}
			cancel()
		}
	})
}
