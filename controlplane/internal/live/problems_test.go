package live

import (
	"slices"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/push"
)

// well 是一切都好：三个节点都在头上，队列空着。
func well() State {
	s := State{Now: noon, Head: 7, Since: noon.Add(-time.Hour), Queues: &admission.Queues{Rows: []admission.Queue{{Server: "gpu", EstimatedWait: -1}}},
		Servers: map[string]*catalog.Server{"gpu": {ServerSpec: catalog.ServerSpec{Name: "gpu", Queue: catalog.Queue{TimeoutMS: 10_000, MaxWaiting: 100}}}},
		Today:   Today{Attempts: 10_000, WithUsage: 9_990}}
	for _, id := range []string{"n1", "n2", "n3"} {
		s.Nodes = append(s.Nodes, push.Node{ID: id, Connected: true, ConnectedAt: noon.Add(-time.Hour), LastSeen: noon, AppliedRevision: 7, Journal: &push.Journal{Durable: true}})
	}
	return s
}

func TestProblems_NoneWhenAllIsWell(t *testing.T) {
	if got := Problems(well()); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
}

// spent 是花到百分之几。
func spent(percent int64) budget.Status {
	return budget.Status{Plan: budget.Plan{App: "a", Limit: budget.Spend{Tokens: 100}, SoftPercent: 80}, Spent: budget.Spend{Tokens: percent}, End: noon.Add(time.Hour)}
}

