package schedule

import (
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// trickle 让节点一直用一点：它留着闲置的，用不完的还回去。
func trickle(p *couple, id *uint64) {
	*id++
	p.hold(Arrived{&Waiter{Request: *tokens("a", 0), ID: *id, Arrived: p.now, Deadline: p.now.Add(time.Minute),
		Candidates: []Candidate{{Server: "s", UpstreamModel: "m", Weight: 1}}, Permit: &Permit{}}})
	for _, w := range p.admits {
		p.hold(Finished{w.Permit})
	}
	p.admits = nil
}

// 放在节点那里、还会退回来的，与余量合起来从不超过容量。
func TestRateReturn_LevelAndSparesNeverExceedTheBurst(t *testing.T) {
	p := newCouple(rateSpec(388))
	pool, id, most := Pool{Server: "s", Kind: Requests}, uint64(0), int64(0)
	for range 400 {
		trickle(p, &id)
		p.pass(251 * time.Millisecond)
		free, _ := p.grantor.core.Free(p.now, pool)
		var out int64
		for _, v := range p.grantor.members["n"].spares {
			if p.now < v.until {
				out += v.n
			}
		}
		if most = max(most, out); free+out > Burst(388, 10) {
			t.Fatalf("level %d and %d at the node, burst %d", free, out, Burst(388, 10))
		}
	}
	if most == 0 {
		t.Fatal("the node never kept a spare unit")
	}
}

// 用不上的授予不退请求数：授予者没有替它留着容量。
func TestRateReturn_UnusedGrantCostsItsRequestUnit(t *testing.T) {
	p := newCouple(rateSpec(600))
	pool := Pool{Server: "s", Kind: Requests}
	before, _ := p.grantor.core.Free(p.now, pool)
	w := &Waiter{Request: *tokens("a", 0), ID: 1, Arrived: p.now, Deadline: p.now.Add(time.Minute),
		Candidates: []Candidate{{Server: "s", UpstreamModel: "m", Weight: 1}}, Permit: &Permit{}}
	var asked *admissionv1.AdmitRequest
	for _, x := range p.holder.Step(p.now, Arrived{w}) {
		asked = x.Request
	}
	replies := append([]GrantorEffect(nil), p.grantor.Step(p.now, Heard{Conn: 1, Request: asked})...)
	p.hold(Left{w}) // 授予还在路上
	for _, x := range replies {
		for _, y := range p.holder.Step(p.now, Received{x.Response}) {
			if y.Kind == Send && len(y.Request.GetReturns()) > 0 {
				t.Fatalf("the node returns %v", y.Request.GetReturns())
			}
		}
	}
	if after, _ := p.grantor.core.Free(p.now, pool); after != before-1 || len(p.admits) > 0 {
		t.Fatalf("level %d, was %d; %d admitted", after, before, len(p.admits))
	}
}
