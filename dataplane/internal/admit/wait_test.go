package admit

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/schedule"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// acquire 在自己的协程里要一张许可。
func acquire(ctx context.Context, g *Gate, ask Ask, p *Permit) <-chan error {
	done := make(chan error, 1)
	go func() { done <- g.Acquire(ctx, ask, p) }()
	return done
}

// fill 占住一张许可。
func fill(t *testing.T, g *Gate, ask Ask) *Permit {
	t.Helper()
	p := &Permit{}
	if err := g.Acquire(t.Context(), ask, p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAcquire_NamesTheLimitThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		small := app("small", func(a *configv1.App) { a.Limits.MaxConcurrency = 1 })
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(2))}, small, app("large"))
		g, leave := join(t, newLeader(specOf(st, "small", "large")), "node", st)
		defer leave()
		a := target(t, st, "a")
		one, _ := st.App("small")
		two, _ := st.App("large")
		ask := func(of *state.App) Ask { return Ask{Candidates: list{a}, App: of, Deadline: in(2 * time.Second)} }
		first := fill(t, g, ask(one))
		begin := time.Now()
		var p Permit
		if err := g.Acquire(t.Context(), ask(one), &p); reason(err) != rateLimited || time.Since(begin) != 2*time.Second {
			t.Errorf("blocked by its app: %v after %v", err, time.Since(begin))
		}
		second := fill(t, g, ask(two))
		begin = time.Now()
		if err := g.Acquire(t.Context(), ask(two), &p); reason(err) != queueTimeout || time.Since(begin) != 2*time.Second || vegaerr.As(err).RetryAfter <= 0 {
			t.Errorf("blocked by the server: %v after %v", err, time.Since(begin))
		}
		first.Release()
		second.Release()
		idle(t, g)
	})
}

func TestAcquire_WithoutControlPlaneAndShareIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(2)), server("free")})
		g := alone(t, Config{})
		g.Reconfigure(st)
		limited, free := list{target(t, st, "a")}, list{target(t, st, "a"), target(t, st, "free")}
		var p Permit
		begin := time.Now()
		if err := g.Acquire(t.Context(), Ask{Candidates: limited, Deadline: in(30 * time.Second)}, &p); reason(err) != noServer || time.Since(begin) > 5*time.Second {
			t.Errorf("one that came before it was sure: %v after %v", err, time.Since(begin))
		}
		begin = time.Now()
		if err := g.Acquire(t.Context(), Ask{Candidates: limited, Deadline: in(30 * time.Second)}, &p); reason(err) != noServer || time.Since(begin) != 0 {
			t.Errorf("one that came later: %v after %v", err, time.Since(begin))
		}
		if err := g.Acquire(t.Context(), Ask{Candidates: free}, &p); err != nil || p.Target.Server.Name != "free" {
			t.Errorf("an unlimited server: %v", err)
		}
		p.Release()
		idle(t, g)
	})
}

func TestAcquire_SaysWhereItStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(1))})
		g, leave := join(t, newLeader(specOf(st)), "node", st)
		defer leave()
		ask := Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Minute)}
		first := fill(t, g, ask)
		begin := time.Now()
		var at []time.Duration
		ask.Waiting = func(p schedule.Place) {
			at = append(at, time.Since(begin))
			if p.Position != 1 || p.Wait >= 0 {
				t.Errorf("nothing has ended yet, so nobody knows how long: %+v", p)
			}
		}
		var p Permit
		done := acquire(t.Context(), g, ask, &p)
		time.Sleep(12 * time.Second)
		first.Release()
		if err := <-done; err != nil || p.Position < 1 {
			t.Fatalf("%v at %d", err, p.Position)
		}
		if len(at) != 3 || at[0] != 0 || at[1] != 5*time.Second || at[2] != 10*time.Second {
			t.Errorf("told at %v", at)
		}
		p.Release()
		idle(t, g)
	})
}

