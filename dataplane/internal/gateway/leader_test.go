package gateway_test

import (
	"cmp"
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/vega-gateway/vega/dataplane/internal/admit"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

// leader 是一个最小的授予者：真的 gRPC，真的 schedule.Grantor，要存的当场算存好。
type leader struct {
	admissionv1.UnimplementedAdmissionServiceServer
	origin time.Time

	mu    sync.Mutex
	g     *schedule.Grantor
	conns map[uint64]chan *admissionv1.AdmitResponse // 关掉即断开
	last  uint64
	timer *time.Timer
}

func newLeader(t testing.TB, st *state.State) (l *leader, addr string) {
	t.Helper()
	l = &leader{origin: time.Now().Add(-time.Second), conns: map[uint64]chan *admissionv1.AdmitResponse{}}
	l.g = schedule.NewGrantor(schedule.GrantorConfig{Term: 1, Now: l.now(), First: true})
	l.timer = time.AfterFunc(time.Hour, func() { l.step(schedule.Tick{}) })
	l.configure(st)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	admissionv1.RegisterAdmissionServiceServer(srv, l)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	t.Cleanup(func() { srv.Stop(); <-done; l.timer.Stop() })
	return l, ln.Addr().String()
}

func (l *leader) now() schedule.Time { return schedule.Time(time.Since(l.origin)) }

// configure 把一版配置里与准入有关的交给授予者。
func (l *leader) configure(st *state.State) {
	spec := &schedule.Spec{Revision: st.Revision}
	for s := range st.Servers() {
		spec.Servers = append(spec.Servers, schedule.ServerSpec{Name: s.Name, Limits: schedule.Limits(s.Limits), BurstPercent: int64(s.BurstPercent),
			MaxWaiting: int64(s.MaxWaiting), Total: s.Total, AbortGrace: s.AbortGrace})
	}
	for _, name := range []string{"team"} {
		if a, ok := st.App(name); ok {
			spec.Apps = append(spec.Apps, schedule.AppSpec{Name: name, Limits: schedule.Limits(a.Limits)})
		}
	}
	slices.SortFunc(spec.Servers, func(a, b schedule.ServerSpec) int { return cmp.Compare(a.Name, b.Name) })
	l.step(schedule.Reconfigured{Spec: spec})
}

func (l *leader) step(e schedule.GrantorEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stepLocked(e)
}

func (l *leader) stepLocked(e schedule.GrantorEvent) {
	var saved, dropped []uint64
	for _, f := range l.g.Step(l.now(), e) {
		switch f.Kind {
		case schedule.Reply:
			if c := l.conns[f.Conn]; c != nil {
				c <- f.Response
			}
		case schedule.Drop:
			if l.conns[f.Conn] != nil {
				l.drop(f.Conn)
				dropped = append(dropped, f.Conn)
			}
		case schedule.Save:
			saved = append(saved, f.ID)
		}
	}
	for _, id := range saved {
		l.stepLocked(schedule.Saved{ID: id})
	}
	for _, conn := range dropped {
		l.stepLocked(schedule.Closed{Conn: conn})
	}
	if at := l.g.Next(); at != 0 {
		l.timer.Reset(max(at.Sub(l.now()), 100*time.Microsecond))
	}
}

func (l *leader) drop(conn uint64) {
	close(l.conns[conn])
	delete(l.conns, conn)
}

// cut 断开全部的流；授予者还在，节点会再来。
func (l *leader) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.conns {
		l.drop(conn)
		l.stepLocked(schedule.Closed{Conn: conn})
	}
}

// held 是授予者账上还算在节点手里、或隔离着的在途单位。
func (l *leader) held() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.g.View(l.now()).Servers {
		n += s.InFlight + s.Quarantined
	}
	return n
}

func (l *leader) open() (uint64, <-chan *admissionv1.AdmitResponse) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	c := make(chan *admissionv1.AdmitResponse, 4096)
	l.conns[l.last] = c
	return l.last, c
}

// Admit 实现 admissionv1.AdmissionServiceServer。
func (l *leader) Admit(stream grpc.BidiStreamingServer[admissionv1.AdmitRequest, admissionv1.AdmitResponse]) error {
	conn, replies := l.open()
	defer l.close(conn)
	ended := make(chan error, 1)
	go func() { ended <- l.hear(conn, stream) }()
	for {
		select {
		case r, ok := <-replies:
			if !ok {
				return status.Error(codes.Unavailable, "dropped")
			}
			if err := stream.Send(r); err != nil {
				return err
			}
		case err := <-ended:
			return err
		}
	}
}

func (l *leader) hear(conn uint64, stream grpc.BidiStreamingServer[admissionv1.AdmitRequest, admissionv1.AdmitResponse]) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		l.mu.Lock()
		if l.conns[conn] != nil {
			l.stepLocked(schedule.Heard{Conn: conn, Request: m})
		}
		l.mu.Unlock()
	}
}

func (l *leader) close(conn uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns[conn] != nil {
		l.drop(conn)
		l.stepLocked(schedule.Closed{Conn: conn})
	}
}

// startLed 同 start，限额由一个真的授予者管着；配置换新时授予者也知道。
func startLed(t testing.TB, st *state.State) *node {
	t.Helper()
	l, addr := newLeader(t, st)
	n := startWith(t, st, nil, admit.Config{Node: "n1", Epoch: 1, EventEvery: eventEvery, Addresses: []string{addr}}, admit.Deps{
		Dial: func(addr string) (admit.Conn, error) {
			return grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		},
	})
	n.leader = l
	n.holder.After(func(st *state.State) { l.configure(st); n.gateway.Reconfigured(st) })
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = n.gate.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	for deadline := time.Now().Add(5 * time.Second); n.gauge("vega_admission_connected") != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the leader does not know the node")
		}
	}
	return n
}

// gauge 是一个没有标签的指标此刻的值；没有则 -1。
func (n *node) gauge(name string) float64 {
	n.t.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}
