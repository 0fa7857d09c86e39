package report

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

	"github.com/vega-gateway/vega/dataplane/internal/inbox"
)

type reportStream = grpc.BidiStreamingClient[usagev1.ReportRequest, usagev1.ReportResponse]

// session 是一条流上送到哪里的账；只由主循环碰。
type session struct {
	*Reporter
	stream   reportStream
	leave    func() // 以 errSilent 断开
	greeted  bool   // Hello 已得到应答，可以送了
	next     uint64 // 下一批从这里起
	sent     uint64 // 送出的最大序号
	inFlight int    // 送出而未得应答的批
	settling bool   // Resend 之后，等在途的应答收完
	due      time.Time
}

// errSilent 说该来的应答没有来。
var errSilent = errors.New("the control plane does not answer")

// session 是一条流从 Hello 到断开；返回断开的原因。
func (r *Reporter) session(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)

	stream, err := r.deps.Client.Report(ctx)
	if err != nil {
		return fmt.Errorf("open the usage stream: %w", err)
	}
	s := &session{Reporter: r, stream: stream, leave: func() { cancel(errSilent) }, due: time.Now().Add(r.cfg.AckTimeout)}
	if err := stream.Send(s.hello()); err != nil {
		_, err = stream.Recv() // Send 只说 io.EOF，真正的状态在 Recv 那里
		return fmt.Errorf("send hello: %w", err)
	}
	in := inbox.Open(ctx, &wg, stream.Recv)

	tick := time.NewTicker(r.cfg.Tick)
	defer tick.Stop()
	for {
		partial := false
		select {
		case err := <-in.Broken():
			return err
		case <-ctx.Done():
			return ctx.Err()
		case m := <-in.Messages():
			if err := s.answer(m); err != nil {
				return err
			}
		case <-r.deps.Journal.Wake():
		case now := <-tick.C:
			if s.overdue(now) {
				return errSilent
			}
			partial = true
		}
		if err := s.pump(partial || r.urgent.Load() > 0); err != nil {
			if errors.Is(context.Cause(ctx), errSilent) {
				return errSilent
			}
			return in.Reason()
		}
	}
}

func (s *session) hello() *usagev1.ReportRequest {
	st := s.deps.Journal.Stats()
	return &usagev1.ReportRequest{Message: &usagev1.ReportRequest_Hello{Hello: &usagev1.Hello{
		NodeId: s.cfg.NodeID, Epoch: s.deps.Journal.Epoch(),
		FirstSeq: st.FirstSeq, LastSeq: st.LastSeq, AckedSeq: st.AckedSeq, SentUnixMs: s.deps.Now().UnixMilli(),
		Durable: s.deps.Journal.Durable(),
	}}}
}

// overdue 说该来的应答是不是迟得该断开了。
func (s *session) overdue(now time.Time) bool {
	return (!s.greeted || s.inFlight > 0) && now.After(s.due)
}

// pump 送出窗口容得下的批；partial 为假时不足一批的留着再攒，免得每个确认都引出一小批与一个事务。
func (s *session) pump(partial bool) error {
	for s.greeted && !s.settling && s.inFlight < s.cfg.Window {
		if last := s.deps.Journal.Stats().LastSeq; !partial && last+1 < s.next+uint64(s.cfg.BatchRecords) {
			return nil
		}
		b := s.deps.Journal.Batch(s.next, s.cfg.BatchRecords)
		if b == nil {
			return nil
		}
		b.NodeId, b.SentUnixMs = s.cfg.NodeID, s.deps.Now().UnixMilli()
		if err := s.send(b); err != nil {
			return err
		}
		if s.inFlight == 0 {
			s.due = time.Now().Add(s.cfg.AckTimeout)
		}
		s.inFlight++
		s.next, s.sent = b.LastSeq+1, max(s.sent, b.LastSeq)
	}
	return nil
}

// send 送一批。对面不收时流控会使 Send 一直等下去，那时主循环看不了钟，所以由定时器断开。
func (s *session) send(b *usagev1.Batch) error {
	defer time.AfterFunc(s.cfg.AckTimeout, s.leave).Stop()
	return s.stream.Send(&usagev1.ReportRequest{Message: &usagev1.ReportRequest_Batch{Batch: b}})
}

// answer 依一个应答移动游标。
func (s *session) answer(in *usagev1.ReportResponse) error {
	s.due = time.Now().Add(s.cfg.AckTimeout)
	s.inFlight = max(0, s.inFlight-1)
	switch m := in.GetMessage().(type) {
	case *usagev1.ReportResponse_Ack:
		if err := s.sameEpoch(m.Ack.GetEpoch()); err != nil {
			return err
		}
		s.ack(m.Ack.GetHighWater())
	case *usagev1.ReportResponse_Resend:
		if err := s.sameEpoch(m.Resend.GetEpoch()); err != nil {
			return err
		}
		s.back(max(m.Resend.GetFromSeq(), 1) - 1)
	default:
		return errors.New("the control plane sent an empty answer")
	}
	if s.inFlight == 0 {
		s.settling = false
	}
	if !s.greeted {
		s.greeted = true
		s.connected.Store(true)
	}
	return nil
}

func (s *session) sameEpoch(epoch uint64) error {
	if epoch != s.deps.Journal.Epoch() {
		return errors.New("the control plane answered for another epoch")
	}
	return nil
}

// ack 记下确认。比已知的小，就是数据库回到了过去。
func (s *session) ack(hw uint64) {
	st := s.deps.Journal.Stats()
	if hw < st.AckedSeq {
		s.back(hw)
		return
	}
	s.deps.Journal.Acked(hw)
	hw = min(hw, st.LastSeq)
	if hw+1 > s.next || !s.greeted || s.settling {
		s.next = hw + 1
	}
	if hw >= s.sent {
		s.inFlight = 0
	}
	s.announce()
}

// back 从 hw 的下一条重送；在途各批的应答收完之前不送。
func (s *session) back(hw uint64) {
	st := s.deps.Journal.Stats()
	hw = min(hw, st.LastSeq)
	if hw < st.AckedSeq {
		s.log.Warn("the control plane went back in time, resending",
			zap.Uint64("acknowledged", st.AckedSeq), zap.Uint64("high_water", hw), zap.Uint64("first_held", st.FirstSeq))
		s.deps.Journal.Rewind(hw)
	}
	s.next = hw + 1
	s.settling = s.inFlight > 0
}
