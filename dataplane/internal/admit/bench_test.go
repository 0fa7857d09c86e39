package admit

import (
	"testing"
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

// BenchmarkAcquire 量一个请求的准入：不限的，与设了限额而没有到的。
func BenchmarkAcquire(b *testing.B) {
	high := func(l *configv1.Limits) {
		l.MaxConcurrency, l.RequestsPerMinute, l.TokensPerMinute = 10_000, 1_000_000_000, 1_000_000_000
	}
	for name, edit := range map[string]func(*configv1.Server, *configv1.App){
		"unlimited":   func(*configv1.Server, *configv1.App) {},
		"concurrency": func(s *configv1.Server, _ *configv1.App) { s.Limits.MaxConcurrency = 10_000 },
		"every limit": func(s *configv1.Server, a *configv1.App) { high(s.Limits); high(a.Limits) },
	} {
		b.Run(name, func(b *testing.B) {
			s, a := server("a"), app("team")
			s.Queue.MaxWaiting = 1_000
			edit(s, a)
			st := compile(b, 1, []*configv1.Server{s}, a)
			g, leave := join(b, newLeader(specOf(st, "team")), "node", st)
			defer leave()
			team, _ := st.App("team")
			ask := Ask{Candidates: list{target(b, st, "a")}, App: team, Cost: schedule.Cost{Prompt: 100, Output: 100}}
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
				p.Settle(schedule.Cost{Prompt: 100, Output: 50}, true)
				p.Release()
			}
			for begin := time.Now(); time.Since(begin) < time.Second; { // 等授予者给足闲置的
				once()
			}
			waited = 0
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
			b.ReportMetric(float64(waited)/float64(b.N), "waits/op")
		})
	}
}
