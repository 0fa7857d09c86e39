package schedule

import (
	"slices"
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

func TestGrantor_ResignsWhenItHearsOfANewerTerm(t *testing.T) {
	d := newDesk(t, handSpec(1, 2), firstTerm)
	a := d.join("a", 1)
	f := d.number(a, &admissionv1.AdmitRequest{})
	f.Term = 2
	if d.do(Heard{a.conn, f}); d.resigns != 1 {
		t.Fatal("stays although a newer term exists")
	}
}

// 只有更新的运行、更新的流可以取代旧的；旧的话到得再晚也不作数。
func TestGrantor_TakesOnlyTheNewestRunAndStream(t *testing.T) {
	d := newDesk(t, handSpec(1, 4), firstTerm)
	a := d.join("a", 2, Units{handPool, 1})
	old := *a
	a = d.join("a", 2, Units{handPool, 2})
	if d.HeldBy("a", handPool) != 2 || len(d.drops) != 1 {
		t.Fatalf("held %d after a newer stream, dropped %v", d.HeldBy("a", handPool), d.drops)
	}
	for _, x := range []struct {
		why           string
		epoch, stream uint64
		seq           uint64
		hello         *admissionv1.Hello
	}{
		{"an older run", 1, 9, 1, &admissionv1.Hello{}},
		{"the same stream again", 2, a.stream, 1, &admissionv1.Hello{}},
		{"no hello", 2, 9, 1, nil},
		{"not the first frame", 2, 9, 2, &admissionv1.Hello{}},
	} {
		d.drops = nil
		d.do(Heard{99, &admissionv1.AdmitRequest{NodeId: "a", Epoch: x.epoch, Stream: x.stream, Seq: x.seq, Hello: x.hello}})
		if len(d.drops) != 1 || d.HeldBy("a", handPool) != 2 {
			t.Errorf("%s: held %d, dropped %v", x.why, d.HeldBy("a", handPool), d.drops)
		}
	}
	d.do(Closed{old.conn}) // 旧连接断了的消息来迟了
	if n := d.View(d.now).Nodes[0]; !n.Connected {
		t.Fatal("the end of the former connection ended the new one")
	}
	d.drops = nil
	f := d.number(a, &admissionv1.AdmitRequest{})
	f.Stream = old.stream
	if d.do(Heard{a.conn, f}); len(d.drops) != 1 {
		t.Fatal("takes a frame of another stream on this connection")
	}
}

// 累计值重发、合并、隔几帧才到，结果都一样；退回的是预留与实际之差。
func TestGrantor_CountersAreCumulative(t *testing.T) {
	pool := Pool{Server: "s", Kind: Tokens}
	spec := handSpec(1, 8)
	spec.Servers[0].Limits.TokensPerMinute = 100_000 // 容量一万
	d := newDesk(t, spec, firstTerm)
	a := d.join("a", 1)
	d.ask(a, 1, "a", 4000)
	d.ask(a, 2, "a", 4000)
	level := func() int64 { n, _ := d.core.Free(d.now, pool); return n }
	if level() != 2000 {
		t.Fatalf("%d left of 10000 after two of 4000", level())
	}
	settled := func(reserved, used int64) {
		d.hear(a, &admissionv1.AdmitRequest{Settled: []*admissionv1.Settled{{Pool: poolMessage(pool), Reserved: reserved, Used: used}}})
	}
	settled(4000, 1000)
	settled(4000, 1000)
	if level() != 5000 {
		t.Fatalf("%d left, want 3000 back", level())
	}
	settled(8000, 6000)
	if level() != 4000 {
		t.Fatalf("%d left: the second used 1000 more than it reserved", level())
	}
	// 重新报到：还预留着的由它说，其余的当没有用过。
	d.ask(a, 3, "a", 1000)
	d.join("a", 1)
	if level() != 4000 {
		t.Fatalf("%d left after it said that it reserves nothing", level())
	}
}

func TestGrantor_CancelledWaiterGetsNothing(t *testing.T) {
	d := newDesk(t, handSpec(1, 1), firstTerm)
	a := d.join("a", 1, Units{handPool, 1})
	d.ask(a, 1, "a", 0)
	d.ask(a, 2, "a", 0)
	d.hear(a, &admissionv1.AdmitRequest{Cancels: []uint64{1, 7}})
	d.giveBack(a, handPool, 1)
	if !slices.Equal(a.granted(), []uint64{2}) || d.View(d.now).Servers[0].Waiting != 0 {
		t.Fatalf("granted %v", a.granted())
	}
}

func TestGrantor_RefusesWhenTheQueueIsFull(t *testing.T) {
	spec := handSpec(1, 1)
	spec.Servers[0].MaxWaiting = 1
	d := newDesk(t, spec, firstTerm)
	a := d.join("a", 1, Units{handPool, 1})
	d.ask(a, 1, "a", 0)
	d.ask(a, 2, "a", 0)
	var codes []string
	for _, f := range a.got {
		for _, r := range f.GetRefusals() {
			codes = append(codes, r.GetCode())
		}
	}
	if !slices.Equal(codes, []string{"queue_full"}) || d.Counts() != (Counts{Refusals: 1}) {
		t.Fatalf("refused with %v, %+v", codes, d.Counts())
	}
}

// 松的时候给节点闲置的；有谁等了就全都要回来，轮到它。
func TestGrantor_LendsIdleUnitsAndRecallsThemForAWaiter(t *testing.T) {
	d := newDesk(t, handSpec(1, 10), firstTerm)
	a, b := d.join("a", 1), d.join("b", 1)
	d.hear(a, &admissionv1.AdmitRequest{Demands: &admissionv1.Demands{Amounts: []*admissionv1.Amount{{Pool: poolMessage(handPool), Units: 20}}}})
	keep, lent := a.kept(handPool)
	if keep != 20 || lent != 8 || d.HeldBy("a", handPool) != 8 { // 两成留给没有闲置的
		t.Fatalf("may keep %d, got %d, the book says %d", keep, lent, d.HeldBy("a", handPool))
	}
	for id := range uint64(3) {
		d.ask(b, id+1, "a", 0)
	}
	if keep, _ = a.kept(handPool); keep != 0 || len(b.granted()) != 2 || !d.View(d.now).Servers[0].Tight {
		t.Fatalf("may keep %d while one waits, granted %v", keep, b.granted())
	}
	if d.giveBack(a, handPool, 8); len(b.granted()) != 3 {
		t.Fatalf("granted %v after the recall", b.granted())
	}
	d.hear(a, &admissionv1.AdmitRequest{Demands: &admissionv1.Demands{Amounts: []*admissionv1.Amount{{Pool: poolMessage(handPool), Units: 1}}}})
	if keep, _ = a.kept(handPool); keep != 0 {
		t.Fatal("lends again at once: it would only swing")
	}
	d.pass(tightFor+heartbeat, a, b)
	if keep, _ = a.kept(handPool); keep != 1 || d.View(d.now).Servers[0].Tight {
		t.Fatalf("may keep %d long after nobody waits", keep)
	}
	d.audit(handPool)
}

// 静了的节点不授予（也许已经听不见），有了声音照原来的次序接着等。
func TestGrantor_GrantsNothingToASilentNode(t *testing.T) {
	d := newDesk(t, handSpec(1, 1), firstTerm)
	a, b := d.join("a", 1), d.join("b", 1, Units{handPool, 1})
	d.ask(a, 1, "a", 0)
	d.ask(b, 1, "a", 0)
	d.pass(muteAfter+heartbeat, b)
	if d.giveBack(b, handPool, 1); len(a.granted()) != 0 || len(b.granted()) != 1 {
		t.Fatalf("granted %v to the silent one and %v", a.granted(), b.granted())
	}
	d.ask(b, 2, "a", 0)
	d.beat(a)
	d.giveBack(b, handPool, 1)
	if len(a.granted()) != 1 || len(b.granted()) != 1 {
		t.Fatalf("granted %v and %v after it spoke again: it came first", a.granted(), b.granted())
	}
}

func TestGrantor_RaisingALimitAdmitsAtOnceLoweringWaits(t *testing.T) {
	d := newDesk(t, handSpec(1, 2), firstTerm)
	a := d.join("a", 1, Units{handPool, 2})
	d.ask(a, 1, "a", 0)
	d.ask(a, 2, "a", 0)
	d.do(Reconfigured{handSpec(2, 3)})
	if len(a.granted()) != 1 {
		t.Fatalf("granted %v after the limit went from 2 to 3", a.granted())
	}
	d.do(Reconfigured{handSpec(3, 1)})
	d.giveBack(a, handPool, 1)
	if v := d.audit(handPool); len(a.granted()) != 1 || v.Free != -1 {
		t.Fatalf("granted %v, %+v", a.granted(), v)
	}
	d.giveBack(a, handPool, 1)
	d.giveBack(a, handPool, 1)
	if len(a.granted()) != 2 {
		t.Fatalf("granted %v of a limit of 1 that is free", a.granted())
	}
}

// 新设的限额：在途的由各节点认下之后才授予，否则会超出。
func TestGrantor_NewLimitWaitsUntilEveryNodeClaimedWhatRuns(t *testing.T) {
	open := handSpec(1, 0)
	d := newDesk(t, open, firstTerm)
	a, b := d.join("a", 1), d.join("b", 1)
	d.do(Reconfigured{handSpec(2, 2)})
	f := d.number(a, &admissionv1.AdmitRequest{Revision: 2})
	d.do(Heard{a.conn, f})
	d.ask(a, 1, "a", 0)
	if d.audit(handPool); len(a.granted()) != 0 {
		t.Fatal("granted while b may run any number")
	}
	d.hear(b, &admissionv1.AdmitRequest{Revision: 2, Claims: []*admissionv1.Amount{{Pool: poolMessage(handPool), Units: 3}}})
	if v := d.audit(handPool); len(a.granted()) != 0 || v.Held != 3 || v.Free != -1 {
		t.Fatalf("granted %v, %+v", a.granted(), v)
	}
	d.giveBack(b, handPool, 3)
	if len(a.granted()) != 1 {
		t.Fatal("never granted")
	}
}

// 一个节点得知的 429，其余的也得知；后来的在报到时得知。
func TestGrantor_TellsEveryOtherNodeOfAPause(t *testing.T) {
	d := newDesk(t, handSpec(1, 2), firstTerm)
	a, b := d.join("a", 1), d.join("b", 1)
	d.hear(a, &admissionv1.AdmitRequest{Pauses: []*admissionv1.Pause{{Server: "s", UpstreamModel: "m", ForUs: 3_000_000}}})
	paused := func(p *peer) (us int64) {
		for _, f := range p.got {
			for _, v := range f.GetPauses() {
				us = v.GetForUs()
			}
		}
		return us
	}
	d.pass(time.Second, a, b)
	c := d.join("c", 1)
	if paused(a) != 0 || paused(b) != 3_000_000 || paused(c) < 2_000_000 || paused(c) > 2_001_000 {
		t.Fatalf("paused for %d, %d and %d µs", paused(a), paused(b), paused(c))
	}
	d.ask(c, 1, "a", 0)
	if len(c.granted()) != 0 || len(d.View(d.now).Servers[0].Pauses) != 1 {
		t.Fatal("granted a target that is paused")
	}
	if d.pass(2*time.Second, a, b, c); len(c.granted()) != 1 {
		t.Fatal("never granted after the pause")
	}
}

// 道别的当场忘掉，份额归公。
func TestGrantor_ForgetsANodeThatSaidGoodbye(t *testing.T) {
	d := newDesk(t, handSpec(1, 4), firstTerm)
	a, b := d.join("a", 1), d.join("b", 1)
	d.pass(2*time.Second, a, b)
	d.hear(a, &admissionv1.AdmitRequest{Bye: true})
	if v := d.audit(handPool); v.Free != 4 || !slices.Equal(d.deleted, []string{"a"}) || len(d.View(d.now).Nodes) != 1 {
		t.Fatalf("%+v, deleted %v", v, d.deleted)
	}
	for range 4 {
		d.pass(time.Second, b)
		b.shareVersion = b.share().GetVersion()
		d.hear(b, &admissionv1.AdmitRequest{ShareVersion: b.shareVersion})
	}
	if n := sharesOf(b.share())[handPool]; n != 4 {
		t.Fatalf("the one that stayed has a share of %d", n)
	}
}

func TestGrantor_DropsANodeThatAcknowledgesNothing(t *testing.T) {
	d := newDesk(t, handSpec(1, 4), firstTerm)
	a := d.join("a", 1)
	for i := 0; i < 10 && len(d.drops) == 0; i++ {
		d.do(Heard{a.conn, &admissionv1.AdmitRequest{NodeId: "a", Epoch: 1, Stream: a.stream, SentUs: micros(d.now)}})
		for end := d.now.Add(heartbeat); d.now < end; d.do(Tick{}) {
			d.now = min(max(d.Next(), d.now+1), end)
		}
	}
	if len(d.drops) != 1 || d.View(d.now).Nodes[0].Connected {
		t.Fatalf("dropped %v", d.drops)
	}
}

// 失联太久的连同份额一起忘掉：它若还独自跑着，超出的至多是它那一份。
func TestGrantor_BuriesALostNodeWithItsShare(t *testing.T) {
	rows := members("a", "b")
	rows[1].Shares, rows[1].ShareVersion = []Units{{handPool, 2}, {serverRequests, 271}}, 4
	spec := handSpec(1, 4)
	spec.Servers[0].Limits.RequestsPerMinute = 600
	d := newDesk(t, spec, GrantorConfig{Term: 2, Members: rows})
	a := d.join("a", 1)
	d.pass(2*time.Minute, a)
	if v := d.audit(handPool); v.Quarantined != 2 || v.Free != 2 || !d.saved["b"].Clear {
		t.Fatalf("%+v, row %+v: b never came, and may still use its share", v, d.saved["b"])
	}
	if n := d.core.Burst(serverRequests); n != 60-Burst(271, 10) {
		t.Fatalf("a burst of %d is left while b may use 271 of 600 a minute by itself", n)
	}
	for range 61 {
		d.pass(time.Minute, a)
	}
	if v := d.audit(handPool); v.Free != 4 || !slices.Equal(d.deleted, []string{"b"}) {
		t.Fatalf("%+v after more than %v, deleted %v", v, ShareTTL, d.deleted)
	}
	if n := d.core.Burst(serverRequests); n != 60 {
		t.Fatalf("a burst of %d after b was forgotten, want all of the limit", n)
	}
}

// 忘掉那个始终不来的：说不清在谁手里的当场都清楚了。
func TestGrantor_ForgettingTheUnheardNodeFreesWhatItMightHold(t *testing.T) {
	d := newDesk(t, handSpec(1, 2), GrantorConfig{Term: 2, Members: members("a", "b")})
	a := d.join("a", 1)
	d.ask(a, 1, "a", 0)
	d.pass(15*time.Second, a)
	if len(a.granted()) != 0 {
		t.Fatal("granted what b may hold")
	}
	d.do(Forgotten{"a"}) // 连着的忘不掉
	d.do(Forgotten{"b"})
	d.pass(time.Second, a)
	if len(a.granted()) != 1 || !slices.Equal(d.deleted, []string{"b"}) {
		t.Fatalf("granted %v, deleted %v", a.granted(), d.deleted)
	}
}

// 节点的份额版本比记着的新（它那一行被忘掉过）：从它的数起，不会把旧的再发成新的。
func TestGrantor_CountsShareVersionsFromTheNewest(t *testing.T) {
	d := newDesk(t, handSpec(1, 4), firstTerm)
	const theirs = 5 << 32
	p := &peer{name: "a", epoch: 1, shareVersion: theirs}
	d.peers["a"] = p
	d.join("a", 1)
	d.pass(2*time.Second, p)
	if v := p.share().GetVersion(); v <= theirs {
		t.Fatalf("sends version %d to a node that has %d", v, uint64(theirs))
	}
	// 没有拿到的再发一遍。
	d.join("a", 1)
	d.pass(time.Second, p)
	if v := p.share().GetVersion(); v <= theirs {
		t.Fatalf("sends version %d again", v)
	}
}

// 手上的都还完了才失联的：隔离过后没有事做，不得空转着等它的份额到期。
func TestGrantor_RestsWhenALostNodeHoldsNothing(t *testing.T) {
	d := newDesk(t, handSpec(1, 4), firstTerm)
	a := d.join("a", 1, Units{handPool, 1})
	d.giveBack(a, handPool, 1)
	d.do(Closed{a.conn})
	done := false
	for steps := 0; d.now < Time(time.Hour).Add(2*time.Minute); steps++ {
		if d.now = max(d.now, d.Next()); steps > 1000 {
			t.Fatalf("1000 steps, and next is %d while it is %d", d.Next(), d.now)
		}
		d.do(Tick{})
		done = done || d.saved["a"].Clear
	}
	if !done {
		t.Fatal("never said to be clear")
	}
}

// 紧的时候看得见此刻在跑的，不等节点的下一拍。
func TestGrantor_ShowsWhatRunsWhileItIsTight(t *testing.T) {
	d := newDesk(t, handSpec(1, 2), firstTerm)
	a := d.join("a", 1)
	d.ask(a, 1, "a", 0)
	d.ask(a, 2, "a", 0)
	d.ask(a, 3, "a", 0)
	v := d.View(d.now).Servers[0]
	if len(a.granted()) != 2 || !v.Tight || v.InFlight != 2 || v.Waiting != 1 {
		t.Fatalf("granted %d, %+v", len(a.granted()), v)
	}
	d.giveBack(a, handPool, 1)
	d.giveBack(a, handPool, 1)
	if v := d.View(d.now).Servers[0]; v.InFlight != 1 || v.Waiting != 0 {
		t.Fatalf("one of three is left: %+v", v)
	}
}

// 一个在等的请求在 app 的账上只算一次，站在几个队里都一样；app 自己的限额也看得见。
func TestGrantor_ShowsThePoolsOfAnApp(t *testing.T) {
	spec := handSpec(1, 1)
	spec.Apps[0].Limits.MaxConcurrency = 1
	d := newDesk(t, spec, firstTerm)
	a := d.join("a", 1)
	app := spec.Apps[0].Name
	d.ask(a, 1, app, 0)
	d.ask(a, 2, app, 0)
	d.ask(a, 3, app, 0)
	v := d.View(d.now).Apps[0]
	if len(a.granted()) != 1 || v.App != app || v.InFlightLimit != 1 || v.InFlight != 1 || v.Free != 0 || v.Quarantined != 0 || v.Waiting != 2 || !v.Tight {
		t.Fatalf("granted %d, %+v", len(a.granted()), v)
	}
}
