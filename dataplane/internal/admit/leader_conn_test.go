package admit

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// leaderConn 是授予者看到的一条连接：排着要发的。
type leaderConn struct {
	id, term uint64

	mu   sync.Mutex
	out  []*admissionv1.AdmitResponse
	shut bool
	wake chan struct{}
	done chan struct{}
}

func (c *leaderConn) push(m *admissionv1.AdmitResponse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, m)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *leaderConn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.shut {
		c.shut = true
		close(c.done)
	}
}

// take 取走排着的。
func (c *leaderConn) take() []*admissionv1.AdmitResponse {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.out
	c.out = nil
	return out
}

var errDropped = status.Error(codes.Unavailable, "dropped by the leader")

// memoryConn 是内存里的连接。
type memoryConn struct{ leader *leader }

// Dial 造一条到 l 的内存连接。
func (l *leader) Dial() *memoryConn { return &memoryConn{l} }

// Close 实现 admit.Conn。
func (*memoryConn) Close() error { return nil }

// Invoke 实现 grpc.ClientConnInterface；准入没有单次的调用。
func (*memoryConn) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	return errors.New("only streams")
}

// NewStream 实现 grpc.ClientConnInterface。
func (c *memoryConn) NewStream(ctx context.Context, _ *grpc.StreamDesc, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	opened := c.leader.open()
	if opened == nil {
		return nil, status.Error(codes.Unavailable, "the leader is away")
	}
	return &memoryStream{ctx: ctx, leader: c.leader, conn: opened, half: make(chan struct{})}, nil
}

// memoryStream 是内存里的一条流，节点这一头。
type memoryStream struct {
	ctx     context.Context //nolint:containedctx // grpc.ClientStream 就是这个样子
	leader  *leader
	conn    *leaderConn
	half    chan struct{}
	pending []*admissionv1.AdmitResponse
}

func (s *memoryStream) Header() (metadata.MD, error) { return nil, nil }
func (s *memoryStream) Trailer() metadata.MD         { return nil }
func (s *memoryStream) Context() context.Context     { return s.ctx }

// CloseSend 说不再发；授予者收完即结束这条流。
func (s *memoryStream) CloseSend() error {
	close(s.half)
	return nil
}

// SendMsg 交给授予者。
func (s *memoryStream) SendMsg(m any) error {
	select {
	case <-s.conn.done:
		return io.EOF
	case <-s.ctx.Done():
		return io.EOF
	default:
	}
	s.leader.heard(s.conn, proto.Clone(m.(*admissionv1.AdmitRequest)).(*admissionv1.AdmitRequest))
	return nil
}

// RecvMsg 等授予者的下一帧。
func (s *memoryStream) RecvMsg(m any) error {
	for len(s.pending) == 0 {
		if s.pending = s.conn.take(); len(s.pending) > 0 {
			break
		}
		select {
		case <-s.conn.wake:
		case <-s.conn.done:
			s.leader.closed(s.conn)
			return errDropped
		case <-s.half:
			s.leader.closed(s.conn)
			return io.EOF
		case <-s.ctx.Done():
			s.leader.closed(s.conn)
			return status.FromContextError(s.ctx.Err()).Err()
		}
	}
	proto.Merge(m.(*admissionv1.AdmitResponse), s.pending[0])
	s.pending = s.pending[1:]
	return nil
}

// leaderService 是同一个授予者的 gRPC 服务。
type leaderService struct {
	admissionv1.UnimplementedAdmissionServiceServer
	leader *leader
}

// Admit 实现 admissionv1.AdmissionServiceServer。
func (s leaderService) Admit(stream admissionv1.AdmissionService_AdmitServer) error {
	c := s.leader.open()
	if c == nil {
		return status.Error(codes.Unavailable, "the leader is away")
	}
	received := make(chan error, 1)
	go func() { // 本函数返回，流即断，它也就结束
		for {
			m, err := stream.Recv()
			if err != nil {
				received <- err
				return
			}
			s.leader.heard(c, m)
		}
	}()
	defer s.leader.closed(c)
	for {
		for _, m := range c.take() {
			if err := stream.Send(m); err != nil {
				return err
			}
		}
		select {
		case <-c.wake:
		case <-c.done:
			return errDropped
		case err := <-received:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}
