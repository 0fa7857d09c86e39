package schedule

import (
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

var (
	serverTokens   = Pool{Server: "s", Kind: Tokens}
	serverRequests = Pool{Server: "s", Kind: Requests}
)

// rated 是有租期的一个节点，s 与 b 有速率限额。
func rated(t *testing.T) *hand {
	spec := handSpec(1, 8)
	spec.Servers[0].Limits.TokensPerMinute, spec.Servers[0].Limits.RequestsPerMinute = 100_000, 6000
	spec.Apps[1].Limits.RequestsPerMinute = 600
	x := newHand(t, spec, nil)
	x.open()
	return x
}

// settled 是最近说过的 token 的累计值。
func (x *hand) settled() (reserved, used int64) {
	for _, f := range x.sent {
		for _, s := range f.GetSettled() {
			if poolOf(s.GetPool()) == serverTokens {
				reserved, used = s.GetReserved(), s.GetUsed()
			}
		}
	}
	return reserved, used
}

// 累计值只增，重新报到时再说一遍：丢一帧、重一帧都无害。
func TestHolder_TellsCumulativeCounters(t *testing.T) {
	x := rated(t)
	for i, used := range []int64{100, 700} {
		w := x.wait("a", 500)
		x.hear(x.grant(w, 0, Units{handPool, 1}, Units{serverRequests, 1}, Units{serverTokens, 500}))
		if len(x.admitted) != i+1 {
			t.Fatal("not admitted")
		}
		w.Permit.Used, w.Permit.Known = Cost{Prompt: used}, true
		x.do(Finished{w.Permit})
	}
	if r, u := x.settled(); r != 1000 || u != 800 {
		t.Fatalf("settled %d reserved and %d used", r, u)
	}
	w := x.wait("a", 500)
	x.hear(x.grant(w, 0, Units{handPool, 1}, Units{serverRequests, 1}, Units{serverTokens, 500}))
	x.do(Broken{})
	x.sent = nil
	x.open()
	hello := x.sent[0]
	if n := unitsOf(hello.GetHello().GetHoldings()); n[serverTokens] != 500 || n[handPool] != 1 {
		t.Fatalf("reports %v in hand", n)
	}
	if r, u := x.settled(); r != 1000 || u != 800 {
		t.Fatalf("settled %d reserved and %d used after a new stream", r, u)
	}
}

func unitsOf(list []*admissionv1.Amount) map[Pool]int64 {
	m := map[Pool]int64{}
	for _, a := range list {
		m[poolOf(a.GetPool())] += a.GetUnits()
	}
	return m
}

// 在跑的流已经用掉的，随时补进公平账，不等它做完。
func TestHolder_ChargesAStreamAsItGrows(t *testing.T) {
	x := leased(t, 1, 1)
	p := x.run("a")
	cost := func() (n int64) {
		x.alive(time.Second)
		for _, f := range x.sent {
			for _, s := range f.GetServed() {
				n = s.GetCost()
			}
		}
		return n
	}
	p.Used = Cost{Prompt: 10, Output: 20}
	x.do(Progressed{p})
	if n := cost(); n != 50 {
		t.Fatalf("charged %d for 10 in and 20 out", n)
	}
	p.Used = Cost{Prompt: 10, Output: 5} // 倒退的不作数
	if x.do(Progressed{p}); cost() != 50 {
		t.Fatal("charged less than it had used")
	}
	p.Used, p.Known = Cost{Prompt: 10, Output: 30}, true
	x.do(Finished{p})
	if n := cost(); n != 70 {
		t.Fatalf("charged %d at the end", n)
	}
	x.do(Progressed{p})
	if n := cost(); n != 70 {
		t.Fatal("charged after the end")
	}
}

// 闲置的速率单位在寿命之前还掉；还没有还的可以当场开始，但要在寿命之内发出。
func TestHolder_IdleRateUnitsAreReturnedBeforeTheyDie(t *testing.T) {
	x := rated(t)
	x.hear(&admissionv1.AdmitResponse{Keeps: []*admissionv1.Keep{
		{Pool: poolMessage(handPool), Keep: 4, Units: 4},
		{Pool: poolMessage(serverTokens), Keep: 900, Units: 900, AtUs: micros(x.now.Add(x.ahead))},
		{Pool: poolMessage(serverRequests), Keep: 3, Units: 3, AtUs: micros(x.now.Add(x.ahead))}}})
	p := x.run("a")
	if left := p.StartBy.Sub(x.now); left <= 0 || left > unitLife {
		t.Fatalf("may start within %v", left)
	}
	x.pass(returnAge + time.Millisecond)
	if x.returned(serverRequests) != 2 || x.can("a") {
		t.Fatalf("%d of 2 idle ones returned, can still start: %v", x.returned(serverRequests), x.can("a"))
	}
	if r, u := x.settled(); r != 900 || u != 0 {
		t.Fatalf("settled %d and %d: 900 tokens were never used", r, u)
	}
}

// 限额刚设上：正在跑的都认下，算作持有。
func TestHolder_ClaimsWhatRunsWhenALimitAppears(t *testing.T) {
	x := newHand(t, handSpec(1, 0), nil)
	x.open()
	p := x.run("a")
	x.run("a")
	x.sent = nil
	x.do(Configured{handSpec(2, 4)})
	if n := unitsOf(x.last().GetClaims()); n[handPool] != 2 || x.last().GetRevision() != 2 {
		t.Fatalf("claims %v under revision %d", n, x.last().GetRevision())
	}
	if s := x.pool(handPool); s.Held != 2 || s.Idle != 0 || x.can("a") {
		t.Fatalf("%+v", s)
	}
	if x.do(Finished{p}); x.returned(handPool) != 1 {
		t.Fatal("not returned")
	}
	x.do(Configured{handSpec(3, 0)})
	if !x.can("a") {
		t.Fatal("still limited after the limit was taken away")
	}
}

// 限额降了：闲置的当场还，此前授予的到了也不用，在跑的做完就还。
func TestHolder_LoweredLimitUsesNothingGrantedBefore(t *testing.T) {
	x := leased(t, 3, 3)
	p := x.run("a")
	w := x.wait("b", 0)
	x.do(Configured{handSpec(2, 2)})
	if x.returned(handPool) != 2 || x.can("a") {
		t.Fatalf("%d of 2 idle ones returned", x.returned(handPool))
	}
	early := x.grant(w, 0, Units{handPool, 1}, Units{handApp, 1})
	early.Revision = 1
	if x.hear(early); len(x.admitted) != 0 || x.returned(handPool) != 3 {
		t.Fatalf("%d admitted by a grant under the former limit, %d returned", len(x.admitted), x.returned(handPool))
	}
	lent := &admissionv1.AdmitResponse{Revision: 1, Keeps: []*admissionv1.Keep{{Pool: poolMessage(handPool), Keep: 3, Units: 2}}}
	if x.hear(lent); x.returned(handPool) != 5 || x.can("a") {
		t.Fatalf("%d returned after idle ones lent under the former limit", x.returned(handPool))
	}
	if x.do(Finished{p}); x.returned(handPool) != 6 || x.pool(handPool).Held != 0 {
		t.Fatalf("%+v", x.pool(handPool))
	}
	if x.hear(x.grant(w, 0, Units{handPool, 1}, Units{handApp, 1})); len(x.admitted) != 1 {
		t.Fatal("a grant under the new limit is refused")
	}
}

// 配置里删去的不留下内存，还有在途的留到做完。
func TestHolder_ForgetsWhatTheConfigurationDropped(t *testing.T) {
	x := rated(t)
	x.hear(&admissionv1.AdmitResponse{Keeps: []*admissionv1.Keep{{Pool: poolMessage(handPool), Keep: 1, Units: 1},
		{Pool: poolMessage(serverTokens), Keep: 900, Units: 900, AtUs: micros(x.now.Add(x.ahead))},
		{Pool: poolMessage(serverRequests), Keep: 3, Units: 3, AtUs: micros(x.now.Add(x.ahead))}}})
	p := x.run("a")
	x.do(Configured{&Spec{Revision: 2}})
	if s := x.pool(handPool); s.Busy != 1 {
		t.Fatalf("%+v while a call runs", s)
	}
	x.do(Finished{p})
	x.alive(2 * handTotal) // 别的节点照旧的配置开始的调用也许还在跑，份额要等它们
	x.alive(LeaseTTL)
	x.do(Configured{&Spec{Revision: 3}})
	if x.returned(handPool) != 1 || len(x.stocks) > 0 || len(x.rates) > 0 || len(x.served) > 0 {
		t.Fatalf("%d returned; %d stocks, %d rates and %d counters are remembered", x.returned(handPool), len(x.stocks), len(x.rates), len(x.served))
	}
}

func TestHolder_KnowsTheLevelOfAnApp(t *testing.T) {
	x := rated(t)
	if _, limited := x.Levels("a"); limited {
		t.Fatal("an app without limits has a level")
	}
	at := func(remaining int64, reset time.Duration) {
		t.Helper()
		if l, ok := x.Levels("b"); !ok || l.Tokens.Set || l.Requests != (RateLevel{true, 600, remaining, reset}) {
			t.Fatalf("%+v", l)
		}
	}
	at(60, 0) // 还没有用过：满的
	x.hear(&admissionv1.AdmitResponse{Levels: []*admissionv1.Level{
		{Pool: poolMessage(Pool{App: "b", Kind: Requests}), Remaining: 20, FullUs: 4_000_000, Limit: 600}}})
	at(20, 4*time.Second)
	x.alive(time.Second)
	at(30, 3*time.Second)
	x.alive(10 * time.Second)
	at(60, 0)
	x.pass(LeaseTTL) // 控制面不在：没有份额就没有余量
	at(0, 0)
}

// 候选换了：还给授予者的是新的；给了旧的目标就退回再要。
func TestHolder_ChangedCandidatesAreAskedForAgain(t *testing.T) {
	x := leased(t, 0, 0)
	w := x.wait("a", 0)
	next := []Candidate{{Server: "s", UpstreamModel: "n", Weight: 1}}
	x.do(Changed{w, next})
	if d := x.last().GetWaiters(); len(d) != 1 || d[0].GetId() != w.ID || d[0].GetCandidates()[0].GetUpstreamModel() != "n" {
		t.Fatalf("asks for %v", d)
	}
	x.hear(x.grant(w, 0, Units{handPool, 1}))
	if len(x.admitted) != 0 || x.returned(handPool) != 1 {
		t.Fatal("went to a target that is no candidate any more")
	}
	x.do(Left{w})
	x.do(Changed{w, next}) // 不在等了：无害
	if n := len(x.last().GetWaiters()); n != 0 {
		t.Fatal("asks for one that left")
	}
}

// 上游的 429 告诉授予者，也从授予者得知；走的时候道别。
func TestHolder_SharesPausesAndSaysGoodbye(t *testing.T) {
	x := leased(t, 2, 2)
	x.do(TargetPaused{"s", "m", time.Second})
	if p := x.last().GetPauses(); len(p) != 1 || p[0].GetForUs() < 1_000_000 || p[0].GetForUs() > 1_001_000 || x.can("a") {
		t.Fatalf("tells of %v", p)
	}
	x.alive(time.Second)
	x.hear(&admissionv1.AdmitResponse{Pauses: []*admissionv1.Pause{{Server: "s", UpstreamModel: "m", ForUs: 2_000_000}}})
	if x.can("a") {
		t.Fatal("starts at a target another node knows to be paused")
	}
	if x.alive(2 * time.Second); !x.can("a") {
		t.Fatal("still paused")
	}
	if x.do(Parting{}); x.last().GetBye() {
		t.Fatal("says goodbye while its share is still on the disk")
	}
	if x.do(Stored{}); !x.last().GetBye() {
		t.Fatal("leaves without a word")
	}
	x.do(Broken{})
	x.do(Parting{}) // 没有流：无话可说
}
