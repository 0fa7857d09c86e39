package schedule

import (
	"testing"
	"time"
)

// deadAndLive 是一张成员表：一个早就不在的，一个还在的。
func deadAndLive(silent time.Duration) []Member {
	return []Member{
		{Node: "b", Epoch: 1, ShareVersion: 1, Shares: []Units{{rigPool, 10}}},
		{Node: "dead", Epoch: 1, SilentFor: silent, ShareVersion: 1, Shares: []Units{{rigPool, 10}}},
	}
}

// firstGrant 是新任期开始之后多久，b 得到第一个许可。
func (r *leaderRig) firstGrant() time.Duration {
	b, began := r.boot("b", 1, nil), r.now
	r.connect(b)
	permits := r.askFor(b, 1, 30*time.Minute)
	for live(permits) == 0 && r.now.Sub(began) < 20*time.Minute {
		r.run(500 * time.Millisecond)
	}
	took := r.now.Sub(began)
	r.do(b, Finished{permits[0]})
	return took
}

// TestGrantor_ANodeSilentForLongHoldsNothingBack 成员表里早就不在的节点，它的隔离从那时算起，不从新任期算起。
func TestGrantor_ANodeSilentForLongHoldsNothingBack(t *testing.T) {
	long := rigSpec(1, 20, 10*time.Minute)
	r := newLeaderRig(t, long, GrantorConfig{Term: 2, Members: deadAndLive(50 * time.Minute)})
	if took := r.firstGrant(); took > 12*time.Second {
		t.Errorf("first grant after %v", took)
	}
	if m := r.g.members["dead"]; !m.cleared || !r.table["dead"].Clear || r.table["dead"].SilentFor < 50*time.Minute {
		t.Errorf("clear %v, row %+v", m.cleared, r.table["dead"])
	}
	r = newLeaderRig(t, long, GrantorConfig{Term: 2, Members: deadAndLive(5 * time.Minute)})
	if took := r.firstGrant(); took < 5*time.Minute || took > 7*time.Minute {
		t.Errorf("silent for 5 of 10 minutes: first grant after %v", took)
	}
}

// TestGrantor_ACrashLoopDoesNotWithholdUnitsForEver 每分钟换一任，隔离照样走完。
func TestGrantor_ACrashLoopDoesNotWithholdUnitsForEver(t *testing.T) {
	r := newLeaderRig(t, rigSpec(1, 20, 5*time.Minute), GrantorConfig{Term: 2, Members: deadAndLive(time.Second)})
	for term := uint64(3); term < 13; term++ {
		r.run(time.Minute)
		r.seen["b"] = r.now
		r.lead(GrantorConfig{Term: term, Members: r.members()})
	}
	if took := r.firstGrant(); took > 12*time.Second {
		t.Errorf("first grant after %v", took)
	}
}

// TestGrantor_WelcomesANodeOnlyOnceTheTableSaysItIsAlive 成员表里久未听见的节点回来了：先写下它活着再欢迎，
// 否则下一任会当它早就不在，把它手上的再给别人。
func TestGrantor_WelcomesANodeOnlyOnceTheTableSaysItIsAlive(t *testing.T) {
	r := newLeaderRig(t, rigSpec(1, 5, time.Minute), GrantorConfig{Term: 1, First: true})
	a := r.join("a")
	r.run(2 * time.Second)
	r.cut(a)
	r.run(30 * time.Second)
	r.connect(a)
	if silent := r.now.Sub(r.seen["a"]); !a.h.welcomed || silent != 0 {
		t.Errorf("welcomed %v while the table says it has been silent for %v", a.h.welcomed, silent)
	}
	r.run(10 * time.Second)
	r.tell(Touched{At: r.now, Nodes: []string{"a"}})
	r.seen["a"] = r.now
	saves := r.g.saved
	r.cut(a)
	r.run(time.Second)
	r.connect(a)
	if !a.h.welcomed || r.g.saved != saves {
		t.Errorf("heard a second ago: welcomed %v, %d saves", a.h.welcomed, r.g.saved-saves)
	}
}
