package schedule

import (
	"testing"
	"time"
)

// 余量连同闲置在本节点的：授予者的余量里没有它们，而它们就在手边。
func TestLevels_CountWhatIsIdleHere(t *testing.T) {
	p := newCouple(&Spec{Revision: 1, Servers: []ServerSpec{{Name: "s", Total: time.Minute}}, Apps: []AppSpec{{Name: "a", Limits: Limits{RequestsPerMinute: 6000}}}})
	pool, most := Pool{App: "a", Kind: Requests}, int64(0)
	burst := Burst(6000, AppBurstPercent)
	for id := uint64(1); id < 200; id++ {
		w := p.waiter(id, time.Minute, onlyS...)
		p.hold(Arrived{w})
		p.hold(Finished{w.Permit})
		p.pass(53 * time.Millisecond)
		own, _ := p.holder.core.Free(p.now, pool)
		seen, known := p.holder.levels[pool]
		if !known {
			continue
		}
		v, _ := p.holder.Levels("a")
		if got := v.Requests.Remaining; got < min(seen.remaining+own, burst) || got > burst {
			t.Fatalf("remaining %d, the grantor said %d and %d are idle here, burst %d", got, seen.remaining, own, burst)
		}
		if seen.remaining+own <= burst {
			most = max(most, own)
		}
	}
	if most == 0 {
		t.Fatal("nothing was ever idle here")
	}
}

// 没有用过的许可不是一次完成：估计不会因此以为这里快得很。
func TestServed_UnusedPermitIsNoCompletion(t *testing.T) {
	p := newCouple(upstream(1, ""))
	for id := uint64(1); id <= 2; id++ {
		w := p.waiter(id, time.Minute, onlyS...)
		p.hold(Arrived{w})
		w.Permit.Unused = id == 1
		p.pass(time.Second)
		p.hold(Finished{w.Permit})
	}
	p.pass(time.Second)
	v := p.holder.served[servedKey{"s", "a", Standard}]
	if v == nil || v.requests != 1 || v.busy != time.Second {
		t.Fatalf("%+v", v)
	}
}

// 刚刚断开的节点以此刻的钟来看：不必先走一步才说得出没有份额。
func TestNoShare_GoesByTheClockItIsGiven(t *testing.T) {
	p := newCouple(upstream(1, ""))
	p.grantor = nil // 不再有人说话；份额还没有发
	p.holder.Step(p.now, Broken{})
	if p.holder.NoShare(p.now, "s", "a") {
		t.Fatal("the lease has not ended")
	}
	if !p.holder.NoShare(p.now.Add(time.Minute), "s", "a") {
		t.Fatal("a minute later it owns nothing")
	}
}
