package admit

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/schedule"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// specOf 是授予者看到的同一版配置。
func specOf(st *state.State, apps ...string) *schedule.Spec {
	spec := &schedule.Spec{Revision: st.Revision, Servers: serverSpecs(st)}
	for _, name := range apps {
		if a, ok := st.App(name); ok {
			spec.Apps = append(spec.Apps, schedule.AppSpec{Name: name, Limits: schedule.Limits(a.Limits)})
		}
	}
	return spec
}

// join 起一个连着 l 的节点；t 结束之前须 cancel 再 wait。
func join(t testing.TB, l *leader, name string, st *state.State, edit ...func(*Config, *Deps)) (g *Gate, leave func()) {
	t.Helper()
	cfg := Config{Node: name, Epoch: 1, Addresses: []string{"leader"}}
	deps := Deps{Dial: func(string) (Conn, error) { return l.Dial(), nil }}
	for _, f := range edit {
		f(&cfg, &deps)
	}
	g, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	g.Reconfigure(st)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return g, func() { cancel(); wg.Wait() }
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return vegaerr.As(err).ReasonOrCode()
}

func TestGate_OneLimitAcrossNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 5
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(limit))}, app("team"))
		l := newLeader(specOf(st, "team"))
		team, _ := st.App("team")
		var running, most, served atomic.Int64
		var workers sync.WaitGroup
		for n := range 3 {
			g, leave := join(t, l, fmt.Sprint("node-", n), st)
			defer leave()
			defer func() { idle(t, g) }()
			for i := range 8 {
				workers.Go(func() {
					for k := range 50 {
						var p Permit
						err := g.Acquire(t.Context(), Ask{Candidates: list{target(t, st, "a")}, App: team, Deadline: in(time.Minute)}, &p)
						if err != nil {
							t.Error(err)
							return
						}
						if now := running.Add(1); now > most.Load() {
							most.Store(now)
						}
						time.Sleep(time.Duration(50+(n*7+i*13+k*29)%100) * time.Millisecond)
						running.Add(-1)
						served.Add(1)
						p.Release()
					}
				})
			}
		}
		begin := time.Now()
		workers.Wait()
		if most.Load() != limit || served.Load() != 1200 {
			t.Errorf("at most %d at once of %d, served %d", most.Load(), limit, served.Load())
		}
		t.Logf("1200 requests of 0.1 s at 5 at once took %v of virtual time", time.Since(begin))
	})
}
