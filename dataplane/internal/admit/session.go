package admit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

// sendTimeout 是一批帧至多发多久。对面不收时流控会使 Send 一直等下去。
const sendTimeout = 5 * time.Second

type admitStream = admissionv1.AdmissionService_AdmitClient

// session 是到 addr 的一条流从打开到断开；返回断开的原因。
func (g *Gate) session(ctx context.Context, addr string) (err error) {
	conn, err := g.deps.Dial(addr)
	if err != nil {
		return fmt.Errorf("dial %s: %w", addr, err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	stream, err := admissionv1.NewAdmissionServiceClient(conn).Admit(ctx)
	if err != nil {
		return fmt.Errorf("open the admission stream: %w", err)
	}
	if !g.connected(cut) {
		return errDeparting
	}
	defer func() { g.broken(unbooked(stream, err)) }()
	var sender sync.WaitGroup
	sender.Go(func() { g.send(ctx, stream, cut) })
	defer sender.Wait()
	defer cut(nil)
	for {
		m, err := stream.Recv()
		if err != nil {
			return causeOf(ctx, err)
		}
		g.received(addr, m)
	}
}

// causeOf 找出我们自己断开它的缘由；不是我们断的就是 err。
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// connected 告诉状态机流开了；要走了的节点不再开新的流。
func (g *Gate) connected(cut context.CancelCauseFunc) bool {
	g.lock()
	defer g.mu.Unlock()
	if g.link.parting {
		return false
	}
	g.link.opened(cut)
	g.step(schedule.Connected{})
	return true
}

func (g *Gate) broken(unbooked bool) {
	g.lock()
	defer g.mu.Unlock()
	g.link.closed()
	g.step(schedule.Broken{Unbooked: unbooked})
}

// unbooked 说流是不是被回绝的：没有人为我们的报到记账。断线、我们自己断的、没有记号的状态都说不清。
func unbooked(stream admitStream, err error) bool {
	if _, said := status.FromError(err); !said {
		return false
	}
	return unserved(err) || len(stream.Trailer().Get(schedule.UnbookedTrailer)) > 0
}

// unserved 说对面不懂准入，或不认我们；这些状态都在报到之前给出。
func unserved(err error) bool {
	code := status.Code(err)
	return code == codes.Unimplemented || code == codes.Unauthenticated || code == codes.PermissionDenied
}

func (g *Gate) received(addr string, m *admissionv1.AdmitResponse) {
	if m.GetWelcome() {
		g.log.Info("admission leader found", zap.String("addr", addr), zap.Uint64("term", m.GetTerm()))
	}
	g.lock()
	defer g.mu.Unlock()
	g.link.welcomed = g.link.welcomed || m.GetWelcome()
	g.step(schedule.Received{Response: m})
}

// send 依次发出排着的帧，直到流断；发完告别即说不再发。
func (g *Gate) send(ctx context.Context, stream admitStream, cut context.CancelCauseFunc) {
	guard := stopped(func() { cut(errSilent) })
	defer guard.Stop()
	for {
		select {
		case <-g.link.wake:
		case <-ctx.Done():
			return
		}
		frames, last := g.outgoing()
		guard.Reset(sendTimeout)
		for _, f := range frames {
			if stream.Send(f) != nil { // 只说 io.EOF，真正的缘由在 Recv 那里
				return
			}
		}
		guard.Stop()
		if last {
			_ = stream.CloseSend() // 总是 nil；对面收完即结束这条流
			return
		}
	}
}

// outgoing 取走排着的帧；last 说这是最后一批。
func (g *Gate) outgoing() (frames []*admissionv1.AdmitRequest, last bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	frames, g.link.out = g.link.out, nil
	return frames, slices.ContainsFunc(frames, (*admissionv1.AdmitRequest).GetBye)
}

// quiet 说断开的缘由不值得当作毛病。
func quiet(err error) bool { return errors.Is(err, errRedirect) || errors.Is(err, io.EOF) }
