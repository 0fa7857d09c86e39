package route

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/ruleset"
)

type world struct {
	now    time.Time
	dice   uint64
	router *Router
}

func newWorld() *world {
	w := &world{now: time.Unix(1_000_000, 0)}
	w.router = New(Config{}, Deps{
		Now:    func() time.Time { return w.now },
		Random: func() uint64 { w.dice = w.dice*6364136223846793005 + 1442695040888963407; return w.dice },
	})
	return w
}

func target(server string, priority int64) *state.Target {
	s := &state.Server{Name: server, Enabled: true}
	s.Identity[0] = server[0]
	return &state.Target{ID: state.TargetID{Server: server, UpstreamModel: "m"}, Server: s, Weight: 1, Priority: priority}
}

func anyone(*state.Target) ruleset.Verdict { return ruleset.Startable }

func (w *world) fail(t *state.Target, n int) {
	for range n {
		_, p := w.router.Choose([]*state.Target{t}, anyone)
		w.router.Settle(&p, Failing, "boom")
	}
}

func TestRouter_EjectsAfterConsecutiveFailuresAndProbesOnceWhenHalfOpen(t *testing.T) {
	w := newWorld()
	a, b := target("a", 0), target("b", 1)
	both := []*state.Target{a, b}
	w.fail(a, 4)
	if got, _ := w.router.Choose(both, anyone); got != a {
		t.Fatal("four failures already ejected it")
	}
	w.fail(a, 1)
	if got, _ := w.router.Choose(both, anyone); got != b {
		t.Fatal("five failures did not eject it")
	}
	if e := w.router.Ejections(); len(e) != 1 || e[0].GetServer() != "a" || e[0].GetReason() != "boom" || e[0].GetUntilUnixMs() != w.now.Add(10*time.Second).UnixMilli() || e[0].GetSinceUnixMs() != w.now.UnixMilli() {
		t.Fatalf("%v", e)
	}
	w.now = w.now.Add(10 * time.Second)
	got, probe := w.router.Choose(both, anyone)
	if got != a {
		t.Fatal("no probe after the ejection ran out")
	}
	if got, _ := w.router.Choose(both, anyone); got != b {
		t.Fatal("a second probe at the same time")
	}
	w.router.Settle(&probe, Failing, "still")
	w.now = w.now.Add(19 * time.Second)
	if got, _ := w.router.Choose(both, anyone); got != b {
		t.Fatal("the second ejection is not longer")
	}
	w.now = w.now.Add(time.Second)
	got, probe = w.router.Choose(both, anyone)
	if got != a {
		t.Fatal("no second probe")
	}
	w.router.Alive(&probe)
	if got, _ := w.router.Choose(both, anyone); got != a {
		t.Fatal("the first byte of a probe did not heal the target")
	}
}

func TestRouter_NeutralProbeFreesItsPlace(t *testing.T) {
	w := newWorld()
	a, b := target("a", 0), target("b", 1)
	w.fail(a, 5)
	w.now = w.now.Add(10 * time.Second)
	for range 3 {
		got, p := w.router.Choose([]*state.Target{a, b}, anyone)
		if got != a {
			t.Fatal("the aborted probe kept its place")
		}
		w.router.Settle(&p, Neutral, "")
	}
}

func TestRouter_EjectionGrowsToItsCap(t *testing.T) {
	w := newWorld()
	a, b := target("a", 0), target("b", 1)
	w.fail(a, 5)
	for _, want := range []int{10, 20, 40, 60, 60} {
		until := time.UnixMilli(w.router.Ejections()[0].GetUntilUnixMs())
		if got := until.Sub(w.now); got != time.Duration(want)*time.Second {
			t.Fatalf("ejected for %v, want %ds", got, want)
		}
		w.now = until
		_, p := w.router.Choose([]*state.Target{a, b}, anyone)
		w.router.Settle(&p, Failing, "again")
	}
}

func TestRouter_FailureRatioEjects(t *testing.T) {
	w := newWorld()
	a, b := target("a", 0), target("b", 1)
	for i := range 21 {
		got, p := w.router.Choose([]*state.Target{a, b}, anyone)
		if got != a {
			if i < 20 {
				t.Fatalf("ejected after %d", i)
			}
			return
		}
		result := Healthy
		if i%2 == 0 {
			result = Failing
		}
		w.router.Settle(&p, result, "flaky")
	}
	if got, _ := w.router.Choose([]*state.Target{a, b}, anyone); got != b {
		t.Fatal("half of the calls failed and it is still in")
	}
}

