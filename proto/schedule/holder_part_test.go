package schedule

import (
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// TestParting_TheShareIsOffTheDiskBeforeAnybodyElseGetsIt：道别的节点在控制面不在时又从自己的盘起来，
// 它从前那一份已经归了别人，所以全机群能开始的还是不超过限额。
func TestParting_TheShareIsOffTheDiskBeforeAnybodyElseGetsIt(t *testing.T) {
	d := newDuet(t, duetSpec(20), GrantorConfig{Term: 1, First: true})
	a, b := d.boot(HolderConfig{Node: "a", Epoch: 1}), d.boot(HolderConfig{Node: "b", Epoch: 1})
	d.connect(a)
	d.connect(b)
	d.run(5 * time.Second)
	if got := a.h.stocks[duetPool].share; got != 10 {
		t.Fatalf("a has a share of %d before it leaves, want 10", got)
	}
	d.step(a, Parting{})
	d.kill(a)
	d.run(5 * time.Second)
	d.leave()
	again := d.boot(HolderConfig{Node: "a", Epoch: 2, Stored: a.disk})
	d.run(5 * time.Minute)
	if got := b.h.stocks[duetPool].cap; got != 20 {
		t.Errorf("the one that stayed may start %d, want all 20: the leaver's share is common property", got)
	}
	if got := again.h.stocks[duetPool].cap + b.h.stocks[duetPool].cap; got > 20 {
		t.Errorf("%v; %v: %d of 20", again, b, got)
	}
}

// TestParting_SaysNothingWhileTheShareIsStillOnDisk：抹不去就不道别，授予者照失联的替它留着那一份。
func TestParting_SaysNothingWhileTheShareIsStillOnDisk(t *testing.T) {
	d := newDuet(t, duetSpec(20), GrantorConfig{Term: 1, First: true})
	a := d.boot(HolderConfig{Node: "a", Epoch: 1})
	d.connect(a)
	d.run(5 * time.Second)
	before := a.disk.GetVersion()
	d.stuck = true
	d.step(a, Parting{})
	d.step(a, Stored{Version: before}) // 先前那一份此刻才落定的，不是抹去
	d.run(time.Second)
	for _, f := range a.sent {
		if f.GetBye() {
			t.Fatal("it said goodbye while its share was on disk")
		}
	}
	d.stuck = false
	d.step(a, Stored{Version: 0})
	if last := a.sent[len(a.sent)-1]; !last.GetBye() {
		t.Errorf("no goodbye after the share was gone: %v", last)
	}
	if len(d.rows) != 0 {
		t.Errorf("still a member: %v", d.rows)
	}
}

// TestParting_WithNobodyToTellKeepsTheShare：没有流时说不出口，份额还是它的，下一次启动要用。
func TestParting_WithNobodyToTellKeepsTheShare(t *testing.T) {
	h := NewHolder(HolderConfig{Node: "a", Epoch: 1, Now: duetSecond, Stored: shareOf(3, 10, Units{duetPool, 10})})
	h.Step(duetSecond, Configured{duetSpec(10)})
	if effects := h.Step(2*duetSecond, Parting{}); len(effects) != 0 {
		t.Errorf("%+v", effects)
	}
}

// TestParting_TakesNoNewShare：抹去之后又给的一份也不留下。
func TestParting_TakesNoNewShare(t *testing.T) {
	d := newDuet(t, duetSpec(20), GrantorConfig{Term: 1, First: true})
	a := d.boot(HolderConfig{Node: "a", Epoch: 1})
	d.connect(a)
	d.run(5 * time.Second)
	d.stuck = true
	d.step(a, Parting{})
	d.stuck = false
	late := &admissionv1.AdmitResponse{Term: 1, Epoch: 1, Stream: 1, Seq: a.h.inbox.received + 1, Share: shareOf(9, 20, Units{duetPool, 20})}
	for _, x := range a.h.Step(d.now, Received{late}) {
		if x.Kind == Store {
			t.Errorf("stores %v", x.Share)
		}
	}
	if got := a.h.stocks[duetPool].share; got != 0 {
		t.Errorf("share %d", got)
	}
}
