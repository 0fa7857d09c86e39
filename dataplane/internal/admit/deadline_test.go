package admit

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

// proof 说要不要跑足量并核对全部的数；平时机器上还有别的在跑，只核对与快慢无关的。
func proof() bool { return os.Getenv("VEGA_PROOF") == "full" }

// crowded 是一个什么也开始不了、而人人都值得等的节点：leader 在就由它拿着唯一的单位，不在就让目标一直停着。
func crowded(t *testing.T, n int, leader bool) (g *Gate, a *state.Target, end func()) {
	t.Helper()
	room := func(c *Config, _ *Deps) { c.MaxWaiting = 4 * int64(n) }
	if !leader {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(0))})
		cfg := Config{}
		room(&cfg, nil)
		g = alone(t, cfg)
		g.Reconfigure(st)
		a = target(t, st, "a")
		g.lock()
		defer g.mu.Unlock()
		// 绕过 Pause：它记着停到何时，期限早于那时的一来就被拒，不会等。
		g.step(schedule.TargetPaused{Server: "a", Upstream: a.UpstreamModel, For: MaxPause})
		return g, a, func() {}
	}
	st := compile(t, 1, []*configv1.Server{server("a", concurrency(1))})
	g, leave := join(t, newLeader(specOf(st)), "node", st, room)
	a = target(t, st, "a")
	busy := fill(t, g, Ask{Candidates: list{a}, Deadline: in(10 * time.Second)})
	return g, a, func() { busy.Release(); leave() }
}

// lateness 是 n 个各有期限的请求答得晚了多少，升序；early 是答早了的。
// bare 是同样的期限上什么也不做的定时器晚了多少，升序：机器与运行时自己的份，不是准入的。
func lateness(t *testing.T, n int, leader bool) (late, bare []time.Duration, early int) {
	t.Helper()
	g, a, end := crowded(t, n, leader)
	late, bare = make([]time.Duration, n), make([]time.Duration, n)
	var all sync.WaitGroup
	start := time.Now().Add(2 * time.Second) // 等人都站好
	for i := range n {
		deadline := start.Add(time.Duration(rand.Int64N(int64(2500 * time.Millisecond))))
		all.Add(1)
		time.AfterFunc(time.Until(deadline), func() {
			bare[i] = time.Since(deadline)
			all.Done()
		})
		all.Go(func() {
			var p Permit
			err := g.Acquire(t.Context(), Ask{Candidates: list{a}, Deadline: deadline}, &p)
			late[i] = time.Since(deadline)
			if reason(err) != queueTimeout {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	end()
	idle(t, g)
	slices.Sort(late)
	slices.Sort(bare)
	for early < n && late[early] < 0 {
		early++
	}
	return late, bare, early
}

// spin 使每个核忙 share 成，直到 stop。
func spin(share float64) (stop func()) {
	if share == 0 {
		return func() {}
	}
	done := make(chan struct{})
	var all sync.WaitGroup
	const slice = 10 * time.Millisecond
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				begin := time.Now()
				for time.Since(begin) < time.Duration(share*float64(slice)) {
				}
				time.Sleep(time.Duration((1 - share) * float64(slice)))
			}
		})
	}
	return func() { close(done); all.Wait() }
}

func TestDeadlines(t *testing.T) {
	const n = 10_000
	for _, c := range []struct {
		name   string
		busy   float64 // 别的占去几成 CPU
		leader bool
	}{{"idle", 0, false}, {"idle, with a leader in the same process", 0, true}, {"90%", 0.9, false}} {
		stop := spin(c.busy)
		late, bare, early := lateness(t, n, c.leader)
		stop()
		quantile := func(of []time.Duration, q float64) time.Duration {
			return of[min(int(q*n), n-1)].Round(10 * time.Microsecond)
		}
		at := func(q float64) time.Duration { return quantile(late, q) }
		floor := quantile(bare, .999)
		fmt.Printf("figures: deadlines waiters=%d early=%d p50=%v p99=%v p999=%v max=%v bare_timer_p999=%v cpu=%q race=%t\n",
			n, early, at(.5), at(.99), at(.999), at(1), floor, c.name, raced)
		if early != 0 {
			t.Errorf("%s: %d answered early", c.name, early)
		}
		// 光是定时器就晚了的机器不闲，判不了快慢。
		if limit := 10 * time.Millisecond; c.busy == 0 && proof() && !raced && at(.999) > limit && floor < limit/2 {
			t.Errorf("%s: p99.9 is %v, more than %v", c.name, at(.999), limit)
		}
	}
}
