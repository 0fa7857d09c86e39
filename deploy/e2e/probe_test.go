package e2e

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	"github.com/vega-gateway/vega/deploy/stack"
)

// TestProbe_OneRequestTriesAHalfOpenTarget 让摘出期满的目标面对一群同时到的请求：只有一个去试它，其余照旧走下层；试坏了摘出更久。
func TestProbe_OneRequestTriesAHalfOpenTarget(t *testing.T) {
	sick, well := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 503}}), upstream(t, upstreamtest.Config{})
	r := start(t, stack.Options{Nodes: 1})
	r.apply(doc{"servers": list{server("sick", sick), server("well", well)},
		"models": list{doc{"name": "late", "targets": list{tgt("sick", "m", 0, 1), tgt("well", "m", 1, 1)}}}})
	for range 5 {
		if a := r.chat(0, "late"); a.status != http.StatusOK {
			t.Fatalf("%+v", a)
		}
	}
	ejected := time.Now()
	if n := len(sick.Ledger()); n != 5 {
		t.Fatalf("the sick target saw %d requests before it was taken out", n)
	}
	sick.SetDefault(upstreamtest.Behavior{Status: 503, Latency: time.Second}) // 探测要花时间，别的请求正好在此时到
	time.Sleep(time.Until(ejected.Add(10200 * time.Millisecond)))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if a, err := r.try(0, r.key, "/chat/completions", chatBody); err != nil || a.status != http.StatusOK || a.header.Get("X-Vega-Server") != "well" {
				t.Errorf("%v %+v", err, a)
			}
		})
	}
	wg.Wait()
	if n := len(sick.Ledger()) - 5; n != 1 {
		t.Errorf("%d requests tried a half-open target, want 1", n)
	}
	// 第二次摘出比第一次久：再过十秒它仍不该被打扰。
	sick.SetDefault(upstreamtest.Behavior{})
	time.Sleep(10500 * time.Millisecond)
	if a := r.chat(0, "late"); a.header.Get("X-Vega-Server") != "well" || len(sick.Ledger()) != 6 {
		t.Errorf("a target whose probe failed is tried again as soon as the first time: %d requests, %+v", len(sick.Ledger()), a.header)
	}
	r.balanced(map[string]*upstreamtest.Server{"sick": sick, "well": well})
}
