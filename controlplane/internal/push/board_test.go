package push_test

import (
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/push"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

func spending(tokens int64) *push.Spending {
	return &push.Spending{
		Nodes: 2, Apps: []*configv1.BudgetStatus{{App: "team", SpentTokens: tokens}},
		Cursors: map[string][]*configv1.UsageCursor{"n1": {{Epoch: 1, HighWater: 11}}, "n2": {{Epoch: 2, HighWater: 22}}},
	}
}

func (n *node) budgets() *configv1.Budgets {
	n.t.Helper()
	for {
		if b := n.nextMessage().GetBudgets(); b != nil {
			return b
		}
	}
}

func TestBoard_EveryStreamGetsTheSpendingAndItsOwnCursors(t *testing.T) {
	src := &source{cur: snap(1, 10)}
	r := startReplica(t, "r1", newMemory(), src, push.ServiceConfig{})
	n1, n2 := connect(t, r, "n1", 1, 0, ""), connect(t, r, "n2", 1, 0, "")
	n1.next()
	n2.next()
	r.board.Publish(spending(5))
	for n, hw := range map[*node]uint64{n1: 11, n2: 22} {
		b := n.budgets()
		if b.GetNodes() != 2 || b.GetApps()[0].GetSpentTokens() != 5 || len(b.GetCursors()) != 1 || b.GetCursors()[0].GetHighWater() != hw {
			t.Errorf("%v", b)
		}
	}
	if b := connect(t, r, "n3", 1, 0, "").budgets(); b.GetApps()[0].GetSpentTokens() != 5 || len(b.GetCursors()) != 0 {
		t.Errorf("a new stream got %v", b)
	}
}

func TestBoard_OldSpendingIsNotToldToANewStreamAsIfItWereFresh(t *testing.T) {
	src := &source{cur: snap(1, 10)}
	r := startReplica(t, "r1", newMemory(), src, push.ServiceConfig{})
	r.board.Publish(spending(5))
	time.Sleep(1600 * time.Millisecond)
	n := connect(t, r, "n1", 1, 0, "")
	n.next()
	n.quiet(100 * time.Millisecond)
	r.board.Publish(spending(6))
	if b := n.budgets(); b.GetApps()[0].GetSpentTokens() != 6 {
		t.Errorf("%v", b)
	}
}
