package subscribe

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"

	"github.com/vega-gateway/vega/dataplane/internal/subscribe/jitter"
)

type watchStream = grpc.BidiStreamingClient[configv1.WatchRequest, configv1.WatchResponse]

// messageOverhead 是快照之外一条消息的余量。
const messageOverhead = 1 << 20

// session 是一条流从 Hello 到断开；返回断开的原因。
func (s *Subscriber) session(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	stream, err := s.deps.Client.Watch(ctx, grpc.MaxCallRecvMsgSize(s.cfg.MaxSnapshotBytes+messageOverhead))
	if err != nil {
		return fmt.Errorf("open the configuration stream: %w", err)
	}
	if err := stream.Send(s.hello()); err != nil {
		_, err = stream.Recv() // Send 只说 io.EOF，真正的状态在 Recv 那里
		return fmt.Errorf("send hello: %w", err)
	}
	inbox, broken := make(chan *configv1.WatchResponse), make(chan error, 1)
	wg.Go(func() { broken <- receive(ctx, stream, inbox) })

	status := time.NewTicker(s.cfg.StatusEvery)
	defer status.Stop()
	retry := time.NewTimer(time.Hour)
	retry.Stop()
	defer retry.Stop()
	var held *configv1.SnapshotUpdate // 上次被拒、又来了一遍的一份，等到退避过去再试
	for {
		var out *configv1.WatchRequest
		select {
		case err := <-broken:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-status.C:
			out = s.status()
		case <-retry.C:
			out, held = s.apply(held), nil
		case in := <-inbox:
			s.connected.Store(true)
			switch m := in.GetMessage().(type) {
			case *configv1.WatchResponse_Update:
				if held != nil && s.refused.same(m.Update) {
					held = m.Update // 已经在等；重新计时会使不停重发的一份永远得不到应答
					break
				}
				retry.Stop()
				held = nil
				if s.refused.same(m.Update) {
					held = m.Update
					retry.Reset(s.refused.backoff.Next())
				} else {
					out = s.apply(m.Update)
				}
			case *configv1.WatchResponse_Drain:
				s.drain(m.Drain.GetReason())
			}
		}
		if out == nil {
			continue
		}
		if err := stream.Send(out); err != nil {
			return reason(broken, inbox)
		}
	}
}

// receive 把下行消息一条条交给主循环；主循环编译时流控自然把控制面挡住。
func receive(ctx context.Context, stream watchStream, inbox chan<- *configv1.WatchResponse) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		select {
		case inbox <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// reason 取出 Send 失败的真正缘由：Send 只说 io.EOF，状态在 Recv 那里。到手的消息不再要，
// 但必须接走：收的人正等着交出一条时，不接就互相等死。
func reason(broken <-chan error, inbox <-chan *configv1.WatchResponse) error {
	for {
		select {
		case err := <-broken:
			return err
		case <-inbox:
		}
	}
}

func (s *Subscriber) hello() *configv1.WatchRequest {
	h := &configv1.Hello{NodeId: s.cfg.NodeID, Epoch: s.cfg.Epoch, Version: s.cfg.Version}
	if st := s.deps.Holder.Load(); st != nil {
		h.Revision, h.Digest = st.Revision, st.Digest[:]
	}
	return &configv1.WatchRequest{Message: &configv1.WatchRequest_Hello{Hello: h}}
}

func (s *Subscriber) status() *configv1.WatchRequest {
	st := &configv1.NodeStatus{}
	if s.deps.Status != nil {
		st = s.deps.Status()
	}
	return &configv1.WatchRequest{Message: &configv1.WatchRequest_Status{Status: st}}
}

func (s *Subscriber) drain(reason string) {
	s.log.Info("the control plane asks this node to drain", zap.String("reason", reason))
	if s.deps.Drain != nil {
		s.deps.Drain(reason)
	}
}

// refusal 记着最近被拒的一份；同样的再来，等过退避的时间才再试，坏配置因此不会使节点空转。
type refusal struct {
	digest  string
	any     bool
	backoff jitter.Backoff
}

func (r *refusal) same(u *configv1.SnapshotUpdate) bool {
	return r.any && string(u.GetDigest()) == r.digest
}

func (r *refusal) note(u *configv1.SnapshotUpdate) {
	if !r.same(u) {
		r.digest, r.any = string(u.GetDigest()), true
		r.backoff.Reset()
	}
}

func (r *refusal) clear() {
	r.digest, r.any = "", false
	r.backoff.Reset()
}
