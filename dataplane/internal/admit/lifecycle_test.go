package admit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/schedule"
)

// fragile 是会崩溃、会换配置的候选：hook 在每一步被问要不要出事。
type fragile struct {
	states *state.Holder
	seen   *state.State
	names  []string
	hook   func(step string) error
}

func (f *fragile) targets() (out list) {
	for _, name := range f.names {
		if m, ok := f.seen.Model(name); ok {
			out = append(out, m.Tiers[0][0])
		}
	}
	return out
}

func (f *fragile) at(step string) {
	if err := f.hook(step); err != nil {
		panic(err)
	}
}

func (f *fragile) Choose(judge func(*state.Target) ruleset.Verdict) *state.Target {
	f.at("choose")
	return f.targets().Choose(judge)
}

func (f *fragile) Waitable(judge func(*state.Target) ruleset.Verdict, yield func(*state.Target)) {
	f.at("waitable")
	f.targets().Waitable(judge, yield)
}

func (f *fragile) Renew() (bool, error) {
	if err := f.hook("renew"); err != nil {
		return false, err
	}
	latest := f.states.Load()
	changed := latest != f.seen
	f.seen = latest
	return changed, nil
}

func (f *fragile) Take(*state.Target) { f.at("take") }

var errStorm = errors.New("storm")

// storm 是一场乱：几个节点、一个授予者、许多请求，各有各的不幸。
type storm struct {
	t      *testing.T
	leader *leader
	states *state.Holder
	gates  []*Gate
	ended  [5]atomic.Int64 // 准许、拒绝、超时、取消、崩溃
}

const (
	endServed = iota
	endRefused
	endLate
	endCanceled
	endCrashed
)

