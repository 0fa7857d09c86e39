package schedule

import (
	"testing"
	"time"
)

// TestGrantor_WritesTheWholeTableAgainWhenARowIsLost 少了一行，别的行也可能是旧的；失联着的也在其中。
func TestGrantor_WritesTheWholeTableAgainWhenARowIsLost(t *testing.T) {
	r := newLeaderRig(t, rigSpec(1, 8, time.Minute), GrantorConfig{Term: 1, First: true})
	a, b := r.join("a"), r.join("b")
	r.run(2 * time.Second)
	r.ask(a, 1)
	r.run(time.Second)
	r.kill(a)
	r.run(15 * time.Second)
	want := r.members()
	saves := r.g.saved
	r.tell(Touched{At: r.now, Nodes: []string{"b"}})
	if r.g.saved != saves {
		t.Error("wrote a table that lost nothing")
	}
	clear(r.table)
	r.tell(Touched{At: r.now, Nodes: []string{"b"}, Missing: []string{"b"}})
	got := r.members()
	if len(got) != 2 || got[0].Node != "a" || got[0].Clear || got[0].ShareVersion != want[0].ShareVersion || got[0].SilentFor < 15*time.Second ||
		got[1].Node != "b" || len(got[1].Shares) != 1 || got[1].Shares[0] != want[1].Shares[0] || b.conn == 0 {
		t.Errorf("had %+v\nnow %+v", want, got)
	}
}
