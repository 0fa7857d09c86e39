package schedule

import (
	"testing"
	"time"
)

// TestGrantor_ALostNodeThatGaveEverythingBackIsClearAndLeavesItAtRest 一个用完又还清了的节点被 kill -9：
// 隔离一过它就是干净的，成员表里也这样写，此后没有事做。
func TestGrantor_ALostNodeThatGaveEverythingBackIsClearAndLeavesItAtRest(t *testing.T) {
	r := newLeaderRig(t, rigSpec(1, 1, time.Minute), GrantorConfig{Term: 1, First: true})
	a := r.join("a")
	r.run(2 * time.Second)
	permits := r.ask(a, 1)
	r.run(time.Second)
	if live(permits) != 1 {
		t.Fatal("no permit")
	}
	r.do(a, Finished{permits[0]})
	r.run(8 * time.Second)
	r.kill(a)
	r.run(90 * time.Second)
	if m := r.g.members["a"]; !m.lost || !m.cleared || len(m.held) != 0 || !r.table["a"].Clear {
		t.Fatalf("lost %v cleared %v held %v row %+v", m.lost, m.cleared, m.held, r.table["a"])
	}
	before := r.steps
	r.run(time.Minute)
	if took := r.steps - before; took > 10 {
		t.Errorf("%d steps in a minute without anything to do", took)
	}
}

// TestGrantor_NextIsInTheFutureOnceALostNodeIsClear 新任期里一个从未报到的节点早就过了隔离：一次 Tick 就了结它。
func TestGrantor_NextIsInTheFutureOnceALostNodeIsClear(t *testing.T) {
	r := newLeaderRig(t, rigSpec(1, 4, time.Minute), GrantorConfig{Term: 2, Members: []Member{
		{Node: "gone", Epoch: 1, SilentFor: 30 * time.Minute, ShareVersion: 1, Shares: []Units{{rigPool, 2}}}}})
	for range 200 {
		r.now = r.now.Add(time.Second)
		if at := r.g.Next(); at == 0 || at > r.now {
			continue
		}
		r.tell(Tick{})
		if at := r.g.Next(); at != 0 && at <= r.now {
			t.Fatalf("after a tick at %d the next one is at %d", r.now, at)
		}
	}
	if m := r.g.members["gone"]; !m.cleared {
		t.Error("not clear after 200 s")
	}
}

// TestGrantor_ForgetsANodeOnlyOnceItsLeaseIsOver 流断着而租期还在的节点照样在跑：此刻忘掉它，它的名额就会有两个人用。
func TestGrantor_ForgetsANodeOnlyOnceItsLeaseIsOver(t *testing.T) {
	r := newLeaderRig(t, rigSpec(1, 5, time.Minute), GrantorConfig{Term: 1, First: true})
	a, b := r.join("a"), r.join("b")
	r.run(2 * time.Second)
	old := r.ask(a, 5)
	r.run(500 * time.Millisecond)
	r.cut(a)
	r.tell(Forgotten{"a"})
	next := r.ask(b, 5)
	r.run(500 * time.Millisecond)
	if r.lease(a) <= 0 || live(old) != 5 || live(next) != 0 || len(r.table) != 2 {
		t.Fatalf("lease left %v, a runs %d, b runs %d, rows %d", r.lease(a), live(old), live(next), len(r.table))
	}
	r.run(12 * time.Second)
	r.tell(Forgotten{"a"})
	r.run(500 * time.Millisecond)
	if live(next) != 5 || len(r.table) != 1 {
		t.Errorf("after its lease: b runs %d, rows %d", live(next), len(r.table))
	}
	r.table["stranger"] = Member{Node: "stranger"}
	r.tell(Forgotten{"stranger"})
	if len(r.table) != 1 {
		t.Error("the row of a node nobody knows stays")
	}
}
