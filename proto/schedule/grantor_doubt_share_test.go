package schedule

import (
	"testing"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// rigShare 是一份第 version 版、rigPool 占 n 个的份额。
func rigShare(version uint64, n int64) *admissionv1.Share {
	return &admissionv1.Share{Version: version, Amounts: []*admissionv1.Amount{{Pool: poolMessage(rigPool), Units: n, Limit: 20}}}
}

func (r *leaderRig) shareOf(n *rigNode) int64 { return n.h.stocks[rigPool].share }

// TestGrantor_ReplacesAShareItDoesNotKnow 成员表回到过去：节点的份额比表里的新，就换成表里记着的，合起来不超过限额。
func TestGrantor_ReplacesAShareItDoesNotKnow(t *testing.T) {
	for name, stored := range map[string]uint64{"newer": 5, "of a later term": 7<<32 | 3} {
		r := newLeaderRig(t, rigSpec(1, 20, time.Minute), GrantorConfig{Term: 9, Members: []Member{
			{Node: "a", Epoch: 1, ShareVersion: 1, Shares: []Units{{rigPool, 10}}},
			{Node: "b", Instance: "b", Epoch: 1, ShareVersion: 1, Shares: []Units{{rigPool, 10}}}}})
		a, b := r.boot("a", 1, rigShare(stored, 20)), r.boot("b", 1, rigShare(1, 10))
		r.connect(a)
		if got := r.g.members["a"].share.bound(rigPool); a.last.GetVersion() == stored || got != 10 {
			t.Errorf("%s: right after it joined a has version %#x, the leader believes %d", name, a.last.GetVersion(), got)
		}
		r.connect(b)
		r.run(5 * time.Second)
		if r.shareOf(a) != 10 || r.shareOf(b) != 10 || r.table["a"].ShareVersion>>32 != 9 {
			t.Errorf("%s: a has %d, b %d of 20, row %+v", name, r.shareOf(a), r.shareOf(b), r.table["a"])
		}
	}
}

// TestGrantor_TakesAnUnknownShareForTheWholeLimitUntilItIsReplaced 换掉的那一版还没有落盘：别人一个也不能增，
// 它若此刻失联，替它留的是整个限额。
func TestGrantor_TakesAnUnknownShareForTheWholeLimitUntilItIsReplaced(t *testing.T) {
	r := newLeaderRig(t, rigSpec(1, 20, time.Minute), GrantorConfig{Term: 9, Members: []Member{
		{Node: "b", Instance: "b", Epoch: 1, ShareVersion: 1, Shares: []Units{{rigPool, 10}}}}})
	b := r.boot("b", 1, rigShare(1, 10))
	r.connect(b)
	a := r.boot("a", 1, rigShare(5, 20))
	a.slow = true
	r.connect(a)
	r.run(2 * time.Second)
	if got := r.shareOf(b); got != 10 || r.g.members["a"].share.bound(rigPool) != 20 {
		t.Fatalf("b has %d while a may use 20; the leader believes %d", got, r.g.members["a"].share.bound(rigPool))
	}
	r.kill(a)
	r.run(15 * time.Second)
	if got := r.g.Audit(r.now, rigPool).Quarantined; got != 20 {
		t.Errorf("%d of 20 held back for a", got)
	}
}

// TestGrantor_TheNextLeaderKnowsAShareThatOnlyShrank 缩下去的一版也写进表里：换了任不当它是说不清的。
func TestGrantor_TheNextLeaderKnowsAShareThatOnlyShrank(t *testing.T) {
	r := newLeaderRig(t, rigSpec(1, 20, time.Minute), GrantorConfig{Term: 1, First: true})
	a := r.join("a")
	r.run(2 * time.Second)
	a.slow = true
	r.join("b")
	r.run(2 * time.Second)
	if row := r.table["a"]; row.ShareVersion != a.last.GetVersion() || len(row.Shares) != 1 || row.Shares[0].N != 20 {
		t.Errorf("a was sent version %#x, row %+v", a.last.GetVersion(), row)
	}
}

// TestGrantor_HoldsBackWholeLimitsForAShareThatCannotBeRead 成员表里读不出来的份额当作整个限额；它报到就换掉。
func TestGrantor_HoldsBackWholeLimitsForAShareThatCannotBeRead(t *testing.T) {
	r := newLeaderRig(t, rigSpec(1, 20, time.Minute), GrantorConfig{Term: 9, Members: []Member{
		{Node: "a", Instance: "a", Epoch: 1, Clear: true, ShareVersion: 5, UnknownShares: true},
		{Node: "b", Instance: "b", Epoch: 1, ShareVersion: 1, Shares: []Units{{rigPool, 10}}}}})
	b := r.boot("b", 1, rigShare(1, 10))
	r.connect(b)
	permits := r.askFor(b, 1, time.Minute)
	r.run(15 * time.Second)
	if got := r.g.Audit(r.now, rigPool).Quarantined; got != 20 || live(permits) != 0 {
		t.Fatalf("%d of 20 held back for a, b runs %d", got, live(permits))
	}
	a := r.boot("a", 2, rigShare(5, 10))
	r.connect(a)
	if r.shareOf(a) != 0 {
		t.Errorf("a was first given %d", r.shareOf(a))
	}
	r.run(10 * time.Second)
	if r.shareOf(a)+r.shareOf(b) != 20 || a.last.GetVersion() == 5 || live(permits) != 1 {
		t.Errorf("a has %d of version %#x, b %d; b runs %d", r.shareOf(a), a.last.GetVersion(), r.shareOf(b), live(permits))
	}
}
