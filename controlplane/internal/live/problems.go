package live

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/push"
)

// Kind 是一处不对的种类。
type Kind string

// 各种不对；含义见管理 API 的描述。
const (
	NoNodes         Kind = "no_nodes"
	NodeAway        Kind = "node_away"
	NodeBehind      Kind = "node_behind"
	NodeRejected    Kind = "node_rejected"
	NodeJournal     Kind = "node_journal"
	TargetEjected   Kind = "target_ejected"
	TargetPaused    Kind = "target_paused"
	ServerQueue     Kind = "server_queue"
	LowAccuracy     Kind = "accuracy"
	UsageLost       Kind = "usage_lost"
	BudgetWarning   Kind = "budget_warning"
	BudgetExhausted Kind = "budget_exhausted"
	NoLeader        Kind = "no_leader"
)

// Severity 是轻重。
type Severity string

// Error 的在前。
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem 是一处不对；不相干的栏是零值。
type Problem struct {
	Kind                             Kind
	Severity                         Severity
	Detail                           string
	Node, Server, UpstreamModel, App string
	Until                            time.Time
	// Nodes 是 TargetEjected 的节点数。
	Nodes int
	// Value 是与阈值相比的数：比例、百分数或个数，随 Kind；nil 即没有。
	Value *float64
}

// State 是判断要看的一切；纯数据。
type State struct {
	Now   time.Time
	Head  uint64
	Since time.Time // 头是何时发布的
	Nodes []push.Node
	// Queues 为 nil 即此刻没有授予者，NoLeader 说为什么。
	Queues   *admission.Queues
	NoLeader string
	Servers  map[string]*catalog.Server
	Budgets  []budget.Status
	Today    Today
}

// Today 是设置里的时区的今天，用量有多准。
type Today struct {
	Attempts, WithUsage int64
	// Lost 是再也拿不出的记录数。
	Lost int64
}

const (
	// behindGrace 之内没有换上新的一版不算落后。
	behindGrace = 10 * time.Second
	// goodAccuracy 是知道 token 数的调用至少该占多少。
	goodAccuracy = 0.999
	// nearlyFull 是队列占到几成算将满。
	nearlyFull = 0.9
	// longWait 是估计的等待占到时限的几成算久。
	longWait = 0.5
)

// Problems 列出 s 里的不对，重的在前；都好则为空。
func Problems(s State) []Problem {
	out := slices.Concat(nodeProblems(s), targetProblems(s), queueProblems(s), usageProblems(s.Today), budgetProblems(s.Budgets))
	slices.SortStableFunc(out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(rank(a.Severity), rank(b.Severity)), cmp.Compare(order(a.Kind), order(b.Kind)),
			strings.Compare(a.Node, b.Node), strings.Compare(a.Server, b.Server), strings.Compare(a.UpstreamModel, b.UpstreamModel), strings.Compare(a.App, b.App))
	})
	return out
}

func rank(s Severity) int {
	if s == Error {
		return 0
	}
	return 1
}

// order 是同样轻重的谁在前：停了整套的、丢数的、局部的、将要发生的。
func order(k Kind) int {
	return slices.Index([]Kind{NoNodes, NoLeader, NodeRejected, UsageLost, TargetEjected, BudgetExhausted, ServerQueue,
		NodeJournal, NodeBehind, NodeAway, TargetPaused, LowAccuracy, BudgetWarning}, k)
}

func usageProblems(t Today) (out []Problem) {
	if t.Lost > 0 {
		out = append(out, Problem{Kind: UsageLost, Severity: Error, Value: number(float64(t.Lost)),
			Detail: fmt.Sprintf("%d usage records of today are lost; their requests are not counted", t.Lost)})
	}
	if t.Attempts == 0 {
		return out
	}
	if share := float64(t.WithUsage) / float64(t.Attempts); share < goodAccuracy {
		out = append(out, Problem{Kind: LowAccuracy, Severity: Warning, Value: number(floor6(share)),
			Detail: fmt.Sprintf("tokens are known for %d of %d upstream calls of today", t.WithUsage, t.Attempts)})
	}
	return out
}

func budgetProblems(all []budget.Status) (out []Problem) {
	for _, b := range all {
		percent := float64(b.Percent100()) / 100
		p := Problem{App: b.App, Until: b.End, Value: number(percent)}
		switch b.State() {
		case budget.Exhausted:
			p.Kind, p.Severity = BudgetExhausted, Error
			p.Detail = fmt.Sprintf("app %s has used up its budget; requests are refused until it resets", b.App)
		case budget.Warning:
			p.Kind, p.Severity = BudgetWarning, Warning
			p.Detail = fmt.Sprintf("app %s has used %.2f %% of its budget", b.App, percent)
		default:
			continue
		}
		out = append(out, p)
	}
	return out
}

func number(v float64) *float64 { return &v }

// floor6 舍去而不进位：差一点到阈值的不写成到了。
func floor6(v float64) float64 { return math.Floor(v*1e6) / 1e6 }
