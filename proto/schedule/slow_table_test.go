package schedule

import (
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// 成员表写得慢于重算份额的间隔，欢迎之后照样分到份额。
func TestSlowTable_ANodeWelcomedLateStillGetsAShare(t *testing.T) {
	d := newDesk(t, rigSpec(1, 10, time.Minute), GrantorConfig{First: true})
	d.hold = true
	a := d.join("a", 1)
	d.pass(time.Second, a)
	d.release()
	if d.pass(10*time.Second, a); a.share() == nil {
		t.Fatal("no share")
	}
}

// 份额正要发的时候流换了一条，写好时报到还没有说完：欢迎时补发。
func TestSlowTable_AShareSavedWhileTheNodeReportsIsSentWhenItIsWelcomed(t *testing.T) {
	d := newDesk(t, rigSpec(1, 10, time.Minute), GrantorConfig{First: true})
	a := d.join("a", 1)
	d.hold = true
	d.pass(350*time.Millisecond, a)
	d.conns++
	a.conn, a.seq, a.got = d.conns, 0, nil
	a.stream++
	d.hear(a, &admissionv1.AdmitRequest{Hello: &admissionv1.Hello{Instance: "a"}, More: true})
	d.release()
	d.hear(a, &admissionv1.AdmitRequest{})
	if d.pass(10*time.Second, a); a.share() == nil {
		t.Fatal("no share")
	}
}

// 记了账而没有来得及欢迎，任期就结束了：从前的一份已经给了别人，要重新等，在途的与速率的都是。
func TestSlowTable_ATermThatEndsBeforeTheWelcomeCountsAsBooked(t *testing.T) {
	r := newLeaderRig(t, rigSpec(1, 10, time.Minute), GrantorConfig{Term: 1, First: true})
	a, b := r.join("a"), r.join("b")
	r.run(5 * time.Second)
	r.cut(a)
	r.run(20 * time.Second)
	theirs := r.askFor(b, 10, 10*time.Minute)
	r.run(3 * time.Second)
	r.run(a.h.growAt(a.h.serverStock("s")).Sub(r.now) - time.Second)
	r.slowSave = true
	r.connect(a)
	r.run(500 * time.Millisecond)
	for _, n := range []*rigNode{a, b} {
		n.conn = 0
		r.do(n, Received{&admissionv1.AdmitResponse{NotLeader: &admissionv1.NotLeader{Booked: true}}})
		r.do(n, Broken{})
	}
	ours := r.askFor(a, 10, 10*time.Minute)
	r.run(2 * time.Second)
	if n := live(ours) + live(theirs); n > 10 {
		t.Fatalf("%d of 10 in flight", n)
	}
}

// 独自用足了份额的节点认下缩小的份额，还没有被欢迎流就断：只用得到新的那么多。
func TestHolder_AShareAcknowledgedBeforeTheWelcomeCountsAtOnce(t *testing.T) {
	x := newHand(t, handSpec(1, 8), shareOf(1, 8, Units{handPool, 8}))
	x.pass(2 * time.Minute)
	x.do(Connected{})
	x.seq = 0
	x.hear(&admissionv1.AdmitResponse{Share: shareOf(2, 8, Units{handPool, 4})})
	x.do(Stored{2})
	x.pass(600 * time.Millisecond)
	x.do(Broken{})
	if x.pass(5 * time.Minute); x.pool(handPool).Cap != 4 {
		t.Fatalf("may start %d, the acknowledged share is 4", x.pool(handPool).Cap)
	}
}

// 上一任写下改了名的一行、没来得及改写原来那一行就死了：埋掉重复的，借出的一点不少。
func TestSuccession_ARowWrittenTwiceLendsWhatItOwns(t *testing.T) {
	p := Pool{Server: "s", Kind: Requests}
	spec := &Spec{Revision: 1, Servers: []ServerSpec{{Name: "s", Limits: Limits{RequestsPerMinute: 600}, BurstPercent: 10, Total: time.Second}}}
	sh := []Units{{p, 200}}
	d := newDesk(t, spec, GrantorConfig{Term: 2, Members: []Member{
		{Node: "a", Epoch: 1, Instance: "x", ShareVersion: 1, Shares: sh},
		{Node: "a@1", Epoch: 1, Instance: "x", ShareVersion: 1, Shares: sh},
		{Node: "b", Epoch: 1, Instance: "b", ShareVersion: 1, Shares: sh}}})
	b := d.join("b", 1)
	d.pass(30*time.Second, b)
	d.join("a", 2)
	d.pass(20*time.Second, b, d.peers["a"])
	if got, want := d.core.servers["s"].pools[1].bucket.lent, d.lent(p, 10); got != want || want.Rate != 200 {
		t.Fatalf("lends %+v, the lost nodes own %+v", got, want)
	}
}

// 换任之后、报到之前重新运行的节点：上一轮拿着多少没有人报过，等它们一定没有了才授予。
func TestGrantor_ARunReplacedBeforeItReportedDelaysTheFirstGrant(t *testing.T) {
	rows := members("a", "b")
	for i := range rows {
		rows[i].Instance = rows[i].Node
	}
	d := newDesk(t, handSpec(1, 2), GrantorConfig{Term: 2, Members: rows})
	b := d.join("b", 1)
	a := d.join("a", 2)
	d.ask(b, 1, "a", 0)
	if d.pass(GhostTTL-time.Millisecond, a, b); len(b.granted()) != 0 {
		t.Fatal("granted what the former run of a may still use")
	}
	if d.pass(2*time.Millisecond, a, b); len(b.granted()) != 1 {
		t.Fatal("never granted")
	}
}

// 新设限额时还没有认下在途的就重新运行的节点：上一轮跑着的没有人认，等它们一定没有了才授予。
func TestGrantor_ARunReplacedBeforeItClaimedDelaysANewLimit(t *testing.T) {
	free := handSpec(1, 0)
	d := newDesk(t, free, firstTerm)
	_, b := d.join("a", 1), d.join("b", 1)
	d.do(Reconfigured{handSpec(2, 1)})
	d.hear(b, &admissionv1.AdmitRequest{Revision: 2})
	a := d.join("a", 2)
	d.hear(a, &admissionv1.AdmitRequest{Revision: 2})
	d.ask(b, 1, "a", 0)
	if d.pass(GhostTTL-time.Millisecond, a, b); len(b.granted()) != 0 {
		t.Fatal("granted what the former run of a may still use")
	}
	if d.pass(2*time.Millisecond, a, b); len(b.granted()) != 1 {
		t.Fatal("never granted")
	}
}
