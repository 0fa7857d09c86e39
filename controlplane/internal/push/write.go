package push

import (
	"context"
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	refreshTimeout = 5 * time.Second
	refreshRetry   = time.Second
)

func drainResponse() *configv1.WatchResponse {
	return &configv1.WatchResponse{Message: &configv1.WatchResponse_Drain{Drain: &configv1.Drain{Reason: "requested by an operator"}}}
}

// write 是一条流唯一的写者；ctx 结束或发送失败时返回。
func (s *Service) write(ctx context.Context, stream watchStream, sess *session, has uint64) error {
	if err := s.catchUp(ctx, has); err != nil {
		return err
	}
	sub := s.deps.Hub.Subscribe()
	defer sub.Close()
	spendings, leave := s.deps.Board.subscribe()
	defer leave()
	var budgets <-chan *Spending // 先有配置，花费才有意义
	for {
		var msg *configv1.WatchResponse
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-sess.drain:
			msg = drainResponse()
		case head := <-sub.C():
			msg, budgets = s.deps.Fleet.next(sess, head), spendings
		case spending := <-budgets:
			msg = spending.to(sess.node.ID)
		}
		if msg == nil {
			continue
		}
		if err := s.send(stream, sess, msg); err != nil {
			return err
		}
	}
}

// catchUp 在节点比本副本新时等到数据库作出回答。数据库不可达就一直等：推旧的会让撤销的钥匙复活，
// 而节点手上的那一版更新，照旧能用。
func (s *Service) catchUp(ctx context.Context, has uint64) error {
	for has > s.deps.Hub.Revision() {
		refreshCtx, cancel := context.WithTimeout(ctx, refreshTimeout)
		err := s.deps.Refresher.Refresh(refreshCtx, has)
		cancel()
		if err == nil {
			return nil
		}
		if !sleep(ctx, refreshRetry) {
			return ctx.Err()
		}
	}
	return nil
}

// send 发一条；堵过 SendTimeout 则让监督者关流，卡住的 Send 随之返回。
func (s *Service) send(stream watchStream, sess *session, msg *configv1.WatchResponse) error {
	watchdog := time.AfterFunc(s.cfg.SendTimeout, func() {
		s.deps.Metrics.slowClosed.Inc()
		sess.close(vegaerr.New(vegaerr.Unavailable, "slow_node", "a send was blocked for more than %v", s.cfg.SendTimeout))
	})
	defer watchdog.Stop()
	if err := stream.Send(msg); err != nil {
		return err
	}
	s.deps.Metrics.updates.WithLabelValues(kindOf(msg)).Inc()
	return nil
}

func kindOf(msg *configv1.WatchResponse) string {
	switch {
	case msg.GetDrain() != nil:
		return "drain"
	case msg.GetBudgets() != nil:
		return "budgets"
	case msg.GetUpdate().GetUnchanged():
		return "unchanged"
	default:
		return "full"
	}
}
