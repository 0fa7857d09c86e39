package schedule

import (
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// notLeader 使 h 连上一个说自己不是授予者的副本。
func notLeader(h *Holder, now Time) {
	h.Step(now, Connected{})
	h.Step(now.Add(2*time.Millisecond), Received{&admissionv1.AdmitResponse{NotLeader: &admissionv1.NotLeader{RetryAfterUs: 250_000}}})
	h.Step(now.Add(3*time.Millisecond), Broken{})
}

// TestNoShare_IsSaidWhileEveryReplicaSaysNotLeader：副本都在而没有人当任（数据库不在），与控制面不在是一样的。
func TestNoShare_IsSaidWhileEveryReplicaSaysNotLeader(t *testing.T) {
	h := NewHolder(HolderConfig{Node: "a", Epoch: 1, Now: duetSecond})
	h.Step(duetSecond, Configured{duetSpec(10)})
	for now := duetSecond; now < 100*duetSecond; now = now.Add(250 * time.Millisecond) {
		h.Step(now, Ticked{})
		if got, want := h.NoShare(now, "s", "x"), now >= duetSecond.Add(noShareAfter); got != want {
			t.Fatalf("%v after boot: NoShare is %v", now.Sub(duetSecond), got)
		}
		notLeader(h, now)
	}
}

// TestNoShare_WaitsAMomentAfterALeaderIsLost：刚断开的还等得到下一任，不急着说没有。
func TestNoShare_WaitsAMomentAfterALeaderIsLost(t *testing.T) {
	d := newDuet(t, duetSpec(10), GrantorConfig{Term: 1, First: true})
	a := d.boot(HolderConfig{Node: "a", Epoch: 1})
	if d.connect(a); a.h.NoShare(d.now, "s", "x") {
		t.Fatal("no share with a leader at hand")
	}
	d.run(time.Minute)
	d.leave()
	cut := d.now
	a.h.adoptShare(&admissionv1.Share{})
	for d.now < cut.Add(time.Minute) {
		if a.h.NoShare(d.now, "s", "x") {
			break
		}
		notLeader(a.h, d.now)
		d.run(100 * time.Millisecond)
	}
	if took := d.now.Sub(cut); took < noShareAfter || took > LeaseTTL+noShareAfter {
		t.Errorf("said after %v", took)
	}
}

// TestGrow_RefusedStreamsDoNotPostponeTheShare：令牌换了、控制面太旧：流开了又被回绝，没有人为报到记账，份额照时候用。
func TestGrow_RefusedStreamsDoNotPostponeTheShare(t *testing.T) {
	h := NewHolder(HolderConfig{Node: "a", Epoch: 1, Now: duetSecond, Stored: shareOf(3, 10, Units{duetPool, 10})})
	h.Step(duetSecond, Configured{duetSpec(10)})
	s := h.stocks[duetPool]
	due := h.growAt(s)
	for now := duetSecond; now < 5*due; now += 4 * duetSecond {
		h.Step(now, Ticked{})
		if want := min(10, 10*int64(now/due)); s.cap != want {
			t.Fatalf("%v after boot it may start %d, want %d", now.Sub(duetSecond), s.cap, want)
		}
		h.Step(now, Connected{})
		h.Step(now.Add(2*time.Millisecond), Broken{Unbooked: true})
	}
}

// TestGrow_WaitsFromTheEndOfAStreamWithAnUnknownOutcome：没有回音的流里说过的可能都被记了账，直到它断的那一刻。
func TestGrow_WaitsFromTheEndOfAStreamWithAnUnknownOutcome(t *testing.T) {
	h := NewHolder(HolderConfig{Node: "a", Epoch: 1, Now: duetSecond, Stored: shareOf(3, 10, Units{duetPool, 10})})
	h.Step(duetSecond, Configured{duetSpec(10)})
	s := h.stocks[duetPool]
	h.Step(5*duetSecond, Connected{})
	h.Step(7*duetSecond, Broken{})
	due := h.growAt(s)
	if h.growBase != 7*duetSecond {
		t.Errorf("the wait counts from %v, want from the end of the stream", h.growBase.Sub(0))
	}
	h.Step(due-1, Ticked{})
	if s.cap != 0 {
		t.Errorf("uses %d too early", s.cap)
	}
	h.Step(due, Ticked{})
	if s.cap != 10 {
		t.Errorf("uses %d of its 10", s.cap)
	}
}
