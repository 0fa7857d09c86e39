package proof

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// TestOutage 让请求以不变的速率来，而控制面与 PostgreSQL 三分之二的时间不在：一笔不丢，节点的日志有界，
// 补报不拖慢请求。历时是 VEGA_PROOF_OUTAGE_SECONDS。
//
// 慢了多少是同一次运行里网关自己花的时间（客户端看到的减去上游看到的）之比；补报只有几秒，样本少，所以只印出来。
func TestOutage(t *testing.T) {
	t.Parallel()
	periods := time.Duration(size(2, 3))
	whole := time.Duration(parameter(t, "VEGA_PROOF_OUTAGE_SECONDS", size(180, 1800))) * time.Second
	rate := size(40, 150)
	f := newFleet(t, shape{nodes: 2, outside: true, upstream: upstreamtest.Config{Script: scripted}}, func(f *fleet) doc { return f.mixture() })
	m := f.mixer()
	m.steady(float64(rate), rand.Uint64())
	w := f.watchJournals()
	var up, down, catching spans
	var backlog int
	for range periods {
		began := time.Now()
		pause(t.Context(), whole/periods/3)
		died := time.Now()
		up = append(up, span{began, died})
		f.pg.Crash()
		f.Controlplane.Kill()
		pause(t.Context(), whole*2/periods/3)
		backlog = max(backlog, f.sum("vega_usage_unreported"))
		back := time.Now()
		down = append(down, span{died, back})
		(&killer{f: f}).revive(t.Context())
		ready := time.Now()
		catching = append(catching, span{ready, f.caughtUp(t.Context())})
	}
	pause(t.Context(), 2*time.Second)
	seen := m.finish()
	f.drained(t.Context())
	bytes := w.close()
	a := f.audit(t.Context(), seen)
	spent := f.overheads(seen)
	base, away, late := up.of(spent), down.of(spent), catching.of(spent)
	figures("outage duration=%s rate=%d/s away=%.0f%% sent=%d %s backlog_max=%d journal_max_bytes=%d catch_up_longest=%s",
		whole, rate, 100*down.sum().Seconds()/(up.sum()+down.sum()+catching.sum()).Seconds(), len(seen), a, backlog, bytes, short(catching.longest()))
	figures("outage_latency n_up=%d p50_up=%s p99_up=%s n_away=%d p99_away=%s n_catching_up=%d p50_catching_up=%s p99_catching_up=%s ratio_p99=%.2f",
		len(base), short(quantile(base, .5)), short(quantile(base, .99)), len(away), short(quantile(away, .99)), len(late), short(quantile(late, .5)),
		short(quantile(late, .99)), float64(quantile(late, .99))/float64(max(1, quantile(base, .99))))
	a.judge(t)
	if backlog == 0 {
		t.Error("nothing waited to be reported")
	}
	// 确认过的至多留 64 MiB，另有手上的一段与预备的一段；没有确认的按一个请求 1 KiB 算。
	if most := int64(len(f.Dataplanes)) * (64<<20 + 3*16<<20 + int64(backlog)<<10); bytes > most {
		t.Errorf("the journals took %d bytes, want at most %d", bytes, most)
	}
	tabulate(t, seen)
}

// caughtUp 等每个节点都报完，给出那一刻。
func (f *fleet) caughtUp(ctx context.Context) time.Time {
	f.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; pause(ctx, 20*time.Millisecond) {
		left := f.sum("vega_usage_unreported")
		if left <= 100 { // 请求还在来，总有几个刚写下
			return time.Now()
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("%d records are still unreported", left)
		}
	}
}

// overhead 是一个请求里网关自己花的时间。
type overhead struct {
	at   time.Time
	took time.Duration
}

// overheads 只看一次成功的 JSON：客户端看到的时长减去上游看到的。
func (f *fleet) overheads(seen []outcome) []overhead {
	ledger, _ := f.ledger()
	var out []overhead
	for _, o := range seen {
		e, ok := ledger[call{o.id, 1}]
		if ok && o.kind == "json" && o.whole && e.Finished {
			out = append(out, overhead{o.sent, o.ended.Sub(o.sent) - e.End.Sub(e.Start)})
		}
	}
	return out
}

// span 是一段时间，spans 是几段。
type span struct{ from, to time.Time }
type spans []span

func (s spans) of(list []overhead) (out []time.Duration) {
	for _, o := range list {
		if slices.ContainsFunc(s, func(p span) bool { return o.at.After(p.from) && o.at.Before(p.to) }) {
			out = append(out, o.took)
		}
	}
	return out
}

func (s spans) sum() (d time.Duration) {
	for _, p := range s {
		d += p.to.Sub(p.from)
	}
	return d
}

func (s spans) longest() (d time.Duration) {
	for _, p := range s {
		d = max(d, p.to.Sub(p.from))
	}
	return d
}

// journals 每半秒读一次各节点日志的字节数之和，记住最大的。
type journals struct {
	f    *fleet
	stop func()
	done sync.WaitGroup
	most int64
}

func (f *fleet) watchJournals() *journals {
	ctx, cancel := context.WithCancel(f.t.Context())
	w := &journals{f: f, stop: cancel}
	f.t.Cleanup(func() { w.close() })
	w.done.Go(func() {
		for ctx.Err() == nil {
			w.most = max(w.most, int64(f.sum("vega_usage_journal_bytes")))
			pause(ctx, 500*time.Millisecond)
		}
	})
	return w
}

// close 停下，给出最大的；可重复调用。
func (w *journals) close() int64 {
	w.stop()
	w.done.Wait()
	return w.most
}
