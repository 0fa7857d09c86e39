package schedule

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

// lending 是一个速率池与几个节点：失联的节点各用各的一份，授予者让出它们，回来了再收回。
type lending struct {
	now    Time
	n      int64
	pool   Pool
	leader *Core
	own    []*Core // 失联着的节点自己的桶，没有失联为 nil
	shares []int64
	idle   []lentUnits // 放在节点那里还没有用的
	log    []admission
	rng    *rand.Rand
	late   string
}

type lentUnits struct {
	at Time
	n  int64
}

// newLending 把 R 随意分给几个节点。
func newLending(n int64, nodes int, seed uint64) *lending {
	l := &lending{now: second, n: n, pool: Pool{Server: "s", Kind: Requests}, leader: NewCore(), own: make([]*Core, nodes), shares: make([]int64, nodes), rng: pcg(seed)}
	l.leader.SetCap(l.now, l.pool, Cap{Mode: Rate, N: n, BurstPercent: 10})
	for left := n - Burst(n, 10) + 1; left > 0; {
		part := min(left, 1+l.rng.Int64N(max(1, 2*n/int64(nodes))))
		l.shares[l.rng.IntN(nodes)] += part
		left -= part
	}
	return l
}

func (l *lending) recap() {
	var lent Lent
	for i, c := range l.own {
		if c != nil && l.shares[i] > 0 {
			lent.Rate += l.shares[i]
			lent.Size += Burst(l.shares[i], 10)
		}
	}
	l.leader.SetCap(l.now, l.pool, Cap{Mode: Rate, N: l.n, BurstPercent: 10, Lent: lent})
}

// lose 让出在先，节点用起来在后；back 反过来。
func (l *lending) lose(i int) {
	if l.own[i] != nil {
		return
	}
	c := NewCore()
	l.own[i] = c
	l.recap()
	if l.shares[i] > 0 {
		c.SetCap(l.now, l.pool, Cap{Mode: Rate, N: l.shares[i], BurstPercent: 10})
	} else {
		c.SetCap(l.now, l.pool, Cap{Mode: Stock})
	}
	c.SetLevel(l.now, l.pool, 0)
}

func (l *lending) back(i int) {
	l.own[i] = nil
	l.recap()
}

// use 从一个桶里要至多 n 个。
func (l *lending) use(c *Core, n int64) {
	for range n {
		if free, _ := c.Free(l.now, l.pool); free < 1 {
			return
		}
		c.Take(l.now, l.pool, 1)
		l.admit(l.now)
	}
}

func (l *lending) admit(at Time) {
	used := at.Add(lateness(l.late, at, l.rng.Int64N(int64(time.Second)+1)))
	l.log = append(l.log, admission{at, max(used, l.now)})
}

// place 把闲置的放出去；collect 用掉一些，余下的退回来。
func (l *lending) place() {
	if free, _ := l.leader.Free(l.now, l.pool); free > 1 {
		n := 1 + l.rng.Int64N(free)
		l.leader.Take(l.now, l.pool, n)
		l.leader.Leave(l.now, l.pool, n)
		l.idle = append(l.idle, lentUnits{l.now, n})
	}
}

func (l *lending) collect() {
	for _, u := range l.idle {
		used := l.rng.Int64N(u.n + 1)
		for range used {
			l.admit(u.at)
		}
		l.leader.Leave(l.now, l.pool, -u.n)
		if l.now < u.at.Add(unitLife) {
			l.leader.Give(l.now, l.pool, u.n-used)
		}
	}
	l.idle = nil
}

// step 走一小步；偏爱“攒满了一起用”与“一个接一个地失联、回来”。
func (l *lending) step() {
	switch x := l.rng.IntN(100); {
	case x < 6:
		l.lose(l.rng.IntN(len(l.own)))
	case x < 14:
		l.back(l.rng.IntN(len(l.own)))
	case x < 16:
		for i := range l.own {
			l.lose(i)
		}
	case x < 18:
		for i := range l.own {
			l.back(i)
		}
	case x < 30:
		l.place()
	case x < 70:
		for _, c := range l.own {
			if c != nil {
				l.use(c, l.n)
			}
		}
		l.use(l.leader, l.n)
	}
	pause := time.Duration(l.rng.Int64N(int64(900 * time.Millisecond)))
	if len(l.idle) == 0 && l.rng.IntN(5) == 0 {
		pause *= 40
	}
	l.now = l.now.Add(pause)
	l.collect()
}

