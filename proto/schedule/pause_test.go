package schedule

import (
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

func upstream(revision uint64, identity string) *Spec {
	return &Spec{Revision: revision, Apps: []AppSpec{{Name: "a"}},
		Servers: []ServerSpec{{Name: "s", Identity: identity, Limits: Limits{MaxConcurrency: 10}, Total: time.Minute}}}
}

var onlyS = []Candidate{{Server: "s", UpstreamModel: "m", Weight: 1}}

// paused 是一个刚从上游得了 429 的节点，授予者也知道了。
func paused() *couple {
	p := newCouple(upstream(1, "old"))
	p.hold(TargetPaused{Server: "s", Upstream: "m", For: 10 * time.Second})
	p.pass(100 * time.Millisecond)
	return p
}

func (p *couple) verdicts() [2]ruleset.Verdict {
	r := tokens("a", 1)
	return [2]ruleset.Verdict{p.holder.Judge(p.now, "s", "m", r), p.grantor.core.Judge(p.now, "s", "m", r)}
}

// 新任的授予者在授予之前就从报到里知道了暂停。
func TestPause_NewTermLearnsItFromTheReport(t *testing.T) {
	p := paused()
	p.hold(Broken{})
	p.grantor = NewGrantor(GrantorConfig{Term: 2, Now: p.now, Members: []Member{{Node: "n", Epoch: 1}}})
	p.grant(Reconfigured{upstream(1, "old")})
	w := p.waiter(1, time.Minute, onlyS...)
	p.hold(Arrived{w})
	p.hold(Connected{})
	p.pass(9 * time.Second)
	if len(p.admits) > 0 || p.grantor.Counts().Grants > 0 || p.verdicts() != [2]ruleset.Verdict{ruleset.Paused, ruleset.Paused} {
		t.Fatalf("%d admitted, %d granted, %v", len(p.admits), p.grantor.Counts().Grants, p.verdicts())
	}
	if p.pass(2 * time.Second); len(p.admits) != 1 {
		t.Fatal("not admitted after the pause")
	}
}

// 授予在路上的时候节点自己得知了暂停：不用它，原样归还，停完再去。
func TestPause_GrantThatCrossesItIsReturned(t *testing.T) {
	p := newCouple(upstream(1, "old"))
	w := p.waiter(1, time.Minute, onlyS...)
	var up []*admissionv1.AdmitRequest
	send := func(effects []HolderEffect) {
		for _, x := range effects {
			if x.Kind == Send {
				up = append(up, x.Request)
			}
			if x.Kind == Admit {
				p.admits = append(p.admits, x.Waiter)
			}
		}
	}
	send(p.holder.Step(p.now, Arrived{w}))
	granted := append([]GrantorEffect(nil), p.grantor.Step(p.now, Heard{Conn: 1, Request: up[0]})...)
	up = nil
	send(p.holder.Step(p.now, TargetPaused{Server: "s", Upstream: "m", For: 10 * time.Second}))
	for _, x := range granted {
		send(p.holder.Step(p.now, Received{x.Response}))
	}
	if len(p.admits) > 0 {
		t.Fatal("started at a target that it knows to be paused")
	}
	for _, f := range up {
		p.grant(Heard{Conn: 1, Request: f})
	}
	if p.pass(9 * time.Second); len(p.admits) > 0 || p.grantor.HeldBy("n", Pool{Server: "s", Kind: InFlight}) > 0 {
		t.Fatalf("%d admitted while paused", len(p.admits))
	}
	if p.pass(2 * time.Second); len(p.admits) != 1 {
		t.Fatal("not admitted after the pause")
	}
}

func TestPause_EndsWhenTheServerBecomesAnother(t *testing.T) {
	for identity, want := range map[string]ruleset.Verdict{"old": ruleset.Paused, "new": ruleset.Startable} {
		p := paused()
		p.grant(Reconfigured{upstream(2, identity)})
		p.hold(Configured{upstream(2, identity)})
		p.pass(100 * time.Millisecond)
		v := p.verdicts()
		if v[0] == ruleset.Full { // 没有闲置的在手，只看是不是还暂停着
			v[0] = ruleset.Startable
		}
		if v != [2]ruleset.Verdict{want, want} {
			t.Errorf("identity %s: %v", identity, v)
		}
	}
}

// 等着的也当场放行，不必等到暂停本来的尽头。
func TestPause_EndOfItAdmitsWaiters(t *testing.T) {
	p := paused()
	p.hold(Arrived{p.waiter(1, time.Minute, onlyS...)})
	p.pass(100 * time.Millisecond)
	p.grant(Reconfigured{upstream(2, "new")})
	p.hold(Configured{upstream(2, "new")})
	if p.pass(100 * time.Millisecond); len(p.admits) != 1 {
		t.Fatal("still waits for the old upstream's pause")
	}
}

// 配置还没有到的一边重说从前的暂停，不作数。
func TestPause_OldConfigurationDoesNotBringItBack(t *testing.T) {
	leader := paused()
	leader.grant(Reconfigured{upstream(2, "new")})
	leader.hold(Broken{})
	leader.grant(Closed{1})
	leader.hold(Connected{}) // 节点还在用第一版
	if v := leader.verdicts()[1]; v != ruleset.Startable {
		t.Errorf("the leader pauses the new upstream: %v", v)
	}

	node := paused()
	node.hold(Configured{upstream(2, "new")})
	node.hold(Broken{})
	node.grant(Closed{1})
	node.hold(Connected{}) // 授予者还在用第一版
	if v := node.verdicts()[0]; v == ruleset.Paused {
		t.Error("the node pauses the new upstream")
	}
}
