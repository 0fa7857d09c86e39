package admit

import (
	"crypto/sha256"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// list 是最简单的候选：按次序取第一个准的。
type list []*state.Target

func (l list) Choose(judge func(*state.Target) ruleset.Verdict) *state.Target {
	for _, t := range l {
		if judge(t) == ruleset.Startable {
			return t
		}
	}
	return nil
}

func (l list) Waitable(_ func(*state.Target) ruleset.Verdict, yield func(*state.Target)) {
	for _, t := range l {
		yield(t)
	}
}

func (l list) Renew() (bool, error) { return false, nil }

func (l list) Take(*state.Target) {}

// server 是名为 name、队里至多两个、改过 edit 的 server。
func server(name string, edit ...func(*configv1.Server)) *configv1.Server {
	s := ruleset.NewServer(name, "http://127.0.0.1:1/v1")
	s.Queue.MaxWaiting = 2
	for _, f := range edit {
		f(s)
	}
	return s
}

func app(name string, edit ...func(*configv1.App)) *configv1.App {
	a := ruleset.NewApp(name)
	for _, f := range edit {
		f(a)
	}
	return a
}

// concurrency 设 server 的并发上限，队里不限。
func concurrency(n int64) func(*configv1.Server) {
	return func(s *configv1.Server) { s.Limits.MaxConcurrency, s.Queue.MaxWaiting = n, 1_000_000 }
}

// compile 编出一版配置：每个 server 有一个与它同名的模型。
func compile(t testing.TB, rev uint64, servers []*configv1.Server, apps ...*configv1.App) *state.State {
	t.Helper()
	snap := &configv1.Snapshot{Servers: servers, Apps: apps}
	for _, s := range servers {
		snap.Models = append(snap.Models, &configv1.Model{Name: s.GetName(), Targets: []*configv1.Target{ruleset.NewTarget(s.GetName(), "up")}})
	}
	st, err := state.Compile(rev, [sha256.Size]byte{}, snap)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func target(t testing.TB, st *state.State, name string) *state.Target {
	t.Helper()
	m, ok := st.Model(name)
	if !ok {
		t.Fatalf("no server %q", name)
	}
	return m.Tiers[0][0]
}

// alone 是没有控制面的一个节点。
func alone(t testing.TB, cfg Config) *Gate {
	t.Helper()
	g, err := New(cfg, Deps{Random: func() float64 { return 0.5 }})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// pair 是没有控制面的一个节点，两个不限的 server。
func pair(t testing.TB) (g *Gate, a, b *state.Target) {
	t.Helper()
	st := compile(t, 1, []*configv1.Server{server("a"), server("b")})
	g = alone(t, Config{})
	g.Reconfigure(st)
	return g, target(t, st, "a"), target(t, st, "b")
}

func in(d time.Duration) time.Time { return time.Now().Add(d) }

// idle 核对什么也没有留下。
func idle(t testing.TB, g *Gate) {
	t.Helper()
	if got := g.Totals(); g.Leaks() != 0 || g.Leaked() != 0 || got != (Load{}) {
		t.Errorf("leaks %d, books disagree by %d, totals %+v", g.Leaks(), g.Leaked(), got)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.first != nil || g.newest != nil || g.standing != (standing{}) || len(g.apps) != 0 {
		t.Errorf("left behind: %+v, newest %v, apps %v", g.standing, g.newest, g.apps)
	}
}
