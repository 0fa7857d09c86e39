package admit

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// listen 把 l 挂在回环的一个端口上。
func listen(t *testing.T, l *leader) (addr string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	admissionv1.RegisterAdmissionServiceServer(server, leaderService{leader: l})
	go func() { _ = server.Serve(lis) }() // Stop 使它返回
	t.Cleanup(server.Stop)
	return lis.Addr().String()
}

func dialLoopback(addr string) (Conn, error) {
	return grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// eventually 等 ok 为真。
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for ", what)
		}
	}
}

func TestGate_OverGRPC(t *testing.T) {
	const limit = 3
	st := compile(t, 1, []*configv1.Server{server("a", concurrency(limit))}, app("team"))
	l := newLeader(specOf(st, "team"))
	elsewhere := newLeader(specOf(st, "team"))
	addr := listen(t, l)
	elsewhere.Move(addr)
	other := listen(t, elsewhere) // 只指路的副本
	team, _ := st.App("team")
	var running, most, served atomic.Int64
	var workers sync.WaitGroup
	var gates []*Gate
	for n := range 2 {
		g, leave := join(t, nil, fmt.Sprint("node-", n), st, func(c *Config, d *Deps) {
			c.Addresses, d.Dial = []string{other}, dialLoopback
		})
		defer leave()
		gates = append(gates, g)
		for range 4 {
			workers.Go(func() {
				for range 60 {
					var p Permit
					if err := g.Acquire(t.Context(), Ask{Candidates: list{target(t, st, "a")}, App: team, Deadline: in(20 * time.Second)}, &p); err != nil {
						t.Error(err)
						return
					}
					if now := running.Add(1); now > most.Load() {
						most.Store(now)
					}
					time.Sleep(2 * time.Millisecond)
					running.Add(-1)
					p.Release()
					if served.Add(1) == 200 {
						l.Cut() // 断一次线，谁也不该知道
					}
				}
			})
		}
	}
	workers.Wait()
	if most.Load() != limit || served.Load() != 480 {
		t.Errorf("at most %d at once of %d; served %d", most.Load(), limit, served.Load())
	}
	for _, g := range gates {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		begin := time.Now()
		g.Depart(ctx)
		cancel()
		if took := time.Since(begin); took > 500*time.Millisecond {
			t.Errorf("leaving took %v", took)
		}
		idle(t, g)
	}
	eventually(t, "the leader to know both are gone", func() bool {
		s := l.View().Servers[0]
		return s.Held == 0 && s.Quarantined == 0
	})
}

// TestGate_AddedWaitIsOneRoundTrip 量紧的时候多等多久：一个单位轮流给两个节点，从归还到对面开始。
func TestGate_AddedWaitIsOneRoundTrip(t *testing.T) {
	st := compile(t, 1, []*configv1.Server{server("a", concurrency(1))})
	l := newLeader(specOf(st))
	addr := listen(t, l)
	type turn struct{ at time.Time }
	var gates [2]*Gate
	for n := range gates {
		g, leave := join(t, nil, fmt.Sprint("node-", n), st, func(c *Config, d *Deps) { c.Addresses, d.Dial = []string{addr}, dialLoopback })
		defer leave()
		gates[n] = g
		eventually(t, "the leader", func() bool { return g.state().Connected })
	}
	ask := Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Minute)}
	p := fill(t, gates[0], ask)
	var took []time.Duration
	for i := range 200 {
		next := &Permit{}
		started := make(chan turn, 1)
		go func() {
			if err := gates[(i+1)%2].Acquire(t.Context(), ask, next); err != nil {
				t.Error(err)
			}
			started <- turn{time.Now()}
		}()
		eventually(t, "the next to wait", func() bool { return gates[(i+1)%2].Totals().Waiting == 1 })
		time.Sleep(2 * time.Millisecond)
		begin := time.Now()
		p.Release()
		took = append(took, (<-started).at.Sub(begin))
		p = next
	}
	p.Release()
	slices.Sort(took)
	fmt.Printf("figures: tight handover between nodes n=%d p50=%v p99=%v\n", len(took), took[len(took)/2], took[len(took)*99/100])
	if took[len(took)/2] > 20*time.Millisecond {
		t.Errorf("half of the hand-overs take more than %v", took[len(took)/2])
	}
}
