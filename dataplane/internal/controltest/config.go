package controltest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// configSide 是配置服务的账；由 Server.mu 护着。
type configSide struct {
	current  *configv1.SnapshotUpdate
	streams  map[*watcher]struct{}
	hellos   []*configv1.Hello
	acks     []*configv1.Ack
	nacks    []*configv1.Nack
	statuses map[string]*configv1.NodeStatus
}

// watcher 是一条配置流：容量为一、新者胜的信箱。
type watcher struct {
	node   string
	outbox chan *configv1.WatchResponse
	extras chan *configv1.WatchResponse
	gone   chan struct{}
	once   sync.Once
}

func (w *watcher) drop() { w.once.Do(func() { close(w.gone) }) }

// offer 放进信箱；还没送出的旧的被顶掉。持 Server.mu 调用。
func (w *watcher) offer(u *configv1.SnapshotUpdate) {
	select {
	case <-w.outbox:
	default:
	}
	w.outbox <- &configv1.WatchResponse{Message: &configv1.WatchResponse_Update{Update: u}}
}

// Update 把快照编成一条 zstd 压过的消息。
func Update(t testing.TB, revision uint64, snap *configv1.Snapshot) *configv1.SnapshotUpdate {
	t.Helper()
	plain, err := proto.MarshalOptions{Deterministic: true}.Marshal(snap)
	if err != nil {
		t.Fatalf("controltest: encode the snapshot: %v", err)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatalf("controltest: start the compressor: %v", err)
	}
	defer func() { _ = z.Close() }()
	digest := sha256.Sum256(plain)
	return &configv1.SnapshotUpdate{
		Revision: revision, Digest: digest[:],
		Snapshot: z.EncodeAll(plain, nil), Encoding: configv1.Encoding_ENCODING_ZSTD,
	}
}

// Push 以下一个版本号推送快照给全部节点，也给以后来的；返回版本号。
func (s *Server) Push(t testing.TB, snap *configv1.Snapshot) uint64 {
	t.Helper()
	s.mu.Lock()
	rev := s.config.current.GetRevision() + 1
	s.mu.Unlock()
	s.PushUpdate(Update(t, rev, snap))
	return rev
}

// PushUpdate 原样推送一条消息，坏的也推；它成为当前的一份。
func (s *Server) PushUpdate(u *configv1.SnapshotUpdate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.current = u
	for w := range s.config.streams {
		w.offer(u)
	}
}

// Drain 要全部连着的节点排空。
func (s *Server) Drain(reason string) {
	s.tell(&configv1.WatchResponse{Message: &configv1.WatchResponse_Drain{Drain: &configv1.Drain{Reason: reason}}})
}

// Budgets 告诉全部连着的节点预算花到了哪里。
func (s *Server) Budgets(b *configv1.Budgets) {
	s.tell(&configv1.WatchResponse{Message: &configv1.WatchResponse_Budgets{Budgets: b}})
}

func (s *Server) tell(m *configv1.WatchResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.config.streams {
		select {
		case w.extras <- m:
		default:
		}
	}
}

// WaitAck 等某一版的确认（无论哪个节点）。
func (s *Server) WaitAck(t testing.TB, revision uint64) *configv1.Ack {
	t.Helper()
	var got *configv1.Ack
	s.wait(t, fmt.Sprintf("the ACK of revision %d", revision), func() bool {
		i := slices.IndexFunc(s.config.acks, func(a *configv1.Ack) bool { return a.GetRevision() == revision })
		if i >= 0 {
			got = s.config.acks[i]
		}
		return i >= 0
	})
	return got
}

// WaitNack 等某一版的拒绝。
func (s *Server) WaitNack(t testing.TB, revision uint64) *configv1.Nack {
	t.Helper()
	var got *configv1.Nack
	s.wait(t, fmt.Sprintf("the NACK of revision %d", revision), func() bool {
		i := slices.IndexFunc(s.config.nacks, func(n *configv1.Nack) bool { return n.GetRevision() == revision })
		if i >= 0 {
			got = s.config.nacks[i]
		}
		return i >= 0
	})
	return got
}

// WaitHello 等第 n 个 Hello（从 1 起），即第 n 次连上。
func (s *Server) WaitHello(t testing.TB, n int) *configv1.Hello {
	t.Helper()
	var got *configv1.Hello
	s.wait(t, fmt.Sprintf("hello number %d", n), func() bool {
		if len(s.config.hellos) < n {
			return false
		}
		got = s.config.hellos[n-1]
		return true
	})
	return got
}

// WaitStatus 等某个节点最近的状态使 ok 为真。
func (s *Server) WaitStatus(t testing.TB, node string, ok func(*configv1.NodeStatus) bool) *configv1.NodeStatus {
	t.Helper()
	var got *configv1.NodeStatus
	s.wait(t, "a status of "+node, func() bool {
		got = s.config.statuses[node]
		return got != nil && ok(got)
	})
	return got
}

// Acks 是至今全部的确认，按到来的次序。
func (s *Server) Acks() []*configv1.Ack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.config.acks)
}

// Nacks 是至今全部的拒绝，按到来的次序。
func (s *Server) Nacks() []*configv1.Nack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.config.nacks)
}

type configService struct {
	configv1.UnimplementedConfigServiceServer
	*Server
}

// Watch 实现配置服务。
func (s configService) Watch(stream configv1.ConfigService_WatchServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	hello := first.GetHello()
	if hello == nil {
		return status.Error(codes.InvalidArgument, "the first message must be a hello")
	}
	w := s.join(hello)
	defer s.leave(w)
	broken := make(chan error, 1)
	go func() { broken <- s.collect(w, stream) }() // 处理者返回后流即失效，它随之结束
	for {
		var out *configv1.WatchResponse
		select {
		case <-w.gone:
			return status.Error(codes.Unavailable, "stream dropped")
		case err := <-broken:
			return err
		case out = <-w.outbox:
		case out = <-w.extras:
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

func (s *Server) join(hello *configv1.Hello) *watcher {
	w := &watcher{
		node: hello.GetNodeId(), gone: make(chan struct{}),
		outbox: make(chan *configv1.WatchResponse, 1), extras: make(chan *configv1.WatchResponse, 1),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.hellos = append(s.config.hellos, hello)
	s.config.streams[w] = struct{}{}
	if u := s.config.current; u != nil {
		if string(u.GetDigest()) == string(hello.GetDigest()) {
			u = &configv1.SnapshotUpdate{Revision: u.GetRevision(), Digest: u.GetDigest(), Unchanged: true}
		}
		w.offer(u)
	}
	s.announce()
	return w
}

func (s *Server) leave(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.config.streams, w)
	s.announce()
}

func (s *Server) collect(w *watcher, stream configv1.ConfigService_WatchServer) error {
	for {
		in, err := stream.Recv()
		if err != nil {
			return err
		}
		s.mu.Lock()
		switch m := in.GetMessage().(type) {
		case *configv1.WatchRequest_Ack:
			s.config.acks = append(s.config.acks, m.Ack)
		case *configv1.WatchRequest_Nack:
			s.config.nacks = append(s.config.nacks, m.Nack)
		case *configv1.WatchRequest_Status:
			if s.config.statuses == nil {
				s.config.statuses = make(map[string]*configv1.NodeStatus)
			}
			s.config.statuses[w.node] = m.Status
		}
		s.announce()
		s.mu.Unlock()
	}
}
