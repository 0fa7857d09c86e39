package schedule

import (
	"strings"
	"testing"
	"time"
)

// TestSuccession_OnTheSameDiskFreesTheOldRunAtOnce：目录是独占的，前一次运行一定已经结束，两秒就放。
func TestSuccession_OnTheSameDiskFreesTheOldRunAtOnce(t *testing.T) {
	d := newDuet(t, duetSpec(5), GrantorConfig{Term: 1, First: true})
	a := d.boot(HolderConfig{Node: "a", Epoch: 1, Instance: "disk-1"})
	d.connect(a)
	d.run(time.Second)
	if got := running(d.want(a, 5)); got != 5 {
		t.Fatalf("runs %d", got)
	}
	d.kill(a)
	again := d.boot(HolderConfig{Node: "a", Epoch: 2, Instance: "disk-1", Stored: a.disk})
	d.connect(again)
	next := d.want(again, 5)
	if d.run(GhostTTL + time.Second); running(next) != 5 {
		t.Errorf("after the moment of grace it runs %d", running(next))
	}
}

// TestSuccession_OnAnotherDiskWaitsForTheOldRun：同一个名字在别的机器上起来，前一次还在跑着：
// 加起来不超过限额，前一次的隔离到底才放；换了授予者也一样。
func TestSuccession_OnAnotherDiskWaitsForTheOldRun(t *testing.T) {
	for name, change := range map[string]bool{"one leader": false, "a new leader meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			d := newDuet(t, duetSpec(5), GrantorConfig{Term: 1, First: true})
			a := d.boot(HolderConfig{Node: "a", Epoch: 1, Instance: "disk-1"})
			d.connect(a)
			d.run(time.Second)
			old := d.want(a, 5)
			d.run(time.Second)
			if got := d.rows["a"].Instance; got != "disk-1" {
				t.Errorf("the table says %q", got)
			}
			a.conn = 0 // 网断在它那一边：它不知道，授予者只看见新的一个
			d.nodes = nil
			began := d.now
			b := d.boot(HolderConfig{Node: "a", Epoch: 2, Instance: "disk-2"})
			d.connect(b)
			next := d.want(b, 5)
			if change {
				d.run(3 * time.Second)
				d.lead(GrantorConfig{Term: 2, Members: d.members()})
				d.connect(b)
			}
			for d.now < began.Add(time.Minute) { // 前一次的调用至多这么久
				if d.run(time.Second); running(old, next) > 5 {
					t.Fatalf("%v after the move: the old run has %d, the new one %d", d.now.Sub(began), running(old), running(next))
				}
				next = append(next, d.want(b, 1)...)
			}
			d.run(time.Minute)
			if got := running(d.want(b, 5), next); got != 0 {
				t.Errorf("with the share of the old run held back it still starts %d", got)
			}
			if len(d.rows) != 2 || !strings.HasPrefix(d.members()[1].Node, "a@") {
				t.Errorf("members: %+v", d.members())
			}
			d.run(ShareTTL)
			d.step(b, Ticked{})
			late := d.want(b, 5)
			if d.run(time.Second); running(late) != 5 || len(d.rows) != 1 {
				t.Errorf("once the old run is forgotten it runs %d; members %v", running(late), d.members())
			}
		})
	}
}

// TestSuccession_AnUnknownDiskIsAnotherDisk：说不出自己目录的，不能证明前一次已经结束。
func TestSuccession_AnUnknownDiskIsAnotherDisk(t *testing.T) {
	d := newDuet(t, duetSpec(5), GrantorConfig{Term: 1, First: true})
	a := d.boot(HolderConfig{Node: "a", Epoch: 1})
	d.connect(a)
	d.run(time.Second)
	old := d.want(a, 5)
	d.nodes, a.conn = nil, 0
	b := d.boot(HolderConfig{Node: "a", Epoch: 2})
	d.connect(b)
	next := d.want(b, 5)
	if d.run(20 * time.Second); running(old, next) > 5 {
		t.Errorf("the old run has %d, the new one %d", running(old), running(next))
	}
}
