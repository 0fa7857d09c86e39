package admission

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/schedule"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// ServiceConfig 的零值可用。
type ServiceConfig struct {
	// HelloTimeout 是等第一帧的上限；0 为 10 秒。
	HelloTimeout time.Duration
	// SendTimeout 是一次发送可以堵多久；0 为 10 秒。
	SendTimeout time.Duration
	// RetryAfter 是没有当任者时要节点等多久再问，另加减四成；0 为 250 毫秒。
	RetryAfter time.Duration
}

// Service 是 AdmissionService 的服务端；Host.Run 结束时它的流也结束。
type Service struct {
	admissionv1.UnimplementedAdmissionServiceServer
	cfg  ServiceConfig
	host *Host
	log  *zap.Logger
}

// NewService 造服务端，由 app 登记到 gRPC 服务器。
func NewService(cfg ServiceConfig, host *Host) *Service {
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&cfg.HelloTimeout, 10 * time.Second}, {&cfg.SendTimeout, 10 * time.Second}, {&cfg.RetryAfter, 250 * time.Millisecond}} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	return &Service{cfg: cfg, host: host, log: host.deps.Log}
}

type admitStream = grpc.BidiStreamingServer[admissionv1.AdmitRequest, admissionv1.AdmitResponse]

// Admit 服务一条流，直到节点离开、帧不合规矩、堵得太久，或任期结束（那时最后一帧是 NotLeader）。
func (s *Service) Admit(stream admitStream) error {
	ctx := stream.Context()
	in := receive(ctx, stream)
	hello, err := s.awaitHello(ctx, in)
	if err != nil {
		return unbooked(stream, err)
	}
	r := s.host.current()
	if r == nil {
		return stream.Send(s.notLeader(false))
	}
	if err := checkTerm(hello.GetTerm(), s.host.elector.Term()); err != nil {
		return unbooked(stream, err)
	}
	c := s.host.newConn(hello)
	if !r.post(func() { r.open(c, hello) }) {
		return stream.Send(s.notLeader(false))
	}
	log := r.log.With(zap.String("node", c.node), zap.Uint64("stream", c.stream))
	log.Info("node connected", zap.String("version", oneLine(hello.GetHello().GetVersion())))

	writeCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	written := make(chan error, 1)
	go func() { written <- s.write(writeCtx, stream, r, c) }()

	err = s.supervise(ctx, in, written, r, c)
	if r.post(func() { r.close(c) }) { // 任期结束时不必一个个说
		log.Info("node lost", zap.NamedError("reason", err))
	}
	return vegaerr.GRPC(err)
}

// unbooked 回绝一条还没有交给授予者的流：节点由此知道份额的期限不必从头数。
func unbooked(stream admitStream, err error) error {
	stream.SetTrailer(metadata.Pairs(schedule.UnbookedTrailer, "1"))
	return vegaerr.GRPC(err)
}

func (s *Service) supervise(ctx context.Context, in <-chan incoming, written <-chan error, r *reign, c *conn) error {
	for {
		select {
		case m := <-in:
			if errors.Is(m.err, io.EOF) {
				return nil
			}
			if m.err != nil {
				return m.err
			}
			if err := errors.Join(checkFrame(m.req, c), checkTerm(m.req.GetTerm(), s.host.elector.Term())); err != nil {
				return err
			}
			r.post(func() { r.hear(c, m.req) }) // 任期结束了则由 written 收尾
		case err := <-written:
			return err
		case <-c.dropped:
			return c.reason
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// write 是一条流唯一的写者；任期结束时它丢下没发的，告诉节点去哪里，返回 nil。
func (s *Service) write(ctx context.Context, stream admitStream, r *reign, c *conn) error {
	for {
		select {
		case <-r.over:
			return s.send(stream, c, s.notLeader(true))
		default:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.over:
		case resp := <-c.out:
			if r.lease.Left() <= 0 { // 被冻住过：队里的是从前的话
				return s.send(stream, c, s.notLeader(true))
			}
			if err := s.send(stream, c, resp); err != nil {
				return err
			}
		}
	}
}

// send 发一帧；堵过 SendTimeout 则让监督者关流，卡住的 Send 随之返回。
func (s *Service) send(stream admitStream, c *conn, resp *admissionv1.AdmitResponse) error {
	watchdog := time.AfterFunc(s.cfg.SendTimeout, func() { c.slow("a send was blocked for more than %v", s.cfg.SendTimeout) })
	defer watchdog.Stop()
	return stream.Send(resp)
}

// notLeader 指路；booked 说这条流上的报到交给过授予者。此刻不知道谁当任就只说多久后再问，错开些，免得整个机队同时回来。
func (s *Service) notLeader(booked bool) *admissionv1.AdmitResponse {
	answer := &admissionv1.NotLeader{Booked: booked, RetryAfterUs: (s.cfg.RetryAfter*6/10 + rand.N(s.cfg.RetryAfter*8/10)).Microseconds()}
	if seat, ok := s.host.elector.Leader(); ok {
		answer.LeaderAddr = seat.Address
	}
	return &admissionv1.AdmitResponse{NotLeader: answer}
}

func (s *Service) awaitHello(ctx context.Context, in <-chan incoming) (*admissionv1.AdmitRequest, error) {
	timer := time.NewTimer(s.cfg.HelloTimeout)
	defer timer.Stop()
	select {
	case m := <-in:
		if m.err != nil {
			return nil, m.err
		}
		return m.req, checkHello(m.req)
	case <-timer.C:
		return nil, vegaerr.New(vegaerr.Timeout, "", "no hello within %v", s.cfg.HelloTimeout)
	case <-s.host.stopping:
		return nil, vegaerr.New(vegaerr.Unavailable, "", "this control plane is shutting down; connect to another")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type incoming struct {
	req *admissionv1.AdmitRequest
	err error
}

// receive 读到流出错为止；错误也送出，通道不关。处理协程返回后 Recv 随流的 ctx 结束。
func receive(ctx context.Context, stream admitStream) <-chan incoming {
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