func TestAcquire_MemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(1))}, app("one"), app("two"), app("three"))
		g, leave := join(t, newLeader(specOf(st, "one", "two", "three")), "node", st, func(c *Config, _ *Deps) { c.MaxWaiting, c.MaxWaitingBytes = 150, 4_000 })
		defer leave()
		ctx, cancel := context.WithCancel(t.Context())
		flood := func(name string, n int, bytes int64) (stood int) {
			of, _ := st.App(name)
			for range n {
				var p Permit
				done := acquire(ctx, g, Ask{Candidates: list{target(t, st, "a")}, App: of, Deadline: in(time.Minute), Bytes: bytes}, &p)
				synctest.Wait()
				select {
				case err := <-done:
					if reason(err) != queueFull || vegaerr.As(err).RetryAfter <= 0 {
						t.Fatalf("%v", err)
					}
				default:
					stood++
				}
			}
			return stood
		}
		first := fill(t, g, Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Minute)})
		if got := flood("one", 100, 1); got != leastForAnApp {
			t.Errorf("one app stands %d times, want the least every app may: %d", got, leastForAnApp)
		}
		if got := flood("two", 10, 300); got != 3 {
			t.Errorf("one app holds %d bodies of 300 of its 1,000 bytes", got)
		}
		if got := flood("three", 200, 0); got != leastForAnApp {
			t.Errorf("stood %d", got)
		}
		if got := flood("two", 100, 0); got != 150-3-2*leastForAnApp {
			t.Errorf("stood %d more, though the node holds 150", got)
		}
		cancel()
		synctest.Wait()
		first.Release()
		idle(t, g)
	})
}

func TestAcquire_RefusedForMemoryIsToldHowLongOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(1))})
		g, leave := join(t, newLeader(specOf(st)), "node", st, func(c *Config, _ *Deps) { c.MaxWaiting = leastForAnApp })
		defer leave()
		ask := Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Hour)}
		first := fill(t, g, ask)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var waiting []<-chan error
		permits := make([]Permit, leastForAnApp)
		for i := range permits {
			waiting = append(waiting, acquire(ctx, g, ask, &permits[i]))
			synctest.Wait()
		}
		told := func(about time.Duration) {
			t.Helper()
			least, most := time.Hour, time.Duration(0)
			for range 50 {
				var p Permit
				err := g.Acquire(t.Context(), ask, &p)
				if reason(err) != queueFull {
					t.Fatal(err)
				}
				after := vegaerr.As(err).RetryAfter
				least, most = min(least, after), max(most, after)
			}
			if least < about*8/10 || most > about*12/10 || least == most {
				t.Errorf("told to come back after %v to %v, want %v ± 20 %%", least, most, about)
			}
		}
		told(leastRetry) // 刚开始等，谁也不知道要多久
		time.Sleep(20 * time.Second)
		told(20 * time.Second) // 二十秒里没有人等到
		first.Release()
		if err := <-waiting[0]; err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, acquire(ctx, g, ask, new(Permit))) // 补上空出来的一个位子
		synctest.Wait()
		told(20 * time.Second) // 最近等到的等了二十秒
		time.Sleep(10 * time.Minute)
		told(longestRetry)
		cancel()
		for _, done := range waiting[1:] {
			<-done
		}
		permits[0].Release()
		idle(t, g)
	})
}

// fickle 在拿到许可之后才发现目标没有了。
type fickle struct {
	list
	later  list
	renews int
	taken  *state.Target
}

func (f *fickle) Renew() (bool, error) {
	if f.renews++; f.renews == 2 { // 第一次在进队之后，第二次在等到之后
		f.list = f.later
		return true, nil
	}
	return false, nil
}

func (f *fickle) Take(t *state.Target) { f.taken = t }

func TestAcquire_GrantForATargetThatIsGoneIsGivenBackAndTheWaitGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(1)), server("b", concurrency(1))})
		g, leave := join(t, newLeader(specOf(st)), "node", st)
		defer leave()
		a, b := target(t, st, "a"), target(t, st, "b")
		onA, onB := fill(t, g, Ask{Candidates: list{a}, Deadline: in(time.Minute)}), fill(t, g, Ask{Candidates: list{b}, Deadline: in(time.Minute)})
		f := &fickle{list: list{a}, later: list{b}}
		var p Permit
		done := acquire(t.Context(), g, Ask{Candidates: f, Deadline: in(time.Minute)}, &p)
		time.Sleep(100 * time.Millisecond)
		onA.Release()
		time.Sleep(100 * time.Millisecond)
		if got := g.Servers(); got["a"] != (Load{}) || got["b"] != (Load{InFlight: 1, Waiting: 1}) {
			t.Errorf("%+v", got)
		}
		onB.Release()
		if err := <-done; err != nil || p.Target != b || f.taken != b {
			t.Fatalf("%v %+v, router told %+v", err, p.Target, f.taken)
		}
		p.Release()
		idle(t, g)
	})
}

