package admit

import (
	"testing"
	"testing/synctest"
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

// 下层有闲置的在手、上层的全在授予者那里：先问授予者。
func TestGate_AsksTheLeaderForTheUpperTierBeforeUsingTheLower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("up", concurrency(100)), server("low", concurrency(100))}, app("team"))
		g, leave := join(t, newLeader(specOf(st, "team")), "node", st)
		defer leave()
		team, _ := st.App("team")
		up, low := target(t, st, "up"), *target(t, st, "low")
		low.Priority = 1
		acquire := func(c list) (p Permit) {
			if err := g.Acquire(t.Context(), Ask{Candidates: c, App: team, Deadline: in(time.Minute), Cost: schedule.Cost{Prompt: 1}}, &p); err != nil {
				t.Fatal(err)
			}
			return p
		}
		time.Sleep(time.Second)
		for range 10 {
			p := acquire(list{&low})
			time.Sleep(100 * time.Millisecond)
			p.Release()
		}
		if p := acquire(list{&low}); p.Position != 0 {
			t.Fatal("nothing of the lower tier is at hand")
		} else {
			p.Release()
		}
		p := acquire(list{up, &low})
		if p.Target.Server.Name != "up" {
			t.Errorf("went to %s", p.Target.Server.Name)
		}
		p.Release()
		idle(t, g)
	})
}
