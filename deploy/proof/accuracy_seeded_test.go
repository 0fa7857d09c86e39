package proof

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	"github.com/vega-gateway/vega/deploy/stack"
)

// TestAccuracy_CatchesSeededBugs 把次序的规矩拿掉的数据面放进同样的负荷与 kill -9：对账非说出不对不可，否则它证明不了规矩有用。
func TestAccuracy_CatchesSeededBugs(t *testing.T) {
	t.Parallel()
	seeded := t.TempDir()
	if err := stack.BuildSeeded(filepath.Join("..", ".."), bin, seeded); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		bug    string
		caught func(*audit) int
	}{
		{"", func(*audit) int { return 0 }},
		{"open_late", func(a *audit) int { return a.lost }},        // 送出之后才写下：杀在途的就没有了
		{"close_skipped", func(a *audit) int { return a.strange }}, // 最后一个字节之前没有写下：做完的成了被杀的
	} {
		t.Run("bug "+c.bug, func(t *testing.T) {
			f := newFleet(t, shape{nodes: 1, outside: true, bin: seeded, nodeEnv: []string{"VEGA_SEEDED_BUG=" + c.bug},
				upstream: upstreamtest.Config{Script: scripted}}, func(f *fleet) doc { return f.mixture() })
			m := f.mixer()
			m.closed(16, rand.Uint64())
			k := &killer{f: f}
			for range 5 {
				pause(t.Context(), 500*time.Millisecond)
				f.Dataplanes[0].Kill()
				k.revive(t.Context())
			}
			seen := m.finish()
			f.drained(t.Context())
			a := f.audit(t.Context(), seen)
			figures("accuracy_seeded bug=%q requests=%d wrong=%d caught_by_the_rule_it_breaks=%d", c.bug, a.requests, a.bad(), c.caught(a))
			if c.bug == "" {
				a.judge(t)
			} else if c.caught(a) == 0 {
				t.Errorf("%s goes unnoticed: %s", c.bug, a)
			}
		})
	}
}
