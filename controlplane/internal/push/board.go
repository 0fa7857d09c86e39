package push

import (
	"sync"
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// Spending 是一次算出的预算花费；造好之后只读，所有流共用。
type Spending struct {
	Apps  []*configv1.BudgetStatus
	Nodes int64
	// Cursors 按节点名；每个节点只收自己的。
	Cursors map[string][]*configv1.UsageCursor
}

func (s *Spending) to(node string) *configv1.WatchResponse {
	return &configv1.WatchResponse{Message: &configv1.WatchResponse_Budgets{
		Budgets: &configv1.Budgets{Apps: s.Apps, Nodes: s.Nodes, Cursors: s.Cursors[node]}}}
}

// staleSpending 是算出多久之后不再给新来的流：节点会把刚听到的当作此刻的。
const staleSpending = 1500 * time.Millisecond

// Board 把最近一次算出的花费交给每条流；慢的流只得到最新的。零值可用；nil 谁也不告诉。
type Board struct {
	mu   sync.Mutex
	last *Spending
	at   time.Time
	subs map[chan *Spending]struct{}
}

// Publish 交给所有流，从不等待；s 此后不可再改。
func (b *Board) Publish(s *Spending) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last, b.at = s, time.Now()
	for ch := range b.subs {
		select {
		case <-ch:
		default:
		}
		ch <- s
	}
}

// subscribe 给出一条流要听的通道，与退订。
func (b *Board) subscribe() (<-chan *Spending, func()) {
	if b == nil {
		return nil, func() {}
	}
	ch := make(chan *Spending, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs == nil {
		b.subs = map[chan *Spending]struct{}{}
	}
	b.subs[ch] = struct{}{}
	if b.last != nil && time.Since(b.at) < staleSpending {
		ch <- b.last
	}
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, ch)
	}
}
