package admission_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/nodeauth"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/controlplane/internal/snapshot"
	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

const joinToken = "join-token-0123456789"

// config 是一版只有限额的配置：gpu-1 有 limit 个名额，gpu-2 不限。
func config(t *testing.T, revision uint64, limit int64) *configv1.SnapshotUpdate {
	t.Helper()
	timeouts := &configv1.Timeouts{TotalMs: 600_000}
	u, err := snapshot.Encode(revision, &configv1.Snapshot{
		Servers: []*configv1.Server{
			{Name: "gpu-1", Enabled: true, Limits: &configv1.Limits{MaxConcurrency: limit}, BurstPercent: 10, Timeouts: timeouts,
				Queue: &configv1.Queue{TimeoutMs: 30_000, MaxWaiting: 4096}, AbortGraceMs: 250},
			{Name: "gpu-2", Enabled: true, Timeouts: timeouts},
		},
		Apps: []*configv1.App{{Name: "team-a", Enabled: true, Weight: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// refreshes 记下求证了哪些版本。
type refreshes struct {
	mu    sync.Mutex
	asked []uint64
	hub   *push.Hub
	next  *configv1.SnapshotUpdate
}

func (r *refreshes) Refresh(_ context.Context, atLeast uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, atLeast)
	if r.next != nil {
		r.hub.Publish(r.next)
	}
	return nil
}

// replica 是一个控制面副本：真的 PostgreSQL、真的 gRPC。
type replica struct {
	t         *testing.T
	addr      string
	hub       *push.Hub
	host      *admission.Host
	refresher *refreshes
	reg       *prometheus.Registry
	logs      *observer.ObservedLogs
	stop      func()
}

type tuning struct {
	config  admission.Config
	service admission.ServiceConfig
	hide    bool // 不公布地址
}

func startReplica(t *testing.T, database string, tune tuning) *replica {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	r := &replica{t: t, addr: lis.Addr().String(), reg: prometheus.NewRegistry(), logs: logs}
	r.hub = push.NewHub(push.NewMetrics(prometheus.NewRegistry()))
	r.hub.Publish(config(t, 1, 4))
	r.refresher = &refreshes{hub: r.hub}
	if tune.config.Elector == (admission.ElectorConfig{}) {
		tune.config.Elector = quick
	}
	if !tune.hide {
		tune.config.Elector.Address = r.addr
	}
	r.host = admission.New(tune.config, admission.Deps{
		Store: openTables(t, database), Hub: r.hub, Refresher: r.refresher,
		Peers:   admission.NewDialer(insecure.NewCredentials(), joinToken),
		Metrics: admission.NewMetrics(r.reg), Log: zap.New(core)})
	auth, err := nodeauth.New(nodeauth.Config{JoinToken: joinToken}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(append(push.ServerOptions(), grpc.ChainStreamInterceptor(auth.Stream()), grpc.ChainUnaryInterceptor(auth.Unary()))...)
	admissionv1.RegisterAdmissionServiceServer(srv, admission.NewService(tune.service, r.host))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.host.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	wg.Go(func() { _ = srv.Serve(lis) })
	r.stop = sync.OnceFunc(func() {
		cancel()
		hard := time.AfterFunc(5*time.Second, srv.Stop)
		defer hard.Stop()
		srv.GracefulStop()
		wg.Wait()
	})
	t.Cleanup(r.stop)
	return r
}

// said 数一句日志出现了几次。
func (r *replica) said(message string) int { return r.logs.FilterMessage(message).Len() }

func (r *replica) leading() bool { return r.metric("vega_admission_leader") == 1 }

// metric 是一个没有标签的量；没有则为 -1。
func (r *replica) metric(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(m.GetLabel()) != len(labels)/2 {
				continue
			}
			match := true
			for i, l := range m.GetLabel() {
				match = match && l.GetName() == labels[2*i] && l.GetValue() == labels[2*i+1]
			}
			if match {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

// node 是只会说帧的假节点：报到、确认、每 200 毫秒说一次话，把收到的记下来。
type node struct {
	t      *testing.T
	id     string
	conn   *grpc.ClientConn
	stream grpc.BidiStreamingClient[admissionv1.AdmitRequest, admissionv1.AdmitResponse]
	done   chan struct{} // 流结束即关闭，err 是怎样结束的
	err    error

	mu      sync.Mutex
	base    *admissionv1.AdmitRequest
	seq     uint64
	ack     uint64
	term    uint64
	welcome time.Time
	grants  map[uint64]*admissionv1.Grant
	moved   *admissionv1.NotLeader
	frames  int
}

var origin = time.Now().Add(-time.Second)

// dial 打开一条流而什么也不说。
func dial(t *testing.T, addr, id string, epoch, stream uint64) *node {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+joinToken)
	s, err := admissionv1.NewAdmissionServiceClient(conn).Admit(ctx)
	n := &node{t: t, id: id, conn: conn, stream: s, done: make(chan struct{}), grants: make(map[uint64]*admissionv1.Grant),
		base: &admissionv1.AdmitRequest{NodeId: id, Epoch: epoch, Stream: stream, Revision: 1}}
	t.Cleanup(n.close)
	if err != nil { // 那里没有人听
		n.err = err
		close(n.done)
	}
	return n
}

// join 打开一条流并报到；holding 是手上 gpu-1 的许可数。
func join(t *testing.T, addr, id string, epoch, stream uint64, holding int64) *node {
	t.Helper()
	n := dial(t, addr, id, epoch, stream)
	if n.stream == nil {
		return n
	}
	hello := &admissionv1.Hello{Version: "test"}
	if holding > 0 {
		hello.Holdings = []*admissionv1.Amount{{Pool: inFlight("gpu-1"), Units: holding}}
	}
	go n.listen()
	n.send(&admissionv1.AdmitRequest{Hello: hello})
	go n.beat()
	return n
}

func inFlight(server string) *admissionv1.Pool {
	return &admissionv1.Pool{Server: server, Kind: admissionv1.PoolKind_POOL_KIND_IN_FLIGHT}
}

// send 给一帧编号并发出；流断了就算了。
func (n *node) send(f *admissionv1.AdmitRequest) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seq++
	f.Seq = n.seq
	n.raw(f)
}

func (n *node) raw(f *admissionv1.AdmitRequest) {
	proto.Merge(f, n.base)
	f.Ack, f.SentUs = n.ack, time.Since(origin).Microseconds()
	_ = n.stream.Send(f)
}

func (n *node) beat() {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-n.done:
			return
		case <-tick.C:
			n.mu.Lock()
			n.raw(&admissionv1.AdmitRequest{})
			n.mu.Unlock()
		}
	}
}

func (n *node) listen() {
	defer close(n.done)
	for {
		m, err := n.stream.Recv()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				n.err = err
			}
			return
		}
		n.take(m)
	}
}

func (n *node) take(m *admissionv1.AdmitResponse) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.frames++
	if m.GetNotLeader() != nil {
		n.moved = m.GetNotLeader()
		return
	}
	n.ack, n.term = max(n.ack, m.GetSeq()), m.GetTerm()
	if m.GetWelcome() {
		n.welcome = time.Now()
	}
	for _, g := range m.GetGrants() {
		n.grants[g.GetWaiterId()] = g
	}
	if s := m.GetShare(); s != nil {
		n.base.ShareVersion = s.GetVersion()
	}
}

func (n *node) close() {
	_ = n.conn.Close()
}

func (n *node) welcomed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.welcome.IsZero()
}

// led 是听到的任期。
func (n *node) led() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.term
}

func (n *node) granted() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.grants)
}

// ended 等流结束，返回指路的话（没有则 nil）与错误。
func (n *node) ended() (*admissionv1.NotLeader, error) {
	n.t.Helper()
	select {
	case <-n.done:
	case <-time.After(20 * time.Second):
		n.t.Fatalf("the stream of %s does not end", n.id)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.moved, n.err
}

// waiter 是一个要去 server 的请求。
func waiter(id uint64, app, server string) *admissionv1.Descriptor {
	return &admissionv1.Descriptor{Id: id, App: app, WaitUs: 30_000_000, PromptTokens: 10, OutputTokens: 10, Class: 2, Weight: 1,
		Candidates: []*admissionv1.Candidate{{Server: server, UpstreamModel: "m", Weight: 1}}}
}
