package push

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

type fakeSource struct {
	mu    sync.Mutex
	cur   *configv1.SnapshotUpdate
	err   error
	heads int
	loads int
}

func (f *fakeSource) set(u *configv1.SnapshotUpdate, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cur, f.err = u, err
}

func (f *fakeSource) Head(context.Context) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heads++
	return f.cur.GetRevision(), f.err
}

func (f *fakeSource) Load(context.Context) (*configv1.SnapshotUpdate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loads++
	return f.cur, f.err
}

func (f *fakeSource) counts() (heads, loads int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.heads, f.loads
}

func startReloader(t *testing.T, src Source, listen func(context.Context, func(uint64)) error) (*Reloader, *Hub) {
	m := NewMetrics(prometheus.NewRegistry())
	h := NewHub(m)
	r := NewReloader(ReloaderConfig{}, ReloaderDeps{Source: src, Hub: h, Listen: listen, Metrics: m, Log: zap.NewNop()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return r, h
}

func TestReloader_PollingAloneBringsANewRevisionWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fakeSource{cur: update(1, "a")}
		_, h := startReloader(t, src, nil)
		synctest.Wait()
		if h.Revision() != 1 {
			t.Fatal("the first revision was not loaded at the start")
		}
		src.set(update(2, "b"), nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if h.Revision() != 2 {
			t.Fatalf("got revision %d after a poll", h.Revision())
		}
		time.Sleep(10 * time.Second)
		if _, loads := src.counts(); loads != 2 {
			t.Fatalf("loaded %d times for 2 revisions", loads)
		}
	})
}

func TestReloader_NotificationBeatsThePoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fakeSource{cur: update(1, "a")}
		notify := make(chan struct{})
		_, h := startReloader(t, src, func(ctx context.Context, fn func(uint64)) error {
			for {
				select {
				case <-notify:
					fn(2)
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
		synctest.Wait()
		src.set(update(2, "b"), nil)
		began := time.Now()
		notify <- struct{}{}
		synctest.Wait()
		if h.Revision() != 2 || time.Since(began) != 0 {
			t.Fatalf("revision %d after %v", h.Revision(), time.Since(began))
		}
	})
}

func TestReloader_ListenerReconnectsWithGrowingBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		startReloader(t, &fakeSource{cur: update(1, "a")}, func(context.Context, func(uint64)) error {
			calls.Add(1)
			return errors.New("connection lost")
		})
		time.Sleep(time.Minute)
		if n := calls.Load(); n < 12 || n > 60 {
			t.Fatalf("%d attempts in a minute", n)
		}
	})
}

func TestReloader_DatabaseErrorsKeepTheLastRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fakeSource{cur: update(4, "a")}
		r, h := startReloader(t, src, nil)
		synctest.Wait()
		src.set(update(9, "z"), errors.New("database is gone"))
		time.Sleep(time.Minute)
		if h.Revision() != 4 {
			t.Fatalf("got revision %d", h.Revision())
		}
		if err := r.Refresh(t.Context(), 9); vegaerr.CodeOf(err) != vegaerr.Unavailable {
			t.Fatalf("refresh: %v", err)
		}
		// 恢复后的数据库可能是另一台：同号而内容不同也要发现。
		src.set(update(4, "other"), nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := string(h.Head().Update.GetDigest()); got != "other" {
			t.Fatalf("digest %q after recovery", got)
		}
	})
}

func TestReloader_RefreshWaitsForOneReadAndSharesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fakeSource{cur: update(1, "a")}
		r, h := startReloader(t, src, nil)
		synctest.Wait()
		if err := r.Refresh(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if heads, _ := src.counts(); heads != 1 {
			t.Fatal("refreshing to what is already here must not ask the database")
		}
		src.set(update(5, "e"), nil)
		began := time.Now()
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				if err := r.Refresh(t.Context(), 5); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		heads, loads := src.counts()
		if h.Revision() != 5 || loads != 2 || heads > 5 || time.Since(began) != 0 {
			t.Fatalf("revision %d, %d heads, %d loads, %v", h.Revision(), heads, loads, time.Since(began))
		}
		// 数据库确实没有那么新：不是错误。
		if err := r.Refresh(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
	})
}
