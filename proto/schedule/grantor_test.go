package schedule

import (
	"slices"
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

var firstTerm = GrantorConfig{First: true}

// 账先记下，再发出：一个单位不会许给两个。
func TestGrantor_BooksAUnitBeforeItGrantsIt(t *testing.T) {
	d := newDesk(t, handSpec(1, 1), firstTerm)
	a, b := d.join("a", 1), d.join("b", 1)
	d.ask(a, 1, "a", 0)
	d.ask(b, 1, "a", 0)
	if !slices.Equal(a.granted(), []uint64{1}) || len(b.granted()) != 0 {
		t.Fatalf("granted %v and %v of a limit of 1", a.granted(), b.granted())
	}
	if v := d.audit(handPool); v.Free != 0 || v.Held != 1 || d.HeldBy("a", handPool) != 1 {
		t.Fatalf("%+v", v)
	}
	d.giveBack(a, handPool, 1)
	if !slices.Equal(b.granted(), []uint64{1}) || d.HeldBy("a", handPool) != 0 {
		t.Fatalf("granted %v after the return", b.granted())
	}
}

// 同一帧到了两次、后一帧先到：归还只入一次账。
func TestGrantor_BooksAReturnOnce(t *testing.T) {
	d := newDesk(t, handSpec(1, 4), firstTerm)
	a := d.join("a", 1, Units{handPool, 3})
	f := d.giveBack(a, handPool, 1)
	d.do(Heard{a.conn, f})
	if n := d.HeldBy("a", handPool); n != 2 {
		t.Fatalf("the book says %d, want 2", n)
	}
	one := d.number(a, &admissionv1.AdmitRequest{Returns: []*admissionv1.Amount{{Pool: poolMessage(handPool), Units: 1}}})
	two := d.number(a, &admissionv1.AdmitRequest{Returns: []*admissionv1.Amount{{Pool: poolMessage(handPool), Units: 1}}})
	if d.do(Heard{a.conn, two}); d.HeldBy("a", handPool) != 2 {
		t.Fatal("took a frame before the one that precedes it")
	}
	if d.do(Heard{a.conn, one}); d.audit(handPool).Free != 4 {
		t.Fatalf("%+v", d.audit(handPool))
	}
	if d.giveBack(a, handPool, 1); d.audit(handPool).Free != 4 {
		t.Fatal("took back more than it gave")
	}
}

// 失联的节点可能还在跑手上的：它的单位要等到最久的一次调用也结束。
func TestGrantor_LostNodeKeepsItsUnitsForAWholeCall(t *testing.T) {
	d := newDesk(t, handSpec(1, 2), firstTerm)
	a, b := d.join("a", 1, Units{handPool, 2}), d.join("b", 1)
	d.ask(b, 1, "a", 0)
	d.do(Closed{a.conn})
	silent := d.now
	for len(b.granted()) == 0 {
		if d.pass(heartbeat, b); d.now > silent.Add(time.Minute) {
			t.Fatalf("never granted: %+v", d.audit(handPool))
		}
		d.audit(handPool)
	}
	if took := d.now.Sub(silent); took < LeaseTTL+handTotal {
		t.Fatalf("granted %v after the node fell silent: leases last %v and calls %v", took, LeaseTTL, handTotal)
	}
}

// 它失联之后还会用份额：份额比手上的多，就按份额留着，直到忘掉它。
func TestGrantor_KeepsTheShareOfALostNode(t *testing.T) {
	d := newDesk(t, handSpec(1, 4), firstTerm)
	a, b := d.join("a", 1), d.join("b", 1)
	d.pass(2*time.Second, a, b)
	a.shareVersion = a.share().GetVersion()
	d.hear(a, &admissionv1.AdmitRequest{ShareVersion: a.shareVersion})
	d.do(Closed{a.conn})
	d.pass(2*time.Minute, b)
	if v := d.audit(handPool); v.Quarantined != 2 || v.Free != 2 {
		t.Fatalf("%+v: the share of the lost node is 2", v)
	}
	d.do(Forgotten{"a"})
	if v := d.audit(handPool); v.Free != 4 || !slices.Equal(d.deleted, []string{"a"}) {
		t.Fatalf("%+v after it was forgotten, deleted %v", v, d.deleted)
	}
}

func TestGrantor_ReturningNodeGetsItsUnitsBack(t *testing.T) {
	d := newDesk(t, handSpec(1, 4), firstTerm)
	a, b := d.join("a", 1, Units{handPool, 3}), d.join("b", 1)
	d.do(Closed{a.conn})
	d.pass(15*time.Second, b)
	if v := d.audit(handPool); v.Quarantined != 3 {
		t.Fatalf("%+v", v)
	}
	d.join("a", 1, Units{handPool, 2}) // 其间做完了一个
	if v := d.audit(handPool); v.Quarantined != 0 || v.Held != 2 || v.Free != 2 {
		t.Fatalf("%+v after it came back", v)
	}
}

// 死了又起来的节点：上一轮的连接由内核关掉，上游再过一会儿才停。
func TestGrantor_FormerRunKeepsItsUnitsForAMoment(t *testing.T) {
	d := newDesk(t, handSpec(1, 2), firstTerm)
	d.join("a", 1, Units{handPool, 2})
	a := d.join("a", 2)
	d.ask(a, 1, "a", 0)
	if v := d.audit(handPool); v.Quarantined != 2 || len(a.granted()) != 0 {
		t.Fatalf("%+v right after the new run came, granted %v", v, a.granted())
	}
	d.pass(GhostTTL-1, a)
	if len(a.granted()) != 0 {
		t.Fatal("granted before the former run has ended")
	}
	if d.pass(1, a); len(a.granted()) != 1 || d.audit(handPool).Quarantined != 0 {
		t.Fatalf("%+v after %v", d.audit(handPool), GhostTTL)
	}
}

func members(names ...string) (list []Member) {
	for _, n := range names {
		list = append(list, Member{Node: n, Epoch: 1})
	}
	return list
}

// 新任期不知道上一任许过什么：等每个节点都报到，或它们的租期都过了。
func TestGrantor_NewTermLearnsBeforeItGrants(t *testing.T) {
	d := newDesk(t, handSpec(1, 2), GrantorConfig{Term: 2, Members: members("a", "b")})
	a := d.join("a", 1)
	d.ask(a, 1, "a", 0)
	d.pass(LeaseTTL, a)
	if len(a.granted()) != 0 || !d.View(d.now).Learning {
		t.Fatalf("granted %v before b was heard", a.granted())
	}
	b := d.join("b", 1, Units{handPool, 1})
	d.pass(50*time.Millisecond, a, b)
	if len(a.granted()) != 1 || d.View(d.now).Learning {
		t.Fatal("everybody has reported, and nothing is granted")
	}
	if v := d.audit(handPool); v.Held != 2 || v.Free != 0 {
		t.Fatalf("%+v: b still has one", v)
	}
	d.ask(b, 1, "a", 0)
	if len(b.granted()) != 0 {
		t.Fatal("granted above the limit")
	}
}

// 有一个始终不来：租期过后可以授予了，可空闲的全都可能在它手里，要再等一次调用那么久。
func TestGrantor_UnheardNodeMayHoldAnything(t *testing.T) {
	d := newDesk(t, handSpec(1, 2), GrantorConfig{Term: 2, Members: members("a", "b")})
	began := d.now
	a := d.join("a", 1)
	d.ask(a, 1, "a", 0)
	for len(a.granted()) == 0 {
		if d.pass(heartbeat, a); d.now > began.Add(time.Minute) {
			t.Fatal("never granted")
		}
		d.audit(handPool)
	}
	if took := d.now.Sub(began); took < LeaseTTL+handTotal {
		t.Fatalf("granted %v after the term began", took)
	}

	d = newDesk(t, handSpec(1, 2), GrantorConfig{Term: 2, Members: members("a", "b")})
	a = d.join("a", 1)
	d.ask(a, 1, "a", 0)
	d.pass(15*time.Second, a)
	if v := d.audit(handPool); v.Quarantined != 2 || len(a.granted()) != 0 {
		t.Fatalf("%+v", v)
	}
	d.join("b", 1, Units{handPool, 1}) // 它来了，说清了：另一个不在它手里
	d.pass(GhostTTL, a)
	if v := d.audit(handPool); len(a.granted()) != 1 || v.Held != 2 {
		t.Fatalf("granted %v, %+v", a.granted(), v)
	}
}

// 没有许可在手的（Clear）不必等。
func TestGrantor_DoesNotWaitForNodesThatAreClear(t *testing.T) {
	d := newDesk(t, handSpec(1, 2), GrantorConfig{Term: 2, Members: []Member{{Node: "a", Epoch: 1, Clear: true, SilentFor: time.Minute}}})
	b := d.join("b", 1)
	if d.ask(b, 1, "a", 0); len(b.granted()) != 1 {
		t.Fatalf("not granted, learning=%v", d.View(d.now).Learning)
	}
}

// 上一任在这一分钟里许过多少没有人知道：速率从空的起，份额的突发还要先欠着。
func TestGrantor_NewTermStartsItsRatesEmpty(t *testing.T) {
	requests := Pool{Server: "s", Kind: Requests}
	spec := handSpec(1, 8)
	spec.Servers[0].Limits.RequestsPerMinute = 600
	rows := members("a")
	rows[0].Shares = []Units{{requests, 541}}
	d := newDesk(t, spec, GrantorConfig{Term: 2, Members: rows})
	a := d.join("a", 1)
	d.ask(a, 1, "a", 0)
	if len(a.granted()) != 0 {
		t.Fatal("granted out of a rate nobody knows the state of")
	}
	for d.View(d.now).Learning {
		d.pass(time.Millisecond, a)
	}
	if free, _ := d.core.Free(d.now, requests); free > 0 {
		t.Fatalf("%d free at the start of a term", free)
	}
	if d.pass(2*time.Second, a); len(a.granted()) != 1 {
		t.Fatal("the rate never refills")
	}
	first := newDesk(t, spec, firstTerm)
	a = first.join("a", 1)
	if first.ask(a, 1, "a", 0); len(a.granted()) != 1 {
		t.Fatal("the very first term knows that nothing was granted before")
	}
}

// 份额先缩后增：任何时刻各节点可能在用的之和不超过限额。
func TestGrantor_ShrinksSharesBeforeItGrowsOthers(t *testing.T) {
	d := newDesk(t, handSpec(1, 6), firstTerm)
	peers := []*peer{d.join("a", 1)}
	using := map[string]int64{} // 各节点在用的，照它们最近确认的
	check := func(when string) {
		t.Helper()
		sum := int64(0)
		for _, n := range using {
			sum += n
		}
		if sum > 6 {
			t.Fatalf("%s: shares in use %v of a limit of 6", when, using)
		}
	}
	adopt := func(p *peer) {
		s := p.share()
		if s == nil || s.GetVersion() == p.shareVersion {
			return
		}
		p.shareVersion, using[p.name] = s.GetVersion(), sharesOf(s)[handPool]
		check(p.name + " adopts")
		d.hear(p, &admissionv1.AdmitRequest{ShareVersion: p.shareVersion})
	}
	d.pass(time.Second, peers...)
	if adopt(peers[0]); using["a"] != 6 {
		t.Fatalf("alone it has %v", using)
	}
	peers = append(peers, d.join("b", 1), d.join("c", 1))
	for range 8 {
		d.pass(time.Second, peers...)
		for i := len(peers) - 1; i >= 0; i-- { // 要增的先得到
			adopt(peers[i])
		}
	}
	if using["a"] != 2 || using["b"] != 2 || using["c"] != 2 {
		t.Fatalf("settled on %v, want two each", using)
	}
}

// 增加的份额要先写进成员表，才发出去：新任总要知道上界。
func TestGrantor_SavesAShareBeforeItSendsIt(t *testing.T) {
	d := newDesk(t, handSpec(1, 6), firstTerm)
	a := d.join("a", 1)
	d.hold = true
	d.pass(time.Second, a)
	if a.share() != nil {
		t.Fatal("sent before it was saved")
	}
	if n := unitsMap(d.saved["a"].Shares)[handPool]; n != 6 {
		t.Fatalf("the row says %d", n)
	}
	for _, id := range d.held {
		d.do(Saved{id})
	}
	if a.share() == nil {
		t.Fatal("never sent")
	}
}

// 报到之前不授予：成员表里没有它，新任就不会等它。
func TestGrantor_GrantsOnlyToNodesInTheTable(t *testing.T) {
	d := newDesk(t, handSpec(1, 6), firstTerm)
	d.hold = true
	a := d.join("a", 1)
	if d.ask(a, 1, "a", 0); len(a.granted()) != 0 || slices.ContainsFunc(a.got, func(f *admissionv1.AdmitResponse) bool { return f.GetTtlUs() > 0 }) {
		t.Fatal("granted, or given a lease, before its row was saved")
	}
	d.do(Saved{d.held[0]})
	if len(a.granted()) != 1 {
		t.Fatal("never granted")
	}
}