func TestRouter_RefusedCredentialEjectsAtOnceAndANewIdentityIsClean(t *testing.T) {
	w := newWorld()
	a, b := target("a", 0), target("b", 1)
	_, p := w.router.Choose([]*state.Target{a, b}, anyone)
	w.router.Settle(&p, Denied, "401")
	if got, _ := w.router.Choose([]*state.Target{a, b}, anyone); got != b {
		t.Fatal("still in")
	}
	fixed := *a.Server
	fixed.Identity[1] = 1
	a2 := *a
	a2.Server = &fixed
	if got, _ := w.router.Choose([]*state.Target{&a2, b}, anyone); got != &a2 {
		t.Fatal("the new credential did not start clean")
	}
}

func TestRouter_LastUsableTargetIsNeverEjected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		var all []*state.Target
		for i := range rapid.IntRange(1, 4).Draw(t, "targets") {
			all = append(all, target(string(rune('a'+i)), int64(i%2)))
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "wait")) * time.Second)
			got, p := w.router.Choose(all, anyone)
			if got == nil {
				t.Fatal("a model with an enabled target has none to serve it")
			}
			w.router.Settle(&p, rapid.SampledFrom([]Result{Failing, Denied, Healthy, Neutral}).Draw(t, "result"), "x")
		}
	})
}

func TestRouter_DisabledAndEjectedAreNotWaitedFor(t *testing.T) {
	w := newWorld()
	a, b, c := target("a", 0), target("b", 0), target("c", 0)
	b.Server.Enabled = false
	w.fail(a, 5)
	paused := func(*state.Target) ruleset.Verdict { return ruleset.Paused }
	var waited []*state.Target
	w.router.Waitable([]*state.Target{a, b, c}, paused, func(t *state.Target) { waited = append(waited, t) })
	if len(waited) != 1 || waited[0] != c {
		t.Fatalf("%v", waited)
	}
}

func BenchmarkChoose_Healthy(b *testing.B) {
	r := New(Config{}, Deps{})
	all := []*state.Target{target("a", 0), target("b", 0), target("c", 1)}
	b.ReportAllocs()
	for range b.N {
		_, p := r.Choose(all, anyone)
		r.Settle(&p, Healthy, "")
	}
}

func TestRouter_RecoveredTargetIsForgottenSoThatTheHotPathTakesNoLock(t *testing.T) {
	w := newWorld()
	a := target("a", 0)
	w.fail(a, 1)
	answer := func() {
		_, p := w.router.Choose([]*state.Target{a}, anyone)
		w.router.Settle(&p, Healthy, "")
	}
	answer()
	if w.router.tracked.Load() != 1 {
		t.Fatal("a failure still in the window is forgotten")
	}
	w.now = w.now.Add(time.Minute)
	answer()
	if w.router.tracked.Load() != 0 {
		t.Fatal("a target healthy for a whole window is still tracked")
	}
}

func TestRetain_DropsWhatTheConfigurationNoLongerHas(t *testing.T) {
	w := newWorld()
	a, b := target("a", 0), target("b", 0)
	w.fail(a, 5)
	w.fail(b, 5)
	moved := *b.Server
	moved.Identity[1] = 9
	w.router.Retain(slices.Values([]*state.Server{a.Server, &moved}))
	if got := w.router.Ejections(); len(got) != 1 || got[0].Server != "a" {
		t.Fatalf("%v", got)
	}
}

func TestTake_IssuesThePassOfATargetChosenElsewhere(t *testing.T) {
	w := newWorld()
	a := target("a", 0)
	for range 5 {
		p := w.router.Take(a)
		w.router.Settle(&p, Failing, "down")
	}
	if len(w.router.Ejections()) != 1 {
		t.Fatal("failures of taken targets do not count")
	}
	w.now = w.now.Add(10 * time.Second) // 摘出期满：半开
	probe, second := w.router.Take(a), w.router.Take(a)
	if !probe.probe || second.probe || !second.trial {
		t.Fatalf("probe %+v, second %+v: exactly one probes", probe, second)
	}
	w.router.Settle(&second, Neutral, "")
	w.router.Settle(&probe, Healthy, "")
	if len(w.router.Ejections()) != 0 {
		t.Fatal("a good probe does not bring the target back")
	}
}