func TestAcquire_ClientThatHangsUpLeavesAtOnceAndTheNextIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(1))})
		g, leave := join(t, newLeader(specOf(st)), "node", st)
		defer leave()
		ask := Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Minute)}
		first := fill(t, g, ask)
		ctx, cancel := context.WithCancel(t.Context())
		var p, q Permit
		gone := acquire(ctx, g, ask, &p)
		time.Sleep(10 * time.Millisecond)
		next := acquire(t.Context(), g, ask, &q)
		time.Sleep(10 * time.Millisecond)
		cancel()
		if err := <-gone; vegaerr.CodeOf(err) != vegaerr.Canceled || g.Totals().Waiting != 1 {
			t.Errorf("%v, %+v", err, g.Totals())
		}
		first.Release()
		if err := <-next; err != nil {
			t.Fatal(err)
		}
		q.Release()
		idle(t, g)
	})
}

func TestRelease_AbortedCallHoldsItsSlotForTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(1), func(s *configv1.Server) { s.AbortGraceMs = 700 })})
		g, leave := join(t, newLeader(specOf(st)), "node", st)
		defer leave()
		ask := Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Minute)}
		p := fill(t, g, ask)
		begin := time.Now()
		p.Progress(10_000)
		p.Abort()
		p.Release()
		if st := g.state(); st.Pools[0].Aborting != 1 || g.Leaked() != 0 {
			t.Errorf("%+v", st.Pools)
		}
		q := fill(t, g, ask)
		if waited := time.Since(begin); waited < 700*time.Millisecond || waited > 710*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
		q.Release()
		idle(t, g)
	})
}

func TestAcquire_PanicInTheCandidatesLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(1))})
		g, leave := join(t, newLeader(specOf(st)), "node", st)
		defer leave()
		states := state.New()
		states.Swap(st)
		for _, step := range []string{"choose", "waitable", "renew", "take", "waiting"} {
			f := &fragile{states: states, seen: st, names: []string{"a"}, hook: func(at string) error {
				if at == step {
					return errStorm
				}
				return nil
			}}
			ask := Ask{Candidates: f, Deadline: in(time.Minute), Waiting: func(schedule.Place) { f.at("waiting") }}
			first := fill(t, g, Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Minute)})
			time.AfterFunc(time.Second, first.Release)
			func() {
				defer func() {
					if got := recover(); got == nil && step != "renew" {
						t.Errorf("%s: no panic", step)
					}
				}()
				var p Permit
				if err := g.Acquire(t.Context(), ask, &p); err == nil {
					t.Errorf("%s: admitted", step)
				}
			}()
			time.Sleep(2 * time.Second)
			idle(t, g)
		}
	})
}

func TestLeaked_SeesAPermitThatIsNeverGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", func(s *configv1.Server) { s.Timeouts = ruleset.DefaultTimeouts(1_000) })})
		registry := prometheus.NewRegistry()
		g, err := New(Config{}, Deps{Registerer: registry})
		if err != nil {
			t.Fatal(err)
		}
		g.Reconfigure(st)
		p := fill(t, g, Ask{Candidates: list{target(t, st, "a")}})
		if g.Leaked() != 0 {
			t.Error("a running request is no leak")
		}
		time.Sleep(time.Second + overdueMargin + time.Millisecond)
		if g.Leaked() != 1 {
			t.Errorf("leaked %d", g.Leaked())
		}
		if got := gathered(t, registry); !strings.Contains(got, "vega_admission_leaked_permits 1\n") {
			t.Errorf("%s", got)
		}
		p.Release()
		idle(t, g)
	})
}

