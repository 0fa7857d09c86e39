package proof

import (
	"bufio"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// TestHangup 让许多客户端在队里挂断：它们一个也不到上游，队立即空了，协程与许可回到原样，后来的请求照常。
func TestHangup(t *testing.T) {
	const nodes = 2
	n := size(2000, 5000)
	hold := make(chan struct{})
	f := newFleet(t, shape{nodes: nodes, upstream: upstreamtest.Config{Default: upstreamtest.Behavior{HoldHead: hold}}}, func(f *fleet) doc {
		return doc{"models": list{target("m", "up")}, "apps": list{app("load", 1)}, "servers": list{f.server("up",
			doc{"limits": doc{"max_concurrency": 1}, "queue": doc{"timeout_ms": 120_000, "max_waiting": 10_000}})}}
	})
	before := f.goroutines()
	a := aim{app: "load", model: "m"}
	var first shot
	var wg sync.WaitGroup
	wg.Go(func() { first = f.shoot(t.Context(), a) })
	if err := f.up.WaitInFlight(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	out, gone := f.burst(ctx, n, func(i int) aim { return aim{node: i % nodes, app: "load", model: "m"} })
	if _, ok := f.waiting(n, 30*time.Second); !ok {
		t.Errorf("not all %d wait: %+v", n, count(out.list))
	}
	began := time.Now()
	hangUp()
	emptied, ok := f.waiting(0, 10*time.Second)
	if !ok {
		t.Errorf("%d still wait", f.sum("vega_requests_waiting"))
	}
	took := emptied.Sub(began)
	gone()
	close(hold)
	wg.Wait()
	next := f.shoot(t.Context(), a)
	if first.status != http.StatusOK || next.status != http.StatusOK {
		t.Errorf("the one before: %+v, the one after: %+v", first, next)
	}
	calls := len(f.rows(nil))
	f.client.CloseIdleConnections()
	after, leaked := f.rest(before)
	figures("hangup clients=%d upstream_calls_of_them=%d waiting_0_after=%s outcomes=%+v permits_out=%d goroutines_before=%d after=%d", n, calls-2, short(took), count(out.list), leaked, before, after)
	if calls != 2 {
		t.Errorf("the upstream was called %d times, want 2", calls)
	}
	if leaked != 0 {
		t.Errorf("%d permits are out with nothing going on", leaked)
	}
	if after > before+20 {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

// waiting 等各数据面在等的合计恰为 n，给出何时如此。
func (f *fleet) waiting(n int, patience time.Duration) (at time.Time, ok bool) {
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		at = time.Now()
		if f.sum("vega_requests_waiting") == n {
			return at, true
		}
		if at.After(deadline) {
			return at, false
		}
	}
}

// rest 等协程数回到 before 附近，给出最后的协程数与还在外面的许可。
func (f *fleet) rest(before int) (goroutines, permits int) {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		goroutines, permits = f.goroutines(), f.sum("vega_permits_out")
		if goroutines <= before && permits == 0 || time.Now().After(deadline) {
			return goroutines, permits
		}
	}
}

func (f *fleet) goroutines() int { return f.sum("go_goroutines") }

// sum 把这些数据面（不说即全部）的一个指标、各组标签加起来；没有这个指标是测试的错。
func (f *fleet) sum(name string, nodes ...int) int {
	f.t.Helper()
	if nodes == nil {
		for i := range f.Dataplanes {
			nodes = append(nodes, i)
		}
	}
	total, found := 0.0, false
	for _, i := range nodes {
		resp, err := f.client.Get(f.OpsURL(i) + "/metrics")
		if err != nil {
			f.t.Fatal(err)
		}
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			series, value, _ := strings.Cut(lines.Text(), " ")
			if series != name && !strings.HasPrefix(series, name+"{") {
				continue
			}
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				f.t.Fatal(err)
			}
			total, found = total+v, true
		}
		resp.Body.Close()
	}
	if !found {
		f.t.Fatalf("no metric %s", name)
	}
	return int(total)
}
