package push_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }

func migrate(ctx context.Context, url string) error {
	_, err := postgres.Migrate(ctx, url)
	return err
}

func openStore(t *testing.T, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// source 是各副本共看的“数据库里的配置”。
type source struct {
	mu  sync.Mutex
	cur *configv1.SnapshotUpdate
	err error
}

func (s *source) set(u *configv1.SnapshotUpdate, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cur, s.err = u, err
}

func (s *source) Head(context.Context) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cur.GetRevision(), s.err
}

func (s *source) Load(context.Context) (*configv1.SnapshotUpdate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cur, s.err
}

func snap(revision uint64, size int) *configv1.SnapshotUpdate {
	return &configv1.SnapshotUpdate{
		Revision: revision, Digest: fmt.Appendf(nil, "digest-%d", revision),
		Snapshot: make([]byte, size), Encoding: configv1.Encoding_ENCODING_IDENTITY,
	}
}

type replica struct {
	hub      *push.Hub
	board    *push.Board
	fleet    *push.Fleet
	reloader *push.Reloader
	addr     string
	reg      *prometheus.Registry
	// stop 正常退出：先停 Fleet（它收流并记为断开），再停 gRPC。
	stop func()
}

func startReplica(t *testing.T, name string, store push.Store, src push.Source, svc push.ServiceConfig) *replica {
	t.Helper()
	reg := prometheus.NewRegistry()
	m := push.NewMetrics(reg)
	hub := push.NewHub(m)
	fleet := push.NewFleet(push.FleetConfig{Replica: name, StatusEvery: 50 * time.Millisecond},
		push.FleetDeps{Store: store, Hub: hub, Metrics: m, Log: zap.NewNop()})
	return serve(t, reg, m, hub, fleet, src, svc)
}

func serve(t *testing.T, reg *prometheus.Registry, m *push.Metrics, hub *push.Hub, fleet *push.Fleet, src push.Source, svc push.ServiceConfig) *replica {
	t.Helper()
	log := zap.NewNop()
	r := &replica{hub: hub, board: &push.Board{}, fleet: fleet, reg: reg}
	r.reloader = push.NewReloader(push.ReloaderConfig{Poll: 50 * time.Millisecond}, push.ReloaderDeps{Source: src, Hub: hub, Metrics: m, Log: log})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = lis.Addr().String()
	srv := grpc.NewServer(push.ServerOptions()...)
	configv1.RegisterConfigServiceServer(srv, push.NewService(svc, push.ServiceDeps{
		Hub: r.hub, Board: r.board, Fleet: r.fleet, Refresher: r.reloader, Metrics: m, Log: log}))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.reloader.Run(ctx) })
	wg.Go(func() { _ = r.fleet.Run(ctx) })
	wg.Go(func() { _ = srv.Serve(lis) })
	r.stop = sync.OnceFunc(func() {
		cancel()
		time.AfterFunc(3*time.Second, srv.Stop)
		srv.GracefulStop()
		wg.Wait()
	})
	t.Cleanup(r.stop)
	return r
}

// publish 换上一版并等副本读到它。
func (r *replica) publish(t *testing.T, src *source, u *configv1.SnapshotUpdate) {
	t.Helper()
	src.set(u, nil)
	r.reloader.Wake()
	eventually(t, func() bool { return r.hub.Revision() == u.GetRevision() })
}

// node 是一个真的 gRPC 客户端；updates 给出收到的每一条。
type node struct {
	t       *testing.T
	stream  grpc.BidiStreamingClient[configv1.WatchRequest, configv1.WatchResponse]
	updates chan *configv1.WatchResponse
	ended   chan error
	close   func()
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// open 只开流，不读不写。
func open(t *testing.T, addr string) *node {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	conn := dial(t, addr)
	stream, err := configv1.NewConfigServiceClient(conn).Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, stream: stream, updates: make(chan *configv1.WatchResponse, 100), ended: make(chan error, 1)}
	n.close = func() { cancel(); _ = conn.Close() }
	t.Cleanup(n.close)
	return n
}

