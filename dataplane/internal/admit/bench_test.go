package admit

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

// costs 是量准入的几种处境：不限的，只限在途的，六种限额都设了而一种也没有到的。
func costs() map[string]func(*configv1.Server, *configv1.App) {
	high := func(l *configv1.Limits) { // 能设的最高：跑得再快，用的也到不了松池要留的那一成
		l.MaxConcurrency, l.RequestsPerMinute, l.TokensPerMinute = 10_000, 1_000_000_000, 1_000_000_000_000
	}
	return map[string]func(*configv1.Server, *configv1.App){
		"none":        func(*configv1.Server, *configv1.App) {},
		"concurrency": func(s *configv1.Server, _ *configv1.App) { s.Limits.MaxConcurrency = 10_000 },
		"all six":     func(s *configv1.Server, a *configv1.App) { high(s.Limits); high(a.Limits) },
	}
}

// admitOne 量一个请求的准入，一如 gateway 用它：要、看至迟何时发出、记下用量、还。授予者在同一个进程里，它的代价也算在内。
func admitOne(b *testing.B, edit func(*configv1.Server, *configv1.App)) {
	s, a := server("a"), app("team")
	s.Queue.MaxWaiting = 1_000
	edit(s, a)
	st := compile(b, 1, []*configv1.Server{s}, a)
	g, leave := join(b, newLeader(specOf(st, "team")), "node", st)
	defer leave()
	team, _ := st.App("team")
	ask := Ask{Candidates: list{target(b, st, "a")}, App: team, Cost: schedule.Cost{Prompt: 100, Output: 100}, Bytes: 1_000}
	waited := 0
	var p Permit
	once := func() {
		ask.Arrived = time.Now()
		ask.Deadline = ask.Arrived.Add(10 * time.Second)
		if err := g.Acquire(b.Context(), ask, &p); err != nil {
			b.Fatal(err)
		}
		if p.Position > 0 {
			waited++
		}
		p.StartBy()
		p.Settle(schedule.Cost{Prompt: 100, Output: 50}, true)
		p.Release()
	}
	for begin := time.Now(); time.Since(begin) < time.Second; { // 等授予者给足闲置的
		once()
	}
	waited = 0
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		once()
	}
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(waited)/float64(b.N), "waits/op")
}

// cpu 是本进程至今用掉的处理器时间：机器忙的时候，墙上的时间不作数。
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkAcquire(b *testing.B) {
	for name, edit := range costs() {
		b.Run(name, func(b *testing.B) { admitOne(b, edit) })
	}
}

// TestAcquire_LimitsThatAreNotReachedCostNoAllocation 打印一个请求的准入要多少处理器时间。
func TestAcquire_LimitsThatAreNotReachedCostNoAllocation(t *testing.T) {
	for _, name := range []string{"none", "concurrency", "all six"} {
		r := testing.Benchmark(func(b *testing.B) { admitOne(b, costs()[name]) })
		if r.N == 0 {
			t.Fatalf("%s: the benchmark failed", name)
		}
		spent := r.Extra["cpu-ns/op"]
		fmt.Printf("figures: admission_cost limits=%q ns=%.0f wall_ns=%d allocs=%d bytes=%d waits_per_request=%.5f n=%d race=%t\n",
			name, spent, r.NsPerOp(), r.AllocsPerOp(), r.AllocedBytesPerOp(), r.Extra["waits/op"], r.N, raced)
		if r.AllocsPerOp() != 0 {
			t.Errorf("%s: %d allocations per request", name, r.AllocsPerOp())
		}
		if limit := 3 * time.Microsecond; proof() && !raced && spent > float64(limit.Nanoseconds()) {
			t.Errorf("%s: %.0f ns of CPU per request, more than %v", name, spent, limit)
		}
	}
}