func TestAcquire_NotWaitingStillAsksTheLeaderOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(1))})
		l := newLeader(specOf(st))
		g, leave := join(t, l, "node", st)
		defer leave()
		other, leaveToo := join(t, l, "other", st)
		defer leaveToo()
		synctest.Wait()
		ask := Ask{Candidates: list{target(t, st, "a")}}
		p := fill(t, g, ask) // 手上没有闲置的，授予者有
		if p.Position != 0 {
			t.Errorf("position %d", p.Position)
		}
		begin := time.Now()
		var q Permit
		if err := other.Acquire(t.Context(), ask, &q); reason(err) != queueFull || time.Since(begin) > glance {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		p.Release()
		idle(t, g)
		idle(t, other)
	})
}

func TestReachable_FillsInTheHost(t *testing.T) {
	for leader, want := range map[string]string{
		":9090": "cp-1:9090", "0.0.0.0:9090": "cp-1:9090", "[::]:9090": "cp-1:9090", "cp-2:9090": "cp-2:9090", "10.0.0.1:1": "10.0.0.1:1", "bad": "bad",
	} {
		if got := reachable(leader, "cp-1:9999"); got != want {
			t.Errorf("%s: %s", leader, got)
		}
	}
}

// revoked 在 gone 之后就认不出人了。
type revoked struct {
	list
	gone atomic.Bool
}

func (r *revoked) Renew() (bool, error) {
	if r.gone.Load() {
		return true, vegaerr.New(vegaerr.Unauthenticated, "invalid_api_key", "the key is gone")
	}
	return false, nil
}

func TestAcquire_NamesAreResolvedAgainAfterTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(1))})
		g, leave := join(t, newLeader(specOf(st)), "node", st)
		defer leave()
		first := fill(t, g, Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Minute)})
		r := &revoked{list: list{target(t, st, "a")}}
		var p Permit
		done := acquire(t.Context(), g, Ask{Candidates: r, Deadline: in(time.Minute)}, &p)
		synctest.Wait()
		r.gone.Store(true)
		first.Release()
		if err := <-done; reason(err) != "invalid_api_key" {
			t.Errorf("%v", err)
		}
		idle(t, g)
	})
}

func TestAcquire_PositionCountsTheQueuesOfEveryNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(1))})
		l := newLeader(specOf(st))
		one, leaveOne := join(t, l, "one", st)
		defer leaveOne()
		two, leaveTwo := join(t, l, "two", st)
		defer leaveTwo()
		ask := Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Minute)}
		first := fill(t, one, ask)
		var permits [3]Permit
		var done [3]<-chan error
		for i, g := range []*Gate{one, two, one} {
			done[i] = acquire(t.Context(), g, ask, &permits[i])
			time.Sleep(100 * time.Millisecond)
		}
		first.Release()
		for i := range permits {
			if err := <-done[i]; err != nil || permits[i].Position != int64(i)+1 {
				t.Errorf("number %d: %v at %d", i+1, err, permits[i].Position)
			}
			permits[i].Release()
		}
	})
}

func TestAcquire_WhereNobodyMayWaitOnlyAFreeUnitIsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nobody := func(s *configv1.Server) { s.Limits.MaxConcurrency, s.Queue.MaxWaiting = 1, 0 }
		st := compile(t, 1, []*configv1.Server{server("a", nobody), server("b", concurrency(1))})
		g, leave := join(t, newLeader(specOf(st)), "node", st)
		defer leave()
		a, b := target(t, st, "a"), target(t, st, "b")
		ask := Ask{Candidates: list{a}, Deadline: in(time.Minute)}
		time.Sleep(time.Second) // 连上授予者
		first := fill(t, g, ask)
		begin := time.Now()
		var p Permit
		if err := g.Acquire(t.Context(), ask, &p); reason(err) != queueFull || vegaerr.As(err).RetryAfter <= 0 || time.Since(begin) > glance {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		onB := fill(t, g, Ask{Candidates: list{b}, Deadline: in(time.Minute)})
		both := acquire(t.Context(), g, Ask{Candidates: list{a, b}, Deadline: in(time.Minute)}, &p)
		time.Sleep(time.Second)
		onB.Release()
		if err := <-both; err != nil {
			t.Errorf("a target of a server that lets it wait: %v", err)
		}
		p.Release()
		first.Release()
		idle(t, g)
	})
}
