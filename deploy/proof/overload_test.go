package proof

import (
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	"github.com/vega-gateway/vega/deploy/stack"
)

// TestOverload 先量一个限额为 160 的 server 独自能做多少，再以两倍于此的负荷打它：做成的不少于独自时的 98 %，
// 做不成的在到达时就被拒绝，而且答得快，内存有界。
// 答得快：p99 照实印出来，旁边是同一刻一个认不出的钥匙（一个进程自己就答了）的，机器自己的抖动由此看得见。
// 拒绝要经过三个进程，别人占着 CPU 时尾巴由调度定，所以判的是中位数，与 p99 远短于期限：没有谁是等过才被拒绝的。
func TestOverload(t *testing.T) {
	const nodes, limit, service = 2, 160, time.Second
	f := newFleet(t, shape{nodes: nodes, upstream: upstreamtest.Config{Default: upstreamtest.Behavior{Latency: service}}}, func(f *fleet) doc {
		return doc{"models": list{target("m", "up")}, "apps": list{app("load", 1)}, "servers": list{f.server("up",
			doc{"limits": doc{"max_concurrency": limit}, "queue": doc{"timeout_ms": 3000}})}}
	})
	d := time.Duration(size(10, 60)) * time.Second

	// 独自：刚好总有几个在等，名额一空就有人用。
	c := f.crowd(limit+limit/4, func(i int) aim { return aim{node: i % nodes, app: "load", model: "m"} })
	time.Sleep(3 * time.Second)
	alone := f.goodput(d)
	c.stop()

	var list []shot
	over := make(chan struct{})
	rate := 2 * float64(limit) / service.Seconds()
	go func() {
		defer close(over)
		list = f.open(t.Context(), rate, 6*time.Second+d, func(rng *rand.Rand) aim {
			return aim{node: rng.IntN(nodes), app: "load", model: "m"}
		})
	}()
	time.Sleep(5 * time.Second) // 队长到估计的等待超过期限为止
	from := time.Now()
	strangers := f.strangers(over)
	cores := f.cores()
	goodput := f.goodput(d)
	gateway, test := cores()
	rss := make([]int64, nodes)
	for i, p := range f.Dataplanes {
		rss[i], _ = stack.RSS(p.PID()) // 只是印出来；别的系统上是 0
		rss[i] >>= 20
	}
	<-over
	machine := <-strangers
	var refusals []time.Duration
	for i := range list {
		if s := &list[i]; s.status == http.StatusTooManyRequests && s.code == "queue_full" && s.sent.After(from) {
			refusals = append(refusals, s.took())
		}
	}
	n := count(list)
	figures("overload load=200%% limit=%d service=%s sent=%d served=%d refused=%d expired=%d cut_at_end=%d errors=%d capacity=%.2f/s goodput=%.2f/s ratio=%.4f refusal_p50=%s refusal_p99=%s unknown_key_p99=%s upstream_max_inflight=%d rss_mb=%v cores_gateway=%.2f cores_test=%.2f of=%d",
		limit, service, len(list), n.ok, n.refused, n.expired, n.cut, n.broken+n.other, alone, goodput, goodput/alone,
		short(quantile(refusals, .5)), short(quantile(refusals, .99)), short(quantile(machine, .99)), f.up.Stats().MaxInFlight, rss, gateway, test, runtime.NumCPU())
	if goodput < .98*alone {
		t.Errorf("goodput %.2f/s is %.1f %% of the capacity alone", goodput, 100*goodput/alone)
	}
	if mid, late := quantile(refusals, .5), quantile(refusals, .99); len(refusals) == 0 || mid > 10*time.Millisecond || late > 300*time.Millisecond {
		t.Errorf("%d refusals on arrival, p50 %s, p99 %s, want at most 10ms and, on a machine that others use too, 300ms", len(refusals), mid, late)
	}
	if n.broken+n.other > 0 {
		t.Errorf("%d requests ended in an error, such as %s", n.broken+n.other, n.sample)
	}
	if most := f.up.Stats().MaxInFlight; most > limit {
		t.Errorf("the upstream saw %d at once, the limit is %d", most, limit)
	}
}

// goodput 是此后 d 之内上游每秒做完的个数。
func (f *fleet) goodput(d time.Duration) float64 {
	before, began := f.up.Stats().Finished, time.Now()
	time.Sleep(d)
	return float64(f.up.Stats().Finished-before) / time.Since(began).Seconds()
}

// cores 从此刻起数 CPU；再叫一次，给出其间控制面与数据面、与测试自己（客户端和上游都在里面）各用了几个核。只是印出来，别的系统上是 0。
func (f *fleet) cores() func() (gateway, test float64) {
	read := func() (gateway, test time.Duration) {
		for _, p := range append([]*stack.Process{f.Controlplane}, f.Dataplanes...) {
			d, _ := stack.CPU(p.PID())
			gateway += d
		}
		test, _ = stack.CPU(os.Getpid())
		return gateway, test
	}
	began := time.Now()
	gateway0, test0 := read()
	return func() (float64, float64) {
		gateway1, test1 := read()
		took := time.Since(began).Seconds()
		return (gateway1 - gateway0).Seconds() / took, (test1 - test0).Seconds() / took
	}
}

// strangers 每 20 ms 以认不出的钥匙要一次，直到 over 关闭，给出各用了多久。
func (f *fleet) strangers(over <-chan struct{}) <-chan []time.Duration {
	out := make(chan []time.Duration, 1)
	go func() {
		var list []time.Duration
		for i := 0; ; i++ {
			select {
			case <-over:
				out <- list
				return
			case <-time.After(20 * time.Millisecond):
			}
			if s := f.shoot(f.t.Context(), aim{node: i % len(f.Dataplanes), app: "nobody", model: "m"}); s.status == http.StatusUnauthorized {
				list = append(list, s.took())
			}
		}
	}()
	return out
}
