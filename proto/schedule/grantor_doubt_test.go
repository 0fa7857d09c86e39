package schedule

import (
	"testing"
	"time"
)

// TestGrantor_ADoubtfulTableHoldsBackWhatUnknownNodesMayRun 数据库回到过去、成员表里没有的节点正用着全部名额：
// 它报到之前别人得不到；它报到、做完之后都能用。
func TestGrantor_ADoubtfulTableHoldsBackWhatUnknownNodesMayRun(t *testing.T) {
	for name, members := range map[string]func([]Member) []Member{
		"an empty table":   func([]Member) []Member { return nil },
		"a row is missing": func(all []Member) []Member { return all[1:] },
	} {
		r := newLeaderRig(t, rigSpec(1, 5, time.Minute), GrantorConfig{Term: 1, First: true})
		a, b := r.join("a"), r.join("b")
		r.run(2 * time.Second)
		old := r.ask(a, 5)
		r.run(500 * time.Millisecond)
		if live(old) != 5 {
			t.Fatal("a runs nothing")
		}
		r.lead(GrantorConfig{Term: 10, Members: members(r.members()), Doubtful: true})
		r.connect(b)
		var next []*Permit
		for range 60 {
			next = append(next, r.ask(b, 1)...)
			r.run(time.Second)
			if n := live(old) + live(next); n > 5 {
				t.Fatalf("%s: %d run, limit 5", name, n)
			}
		}
		r.connect(a)
		for _, p := range old {
			r.do(a, Finished{p})
		}
		r.run(time.Second)
		if live(next) != 5 {
			t.Errorf("%s: in the end b runs %d of 5", name, live(next))
		}
	}
}

// TestGrantor_DoubtOutlivesATerm 不可信的成员表换了一任还是不可信；隔离只走一遍，走完即了。
func TestGrantor_DoubtOutlivesATerm(t *testing.T) {
	r := newLeaderRig(t, rigSpec(1, 5, time.Minute), GrantorConfig{Term: 10, Doubtful: true})
	r.run(30 * time.Second)
	r.lead(GrantorConfig{Term: 11, Members: r.members()})
	if took := r.firstGrant(); took < 30*time.Second || took > 75*time.Second {
		t.Errorf("first grant after %v", took)
	}
	r.run(2 * time.Minute)
	r.lead(GrantorConfig{Term: 12, Members: r.members()})
	b := r.nodes["b"]
	r.connect(b)
	next := r.ask(b, 4)
	r.run(time.Second)
	if live(next) != 4 {
		t.Errorf("once the doubt is over: %d of 4, table %+v", live(next), r.members())
	}
	r.run(ShareTTL)
	if len(r.table) != 1 {
		t.Errorf("an hour later the table is %+v", r.members())
	}
}
