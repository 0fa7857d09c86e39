package explain_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/explain"
	"github.com/vega-gateway/vega/proto/schedule"
)

func TestExplain_GivesTheReasonsOfTheVerdictAsCodesWithTheirFigures(t *testing.T) {
	on := func(servers ...string) explain.Reason { return explain.Reason{Code: explain.Starts, Servers: servers} }
	code := func(c explain.ReasonCode) explain.Reason { return explain.Reason{Code: c} }
	for name, c := range map[string]struct {
		change func(*explain.World)
		model  string
		want   []explain.Reason
	}{
		"ready":             {func(*explain.World) {}, "m", []explain.Reason{on("a", "b")}},
		"disabled app":      {func(w *explain.World) { w.Catalog.Apps["x"].Enabled = false }, "m", []explain.Reason{code(explain.AppDisabled)}},
		"unknown model":     {func(*explain.World) {}, "none", []explain.Reason{{Code: explain.ModelUnknown, Model: "none"}}},
		"model not allowed": {func(*explain.World) {}, "g", []explain.Reason{{Code: explain.ModelsAllowed, Models: []string{"m*", "none"}}}},
		"budget": {func(w *explain.World) {
			w.Budget = &budget.Status{Plan: budget.Plan{App: "x", Limit: budget.Spend{Tokens: 1}}, End: noon, Spent: budget.Spend{Tokens: 1}}
		}, "m", []explain.Reason{{Code: explain.BudgetExhausted, Until: noon}}},
		"everything full": {func(w *explain.World) { fill(*w, "abc") }, "m", []explain.Reason{{Code: explain.WaitsFor, Servers: []string{"a", "b", "c"}}}},
		"queues full":     {func(w *explain.World) { fill(*w, "abc"); wait(*w, "abc", "y", 5) }, "m", []explain.Reason{code(explain.QueuesFull)}},
		"own limit": {func(w *explain.World) { w.Queues.Apps[0].InFlight = 4 }, "m",
			[]explain.Reason{code(explain.AppLimit), {Code: explain.Concurrency, Limit: 4}}},
		"a fallback that is missed by its nodes": {func(w *explain.World) { disable(*w, "abc"); w.Nodes = nil }, "m",
			[]explain.Reason{{Code: explain.OnFallback, Model: "m", Fallback: "g"}, on("d"), code(explain.NoNodes)}},
		"nobody, and no leader": {func(w *explain.World) { disable(*w, "abcd"); w.Queues = nil }, "m", []explain.Reason{code(explain.NoneUsable), code(explain.NoLeader)}},
		"no targets": {func(w *explain.World) { w.Catalog.Models["m"].Targets, w.Catalog.Models["m"].Fallbacks = nil, nil }, "m",
			[]explain.Reason{code(explain.NoTargets)}},
		"learning": {func(w *explain.World) { w.Queues.Leader.Learning = true }, "m", []explain.Reason{on("a", "b"), code(explain.LeaderLearning)}},
	} {
		t.Run(name, func(t *testing.T) {
			w := stage()
			c.change(&w)
			if x := explain.Explain(w, w.Catalog.Apps["x"], c.model); !reflect.DeepEqual(x.Reasons, c.want) {
				t.Errorf("%+v, want %+v", x.Reasons, c.want)
			}
		})
	}
}

func TestExplain_GivesTheReasonOfATargetAsACodeWithItsFigures(t *testing.T) {
	limit := func(l schedule.Limits) func(explain.World) {
		return func(w explain.World) { w.Queues.Rows[0].Limits = l }
	}
	for name, c := range map[string]struct {
		change func(explain.World)
		want   *explain.Reason
	}{
		"startable":   {func(explain.World) {}, nil},
		"disabled":    {func(w explain.World) { disable(w, "a") }, &explain.Reason{Code: explain.ServerDisabled}},
		"weight 0":    {func(w explain.World) { w.Catalog.Models["m"].Targets[1].Weight = 0 }, &explain.Reason{Code: explain.NoWeight}},
		"full":        {func(w explain.World) { fill(w, "a") }, &explain.Reason{Code: explain.Concurrency, Limit: 2}},
		"requests":    {limit(schedule.Limits{RequestsPerMinute: 60}), &explain.Reason{Code: explain.RequestsPerMinute, Limit: 60}},
		"tokens":      {limit(schedule.Limits{TokensPerMinute: 70}), &explain.Reason{Code: explain.TokensPerMinute, Limit: 70}},
		"queued":      {func(w explain.World) { wait(w, "a", "x", 3) }, &explain.Reason{Code: explain.QueueAhead, Count: 3}},
		"one ejected": {func(w explain.World) { eject(w, 0, "a") }, &explain.Reason{Code: explain.EjectedBySome, Count: 1, Nodes: 2}},
		"all ejected": {func(w explain.World) { eject(w, 0, "a"); eject(w, 1, "a") }, &explain.Reason{Code: explain.EjectedByAll, Cause: "boom"}},
		"last usable": {func(w explain.World) { disable(w, "bc"); eject(w, 0, "a"); eject(w, 1, "a") }, &explain.Reason{Code: explain.LastUsable}},
		"paused": {func(w explain.World) {
			w.Queues.Rows[0].Paused = []admission.Paused{{UpstreamModel: "u", Until: noon.Add(time.Minute)}}
		}, &explain.Reason{Code: explain.UpstreamPause}},
	} {
		t.Run(name, func(t *testing.T) {
			w := stage()
			c.change(w)
			if a := explain.Explain(w, w.Catalog.Apps["x"], "m").Tiers[0].Targets[0]; a.Server != "a" || !reflect.DeepEqual(a.Reason, c.want) {
				t.Errorf("%s: %+v, want %+v", a.Server, a.Reason, c.want)
			}
		})
	}
}
