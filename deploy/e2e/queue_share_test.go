package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	"github.com/vega-gateway/vega/deploy/stack"
)

// TestQueue_ARestartedNodeUsesItsStoredShare 让节点在控制面不在时重启：没有限额的 server 当即可用；有限额的，
// 要等前一次运行留下的请求一定都结束了才用存下的份额，在此之前答 503 no_server_available，之后不超过份额。
func TestQueue_ARestartedNodeUsesItsStoredShare(t *testing.T) {
	t.Parallel()
	const limit, total = 2, 1000
	bounded, free := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Latency: 50 * time.Millisecond}}), upstream(t, upstreamtest.Config{})
	r := start(t, stack.Options{Nodes: 1})
	s := server("bounded", bounded)
	s["limits"], s["timeouts"] = doc{"max_concurrency": limit}, doc{"total_ms": total}
	r.apply(doc{"servers": list{s, server("free", free)}, "models": list{model("late", "bounded", "m"), model("late-free", "free", "m")}})
	if a := r.chat(0, "late"); a.status != http.StatusOK {
		t.Fatalf("%+v", a)
	}
	time.Sleep(2 * time.Second) // 份额算好、发来、落盘
	r.Controlplane.Kill()
	r.Dataplanes[0].Kill()
	if err := r.Dataplanes[0].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.AwaitReady(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if a := r.chat(0, "late-free"); a.status != http.StatusOK {
		t.Errorf("a server without limits: %+v", a)
	}
	arrived := len(bounded.Ledger())
	for served := false; !served; time.Sleep(200 * time.Millisecond) {
		a := r.chat(0, "late")
		switch served = a.status == http.StatusOK; {
		case served:
		case time.Since(began) > 40*time.Second:
			t.Fatal("the stored share is never used")
		case a.status != http.StatusServiceUnavailable || a.code() != "no_server_available":
			t.Fatalf("%+v", a)
		}
	}
	took := time.Since(began)
	if took < total*time.Millisecond {
		t.Errorf("the stored share was used %s after the restart: calls of the run before may go on for %d ms", took, total)
	}
	t.Logf("figures: a node restarted without a control plane used its share after %s (total_ms %d)", took.Round(time.Millisecond), total)
	done := make(chan int)
	for range 6 {
		go func() {
			a, err := r.try(0, r.key, "/chat/completions", `{"model":"late","messages":[]}`)
			if err != nil {
				t.Error(err)
			}
			done <- a.status
		}()
	}
	for range 6 {
		if status := <-done; status != http.StatusOK {
			t.Errorf("status %d", status)
		}
	}
	if most, n := bounded.Stats().MaxInFlight, len(bounded.Ledger())-arrived; most > limit || n != 7 {
		t.Errorf("the upstream saw %d at once and %d calls", most, n)
	}
	if err := r.Controlplane.Start(t.Context()); err != nil { // 节点停下之前要把用量交出去
		t.Fatal(err)
	}
}