func TestProblems_EachKindAtItsThreshold(t *testing.T) {
	eject := func(s *State, nodes int) {
		for i := range nodes {
			s.Nodes[i].Ejections = []push.Ejection{{Server: "gpu", UpstreamModel: "m", Reason: "5xx", Until: noon.Add(time.Duration(i) * time.Second)}}
		}
	}
	queue := func(s *State) *admission.Queue { return &s.Queues.Rows[0] }
	for name, c := range map[string]struct {
		spoil func(s *State)
		kinds []Kind
		check func(p Problem) bool
	}{
		"nobody is connected": {func(s *State) { s.Nodes = nil }, []Kind{NoNodes}, func(p Problem) bool { return p.Severity == Error }},
		"a node is away":      {func(s *State) { s.Nodes[1].Connected = false }, []Kind{NodeAway}, func(p Problem) bool { return p.Node == "n2" }},
		"a drained node left": {func(s *State) { s.Nodes[1].Connected, s.Nodes[1].Draining = false, true }, nil, nil},
		"a drained node left with records": {func(s *State) {
			s.Nodes[1].Connected, s.Nodes[1].Draining, s.Nodes[1].Unreported = false, true, 3
		}, []Kind{NodeAway}, nil},
		"a node is behind":                 {func(s *State) { s.Nodes[0].AppliedRevision = 5 }, []Kind{NodeBehind}, func(p Problem) bool { return p.Node == "n1" && *p.Value == 2 }},
		"the head is ten seconds old":      {func(s *State) { s.Nodes[0].AppliedRevision, s.Since = 5, noon.Add(-10*time.Second) }, nil, nil},
		"the node came ten seconds ago":    {func(s *State) { s.Nodes[0].AppliedRevision, s.Nodes[0].ConnectedAt = 5, noon.Add(-10*time.Second) }, nil, nil},
		"a node rejected the head":         {func(s *State) { s.Nodes[0].AppliedRevision, s.Nodes[0].RejectedRevision = 6, 7 }, []Kind{NodeRejected}, func(p Problem) bool { return p.Severity == Error }},
		"a node rejected an older one":     {func(s *State) { s.Nodes[0].RejectedRevision = 6 }, nil, nil},
		"a journal is not durable":         {func(s *State) { s.Nodes[2].Journal = &push.Journal{Trouble: "disk full", Unjournalled: 4} }, []Kind{NodeJournal}, func(p Problem) bool { return p.Node == "n3" && *p.Value == 4 }},
		"a node says nothing of a journal": {func(s *State) { s.Nodes[2].Journal = nil }, nil, nil},
		"two of three ejected": {func(s *State) { eject(s, 2) }, []Kind{TargetEjected}, func(p Problem) bool {
			return p.Nodes == 2 && p.Severity == Warning && p.Server == "gpu" && p.UpstreamModel == "m" && p.Until.Equal(noon.Add(time.Second))
		}},
		"all ejected": {func(s *State) { eject(s, 3) }, []Kind{TargetEjected}, func(p Problem) bool { return p.Nodes == 3 && p.Severity == Error }},
		"paused": {func(s *State) {
			queue(s).Paused = []admission.Paused{{UpstreamModel: "m", Until: noon.Add(time.Minute)}}
		}, []Kind{TargetPaused}, func(p Problem) bool { return p.Until.Equal(noon.Add(time.Minute)) }},
		"half the time":            {func(s *State) { queue(s).Waiting, queue(s).EstimatedWait = 3, 5*time.Second }, nil, nil},
		"more than half":           {func(s *State) { queue(s).Waiting, queue(s).EstimatedWait = 3, 5100*time.Millisecond }, []Kind{ServerQueue}, func(p Problem) bool { return *p.Value == 0.51 && p.Severity == Warning }},
		"all the time":             {func(s *State) { queue(s).Waiting, queue(s).EstimatedWait = 3, 10*time.Second }, []Kind{ServerQueue}, func(p Problem) bool { return p.Severity == Error }},
		"89 of 100 wait":           {func(s *State) { queue(s).Waiting = 89 }, nil, nil},
		"90 of 100 wait":           {func(s *State) { queue(s).Waiting = 90 }, []Kind{ServerQueue}, func(p Problem) bool { return *p.Value == 0.9 }},
		"an unknown server waits":  {func(s *State) { queue(s).Server, queue(s).Waiting = "gone", 100 }, nil, nil},
		"accuracy below":           {func(s *State) { s.Today.WithUsage-- }, []Kind{LowAccuracy}, func(p Problem) bool { return *p.Value == 0.9989 }},
		"nothing was called today": {func(s *State) { s.Today = Today{} }, nil, nil},
		"lost":                     {func(s *State) { s.Today.Lost = 2 }, []Kind{UsageLost}, func(p Problem) bool { return *p.Value == 2 }},
		"79 percent spent":         {func(s *State) { s.Budgets = []budget.Status{spent(79)} }, nil, nil},
		"80 percent spent":         {func(s *State) { s.Budgets = []budget.Status{spent(80)} }, []Kind{BudgetWarning}, func(p Problem) bool { return *p.Value == 80 && p.App == "a" }},
		"all spent":                {func(s *State) { s.Budgets = []budget.Status{spent(100)} }, []Kind{BudgetExhausted}, func(p Problem) bool { return p.Until.Equal(noon.Add(time.Hour)) }},
		"nobody leads":             {func(s *State) { s.Queues, s.NoLeader = nil, "no replica leads" }, []Kind{NoLeader}, func(p Problem) bool { return p.Detail == "no replica leads" }},
		"the heavy come first": {func(s *State) {
			s.Nodes[1].Connected, s.Today.Lost, s.Budgets, s.Queues = false, 1, []budget.Status{spent(85)}, nil
		}, []Kind{NoLeader, UsageLost, NodeAway, BudgetWarning}, nil},
	} {
		s := well()
		c.spoil(&s)
		got := Problems(s)
		kinds := make([]Kind, 0, len(got))
		for _, p := range got {
			kinds = append(kinds, p.Kind)
			if p.Detail == "" && p.Kind != NoLeader {
				t.Errorf("%s: no detail: %+v", name, p)
			}
		}
		if !slices.Equal(kinds, c.kinds) {
			t.Errorf("%s: %v, want %v", name, kinds, c.kinds)
		} else if c.check != nil && !c.check(got[0]) {
			t.Errorf("%s: %+v", name, got[0])
		}
	}
}