// 失联的各用各的一份、授予者用余下的、放出去的退回来，随便怎么交错，任何 60 s 里到达上游的都不超过限额。
func TestRateShare_AnySixtySecondsHoldAtMostTheLimit(t *testing.T) {
	t.Parallel()
	cases, fullest := 0, 0.0
	for _, n := range []int64{1, 5, 12, 19, 24, 60, 388} {
		rapid.Check(t, func(t *rapid.T) {
			l := newLending(n, rapid.IntRange(1, 8).Draw(t, "nodes"), rapid.Uint64().Draw(t, "seed"))
			l.late = rapid.SampledFrom([]string{"prompt", "late", "mixed", "herd"}).Draw(t, "lateness")
			for range 400 {
				l.step()
			}
			got := most(l.log)
			if got > n {
				t.Fatalf("%d reached the upstream within 60 s, the limit is %d; shares %v", got, n, l.shares)
			}
			cases++
			fullest = max(fullest, float64(got)/float64(n))
		})
	}
	fmt.Printf("figures: rate-shares cases=%d over=0 fullest=%.3f\n", cases, fullest)
}

// 还会退回来的单位占着容量：它们在外的时候补的与退回来的不可一起用。
func TestRateShare_UnitsThatComeBackLeaveNoRoomForRefill(t *testing.T) {
	const n = 388
	l := newLending(n, 1, 1)
	burst, _ := l.leader.Free(l.now, l.pool)
	l.leader.Take(l.now, l.pool, burst)
	l.leader.Leave(l.now, l.pool, burst)
	l.now = l.now.Add(900 * time.Millisecond)
	l.late = "late"
	l.use(l.leader, n)
	l.leader.Leave(l.now, l.pool, -burst)
	l.leader.Give(l.now, l.pool, burst)
	l.use(l.leader, n)
	l.late = "prompt"
	for end := l.now.Add(61 * time.Second); l.now < end; l.now = l.now.Add(10 * time.Millisecond) {
		l.use(l.leader, n)
	}
	if got := most(l.log); got > n {
		t.Fatalf("%d within 60 s, the limit is %d", got, n)
	}
}

func rateSpec(n int64) *Spec {
	return &Spec{Revision: 1, Servers: []ServerSpec{{Name: "s", BurstPercent: 10, Total: 10 * time.Second, Limits: Limits{RequestsPerMinute: n}}}, Apps: []AppSpec{{Name: "a"}}}
}

// severed 是授予者的话到不了节点之后的两边；节点的话还到得了。
func severed(p *couple, d time.Duration, each func()) {
	for end := p.now.Add(d); p.now < end; p.now = p.now.Add(50 * time.Millisecond) {
		for _, x := range append([]HolderEffect(nil), p.holder.Step(p.now, Ticked{})...) {
			switch x.Kind {
			case Send:
				p.grantor.Step(p.now, Heard{Conn: 1, Request: x.Request})
			case Hangup:
				p.holder.Step(p.now, Broken{})
				p.grantor.Step(p.now, Closed{Conn: 1})
			}
		}
		p.grantor.Step(p.now, Tick{})
		each()
	}
}

// 授予者还没有让出这一份之前节点不用它：只断了一个方向时，节点的租期先过。
func TestRateShare_NodeWaitsUntilTheGrantorHasNoticed(t *testing.T) {
	p := newCouple(rateSpec(600))
	p.pass(3 * time.Second)
	r := tokens("a", 0)
	used := false
	severed(p, 30*time.Second, func() {
		if p.holder.safe && p.holder.Judge(p.now, "s", "m", r) == ruleset.Startable {
			used = true
			if !p.grantor.members["n"].lost {
				t.Fatalf("the node uses its share at %v while the grantor still gives it away", p.now)
			}
		}
	})
	if !used {
		t.Fatal("the node never used its share")
	}
}

