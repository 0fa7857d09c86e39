package explain

import (
	"fmt"
	"strings"
	"time"
)

// ReasonCode 是一句缘由的码；admin.yaml 的 ExplainedReason 列着同样的这些，加一个就两处都加。
type ReasonCode string

// 前一半说一个目标，后一半说裁决；并发与每分钟的三个两处都用。
const (
	ServerDisabled    ReasonCode = "server_disabled"
	NoWeight          ReasonCode = "no_weight"
	UpstreamPause     ReasonCode = "upstream_pause"
	QueueAhead        ReasonCode = "queue_ahead"         // Count：已有几个在等
	Concurrency       ReasonCode = "concurrency"         // Limit
	RequestsPerMinute ReasonCode = "requests_per_minute" // Limit
	TokensPerMinute   ReasonCode = "tokens_per_minute"   // Limit
	EjectedByAll      ReasonCode = "ejected"             // Cause：节点说的英文理由
	LastUsable        ReasonCode = "last_usable"
	EjectedBySome     ReasonCode = "ejected_by_some" // Count、Nodes

	AppDisabled     ReasonCode = "app_disabled"
	ModelUnknown    ReasonCode = "model_unknown"    // Model
	ModelsAllowed   ReasonCode = "models_allowed"   // Models：许用的
	BudgetExhausted ReasonCode = "budget_exhausted" // Until：何时重新开始
	OnFallback      ReasonCode = "fallback"         // Model、Fallback；下一句说在后备上怎样
	AppLimit        ReasonCode = "app_limit"        // 下一句说是哪一个限额
	Starts          ReasonCode = "starts"           // Servers、Priority
	WaitsFor        ReasonCode = "waits_for"        // Servers
	QueuesFull      ReasonCode = "queues_full"
	NoneUsable      ReasonCode = "none_usable"
	NoTargets       ReasonCode = "no_targets"
	NoLeader        ReasonCode = "no_leader"
	LeaderLearning  ReasonCode = "leader_learning"
	NoNodes         ReasonCode = "no_nodes"
)

// Reason 是一句缘由：码与其中的数；码旁注明了用哪些，别的是零值。
type Reason struct {
	Code                          ReasonCode
	Count, Limit, Nodes, Priority int64
	Cause, Model, Fallback        string
	Servers, Models               []string
	Until                         time.Time
}

// Text 是英文的一句。
func (r Reason) Text() string {
	switch r.Code {
	case ServerDisabled:
		return "the server is disabled"
	case NoWeight:
		return "the weight is 0, so it takes no traffic"
	case UpstreamPause:
		return "the upstream asked for a pause (HTTP 429)"
	case QueueAhead:
		return fmt.Sprintf("%d requests wait for it already", r.Count)
	case Concurrency:
		return fmt.Sprintf("all %d requests in flight are taken", r.Limit)
	case RequestsPerMinute:
		return fmt.Sprintf("the %d requests per minute are used up for the moment", r.Limit)
	case TokensPerMinute:
		return fmt.Sprintf("the %d tokens per minute are used up for the moment", r.Limit)
	case EjectedByAll:
		return "ejected by every connected node: " + r.Cause
	case LastUsable:
		return "ejected by every connected node, but used all the same: it is the last usable target of the model"
	case EjectedBySome:
		return fmt.Sprintf("ejected by %d of %d connected nodes", r.Count, r.Nodes)
	}
	return r.verdictText()
}

func (r Reason) verdictText() string {
	switch r.Code {
	case AppDisabled:
		return "the app is disabled"
	case ModelUnknown:
		return fmt.Sprintf("the model %q does not exist", r.Model)
	case ModelsAllowed:
		return fmt.Sprintf("the app may use %s only", strings.Join(r.Models, ", "))
	case BudgetExhausted:
		return "the budget is used up; it starts again at " + r.Until.UTC().Format(time.RFC3339)
	case OnFallback:
		return fmt.Sprintf("no target of %q can serve, so the fallback %q is used", r.Model, r.Fallback)
	case AppLimit:
		return "the app is at its own limit"
	case Starts:
		return fmt.Sprintf("starts at once in tier %d on %s", r.Priority, strings.Join(r.Servers, " or "))
	case WaitsFor:
		return "no target can start a request now; it waits for " + strings.Join(r.Servers, " or ")
	case QueuesFull:
		return "the queue of every server of the model is full"
	case NoneUsable:
		return "every target is disabled or ejected"
	case NoTargets:
		return "the model has no targets"
	case NoLeader:
		return "limits, queues and pauses are not known: no replica leads admission at this moment"
	case LeaderLearning:
		return "the admission leader has just taken over and is still counting what the nodes hold"
	case NoNodes:
		return "no node is connected that could serve it"
	}
	return string(r.Code)
}

// Detail 把裁决的缘由接成英文一行：引出下文的后面是冒号，别的是分号。
func (x Explanation) Detail() string {
	var b strings.Builder
	for i, r := range x.Reasons {
		if i > 0 {
			b.WriteString(joint(x.Reasons[i-1].Code))
		}
		b.WriteString(r.Text())
	}
	return b.String()
}

func joint(before ReasonCode) string {
	if before == OnFallback || before == AppLimit {
		return ": "
	}
	return "; "
}

// Detail 是目标的缘由，英文一句；能开始而又没有话要说则为空。
func (t Target) Detail() string {
	if t.Reason == nil {
		return ""
	}
	return t.Reason.Text()
}
