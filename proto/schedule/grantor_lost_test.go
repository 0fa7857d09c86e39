package schedule

import (
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
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

// TestGrantor_ALostNodeIsQuarantinedForTheTotalItsCallsBeganUnder 失联之后才把 Total 改小（或撤掉 server 又设上）：它的调用还照从前的跑。
func TestGrantor_ALostNodeIsQuarantinedForTheTotalItsCallsBeganUnder(t *testing.T) {
	for name, change := range map[string]func(r *leaderRig) *Spec{
		"lowered": func(*leaderRig) *Spec { return rigSpec(2, 5, time.Second) },
		"removed": func(r *leaderRig) *Spec {
			r.tell(Reconfigured{&Spec{Revision: 2}})
			return rigSpec(3, 5, time.Second)
		},
	} {
		r := newLeaderRig(t, rigSpec(1, 5, time.Minute), GrantorConfig{Term: 1, First: true})
		a, b := r.join("a"), r.join("b")
		r.run(2 * time.Second)
		old := r.ask(a, 5)
		r.run(500 * time.Millisecond)
		r.cut(a)
		r.run(15 * time.Second)
		r.spec = change(r)
		r.tell(Reconfigured{r.spec})
		r.do(b, Configured{r.spec})
		var next []*Permit
		for waited := 15 * time.Second; waited < time.Minute; waited += 10 * time.Second {
			next = append(next, r.ask(b, 5)...)
			r.run(10 * time.Second)
			if n := live(old) + live(next); n > 5 {
				t.Fatalf("%s: %v after the partition %d run, limit 5", name, waited, n)
			}
		}
		r.run(45 * time.Second)
		next = r.ask(b, 5)
		r.run(time.Second)
		// 调用至多一分钟：a 早先的都结束了；它的份额仍替它留着。
		if live(next) != 5-r.g.members["a"].reserve[rigPool] || live(next) == 0 {
			t.Errorf("%s: once they are over b runs %d", name, live(next))
		}
	}
}

// TestHolder_GrowsToItsShareOnlyAfterTheTotalOthersMayStillUse 控制面不在时把 Total 改小的节点，
// 要等别人照从前的 Total 开始的也结束；改小很久之后才断开的不必。
func TestHolder_GrowsToItsShareOnlyAfterTheTotalOthersMayStillUse(t *testing.T) {
	share := &admissionv1.Share{Version: 1, Amounts: []*admissionv1.Amount{{Pool: poolMessage(rigPool), Units: 3, Limit: 5}}}
	begin := Time(1000 * time.Second)
	h := NewHolder(HolderConfig{Node: "a", Epoch: 1, Now: begin, Stored: share})
	h.Step(begin, Configured{rigSpec(1, 5, time.Minute)})
	h.Step(begin.Add(2*time.Second), Configured{rigSpec(2, 5, time.Second)})
	for _, at := range []struct {
		after time.Duration
		cap   int64
	}{{30 * time.Second, 0}, {60 * time.Second, 0}, {80 * time.Second, 3}} {
		h.Step(begin.Add(at.after), Ticked{})
		if got := h.stocks[rigPool].cap; got != at.cap {
			t.Errorf("%v after boot: %d, want %d", at.after, got, at.cap)
		}
	}

	r := newLeaderRig(t, rigSpec(1, 5, time.Minute), GrantorConfig{Term: 1, First: true})
	a := r.join("a")
	r.run(2 * time.Second)
	r.spec = rigSpec(2, 5, time.Second)
	r.tell(Reconfigured{r.spec})
	r.do(a, Configured{r.spec})
	r.run(100 * time.Second)
	r.cut(a)
	r.run(30 * time.Second)
	if s := a.h.stocks[rigPool]; !s.grown {
		t.Errorf("cut off long after the change and still waiting: cap %d share %d", s.cap, s.share)
	}
}
