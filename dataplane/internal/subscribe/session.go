package subscribe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"

	"github.com/vega-gateway/vega/dataplane/internal/backoff"
	"github.com/vega-gateway/vega/dataplane/internal/inbox"
)

// messageOverhead 是快照之外一条消息的余量。
const messageOverhead = 1 << 20

// sendTimeout 是一条上行消息至多等多久。对面不收时流控会使 Send 一直等下去，主循环停在那里，新的配置就换不上。
const sendTimeout = 30 * time.Second

var errSilent = errors.New("the control plane takes no messages")

// session 是一条流从 Hello 到断开；返回断开的原因。
func (s *Subscriber) session(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)

	stream, err := s.deps.Client.Watch(ctx, grpc.MaxCallRecvMsgSize(s.cfg.MaxSnapshotBytes+messageOverhead))
	if err != nil {
		return fmt.Errorf("open the configuration stream: %w", err)
	}
	if err := stream.Send(s.hello()); err != nil {
		_, err = stream.Recv() // Send 只说 io.EOF，真正的状态在 Recv 那里
		return fmt.Errorf("send hello: %w", err)
	}
	in := inbox.Open(ctx, &wg, stream.Recv)

	status := time.NewTicker(s.cfg.StatusEvery)
	defer status.Stop()
	retry := time.NewTimer(time.Hour)
	retry.Stop()
	defer retry.Stop()
	var held *configv1.SnapshotUpdate // 上次被拒、又来了一遍的一份，等到退避过去再试
	for {
		var out *configv1.WatchRequest
		select {
		case err := <-in.Broken():
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-status.C:
			out = s.status()
		case <-retry.C:
			out, held = s.apply(held), nil
		case got := <-in.Messages():
			s.connected.Store(true)
			switch m := got.GetMessage().(type) {
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
			case *configv1.WatchResponse_Budgets:
				if s.deps.Budgets != nil {
					s.deps.Budgets(m.Budgets)
				}
			case *configv1.WatchResponse_Drain:
				s.drain(m.Drain.GetReason())
			}
		}
		if out == nil {
			continue
		}
		guard := time.AfterFunc(sendTimeout, func() { cancel(errSilent) })
		err := stream.Send(out)
		guard.Stop()
		if errors.Is(context.Cause(ctx), errSilent) {
			return errSilent
		}
		if err != nil {
			return in.Reason()
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
	// 文本可能出自上游：不是 UTF-8 就编不出来，整条流会为它每秒断一次。
	st.LastError = printable(st.GetLastError())
	for _, e := range st.GetEjections() {
		e.Reason = printable(e.GetReason())
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
	backoff backoff.Backoff
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
