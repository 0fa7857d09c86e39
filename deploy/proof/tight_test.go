package proof

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// TestTightLatency 在满载之下量一个名额从上游空出来到下一个请求到达上游隔了多久：
// 比没有限额时客户端自己接上的间隔（同一条路，没有准入）至多多一个来回加 2 毫秒。
func TestTightLatency(t *testing.T) {
	const nodes, service = 2, 20 * time.Millisecond
	f := newFleet(t, shape{nodes: nodes, upstream: upstreamtest.Config{Default: upstreamtest.Behavior{Latency: service}}}, func(f *fleet) doc {
		return doc{"models": list{target("free", "free"), target("one", "one"), target("eight", "eight")}, "apps": list{app("load", 1)}, "servers": list{
			f.server("free", nil), f.server("one", doc{"limits": doc{"max_concurrency": 1}}), f.server("eight", doc{"limits": doc{"max_concurrency": 8}})}}
	})
	d := time.Duration(size(5, 20)) * time.Second
	trip := f.roundTrip()
	base := f.turnaround("free", nodes, 1, 1, d)
	for _, c := range []struct {
		model string
		limit int
	}{{"one", 1}, {"eight", 8}} {
		gaps := f.turnaround(c.model, nodes, c.limit, 3*c.limit+5, d)
		added := quantile(gaps, .5) - quantile(base, .5)
		figures("tight-latency limit=%d grants=%d slot_free_to_next_p50=%s p99=%s without_admission_p50=%s p99=%s added_p50=%s round_trip_p50=%s (bound: round trip + 2ms)",
			c.limit, len(gaps), short(quantile(gaps, .5)), short(quantile(gaps, .99)), short(quantile(base, .5)), short(quantile(base, .99)),
			short(added), short(trip))
		if early := slices.Min(gaps); early < 0 {
			t.Errorf("limit %d: a request reached the upstream %s before its slot was free", c.limit, -early)
		}
		if added > trip+2*time.Millisecond {
			t.Errorf("limit %d: admission adds %s, a round trip is %s", c.limit, added, trip)
		}
	}
}

// turnaround 让 n 个闭环客户端压 d 之久，给出每个空出来的名额隔了多久才有下一个请求到达上游。
// 一直有人在等、在途不超过 limit 时，第 k 个结束的名额由第 k+limit 个到达的接上。
func (f *fleet) turnaround(model string, nodes, limit, n int, d time.Duration) []time.Duration {
	f.up.ResetLedger()
	c := f.crowd(n, func(i int) aim { return aim{node: i % nodes, app: "load", model: model} })
	time.Sleep(time.Second + d)
	rows := f.rows(of(model))
	c.stop()
	var starts, ends []time.Time
	for _, r := range rows {
		starts = append(starts, r.Start)
		if r.Finished {
			ends = append(ends, r.End)
		}
	}
	slices.SortFunc(starts, time.Time.Compare)
	slices.SortFunc(ends, time.Time.Compare)
	var out []time.Duration
	for k := n; k < len(ends) && k+limit < len(starts); k++ { // 头几个在预热
		out = append(out, starts[k+limit].Sub(ends[k]))
	}
	return out
}

// roundTrip 是本机一个 HTTP 来回的中位数：节点与控制面之间的一个来回不会比它慢。
func (f *fleet) roundTrip() time.Duration {
	var list []time.Duration
	for range 300 {
		began := time.Now()
		resp, err := f.client.Get(f.Controlplane.Ready)
		if err != nil {
			f.t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body) // 读完连接才能再用；读不完只是慢一次
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			list = append(list, time.Since(began))
		}
	}
	return quantile(list, .5)
}
