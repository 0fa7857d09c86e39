package schedule

import (
	"fmt"
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// crowdedGrantor 是 apps 个有三种限额的 app 与 nodes 个连着的节点。
func crowdedGrantor(apps, nodes int) (*Grantor, Time) {
	now := second
	g := NewGrantor(GrantorConfig{Term: 1, Now: now, First: true})
	spec := &Spec{Revision: 1, Servers: []ServerSpec{{Name: "s", Limits: Limits{MaxConcurrency: 1000}, Total: time.Minute}}}
	for i := range apps {
		spec.Apps = append(spec.Apps, AppSpec{Name: fmt.Sprintf("app-%05d", i), Limits: Limits{MaxConcurrency: 100, RequestsPerMinute: 6000, TokensPerMinute: 1_000_000}})
	}
	settle := func(e GrantorEvent) {
		for events := []GrantorEvent{e}; len(events) > 0; events = events[1:] {
			for _, x := range append([]GrantorEffect(nil), g.Step(now, events[0])...) {
				if x.Kind == Save {
					events = append(events, Saved{x.ID})
				}
			}
		}
	}
	settle(Reconfigured{spec})
	for i := range nodes {
		settle(Heard{uint64(i + 1), &admissionv1.AdmitRequest{NodeId: fmt.Sprintf("node-%03d", i), Epoch: 1, Stream: 1, Seq: 1, SentUs: 1, Hello: &admissionv1.Hello{}}})
	}
	return g, now
}

// BenchmarkGrantor_SharePlan 是重算一遍全部份额：总共多久，与其中最久的一步。
func BenchmarkGrantor_SharePlan(b *testing.B) {
	for _, c := range []struct{ apps, nodes int }{{100, 8}, {1000, 50}, {10_000, 200}} {
		b.Run(fmt.Sprintf("apps=%d/nodes=%d", c.apps, c.nodes), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				g, now := crowdedGrantor(c.apps, c.nodes)
				now = now.Add(time.Second)
				b.StartTimer()
				steps, longest := 0, time.Duration(0)
				events := []GrantorEvent{Tick{}}
				for g.planAt != 0 || len(events) > 0 {
					if len(events) == 0 {
						now = max(now, g.planAt)
						events = append(events, Tick{})
					}
					start := time.Now()
					effects := g.Step(now, events[0])
					longest = max(longest, time.Since(start))
					events = events[1:]
					steps++
					for _, x := range effects {
						if x.Kind == Save {
							events = append(events, Saved{x.ID})
						}
					}
				}
				b.ReportMetric(float64(longest.Microseconds())/1000, "longest-step-ms")
				b.ReportMetric(float64(steps), "steps")
			}
		})
	}
}

// 份额分完之后每个池恰好分尽；来了一个节点，先从别的缩出来；走掉一个，它的归余下的。途中各节点的上界之和从不超过可以分的。
func TestSharePlan_DividesEveryPoolAndNeverMore(t *testing.T) {
	g, now := crowdedGrantor(5, 7)
	sums := func() map[Pool]int64 {
		all := map[Pool]int64{}
		for _, m := range g.order {
			for p, n := range m.share.pools() {
				all[p] += n
			}
		}
		for i, p := range g.pools {
			if all[p] > g.quotas[i].all || all[p] != g.bounds[p] {
				t.Fatalf("%v: the nodes may use %d, counted %d, to be divided %d", p, all[p], g.bounds[p], g.quotas[i].all)
			}
		}
		return all
	}
	seq := map[uint64]uint64{}
	say := func(conn uint64, r *admissionv1.AdmitRequest) *admissionv1.AdmitRequest {
		seq[conn]++
		r.NodeId, r.Epoch, r.Stream, r.Seq, r.SentUs = fmt.Sprintf("node-%03d", conn-1), 1, 1, seq[conn]+1, micros(now)
		return r
	}
	settle := func() {
		events := []GrantorEvent{Tick{}}
		for round := 0; round < 200; round++ {
			now = now.Add(20 * time.Millisecond)
			events = append(events, Tick{})
			for ; len(events) > 0; events = events[1:] {
				for _, x := range append([]GrantorEffect(nil), g.Step(now, events[0])...) {
					switch {
					case x.Kind == Save:
						events = append(events, Saved{x.ID})
					case x.Kind == Reply && x.Response.GetShare() != nil:
						events = append(events, Heard{x.Conn, say(x.Conn, &admissionv1.AdmitRequest{Ack: x.Response.GetSeq(), ShareVersion: x.Response.GetShare().GetVersion()})})
					}
				}
				sums()
			}
		}
		for i, p := range g.pools {
			if got := sums()[p]; got != g.quotas[i].all {
				t.Fatalf("%v: %d divided among %d nodes, want %d", p, got, len(g.order), g.quotas[i].all)
			}
		}
	}
	settle()
	hello := Heard{8, &admissionv1.AdmitRequest{NodeId: "node-007", Epoch: 1, Stream: 1, Seq: 1, SentUs: micros(now), Hello: &admissionv1.Hello{}}}
	for _, x := range append([]GrantorEffect(nil), g.Step(now, hello)...) {
		if x.Kind == Save {
			g.Step(now, Saved{x.ID})
		}
	}
	settle()
	g.Step(now, Heard{3, say(3, &admissionv1.AdmitRequest{Bye: true})})
	if len(g.order) != 7 {
		t.Fatalf("%d nodes", len(g.order))
	}
	settle()
}