func (n *node) read() *node {
	go func() {
		for {
			m, err := n.stream.Recv()
			if err != nil {
				n.ended <- err
				return
			}
			n.updates <- m
		}
	}()
	return n
}

func connect(t *testing.T, r *replica, id string, epoch, revision uint64, digest string) *node {
	t.Helper()
	n := open(t, r.addr).read()
	n.send(&configv1.WatchRequest{Message: &configv1.WatchRequest_Hello{Hello: &configv1.Hello{
		NodeId: id, Epoch: epoch, Version: "test", Revision: revision, Digest: []byte(digest)}}})
	return n
}

func (n *node) send(m *configv1.WatchRequest) {
	n.t.Helper()
	if err := n.stream.Send(m); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) ack(u *configv1.SnapshotUpdate) {
	n.t.Helper()
	n.send(&configv1.WatchRequest{Message: &configv1.WatchRequest_Ack{Ack: &configv1.Ack{Revision: u.GetRevision(), Digest: u.GetDigest()}}})
}

func (n *node) nack(u *configv1.SnapshotUpdate, reason string) {
	n.t.Helper()
	n.send(&configv1.WatchRequest{Message: &configv1.WatchRequest_Nack{Nack: &configv1.Nack{
		Revision: u.GetRevision(), Digest: u.GetDigest(), Reason: reason}}})
}

func (n *node) next() *configv1.SnapshotUpdate {
	n.t.Helper()
	return n.nextMessage().GetUpdate()
}

func (n *node) nextMessage() *configv1.WatchResponse {
	n.t.Helper()
	select {
	case m := <-n.updates:
		return m
	case err := <-n.ended:
		n.t.Fatalf("stream ended: %v", err)
	case <-time.After(10 * time.Second):
		n.t.Fatal("no update in 10 s")
	}
	return nil
}

// quiet 断言 d 之内什么也没有收到。
func (n *node) quiet(d time.Duration) {
	n.t.Helper()
	select {
	case m := <-n.updates:
		n.t.Fatalf("unexpected message %v", m)
	case err := <-n.ended:
		n.t.Fatalf("stream ended: %v", err)
	case <-time.After(d):
	}
}

func (n *node) wantEnd() error {
	n.t.Helper()
	for {
		select {
		case <-n.updates:
		case err := <-n.ended:
			return err
		case <-time.After(10 * time.Second):
			n.t.Fatal("the stream did not end")
		}
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("it did not happen within 10 s")
}

// memory 是 nodes 表的替身：只有一个副本时的语义。
type memory struct {
	mu    sync.Mutex
	rows  map[string]push.Node
	drain map[string]bool
	down  bool
}

func newMemory() *memory { return &memory{rows: map[string]push.Node{}, drain: map[string]bool{}} }

func (m *memory) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

func (m *memory) SaveNodes(_ context.Context, replica string, reports []push.Report) ([]push.Hold, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return nil, errors.New("database is down")
	}
	var holds []push.Hold
	for _, r := range reports {
		n := r.Node
		n.Replica, n.LastSeen = replica, time.Now().Add(-r.Silent)
		n.LastError = push.DescribeError(n.RejectedRevision, n.RejectedReason, n.LastError)
		m.rows[n.ID] = n
		holds = append(holds, push.Hold{Session: r.Session, Drain: m.drain[n.ID]})
	}
	return holds, nil
}

func (m *memory) ListNodes(context.Context) ([]push.Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return nil, errors.New("database is down")
	}
	out := make([]push.Node, 0, len(m.rows))
	for _, n := range m.rows {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b push.Node) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) })
	return out, nil
}

func (m *memory) ForgetNode(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rows, id)
	return nil
}

func (m *memory) DrainNode(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drain[id] = true
	return nil
}
