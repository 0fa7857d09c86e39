package schedule

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// TestHello_EveryFrameIsBoundedHoweverMuchThereIsToTell：服务过的与在等的都极多，每一帧仍小得控制面收得下，
// 而且一件不少、先到的在前。
func TestHello_EveryFrameIsBoundedHoweverMuchThereIsToTell(t *testing.T) {
	t.Parallel()
	const servers, apps, waiters = 11, 10_000, 16_384
	spec := duetSpec(1)
	var targets []Candidate
	for i := range servers {
		name := fmt.Sprintf("gpu-%02d", i)
		spec.Servers = append(spec.Servers, ServerSpec{Name: name, Limits: Limits{MaxConcurrency: 1}, Total: time.Minute})
		targets = append(targets, Candidate{Server: name, UpstreamModel: "a-model-with-quite-a-long-name", Weight: 1})
	}
	d := newDuet(t, spec, GrantorConfig{Term: 1, First: true})
	a := d.boot(HolderConfig{Node: "a", Epoch: 1})
	for s := range servers {
		for i := range apps {
			a.h.servedOf(&Permit{Request: Request{App: fmt.Sprintf("app-%05d", i), Class: Standard, Weight: 1}, Server: targets[s].Server}).cost = 7
		}
	}
	for i := range waiters {
		w := &Waiter{Request: Request{App: "x", Class: Standard, Weight: 1}, ID: uint64(i + 1), Arrived: d.now - Time(i), Deadline: d.now.Add(time.Hour), Candidates: targets, Permit: &Permit{}}
		a.h.waiters[w.ID] = w
	}
	d.connect(a)
	d.run(2 * time.Second)
	served, asked, most, last := 0, 0, 0, uint64(waiters+1)
	for _, f := range a.sent {
		most = max(most, proto.Size(f))
		served += len(f.GetServed())
		asked += len(f.GetWaiters())
		for _, w := range f.GetWaiters() {
			if w.GetId() >= last {
				t.Fatalf("waiter %d is told after %d, which came later", w.GetId(), last)
			}
			last = w.GetId()
		}
	}
	fmt.Printf("figures: hello frames=%d largest=%dB served=%d waiters=%d\n", len(a.sent), most, served, asked)
	if served != servers*apps || asked != waiters {
		t.Errorf("told %d of %d served and %d of %d waiting", served, servers*apps, asked, waiters)
	}
	if most > 1<<20 {
		t.Errorf("a frame of %d bytes", most)
	}
	if m := d.g.members["a"]; !m.joined || len(m.served) != servers*apps {
		t.Errorf("the grantor has joined %v, served %d", m.joined, len(m.served))
	}
}

// TestHello_NobodyIsGrantedBeforeEveryNodeHasToldItAll：换了任期，两个节点的报到都要说许多帧；
// 先说的那个节点的后到者不越过后说的那个节点的先到者。
func TestHello_NobodyIsGrantedBeforeEveryNodeHasToldItAll(t *testing.T) {
	d := newDuet(t, duetSpec(1), GrantorConfig{Term: 1, First: true})
	a, b := d.boot(HolderConfig{Node: "a", Epoch: 1}), d.boot(HolderConfig{Node: "b", Epoch: 1})
	d.connect(a)
	d.connect(b)
	d.run(time.Second)
	first := d.want(a, 1)
	d.run(time.Second)
	var order [][]*Permit
	for i := range 40 {
		order = append(order, d.want([]*duetNode{b, a}[i%2], 1))
		d.run(time.Millisecond)
	}
	a.h.items, b.h.items = 1, 1
	d.spec = duetSpec(2) // 多出一个名额：谁先得，看谁的话先算数
	d.spec.Revision++
	d.step(a, Configured{d.spec})
	d.step(b, Configured{d.spec})
	d.lead(GrantorConfig{Term: 2, Members: d.members()})
	d.connect(a)
	d.run(5 * time.Millisecond)
	d.connect(b)
	d.run(LeaseTTL / 2)
	if running(order[0]) != 1 || running(order[1:]...) != 0 {
		t.Fatalf("the one that came first runs %d, those after it %d", running(order[0]), running(order[1:]...))
	}
	held, holder := first[0], a
	for i, next := range order[1:] {
		if running([]*Permit{held}) != 1 || running(next) != 0 {
			t.Fatalf("before turn %d: held %v, next %d", i, held.live, running(next))
		}
		d.step(holder, Finished{held})
		d.run(100 * time.Millisecond)
		if running(next) != 1 {
			t.Fatalf("turn %d went to somebody else", i)
		}
		held, holder = next[0], []*duetNode{a, b}[i%2]
	}
}

// TestHello_WhatWasServedBeforeTheTermIsOnlyAStart：新授予者听来的累计值只是起点，断在半途再说一遍也是；
// 此后多出来的才记账。
func TestHello_WhatWasServedBeforeTheTermIsOnlyAStart(t *testing.T) {
	d := newDuet(t, duetSpec(5), GrantorConfig{Term: 1, First: true})
	a := d.boot(HolderConfig{Node: "a", Epoch: 1})
	a.h.items = 1
	tell := func(app string, cost int64) {
		a.h.servedOf(&Permit{Request: Request{App: app, Class: Standard, Weight: 1}, Server: "s"}).cost = cost
	}
	for i := range 30 {
		tell(fmt.Sprint("app-", i), 1_000_000)
	}
	d.connects(a, 3)
	if m := d.g.members["a"]; m.joined || !m.untold || len(m.served) != 3 {
		t.Fatalf("half told: joined %v, untold %v, heard of %d", m.joined, m.untold, len(m.served))
	}
	d.cut(a)
	d.connect(a)
	d.run(time.Second)
	charged := func() (sum int64) {
		for _, k := range d.g.core.server("s").classes {
			sum += k.counter
		}
		return sum
	}
	if got := charged(); got != 0 {
		t.Errorf("charged %d for what was served before this term", got)
	}
	tell("app-3", 1_000_500)
	tell("new", 500)
	d.run(time.Second)
	if got, want := charged(), perWeight(1000, Standard.Weight()); got != want {
		t.Errorf("charged %d for what came since, want %d", got, want)
	}
}

// connects 连上一个节点，但它只说得出 frames 帧，其后的都丢了。
func (d *duet) connects(n *duetNode, frames int) {
	d.conns++
	n.conn, n.sent = d.conns, nil
	for _, x := range n.h.Step(d.now, Connected{}) {
		if frames--; x.Kind == Send && frames >= 0 {
			f := proto.Clone(x.Request)
			for _, y := range d.g.Step(d.now, Heard{n.conn, f.(*admissionv1.AdmitRequest)}) {
				if y.Kind == Save {
					d.rows[y.Members[0].Node] = y.Members[0]
				}
			}
		}
	}
}
