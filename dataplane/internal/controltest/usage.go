package controltest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

	"github.com/vega-gateway/vega/dataplane/internal/journal"
)

// usageSide 是用量服务的账；由 Server.mu 护着。
type usageSide struct {
	ledgers  map[ledgerKey]*Ledger
	streams  map[int]func()
	opened   int
	hellos   []*usagev1.Hello
	delay    time.Duration
	loseAcks int
}

// DelayAcks 使以后每个批的应答晚这么久；0 即不拖。
func (s *Server) DelayAcks(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usage.delay = d
}

// LoseAcks 使接下来的 n 批落了账而不应答，流断开：最坏时刻的断线。
func (s *Server) LoseAcks(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usage.loseAcks = n
}

// Regress 使一个节点的账回到不晚于 cursor 的最近一次提交，如同数据库从备份恢复；不断流。
func (s *Server) Regress(node string, epoch, cursor uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger(node, epoch).regress(cursor)
	s.announce()
}

// Ledger 是一个节点一个 epoch 的账的副本；没有来过则是空账。
func (s *Server) Ledger(node string, epoch uint64) Ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledger(node, epoch).clone()
}

// Ledgers 是全部的账的副本，按节点与 epoch 排好。
func (s *Server) Ledgers() []Ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Ledger, 0, len(s.usage.ledgers))
	for l := range maps.Values(s.usage.ledgers) {
		list = append(list, l.clone())
	}
	slices.SortFunc(list, func(a, b Ledger) int { return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Epoch, b.Epoch)) })
	return list
}

// UsageHellos 是至今全部的用量 Hello，按到来的次序。
func (s *Server) UsageHellos() []*usagev1.Hello {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.usage.hellos)
}

// WaitTotals 等全部的账之和使 ok 为真，返回那个和。
func (s *Server) WaitTotals(t testing.TB, what string, ok func(journal.Totals) bool) journal.Totals {
	t.Helper()
	var sum journal.Totals
	s.wait(t, what, func() bool {
		sum = journal.Totals{}
		for _, l := range s.usage.ledgers {
			sum = sum.Plus(l.Totals)
		}
		return ok(sum)
	})
	return sum
}

// WaitCursor 等一个节点的游标到 seq。
func (s *Server) WaitCursor(t testing.TB, node string, epoch, seq uint64) Ledger {
	t.Helper()
	var got Ledger
	s.wait(t, fmt.Sprintf("the cursor of %s at %d", node, seq), func() bool {
		l := s.ledger(node, epoch)
		got = l.clone()
		return l.Cursor >= seq
	})
	return got
}

func (l *Ledger) clone() Ledger {
	c := *l
	c.Records, c.Faults, c.history = slices.Clone(l.Records), slices.Clone(l.Faults), nil
	return c
}

// ledger 取一本账，没有则开；持锁调用。
func (s *Server) ledger(node string, epoch uint64) *Ledger {
	k := ledgerKey{node, epoch}
	l, ok := s.usage.ledgers[k]
	if !ok {
		l = &Ledger{Node: node, Epoch: epoch}
		s.usage.ledgers[k] = l
	}
	return l
}

type usageService struct {
	usagev1.UnimplementedUsageServiceServer
	*Server
}

// Report 实现用量服务。
func (s usageService) Report(stream usagev1.UsageService_ReportServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	hello := first.GetHello()
	if hello == nil {
		return status.Error(codes.InvalidArgument, "the first message must be a hello")
	}
	gone, leave := s.greet(hello)
	defer leave()
	cursor := s.Ledger(hello.GetNodeId(), hello.GetEpoch()).Cursor
	if err := stream.Send(ack(hello.GetEpoch(), cursor)); err != nil {
		return err
	}
	batches, broken := make(chan *usagev1.Batch), make(chan error, 1)
	go func() { broken <- receive(stream, batches) }() // 处理者返回后流即失效，它随之结束
	for {
		select {
		case <-gone:
			return status.Error(codes.Unavailable, "stream dropped")
		case err := <-broken:
			return err
		case b := <-batches:
			out, delay := s.take(b)
			select {
			case <-time.After(delay):
			case <-gone:
				return status.Error(codes.Unavailable, "stream dropped")
			case <-stream.Context().Done():
				return stream.Context().Err()
			}
			if out == nil {
				return status.Error(codes.Unavailable, "the acknowledgement is lost")
			}
			if err := stream.Send(out); err != nil {
				return err
			}
		}
	}
}

func receive(stream usagev1.UsageService_ReportServer, batches chan<- *usagev1.Batch) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		b := m.GetBatch()
		if b == nil {
			return status.Error(codes.InvalidArgument, "expected a batch")
		}
		select {
		case batches <- b:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func (s *Server) greet(hello *usagev1.Hello) (gone <-chan struct{}, leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usage.hellos = append(s.usage.hellos, hello)
	if s.usage.streams == nil {
		s.usage.streams = make(map[int]func())
	}
	ch := make(chan struct{})
	s.usage.opened++
	id := s.usage.opened
	s.usage.streams[id] = sync.OnceFunc(func() { close(ch) })
	s.announce()
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.usage.streams, id)
	}
}

// take 落账；应答为 nil 即这个确认要丢。
func (s *Server) take(b *usagev1.Batch) (*usagev1.ReportResponse, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hw, resend := s.ledger(b.GetNodeId(), b.GetEpoch()).receive(b)
	s.announce()
	switch {
	case s.usage.loseAcks > 0:
		s.usage.loseAcks--
		return nil, 0
	case resend > 0:
		return &usagev1.ReportResponse{Message: &usagev1.ReportResponse_Resend{
			Resend: &usagev1.Resend{Epoch: b.GetEpoch(), FromSeq: resend},
		}}, s.usage.delay
	}
	return ack(b.GetEpoch(), hw), s.usage.delay
}

func ack(epoch, hw uint64) *usagev1.ReportResponse {
	return &usagev1.ReportResponse{Message: &usagev1.ReportResponse_Ack{Ack: &usagev1.Ack{Epoch: epoch, HighWater: hw}}}
}
