package schedule

import (
	"testing"

	"github.com/vega-gateway/vega/proto/ruleset"
)

// 多条候选，一次派发：先空出来的那个 server 拿走它，别处不再有它。
func TestCore_WaitsForAnyOfItsCandidates(t *testing.T) {
	y := newYard(t)
	y.slots("s1", 0)
	y.slots("s2", 0)
	y.wait(1, "x", tokens("a", 10), to("s1", "s2"))
	y.expect(2)
	y.slots("s2", 1)
	y.expect(3, "x@s2")
	y.slots("s1", 1)
	y.expect(4)
	if n := y.WaitingTotal(); n != 0 {
		t.Fatalf("%d still waiting", n)
	}
}

func TestCore_PausedTargetIsPassedOver(t *testing.T) {
	y := newYard(t)
	y.slots("s", 5)
	other := []Candidate{{Server: "s", UpstreamModel: "n", Weight: 1}}
	until := 10 * second
	y.Pause(1, "s", "m", until)
	y.Pause(1, "s", "m", 5*second)
	y.wait(1, "m1", tokens("a", 1), to("s"))
	y.wait(2, "n1", tokens("a", 1), other)
	if v := y.Judge(2, "s", "m", tokens("b", 1)); v != ruleset.Paused {
		t.Fatal(v)
	}
	y.expect(3, "n1@s")
	if next := y.Next(); next != until {
		t.Fatalf("next %d, want %d", next, until)
	}
	if got := y.Pauses(3); len(got) != 1 || got[0] != (TargetPause{"s", "m", until}) {
		t.Fatal(got)
	}
	y.expect(until - 1)
	y.expect(until, "m1@s")
	if len(y.Pauses(until)) != 0 {
		t.Fatal("still paused")
	}
}

func TestCore_ChangeKeepsThePlace(t *testing.T) {
	y := newYard(t)
	y.slots("s1", 0)
	y.slots("s2", 0)
	x := y.wait(1, "x", tokens("a", 1), to("s1"))
	y.wait(2, "y", tokens("a", 1), to("s2"))
	y.Change(3, x, to("s2"))
	y.slots("s2", 2)
	y.expect(4, "x@s2", "y@s2")
	y.Change(5, x, to("s1"))
	if y.Queued(x) {
		t.Fatal("a change brought it back")
	}
}

// 低层只在高层此刻都去不了时才用，即使低层的 server 先被看到。
func TestCore_LowerTierOnlyWhenTheUpperCannot(t *testing.T) {
	tiers := []Candidate{{Server: "s2", UpstreamModel: "m", Weight: 1, Priority: 0}, {Server: "s1", UpstreamModel: "m", Weight: 1, Priority: 1}}
	y := newYard(t)
	y.slots("s1", 0)
	y.slots("s2", 0)
	y.wait(1, "x", tokens("a", 1), tiers)
	y.wait(2, "y", tokens("b", 1), to("s2"))
	y.Charge(3, "s2", "a", Standard, 1, 500)
	y.slots("s1", 2)
	y.slots("s2", 2)
	y.expect(4, "y@s2", "x@s2")
	y.wait(5, "z", tokens("a", 1), tiers)
	y.expect(5, "z@s1")
}
