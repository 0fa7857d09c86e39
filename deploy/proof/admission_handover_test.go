package proof

import (
	"fmt"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

// TestAdmission_Handover 有两个控制面：当任的先后被要求停下，各交给另一个，授予几乎不断；最后当任的被杀，
// 另一个等它的任期过了才接手，其间各节点用手上的。从不越过限额。
func TestAdmission_Handover(t *testing.T) {
	t.Parallel()
	f := newLimited(t, shape{nodes: faultNodes, replicas: 1, outside: true}, faultLimit, faultService)
	c := f.besiege()
	f.phase(c).warm()
	planes, admins := []*stack.Process{f.Controlplane, f.Replicas[0]}, []stack.Admin{f.Admin, *f.ReplicaAdmin(0)}
	term := f.queued().Leader.Term
	for i, plane := range planes {
		p := f.phase(c)
		time.Sleep(time.Second)
		f.Admin = admins[1-i]
		stopped := time.Now()
		if err := plane.Stop(20 * time.Second); err != nil {
			t.Fatal(err)
		}
		took := time.Since(stopped)
		recovery := p.back(stopped, 5*time.Second)
		pauseFor := gap(f.rows(nil), stopped, time.Now())
		next := f.succeeded(term)
		if err := plane.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.back(time.Now(), 5*time.Second)
		p.end(fmt.Sprintf("handover-%d", i+1), fmt.Sprintf("stopped=%s stop_took=%s term=%d->%d gap_in_grants=%s recovery=%s", plane.Name, short(took), term, next, short(pauseFor), short(recovery)))
		term = next
	}

	p := f.phase(c)
	time.Sleep(time.Second)
	f.Admin = admins[1]
	killed := time.Now()
	f.Controlplane.Kill()
	next := f.succeeded(term)
	granting := time.Now()
	recovery := p.back(granting, 5*time.Second)
	p.end("leader-killed-with-a-standby", fmt.Sprintf("term=%d->%d granting_after=%s utilisation_without_leader=%.4f recovery_after_granting=%s",
		term, next, short(granting.Sub(killed)), p.m.mean(killed, granting)/faultLimit, short(recovery)))
}

// succeeded 等到有一个任期在 term 之后的当任者在授予。
func (f *fleet) succeeded(term uint64) uint64 {
	f.t.Helper()
	for since := time.Now(); time.Since(since) < 40*time.Second; time.Sleep(50 * time.Millisecond) {
		if l := f.queued().Leader; l.Term > term && !l.Learning {
			return l.Term
		}
	}
	f.t.Fatalf("nobody succeeds term %d", term)
	return 0
}
