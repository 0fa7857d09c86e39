package schedule

import (
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// couple 是一个节点与它的授予者，中间的线不丢也不慢。
type couple struct {
	now     Time
	holder  *Holder
	grantor *Grantor
	admits  []*Waiter
	refused []*Waiter
	expired []*Waiter
}

func newCouple(spec *Spec) *couple {
	p := &couple{now: Time(time.Hour)}
	p.grantor = NewGrantor(GrantorConfig{Term: 1, Now: p.now, First: true})
	p.holder = NewHolder(HolderConfig{Node: "n", Epoch: 1, Now: p.now})
	p.grant(Reconfigured{spec})
	p.hold(Configured{spec})
	p.hold(Connected{})
	return p
}

func (p *couple) hold(e HolderEvent) {
	effects := p.holder.Step(p.now, e)
	if len(effects) == 0 {
		return
	}
	for _, x := range append([]HolderEffect(nil), effects...) {
		switch x.Kind {
		case Send:
			p.grant(Heard{Conn: 1, Request: x.Request})
		case Admit:
			p.admits = append(p.admits, x.Waiter)
		case Refuse:
			p.refused = append(p.refused, x.Waiter)
		case Expire:
			p.expired = append(p.expired, x.Waiter)
		case Store:
			p.hold(Stored{x.Share.GetVersion()})
		}
	}
}

func (p *couple) grant(e GrantorEvent) {
	var frames []*admissionv1.AdmitResponse
	var saves []uint64
	for _, x := range p.grantor.Step(p.now, e) {
		switch x.Kind {
		case Reply:
			frames = append(frames, x.Response)
		case Save:
			saves = append(saves, x.ID)
		}
	}
	for _, f := range frames {
		p.hold(Received{f})
	}
	for _, id := range saves {
		p.grant(Saved{id})
	}
}

// pass 让时间过去，到点的都叫到。
func (p *couple) pass(d time.Duration) {
	for end := p.now.Add(d); p.now < end; {
		next := earliest(earliest(p.holder.Next(), p.grantor.Next()), end)
		p.now = max(min(next, end), p.now+1)
		p.hold(Ticked{})
		p.grant(Tick{})
	}
}

func limitsSpec() *Spec {
	return &Spec{Revision: 1,
		Servers: []ServerSpec{{Name: "s", Limits: Limits{MaxConcurrency: 1000, RequestsPerMinute: 6_000_000, TokensPerMinute: 6_000_000_000}, BurstPercent: 10, Total: time.Minute}},
		Apps:    []AppSpec{{Name: "a", Limits: Limits{MaxConcurrency: 500, RequestsPerMinute: 6_000_000}}}}
}

// BenchmarkHolder_Local 是限额都设着而没有碰到时，一个请求在准入上的全部：判、开始、结束，连同它引起的心跳与续取。
func BenchmarkHolder_Local(b *testing.B) {
	p := newCouple(limitsSpec())
	r := Request{App: "a", Class: Standard, Weight: 1, Cost: Cost{Prompt: 100, Output: 50}}
	var permit Permit
	use := func() bool {
		if p.holder.Judge(p.now, "s", "m", &r) != 0 {
			return false
		}
		permit.Request, permit.Server, permit.Upstream = r, "s", "m"
		p.hold(Started{&permit})
		permit.Used, permit.Known = Cost{Prompt: 100, Output: 40}, true
		p.hold(Finished{&permit})
		return true
	}
	warm := func() {
		w := &Waiter{Request: r, ID: uint64(p.now), Arrived: p.now, Candidates: []Candidate{{Server: "s", UpstreamModel: "m", Weight: 1}}, Permit: &Permit{}}
		p.hold(Arrived{w})
		for _, w := range p.admits {
			p.hold(Finished{w.Permit})
		}
		p.admits = p.admits[:0]
	}
	for range 50 {
		warm()
		p.pass(100 * time.Millisecond)
	}
	b.ReportAllocs()
	b.ResetTimer()
	asked := 0
	for b.Loop() {
		if !use() {
			asked++
			warm()
		}
		p.pass(100 * time.Microsecond)
	}
	b.ReportMetric(float64(asked)/float64(b.N), "asked/op")
}

// BenchmarkHolder_Unlimited 是没有任何限额时的代价。
func BenchmarkHolder_Unlimited(b *testing.B) {
	p := newCouple(&Spec{Revision: 1, Servers: []ServerSpec{{Name: "s"}}, Apps: []AppSpec{{Name: "a"}}})
	r := Request{App: "a", Class: Standard, Weight: 1}
	var permit Permit
	b.ReportAllocs()
	for b.Loop() {
		if p.holder.Judge(p.now, "s", "m", &r) != 0 {
			b.Fatal("full")
		}
		permit.Request, permit.Server, permit.Upstream = r, "s", "m"
		p.holder.Step(p.now, Started{&permit})
		p.holder.Step(p.now, Finished{&permit})
	}
}
