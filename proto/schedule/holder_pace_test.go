package schedule

import (
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

var duetRequests = Pool{Server: "s", Kind: Requests}

// ratedSpec 是一个每分钟至多 limit 个请求的 server。
func ratedSpec(limit int64) *Spec {
	return &Spec{Revision: 1, Servers: []ServerSpec{{Name: "s", Limits: Limits{RequestsPerMinute: limit}, BurstPercent: 10, Total: time.Minute}}}
}

// starts 是 n 此刻自己开始得了几个。
func (d *duet) starts(n *duetNode) (started int) {
	r := Request{App: "x", Class: Standard, Weight: 1}
	for n.h.Judge(d.now, "s", "", &r) == ruleset.Startable && started < 10_000 {
		p := &Permit{Request: r, Server: "s"}
		d.step(n, Started{p})
		d.step(n, Finished{p})
		started++
	}
	return started
}

// firstStart 从此刻起过 span，给出第一个开始得了的在多久之后；没有即 span。
func (d *duet) firstStart(n *duetNode, span time.Duration) time.Duration {
	for began := d.now; ; d.run(100 * time.Millisecond) {
		if took := d.now.Sub(began); took >= span || d.starts(n) > 0 {
			return took
		}
	}
}

// subtractedAfter 是一个活着的授予者最晚在听见节点之后多久，才从它给出的速率里减去那个节点的份额。
const subtractedAfter = LeaseTTL + LeaseTTL*2*drift/100 + slack

// TestPace_ARestartedNodeLeavesTheRateAloneUntilTheLeaderHasSubtractedItsShare：
// 刚起来而连不上的，授予者还当它的前一次运行活着，照旧把全部速率给别人。
func TestPace_ARestartedNodeLeavesTheRateAloneUntilTheLeaderHasSubtractedItsShare(t *testing.T) {
	d := newDuet(t, ratedSpec(600), GrantorConfig{Term: 1, First: true})
	a := d.boot(HolderConfig{Node: "a", Epoch: 2, Stored: shareOf(3, duetRequests, 270, 600)})
	if took := d.firstStart(a, time.Minute); took <= subtractedAfter || took > subtractedAfter+time.Second {
		t.Errorf("starts %v after boot; the leader subtracts the share up to %v after it", took, subtractedAfter)
	}
}

// TestPace_ALapsedNodeWaitsForTheLeaderToo：租期过了也一样，从授予者最后可能听见它的时候算起。
func TestPace_ALapsedNodeWaitsForTheLeaderToo(t *testing.T) {
	d := newDuet(t, ratedSpec(600), GrantorConfig{Term: 1, First: true})
	a := d.boot(HolderConfig{Node: "a", Epoch: 1})
	d.connect(a)
	d.run(5 * time.Second)
	if a.h.rates[duetRequests].share == 0 {
		t.Fatal("no share")
	}
	conn := a.conn
	a.conn = 0
	d.step(a, Broken{})
	if took := d.firstStart(a, time.Minute); took <= subtractedAfter || took > subtractedAfter+2*time.Second {
		t.Errorf("starts %v after the cut; the leader subtracts the share up to %v after it", took, subtractedAfter)
	}
	if m := d.g.members["a"]; !m.lost || m.conn != conn && m.conn != 0 {
		t.Errorf("the leader has not given it up: lost %v", m.lost)
	}
}

// TestPace_AStreamThatMayHaveBeenBookedStartsTheWaitAnew：报到也许使授予者又当它活着；
// 说不是授予者的、回绝的不算。
func TestPace_AStreamThatMayHaveBeenBookedStartsTheWaitAnew(t *testing.T) {
	d := newDuet(t, ratedSpec(600), GrantorConfig{Term: 1, First: true})
	d.leave()
	a := d.boot(HolderConfig{Node: "a", Epoch: 2, Stored: shareOf(3, duetRequests, 270, 600)})
	d.firstStart(a, time.Minute)
	for range 40 {
		d.run(250 * time.Millisecond)
		a.h.Step(d.now, Connected{})
		a.h.Step(d.now, Received{&admissionv1.AdmitResponse{NotLeader: &admissionv1.NotLeader{}}})
		a.h.Step(d.now, Broken{})
		a.h.Step(d.now, Connected{})
		a.h.Step(d.now, Broken{Unbooked: true})
	}
	if d.starts(a) == 0 {
		t.Error("replicas that booked nothing took its rate away")
	}
	a.h.Step(d.now, Connected{})
	a.h.Step(d.now, Broken{})
	if took := d.firstStart(a, time.Minute); took <= subtractedAfter {
		t.Errorf("starts %v after a stream nobody knows the outcome of", took)
	}
}
