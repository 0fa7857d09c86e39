package schedule

import (
	"testing"
	"time"

	"github.com/vega-gateway/vega/proto/ruleset"
)

// tiers 是两层各一个 server 的节点：下层有闲置的在手，上层的全在授予者那里。
func tiers(t *testing.T) *couple {
	t.Helper()
	spec := &Spec{Revision: 1, Apps: []AppSpec{{Name: "a"}}}
	for _, name := range []string{"up", "low"} {
		spec.Servers = append(spec.Servers, ServerSpec{Name: name, Limits: Limits{MaxConcurrency: 100}, Total: time.Minute})
	}
	p := newCouple(spec)
	for id := uint64(1); id < 10; id++ {
		w := p.waiter(id, time.Minute, Candidate{Server: "low", UpstreamModel: "m", Weight: 1})
		p.hold(Arrived{w})
		p.pass(100 * time.Millisecond)
		p.hold(Finished{w.Permit})
	}
	r := tokens("a", 1)
	if up, low := p.holder.Judge(p.now, "up", "m", r), p.holder.Judge(p.now, "low", "m", r); up != ruleset.Full || low != ruleset.Startable {
		t.Fatalf("upper tier %v, lower tier %v", up, low)
	}
	p.admits = nil
	return p
}

func (p *couple) waiter(id uint64, patience time.Duration, list ...Candidate) *Waiter {
	return &Waiter{Request: *tokens("a", 1), ID: id, Arrived: p.now, Deadline: p.now.Add(patience), Candidates: list, Permit: &Permit{}}
}

func both() []Candidate {
	return []Candidate{{Server: "low", UpstreamModel: "m", Weight: 1, Priority: 1}, {Server: "up", UpstreamModel: "m", Weight: 1}}
}

func TestTier_AsksForTheUpperBeforeUsingTheLower(t *testing.T) {
	p := tiers(t)
	w := p.waiter(100, time.Minute, both()...)
	p.hold(Arrived{w})
	p.pass(10 * time.Millisecond)
	if len(p.admits) != 1 || w.Permit.Server != "up" {
		t.Fatalf("admitted %d, to %q", len(p.admits), w.Permit.Server)
	}
}

// 上层真的满了，授予者就给下层；问不到它，过一会儿也用下层。
func TestTier_UsesTheLowerWhenTheUpperIsFullOrNobodyAnswers(t *testing.T) {
	full := tiers(t)
	full.grantor.take(full.now, Pool{Server: "up", Kind: InFlight}, 100)
	w := full.waiter(100, time.Minute, both()...)
	full.hold(Arrived{w})
	full.pass(10 * time.Millisecond)
	if len(full.admits) != 1 || w.Permit.Server != "low" {
		t.Fatalf("the upper tier is full: admitted %d, to %q", len(full.admits), w.Permit.Server)
	}

	silent := tiers(t)
	w = silent.waiter(100, 40*time.Millisecond, both()...)
	silent.holder.Step(silent.now, Arrived{w})
	for start := silent.now; !w.Permit.live; silent.now++ {
		if silent.now = silent.holder.Next(); silent.now == 0 || silent.now.Sub(start) > 20*time.Millisecond {
			t.Fatal("still waits for an answer")
		}
		silent.holder.Step(silent.now, Ticked{})
	}
	if w.Permit.Server != "low" {
		t.Fatalf("to %q", w.Permit.Server)
	}
}

func TestTier_PausedUpperIsNotAskedFor(t *testing.T) {
	p := tiers(t)
	p.holder.core.Pause(p.now, "up", "m", p.now.Add(time.Minute))
	w := p.waiter(100, time.Minute, both()...)
	p.holder.Step(p.now, Arrived{w})
	if w.Permit.Server != "low" {
		t.Fatalf("to %q", w.Permit.Server)
	}
}

// 没有连着，手上有什么就用什么。
func TestTier_WithoutTheGrantorTheLowerIsUsedAtOnce(t *testing.T) {
	p := tiers(t)
	p.holder.Step(p.now, Broken{})
	w := p.waiter(100, time.Minute, both()...)
	p.holder.Step(p.now, Arrived{w})
	if w.Permit.Server != "low" || p.holder.AsksFirst() {
		t.Fatalf("to %q", w.Permit.Server)
	}
}
