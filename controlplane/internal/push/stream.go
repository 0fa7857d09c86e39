package push

import (
	"context"
	"errors"
	"io"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/vega-gateway/vega/controlplane/internal/nodeauth"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// ServiceConfig 的零值可用。
type ServiceConfig struct {
	// HelloTimeout 是等第一条 Hello 的上限；0 为 10 秒。
	HelloTimeout time.Duration
	// SendTimeout 是一次发送可以堵多久；0 为 30 秒。
	SendTimeout time.Duration
}

// Refresher 让落后的副本向数据库求证；*Reloader 即是。
type Refresher interface {
	Refresh(ctx context.Context, atLeast uint64) error
}

// ServiceDeps 除 Board 外都必须给。
type ServiceDeps struct {
	Hub       *Hub
	Board     *Board // nil 即不告诉节点预算花到了哪里
	Fleet     *Fleet
	Refresher Refresher
	Metrics   *Metrics
	Log       *zap.Logger
}

// Service 是 ConfigService 的服务端；Fleet.Run 结束时它的流也结束。
type Service struct {
	configv1.UnimplementedConfigServiceServer
	cfg  ServiceConfig
	deps ServiceDeps
}

// NewService 造服务端，由 app 登记到 gRPC 服务器。
func NewService(cfg ServiceConfig, deps ServiceDeps) *Service {
	if cfg.HelloTimeout == 0 {
		cfg.HelloTimeout = 10 * time.Second
	}
	if cfg.SendTimeout == 0 {
		cfg.SendTimeout = 30 * time.Second
	}
	return &Service{cfg: cfg, deps: deps}
}

const (
	maxReceive = 16 << 20
	maxDigest  = 64
)

// ServerOptions 是控制面 gRPC 服务器的设定：静默 10 秒即探测，再 10 秒无应答即断；允许节点每 5 秒探测一次；
// 收的消息（用量的一批最大）至多 16 MiB。发的快照不设限，节点须放宽自己的接收上限。
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxReceive),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}
}

type watchStream = grpc.BidiStreamingServer[configv1.WatchRequest, configv1.WatchResponse]

// Watch 服务一条流，直到节点离开、被取代、堵得太久或本副本要停。
func (s *Service) Watch(stream watchStream) error {
	ctx := stream.Context()
	in := receive(ctx, stream)
	hello, err := s.awaitHello(ctx, in)
	if err != nil {
		return vegaerr.GRPC(err)
	}
	sess, err := s.deps.Fleet.connect(hello, time.Now())
	if err != nil {
		return vegaerr.GRPC(err)
	}
	defer s.deps.Fleet.disconnect(sess)
	log := s.deps.Log.With(zap.String("node", hello.GetNodeId()))
	log.Info("node connected", zap.String("version", sess.node.Version), zap.Uint64("revision", hello.GetRevision()))

	writeCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	written := make(chan error, 1)
	go func() { written <- s.write(writeCtx, stream, sess, hello.GetRevision()) }()

	err = s.supervise(ctx, in, written, sess)
	log.Info("node disconnected", zap.NamedError("reason", err))
	return vegaerr.GRPC(err)
}

func (s *Service) supervise(ctx context.Context, in <-chan incoming, written <-chan error, sess *session) error {
	for {
		select {
		case m := <-in:
			if errors.Is(m.err, io.EOF) {
				return nil
			}
			if m.err != nil {
				return m.err
			}
			if err := s.handle(sess, m.req); err != nil {
				return err
			}
		case err := <-written:
			return err
		case <-sess.closed:
			return sess.reason
		case <-s.deps.Fleet.stopping:
			return errStopping()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Service) handle(sess *session, req *configv1.WatchRequest) error {
	fleet := s.deps.Fleet
	switch m := req.GetMessage().(type) {
	case *configv1.WatchRequest_Ack:
		if err := checkDigest(m.Ack.GetDigest()); err != nil {
			return err
		}
		fleet.update(sess, true, func() {
			if d, ok := sess.acked(m.Ack, time.Now()); ok {
				s.deps.Metrics.latency.Observe(d.Seconds())
			}
		})
	case *configv1.WatchRequest_Nack:
		s.deps.Metrics.nacks.Inc()
		fleet.update(sess, true, func() { sess.nacked(m.Nack) })
		s.deps.Log.Error("a node rejected the configuration", zap.String("node", sess.node.ID),
			zap.Uint64("revision", m.Nack.GetRevision()), zap.String("reason", oneLine(m.Nack.GetReason())))
	case *configv1.WatchRequest_Status:
		fleet.update(sess, false, func() { sess.status(m.Status) })
	case *configv1.WatchRequest_Hello:
		return vegaerr.New(vegaerr.Invalid, "", "a stream has exactly one hello")
	}
	return nil
}

func (s *Service) awaitHello(ctx context.Context, in <-chan incoming) (*configv1.Hello, error) {
	timer := time.NewTimer(s.cfg.HelloTimeout)
	defer timer.Stop()
	select {
	case m := <-in:
		if m.err != nil {
			return nil, m.err
		}
		hello := m.req.GetHello()
		if hello == nil {
			return nil, vegaerr.New(vegaerr.Invalid, "", "the first message must be a hello")
		}
		if err := checkDigest(hello.GetDigest()); err != nil {
			return nil, err
		}
		return hello, nodeauth.CheckNodeID(hello.GetNodeId())
	case <-timer.C:
		return nil, vegaerr.New(vegaerr.Timeout, "", "no hello within %v", s.cfg.HelloTimeout)
	case <-s.deps.Fleet.stopping:
		return nil, errStopping()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func checkDigest(d []byte) error {
	if len(d) > maxDigest {
		return vegaerr.New(vegaerr.Invalid, "", "a digest of %d bytes is too long", len(d))
	}
	return nil
}

type incoming struct {
	req *configv1.WatchRequest
	err error
}

// receive 读到流出错为止；错误也送出，通道不关。处理协程返回后 Recv 随流的 ctx 结束。
func receive(ctx context.Context, stream watchStream) <-chan incoming {
	out := make(chan incoming)
	go func() {
		for {
			req, err := stream.Recv()
			select {
			case out <- incoming{req, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return out
}