// 刚起来的也一样：上一轮或许刚刚还连着。
func TestRateShare_RestartedNodeWaitsToo(t *testing.T) {
	h := NewHolder(HolderConfig{Node: "n", Epoch: 2, Now: second, Stored: &admissionv1.Share{Version: 1, Amounts: []*admissionv1.Amount{
		{Pool: poolMessage(Pool{Server: "s", Kind: Requests}), Units: 541, Limit: 600}}}})
	h.Step(second, Configured{rateSpec(600)})
	for now, began := second, false; !began; now = now.Add(100 * time.Millisecond) {
		h.Step(now, Ticked{})
		began = h.Judge(now, "s", "m", tokens("a", 0)) == ruleset.Startable
		if waited := now.Sub(second); began && waited < LeaseTTL+slack || waited > 30*time.Second {
			t.Fatalf("uses its share %v after it started", waited)
		}
	}
}

// alone 是一个早已独自用着份额的节点，桶里有些余量。
func alone(t *testing.T) (*couple, func(want ruleset.Verdict, when string)) {
	t.Helper()
	p := newCouple(rateSpec(600))
	p.pass(3 * time.Second)
	severed(p, 40*time.Second, func() {})
	return p, func(want ruleset.Verdict, when string) {
		t.Helper()
		p.holder.Step(p.now, Ticked{})
		if got := p.holder.Judge(p.now, "s", "m", tokens("a", 0)); got != want {
			t.Fatalf("%s: %v, want %v", when, got, want)
		}
	}
}

// 报到一发出，对面就不再让出这一份：从那一刻起不再用它，直到确知没有人收下。
func TestRateShare_StopsWhileItReports(t *testing.T) {
	p, want := alone(t)
	want(ruleset.Startable, "alone")
	p.holder.Step(p.now, Connected{})
	want(ruleset.Full, "reporting")
	p.holder.Step(p.now, Received{&admissionv1.AdmitResponse{NotLeader: &admissionv1.NotLeader{}}})
	want(ruleset.Startable, "nobody took the report")
	p.holder.Step(p.now, Connected{})
	p.now = p.now.Add(time.Second)
	p.holder.Step(p.now, Broken{})
	want(ruleset.Full, "somebody may have taken the report")
	p.now = p.now.Add(LeaseTTL)
	want(ruleset.Full, "somebody may still hold it")
	p.now = p.now.Add(noticed)
	want(ruleset.Full, "from an empty bucket")
	p.now = p.now.Add(10 * time.Second)
	want(ruleset.Startable, "alone again")
}

// 学的时候还没有报到的节点用着它们的份额，所以学完的那一刻桶是空的，不是从开任起就在补。
func TestRateShare_NewTermStartsEmptyWhenItHasLearned(t *testing.T) {
	g := NewGrantor(GrantorConfig{Term: 2, Now: second, Members: []Member{
		{Node: "x", Epoch: 1, Shares: []Units{{Pool{Server: "s", Kind: Requests}, 100}}}}})
	g.Step(second, Reconfigured{rateSpec(600)})
	now := g.learnUntil
	g.Step(now, Tick{})
	if v := g.View(now); v.Learning || v.Servers[0].RequestsLevel > 0 {
		t.Fatalf("%+v", v.Servers[0])
	}
}

// 一切都好时，一直有需求就放行限额的近九成，而且任何 60 s 不超过它。
func TestRateShare_SustainsMostOfTheLimit(t *testing.T) {
	t.Parallel()
	limits := []int64{1, 5, 15, 60, 600}
	if raceEnabled {
		limits = limits[2:4]
	}
	for _, n := range limits {
		p := newCouple(rateSpec(n))
		var log []admission
		id, minutes := uint64(0), 20
		for end := p.now.Add(time.Duration(minutes) * time.Minute); p.now < end; p.pass(50 * time.Millisecond) {
			for p.holder.core.WaitingTotal() < 20 {
				id++
				p.hold(Arrived{&Waiter{Request: *tokens("a", 0), ID: id, Arrived: p.now, Deadline: p.now.Add(time.Hour),
					Candidates: []Candidate{{Server: "s", UpstreamModel: "m", Weight: 1}}, Permit: &Permit{}}})
				if len(p.refused) > 0 {
					break
				}
			}
			for _, w := range p.admits {
				log = append(log, admission{p.now, p.now})
				p.hold(Finished{w.Permit})
			}
			p.admits, p.refused = nil, nil
		}
		sustained := float64(len(log)) / float64(minutes) / float64(n)
		if got := most(log); got > n || sustained < 0.88 {
			t.Errorf("n=%d: %d within 60 s, sustained %.3f", n, got, sustained)
		} else {
			fmt.Printf("figures: rate-led n=%d max=%d sustained=%.3f\n", n, got, sustained)
		}
	}
}
