package explain

import (
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/proto/ruleset"
)

// World 是要看的一切，由调用者一次读好；Explain 不改它。
type World struct {
	Catalog *catalog.Catalog
	Nodes   []push.Node
	// Queues 为 nil 即此刻没有授予者。
	Queues *admission.Queues
	// Budget 为 nil 即 app 没有预算。
	Budget *budget.Status
}

// Verdict 是裁决。
type Verdict string

const (
	Ready   Verdict = "ready"   // 此刻就能开始
	Waits   Verdict = "waits"   // 要排队
	Refused Verdict = "refused" // 会被拒绝
)

// Explanation 是一份解释。
type Explanation struct {
	Verdict Verdict
	Code    string // 只在 Refused 时有：客户端会得到的错误码
	// Reasons 是裁决的缘由，按说的次序；不空。
	Reasons []Reason
	// Pools 是 app 自己的账；没有授予者，或它还不知道这个 app，则为 nil。
	Pools     *admission.App
	Tiers     []Tier
	Fallbacks []Fallback
}

// Tier 是一层。
type Tier struct {
	Priority int64
	Targets  []Target
}

// Fallback 是一个后备模型；Allowed 说 app 自己点名要它许不许，走后备时不看它。
type Fallback struct {
	Model   string
	Allowed bool
	Tiers   []Tier
}

// Target 是一个目标此刻的处境。
type Target struct {
	catalog.Target
	State       ruleset.Verdict // Startable、Full、Paused、Ejected、Disabled
	Share       float64         // 在本层能开始的目标里分到的，0 至 1
	Reason      *Reason         // 为什么不能开始；能则为 nil，除非有话要说
	PausedUntil time.Time       // 只在暂停时有
	EjectedBy   []EjectedBy     // 按节点名升序
	Queue       *admission.Queue
}

// EjectedBy 是摘出了目标的一个节点。
type EjectedBy struct {
	Node, Reason string
	Until        time.Time
}

// Explain 说 app 此刻要 model 会怎样；app 须在 w.Catalog 里。
func Explain(w World, app *catalog.App, model string) Explanation {
	f := newFleet(w)
	x := Explanation{Pools: f.pools(app.Name), Tiers: []Tier{}, Fallbacks: []Fallback{}}
	m := w.Catalog.Models[model]
	if m != nil {
		x.Tiers = f.tiers(m, app.Name)
		for _, name := range m.Fallbacks {
			if g := w.Catalog.Models[name]; g != nil {
				x.Fallbacks = append(x.Fallbacks, Fallback{Model: name, Allowed: ruleset.Allows(app.Models, name), Tiers: f.tiers(g, app.Name)})
			}
		}
	}
	if code, why := refusal(w, app, model); code != "" {
		x.Verdict, x.Code, x.Reasons = Refused, code, []Reason{why}
		return x
	}
	f.route(&x, model)
	return x
}

// refusal 是还没有看去处就会得到的错误，次序与数据面相同；没有则 code 为空。
func refusal(w World, app *catalog.App, model string) (code string, why Reason) {
	switch {
	case !app.Enabled:
		return "app_disabled", Reason{Code: AppDisabled}
	case w.Catalog.Models[model] == nil:
		return "model_not_found", Reason{Code: ModelUnknown, Model: model}
	case !ruleset.Allows(app.Models, model):
		return "model_not_allowed", Reason{Code: ModelsAllowed, Models: app.Models}
	case w.Budget != nil && w.Budget.State() == budget.Exhausted:
		return "insufficient_quota", Reason{Code: BudgetExhausted, Until: w.Budget.End}
	}
	return "", Reason{}
}

// route 走一遍数据面的路：点名的模型没有一个值得等的目标，才依次看后备。
func (f *fleet) route(x *Explanation, model string) {
	chain := append([]Fallback{{Model: model, Tiers: x.Tiers}}, x.Fallbacks...)
	for i, link := range chain {
		s := survey(link.Tiers)
		if s.start == nil && s.wait == nil {
			continue
		}
		if i > 0 {
			x.say(Reason{Code: OnFallback, Model: model, Fallback: link.Model})
		}
		f.decide(x, s)
		x.say(f.caveats()...)
		return
	}
	x.Verdict, x.Code = Refused, "no_server_available"
	why := NoneUsable
	if len(x.Tiers) == 0 {
		why = NoTargets
	}
	x.say(Reason{Code: why})
	x.say(f.caveats()...)
}

func (x *Explanation) say(reasons ...Reason) { x.Reasons = append(x.Reasons, reasons...) }

// decide 在有得去或有得等的模型上下裁决。
func (f *fleet) decide(x *Explanation, s surveyed) {
	var blocked *Reason
	if x.Pools != nil {
		p := x.Pools
		blocked = blockedBy(p.Limits, p.InFlight+p.Quarantined, p.RequestsLevel, p.TokensLevel)
	}
	switch {
	case s.start != nil && blocked == nil:
		x.Verdict = Ready
		x.say(Reason{Code: Starts, Servers: s.start, Priority: s.priority})
	case f.crowded(s.wait):
		x.Verdict, x.Code = Refused, "queue_full"
		x.say(Reason{Code: QueuesFull})
	case blocked != nil:
		x.Verdict = Waits
		x.say(Reason{Code: AppLimit}, *blocked)
	default:
		x.Verdict = Waits
		x.say(Reason{Code: WaitsFor, Servers: s.wait})
	}
}

// surveyed 是一个模型里的去处：先用的那一层里能开始的，与全部值得等的；都是 server 的名字，不重复。
type surveyed struct {
	priority    int64
	start, wait []string
}

func survey(tiers []Tier) (s surveyed) {
	for _, tier := range tiers {
		first := len(s.start) == 0
		for _, t := range tier.Targets {
			if t.Weight <= 0 || !t.State.Waitable() {
				continue
			}
			s.wait = appendNew(s.wait, t.Server)
			if first && t.State == ruleset.Startable {
				s.priority, s.start = tier.Priority, appendNew(s.start, t.Server)
			}
		}
	}
	return s
}