// live 过一个请求的一生。
func (s *storm) live(r *rand.Rand) {
	g := s.gates[r.IntN(len(s.gates))]
	st := s.states.Load()
	app, _ := st.App([]string{"small", "large"}[r.IntN(2)])
	f := &fragile{states: s.states, seen: st, names: []string{"a", "b", "c"}[r.IntN(3):], hook: func(string) error {
		if r.IntN(400) == 0 {
			return errStorm
		}
		return nil
	}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if r.IntN(5) == 0 {
		defer time.AfterFunc(time.Duration(r.Int64N(int64(200*time.Millisecond))), cancel).Stop()
	}
	ask := Ask{Candidates: f, App: app, Class: schedule.Class(1 + r.IntN(3)), Arrived: time.Now(), Deadline: in(time.Duration(r.Int64N(int64(2 * time.Second)))),
		Cost: schedule.Cost{Prompt: r.Int64N(500), Output: r.Int64N(500)}, Bytes: r.Int64N(1 << 16)}
	if r.IntN(20) == 0 {
		ask.Waiting = func(schedule.Place) { f.at("waiting") }
	}
	var p Permit
	defer func() {
		if cause := recover(); cause != nil {
			if cause != any(errStorm) {
				panic(cause)
			}
			s.ended[endCrashed].Add(1)
		}
		p.Release()
		p.Release()
	}()
	if err := g.Acquire(ctx, ask, &p); err != nil {
		s.count(err)
		return
	}
	s.serve(r, &p)
}

func (s *storm) serve(r *rand.Rand, p *Permit) {
	output := int64(0)
	for range r.IntN(4) {
		time.Sleep(time.Duration(r.Int64N(int64(20 * time.Millisecond))))
		output += r.Int64N(400)
		p.Progress(output)
	}
	switch r.IntN(10) {
	case 0:
		p.Abort()
	case 1:
		panic(errStorm)
	case 2:
		s.gates[r.IntN(len(s.gates))].Pause(p.Target, time.Duration(r.Int64N(int64(300*time.Millisecond))))
		p.Settle(schedule.Cost{}, true)
	default:
		p.Settle(schedule.Cost{Prompt: r.Int64N(500), Output: output}, r.IntN(4) != 0)
	}
	s.ended[endServed].Add(1)
}

func (s *storm) count(err error) {
	switch reason(err) {
	case queueTimeout:
		s.ended[endLate].Add(1)
	case canceled:
		s.ended[endCanceled].Add(1)
	case queueFull, rateLimited, noServer:
		s.ended[endRefused].Add(1)
	default:
		if !errors.Is(err, errStorm) {
			s.t.Errorf("%v", err)
		}
		s.ended[endCrashed].Add(1)
	}
}

// weather 不停地换配置、断线、换任期，直到 ctx 结束。
func (s *storm) weather(ctx context.Context, r *rand.Rand) {
	for rev := uint64(2); ; rev++ {
		sleep(ctx, time.Duration(r.Int64N(int64(2*time.Second))))
		if ctx.Err() != nil {
			return
		}
		switch r.IntN(6) {
		case 0:
			s.leader.Cut()
		case 1:
			s.leader.Leave()
			sleep(ctx, time.Duration(r.Int64N(int64(20*time.Second))))
			s.leader.Return()
		default:
			s.configure(rev, r)
		}
	}
}

// configure 换一版配置：三个 server 里少一个也行，限额有高有低。
func (s *storm) configure(rev uint64, r *rand.Rand) {
	var servers []*configv1.Server
	for i, name := range []string{"a", "b", "c"} {
		if i > 0 && r.IntN(10) == 0 {
			continue
		}
		servers = append(servers, server(name, func(v *configv1.Server) {
			v.Queue.MaxWaiting, v.Timeouts.TotalMs, v.AbortGraceMs = 1_000, 1_000, int64(r.IntN(300))
			v.Timeouts = ruleset.DefaultTimeouts(1_000)
			if r.IntN(4) != 0 {
				v.Limits.MaxConcurrency = r.Int64N(40)
			}
			if r.IntN(4) == 0 {
				v.Limits.RequestsPerMinute, v.Limits.TokensPerMinute = r.Int64N(100_000), r.Int64N(10_000_000)
			}
		}))
	}
	small := app("small", func(a *configv1.App) { a.Limits.MaxConcurrency = r.Int64N(20) })
	st := compile(s.t, rev, servers, small, app("large"))
	s.states.Swap(st)
	for _, g := range s.gates {
		g.Reconfigure(st)
	}
	s.leader.Reconfigure(specOf(st, "small", "large"))
}

func TestLifecycles_NothingLeaks(t *testing.T) {
	n, seed := int64(100_000), rand.Uint64()
	if proof() {
		n = 1_000_000
	}
	goroutines := runtime.NumGoroutine()
	var leaked int64
	synctest.Test(t, func(t *testing.T) { leaked = weatherStorm(t, n, seed) })
	left := max(0, runtime.NumGoroutine()-goroutines)
	for wait := 0; left > 0 && wait < 100; wait++ { // 刚做完的协程要一会儿才真的没了
		time.Sleep(10 * time.Millisecond)
		left = max(0, runtime.NumGoroutine()-goroutines)
	}
	fmt.Printf("figures: lifecycles n=%d leaked=%d goroutines_left=%d seed=%d\n", n, leaked, left, seed)
	if leaked != 0 || left != 0 {
		t.Errorf("leaked %d permits and %d goroutines with seed %d", leaked, left, seed)
	}
}

// weatherStorm 让 n 个请求过完一生，等风平浪静，给出漏了几张许可。
func weatherStorm(t *testing.T, n int64, seed uint64) (leaked int64) {
	s := &storm{t: t, states: state.New(), leader: newLeader(&schedule.Spec{})}
	r := rand.New(rand.NewPCG(seed, 0))
	first := compile(t, 1, []*configv1.Server{server("a")}, app("small"), app("large"))
	for i := range 3 {
		g, leave := join(t, s.leader, fmt.Sprint("node-", i), first)
		defer leave()
		s.gates = append(s.gates, g)
	}
	s.configure(1, r)
	ctx, cancel := context.WithCancel(t.Context())
	var weather, workers sync.WaitGroup
	weather.Go(func() { s.weather(ctx, r) })
	var left atomic.Int64
	left.Store(n)
	for i := range 128 {
		mine := rand.New(rand.NewPCG(seed, uint64(i+1)))
		workers.Go(func() {
			for left.Add(-1) >= 0 {
				time.Sleep(time.Duration(mine.Int64N(int64(10 * time.Millisecond))))
				s.live(mine)
			}
		})
	}
	workers.Wait()
	cancel()
	weather.Wait()
	time.Sleep(30 * time.Second) // 善后、租期、重连都过去
	for _, g := range s.gates {
		idle(t, g)
		leaked += g.Leaks() + g.Leaked()
	}
	for _, v := range s.leader.View().Servers {
		leaked += v.Quarantined + v.InFlight
	}
	t.Logf("served %d, refused %d, timed out %d, canceled %d, crashed %d; %d members, dropped %v", s.ended[endServed].Load(), s.ended[endRefused].Load(),
		s.ended[endLate].Load(), s.ended[endCanceled].Load(), s.ended[endCrashed].Load(), len(s.leader.Members()), s.leader.Drops())
	return leaked
}
