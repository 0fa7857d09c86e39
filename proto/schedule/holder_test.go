package schedule

import (
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// 租期从自己发出那一帧起算：回话在路上走了多久，租期就少多久。
func TestHolder_LeaseRunsFromTheSendingOfTheFrameItAnswers(t *testing.T) {
	x := newHand(t, handSpec(1, 8), nil)
	x.do(Connected{})
	answer := x.lease(&admissionv1.AdmitResponse{Welcome: true}) // 回的是此刻发出的那一帧
	began := x.now
	x.pass(2 * time.Second)
	x.hear(answer)
	if left := x.State().LeaseLeft; left != LeaseTTL-2*time.Second {
		t.Fatalf("%v of the lease are left 2 s after the frame was sent", left)
	}
	for x.State().LeaseLeft > 0 && x.now < began.Add(time.Minute) {
		x.pass(500 * time.Millisecond)
		x.do(Received{&admissionv1.AdmitResponse{Term: 1, Epoch: 1, Stream: x.stream, Ack: x.wire.sent}}) // 有声音，而没有新的租期
	}
	if x.now != began.Add(LeaseTTL) || !x.State().Safe {
		t.Fatalf("lease ended %v after the frame was sent, safe=%v", x.now.Sub(began), x.State().Safe)
	}
}

func TestHolder_AnswerOlderThanTheLeaseGivesNone(t *testing.T) {
	x := newHand(t, handSpec(1, 8), nil)
	x.do(Connected{})
	answer := x.lease(&admissionv1.AdmitResponse{Welcome: true})
	x.now = x.now.Add(LeaseTTL)
	x.hear(answer)
	if s := x.State(); !s.Safe || s.LeaseLeft != 0 {
		t.Fatalf("%+v after an answer to a frame as old as the lease", s)
	}
}

// 租期一过，手上没有的份额不能当场用：别处凭各自租期开始的还没有做完。
func TestHolder_WaitsForEveryOtherCallToEndBeforeItUsesItsShare(t *testing.T) {
	x := leased(t, 1, 1)
	x.hear(&admissionv1.AdmitResponse{Share: shareOf(3, 8, Units{handPool, 4})})
	x.do(Stored{3})
	x.run("a")
	x.pass(LeaseTTL)
	ended := x.leaseEnd
	if !x.State().Safe || x.can("a") {
		t.Fatalf("safe=%v, and a second starts with one unit held", x.State().Safe)
	}
	for x.pool(handPool).Cap < 4 {
		if x.pass(100 * time.Millisecond); x.now > ended.Add(time.Minute) {
			t.Fatal("never uses its share")
		}
	}
	if grew := x.now.Sub(ended); grew < handTotal+LeaseTTL {
		t.Fatalf("uses its share %v after its lease: calls may run %v, and leases last %v", grew, handTotal, LeaseTTL)
	}
	x.run("a")
	x.run("a")
	x.run("a")
	if x.can("a") {
		t.Fatal("starts more than its share")
	}
}

// 持有的比份额多，租期过后只用到份额；在跑的不切断。
func TestHolder_ShrinksToItsShareWhenTheLeaseEnds(t *testing.T) {
	x := leased(t, 4, 4)
	x.hear(&admissionv1.AdmitResponse{Share: shareOf(1, 8, Units{handPool, 2})})
	first := x.run("a")
	x.run("a")
	x.run("a")
	x.pass(LeaseTTL)
	if p := x.pool(handPool); p.Busy != 3 || x.can("a") {
		t.Fatalf("%+v with a share of 2", p)
	}
	if x.do(Finished{first}); x.can("a") {
		t.Fatal("a third starts with a share of 2")
	}
}

func TestHolder_WithoutAShareItSaysSo(t *testing.T) {
	x := newHand(t, handSpec(1, 8), nil)
	if x.NoShare(x.now, "s", "a") {
		t.Fatal("gives up before it tried to reach a grantor")
	}
	x.pass(noShareAfter)
	x.do(Ticked{})
	if !x.NoShare(x.now, "s", "a") || x.NoShare(x.now, "free", "a") {
		t.Fatal("no grantor and no share: nothing starts at s, anything at free")
	}
	if x.open(); x.NoShare(x.now, "s", "a") {
		t.Fatal("with a grantor it may wait")
	}
}

// 重新运行的节点靠盘上的份额，也要等一次调用那么久：从前那次运行的也许还在上游。
func TestHolder_StartsFromTheStoredShare(t *testing.T) {
	x := newHand(t, handSpec(1, 8), shareOf(5, 8, Units{handPool, 3}))
	if x.can("a") || x.Share().GetVersion() != 5 {
		t.Fatal("uses the stored share at once")
	}
	if x.pass(handTotal + LeaseTTL); x.can("a") {
		t.Fatal("uses the stored share too early")
	}
	if x.pass(5 * time.Second); x.pool(handPool).Cap != 3 {
		t.Fatalf("capacity %d, the stored share is 3", x.pool(handPool).Cap)
	}
	x.do(Connected{})
	if v := x.last().GetShareVersion(); v != 5 {
		t.Fatalf("reports version %d of its share", v)
	}
}

// 限额比份额所属的小了，份额按比例缩小。
func TestHolder_ShareShrinksWithTheLimit(t *testing.T) {
	x := newHand(t, handSpec(1, 8), shareOf(1, 8, Units{handPool, 4}))
	x.do(Configured{handSpec(2, 2)})
	x.pass(time.Minute)
	if c := x.pool(handPool).Cap; c != 1 {
		t.Fatalf("capacity %d: half of the limit, which is now 2", c)
	}
}

func TestHolder_ReturnsOnceAndLessensItsOwnFirst(t *testing.T) {
	x := leased(t, 2, 2)
	p := x.run("a")
	x.hear(&admissionv1.AdmitResponse{Keeps: []*admissionv1.Keep{{Pool: poolMessage(handPool)}}}) // 紧了：一个也不留
	if n := x.returned(handPool); n != 1 || x.can("a") {
		t.Fatalf("%d idle units returned, and can still start: %v", n, x.can("a"))
	}
	x.do(Finished{p})
	if n := x.returned(handPool); n != 2 || x.can("a") || x.pool(handPool).Held != 0 {
		t.Fatalf("%d of 2 units returned, %+v", n, x.pool(handPool))
	}
	x.do(Finished{p}) // 再说一遍无害
	x.alive(3 * time.Second)
	if n := x.returned(handPool); n != 2 {
		t.Fatalf("%d of 2 units returned", n)
	}
}

// 没有被确认的归还要再发，号不变：对面由此知道是同一次。
func TestHolder_RepeatsWhatIsNotAcknowledgedUnderTheSameNumber(t *testing.T) {
	x := leased(t, 1, 1)
	p := x.run("a")
	x.hear(&admissionv1.AdmitResponse{Keeps: []*admissionv1.Keep{{Pool: poolMessage(handPool)}}})
	x.do(Finished{p})
	seq := x.last().GetSeq()
	x.sent = nil
	x.pass(time.Second)
	again := 0
	for _, f := range x.sent {
		if len(f.GetReturns()) > 0 {
			if again++; f.GetSeq() != seq {
				t.Fatalf("the return is sent again as %d, first as %d", f.GetSeq(), seq)
			}
		}
	}
	if again == 0 {
		t.Fatal("never sent again")
	}
}

func TestHolder_CutCallKeepsItsUnitUntilItsGraceEnds(t *testing.T) {
	x := leased(t, 1, 1)
	p := x.run("a")
	p.Aborted = true
	x.do(Finished{p})
	if s := x.pool(handPool); s.Aborting != 1 || s.Busy != 0 || x.can("a") {
		t.Fatalf("%+v: the upstream may still work on the call that was cut", s)
	}
	x.pass(handGrace - 1)
	if x.can("a") {
		t.Fatal("the unit is free before the grace ended")
	}
	if x.pass(1); !x.can("a") || x.pool(handPool).Aborting != 0 {
		t.Fatalf("%+v after the grace", x.pool(handPool))
	}
}

// 客户走了，许可才到：原样归还，不能悄悄留下。
func TestHolder_ReturnsAGrantWhoseWaiterLeft(t *testing.T) {
	x := leased(t, 0, 0)
	w := x.wait("b", 0)
	x.do(Left{w})
	if c := x.last().GetCancels(); len(c) != 1 || c[0] != w.ID {
		t.Fatalf("cancels %v, want %d", c, w.ID)
	}
	x.hear(x.grant(w, 0, Units{handPool, 1}, Units{handApp, 1}))
	if len(x.admitted) > 0 || x.returned(handPool) != 1 || x.returned(handApp) != 1 {
		t.Fatalf("%d admitted, %d and %d returned", len(x.admitted), x.returned(handPool), x.returned(handApp))
	}
	if s := x.pool(handPool); s.Held != 0 || s.Cap != 0 {
		t.Fatalf("%+v after the return", s)
	}
}

func TestHolder_AdmitsWhatIsGrantedAndOnlyOnce(t *testing.T) {
	x := leased(t, 0, 0)
	w := x.wait("b", 0)
	if d := x.last().GetWaiters(); len(d) != 1 || d[0].GetId() != w.ID || d[0].GetApp() != "b" {
		t.Fatalf("asks for %v", d)
	}
	f := x.number(x.grant(w, 0, Units{handPool, 1}, Units{handApp, 1}))
	x.do(Received{f})
	x.do(Received{f}) // 网络又送了一遍
	if len(x.admitted) != 1 || x.pool(handPool).Held != 1 || x.pool(handPool).Busy != 1 {
		t.Fatalf("%d admitted, %+v", len(x.admitted), x.pool(handPool))
	}
	if x.do(Left{w}); x.pool(handPool).Busy != 1 { // 已有结局：离队无害
		t.Fatal("leaving took the permit away")
	}
	x.do(Finished{w.Permit})
	if x.returned(handPool) != 1 || x.returned(handApp) != 1 {
		t.Fatalf("%d and %d returned", x.returned(handPool), x.returned(handApp))
	}
}

func TestHolder_FramesOutOfOrderWaitForTheMissingOne(t *testing.T) {
	x := leased(t, 0, 0)
	first, second := x.wait("a", 0), x.wait("a", 0)
	one := x.number(x.grant(first, 0, Units{handPool, 1}))
	two := x.number(x.grant(second, 0, Units{handPool, 1}))
	if x.do(Received{two}); len(x.admitted) != 0 {
		t.Fatal("took a frame before the one that precedes it")
	}
	if x.do(Received{one}); len(x.admitted) != 2 || x.admitted[0] != first {
		t.Fatalf("%d admitted", len(x.admitted))
	}
}

// 请求数的单位从授予起只活一秒：到得太晚的不能再用，原样要一次新的。
func TestHolder_AsksAgainInsteadOfUsingAUnitThatIsTooOld(t *testing.T) {
	requests := Pool{Server: "s", Kind: Requests}
	spec := handSpec(1, 8)
	spec.Servers[0].Limits.RequestsPerMinute = 600
	x := newHand(t, spec, nil)
	x.open()
	w := x.wait("a", 0)
	x.sent = nil
	x.hear(x.grant(w, unitLife, Units{handPool, 1}, Units{requests, 1}))
	if len(x.admitted) != 0 {
		t.Fatalf("starts by %v what is %v old", w.Permit.StartBy.Sub(x.now), unitLife)
	}
	if d := x.last().GetWaiters(); len(d) != 1 || d[0].GetId() != w.ID || x.returned(handPool) != 1 || x.returned(requests) != 0 {
		t.Fatalf("asks again %v, returns %d slots and %d dead units", d, x.returned(handPool), x.returned(requests))
	}
	x.hear(x.grant(w, unitLife/2, Units{handPool, 1}, Units{requests, 1}))
	if len(x.admitted) != 1 {
		t.Fatal("a unit half its life old is refused")
	}
	if left := w.Permit.StartBy.Sub(x.now); left <= 0 || left > unitLife/2 {
		t.Fatalf("may start within %v, the unit lives %v more", left, unitLife/2)
	}
}

// 旧的授予者可能还不知道自己被换下：它的话一个字也不能听。
func TestHolder_HangsUpOnAnOlderTerm(t *testing.T) {
	x := leased(t, 0, 0)
	x.term = 3
	x.do(Broken{})
	x.open()
	w := x.wait("a", 0)
	x.term = 2
	x.hear(x.grant(w, 0, Units{handPool, 1}))
	if len(x.admitted) != 0 || x.hangups != 1 || x.State().Connected {
		t.Fatalf("%d admitted by term 2 after term 3, %d hangups", len(x.admitted), x.hangups)
	}
}

func TestHolder_IgnoresFramesOfAnotherStreamOrRun(t *testing.T) {
	x := leased(t, 0, 0)
	w := x.wait("a", 0)
	for _, f := range []*admissionv1.AdmitResponse{
		{Term: 1, Epoch: 1, Stream: x.stream - 1}, {Term: 1, Epoch: 2, Stream: x.stream},
	} {
		f.Seq, f.Grants = x.seq+1, x.grant(w, 0, Units{handPool, 1}).Grants
		x.do(Received{f})
	}
	if len(x.admitted) != 0 || x.pool(handPool).Held != 0 {
		t.Fatalf("%d admitted by frames that are not of this stream", len(x.admitted))
	}
	x.do(Broken{})
	x.hear(x.grant(w, 0, Units{handPool, 1}))
	if len(x.admitted) != 0 {
		t.Fatal("admitted by a frame after the stream broke")
	}
}

// 租期里来的许可，到手时租期已过：不能再用它开始。
func TestHolder_DoesNotStartOnAGrantAfterItsLease(t *testing.T) {
	x := leased(t, 0, 0)
	w := x.wait("a", 0)
	late := x.number(x.grant(w, 0, Units{handPool, 1}))
	x.now = x.now.Add(LeaseTTL)
	if x.do(Received{late}); len(x.admitted) != 0 || !x.State().Safe {
		t.Fatalf("%d admitted, %+v", len(x.admitted), x.State())
	}
}

func TestHolder_HangsUpOnASilentGrantor(t *testing.T) {
	x := leased(t, 0, 0)
	x.pass(deafAfter - 1)
	if x.hangups != 0 {
		t.Fatal("hung up too early")
	}
	if x.pass(1); x.hangups != 1 || x.State().Connected {
		t.Fatalf("%d hangups after %v of silence", x.hangups, deafAfter)
	}
}

func TestHolder_RefusalsAndRedirects(t *testing.T) {
	x := leased(t, 0, 0)
	w := x.wait("a", 0)
	f := &admissionv1.AdmitResponse{Refusals: []*admissionv1.Refusal{{WaiterId: w.ID, Code: "queue_full", RetryAfterUs: 2_000_000}, {WaiterId: 99, Code: "queue_full"}}}
	x.hear(f)
	if len(x.refusals) != 1 || x.refusals[0].Waiter != w || x.refusals[0].Refusal != (Refusal{"queue_full", 2 * time.Second}) || x.State().Waiting != 0 {
		t.Fatalf("refusals %+v", x.refusals)
	}
	x.do(Received{&admissionv1.AdmitResponse{NotLeader: &admissionv1.NotLeader{LeaderAddr: "cp1", RetryAfterUs: 5000}}})
	if x.redirect == nil || x.redirect.Leader != "cp1" || x.redirect.Wait != 5*time.Millisecond || x.connected {
		t.Fatalf("redirect %+v", x.redirect)
	}
}

// 位置听授予者的；期限归节点，到时说清是谁的限额挡着。
func TestHolder_AnswersAtTheDeadlineAndNamesTheLimit(t *testing.T) {
	x := leased(t, 0, 0)
	mine, theirs := x.wait("b", 0), x.wait("a", 0)
	x.hear(&admissionv1.AdmitResponse{Estimates: []*admissionv1.Estimate{
		{WaiterId: mine.ID, Position: 4, WaitUs: 9_000_000, AppLimited: true}, {WaiterId: theirs.ID, Position: 5, WaitUs: 7_000_000}}})
	if p := x.Place(x.now, mine); p != (Place{4, 9 * time.Second}) {
		t.Fatalf("place %+v", p)
	}
	x.alive(30*time.Second - 1)
	if len(x.expired) != 0 {
		t.Fatal("expired early")
	}
	x.pass(1)
	if len(x.expired) != 2 || x.expired[0].Refusal != (Refusal{"rate_limit_exceeded", 9 * time.Second}) || x.expired[1].Refusal != (Refusal{"queue_timeout", 7 * time.Second}) {
		t.Fatalf("expired %+v", x.expired)
	}
	if c := x.last().GetCancels(); len(c) != 2 {
		t.Fatalf("cancels %v", c)
	}
}
