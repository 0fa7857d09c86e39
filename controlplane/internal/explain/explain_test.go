package explain_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/budget"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/explain"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/proto/schedule"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// stage 是一个好端端的世界：模型 m 上层 a、b（3 比 1），下层 c；后备 g 在 d 上。两个节点。
func stage() explain.World {
	cat := catalog.New()
	for _, name := range []string{"a", "b", "c", "d"} {
		cat.Servers[name] = &catalog.Server{ServerSpec: catalog.ServerSpec{Name: name, Enabled: true, Queue: catalog.Queue{MaxWaiting: 5}}}
	}
	cat.Models["m"] = &catalog.Model{ModelSpec: catalog.ModelSpec{Name: "m", Fallbacks: []string{"g"}, Targets: []catalog.Target{
		{Server: "c", UpstreamModel: "u", Weight: 1, Priority: 1}, {Server: "a", UpstreamModel: "u", Weight: 3}, {Server: "b", UpstreamModel: "u", Weight: 1}}}}
	cat.Models["g"] = &catalog.Model{ModelSpec: catalog.ModelSpec{Name: "g", Targets: []catalog.Target{{Server: "d", UpstreamModel: "u", Weight: 1}}}}
	cat.Apps["x"] = &catalog.App{AppSpec: catalog.AppSpec{Name: "x", Enabled: true, Models: []string{"m*", "none"}}}
	w := explain.World{Catalog: cat, Nodes: []push.Node{{ID: "n1", Connected: true}, {ID: "n2", Connected: true}}, Queues: &admission.Queues{}}
	for _, name := range []string{"a", "b", "c", "d"} {
		w.Queues.Rows = append(w.Queues.Rows, admission.Queue{Server: name, Limits: schedule.Limits{MaxConcurrency: 2}, Free: 2})
	}
	w.Queues.Apps = []admission.App{{App: "x", Limits: schedule.Limits{MaxConcurrency: 4}, Free: 4}}
	return w
}

func fill(w explain.World, servers string) {
	for i := range w.Queues.Rows {
		if strings.Contains(servers, w.Queues.Rows[i].Server) {
			w.Queues.Rows[i].InFlight, w.Queues.Rows[i].EstimatedWait = 2, time.Second
		}
	}
}

func wait(w explain.World, servers string, app string, n int64) {
	for i := range w.Queues.Rows {
		if strings.Contains(servers, w.Queues.Rows[i].Server) {
			w.Queues.Rows[i].Waiting, w.Queues.Rows[i].ByApp = n, []schedule.AppWaiting{{App: app, Waiting: n}}
		}
	}
}

// eject 让节点摘出各 server；写在后面的摘得晚。
func eject(w explain.World, node int, servers string) {
	for i, s := range servers {
		w.Nodes[node].Ejections = append(w.Nodes[node].Ejections, push.Ejection{Server: string(s), UpstreamModel: "u", Reason: "boom",
			Since: noon.Add(time.Duration(i) * time.Second), Until: noon.Add(time.Hour - time.Duration(i)*time.Second)})
	}
}

func disable(w explain.World, servers string) {
	for _, s := range servers {
		w.Catalog.Servers[string(s)].Enabled = false
	}
}

// states 写成 "a=ready:0.75 b=…"，按层的次序。
func states(tiers []explain.Tier) string {
	var out []string
	for _, tier := range tiers {
		for _, t := range tier.Targets {
			out = append(out, fmt.Sprintf("%s=%s:%.2f", t.Server, t.State, t.Share))
		}
	}
	return strings.Join(out, " ")
}

func TestExplain_SaysWhatTheDataPlaneWouldDo(t *testing.T) {
	const fine = "a=startable:0.75 b=startable:0.25 c=startable:1.00"
	for name, c := range map[string]struct {
		change  func(explain.World)
		model   string
		verdict explain.Verdict
		code    string
		detail  string
		states  string
	}{
		"all is well":       {func(explain.World) {}, "m", explain.Ready, "", "tier 0 on a or b", fine},
		"disabled app":      {func(w explain.World) { w.Catalog.Apps["x"].Enabled = false }, "m", explain.Refused, "app_disabled", "disabled", fine},
		"unknown model":     {func(explain.World) {}, "none", explain.Refused, "model_not_found", `"none"`, ""},
		"model not allowed": {func(explain.World) {}, "g", explain.Refused, "model_not_allowed", "m*, none", "d=startable:1.00"},
		"an unknown model is not found before it is not allowed": {func(explain.World) {}, "zzz", explain.Refused, "model_not_found", "zzz", ""},
		"a full server":                  {func(w explain.World) { fill(w, "a") }, "m", explain.Ready, "", "tier 0 on b", "a=full:0.00 b=startable:1.00 c=startable:1.00"},
		"a full tier":                    {func(w explain.World) { fill(w, "ab") }, "m", explain.Ready, "", "tier 1 on c", "a=full:0.00 b=full:0.00 c=startable:1.00"},
		"everything full":                {func(w explain.World) { fill(w, "abc") }, "m", explain.Waits, "", "waits for a or b or c", "a=full:0.00 b=full:0.00 c=full:0.00"},
		"full is no reason to fall back": {func(w explain.World) { fill(w, "a"); disable(w, "bc") }, "m", explain.Waits, "", "waits for a", "a=full:0.00 b=disabled:0.00 c=disabled:0.00"},
		"its own queue is not jumped":    {func(w explain.World) { wait(w, "abc", "x", 1) }, "m", explain.Waits, "", "waits for a or b or c", "a=full:0.00 b=full:0.00 c=full:0.00"},
		"others that wait for their own limit are no obstacle": {func(w explain.World) { wait(w, "abc", "y", 1) }, "m", explain.Ready, "", "tier 0", fine},
		"full queues":        {func(w explain.World) { fill(w, "abc"); wait(w, "abc", "y", 5) }, "m", explain.Refused, "queue_full", "queue", "a=full:0.00 b=full:0.00 c=full:0.00"},
		"one queue has room": {func(w explain.World) { fill(w, "abc"); wait(w, "ab", "y", 5) }, "m", explain.Waits, "", "waits", "a=full:0.00 b=full:0.00 c=full:0.00"},
		"rate used up": {func(w explain.World) {
			w.Queues.Rows[0].Limits, w.Queues.Rows[1].Limits = schedule.Limits{RequestsPerMinute: 60}, schedule.Limits{TokensPerMinute: 60}
			w.Queues.Rows[1].TokensLevel = -7
		}, "m", explain.Ready, "", "tier 1 on c", "a=full:0.00 b=full:0.00 c=startable:1.00"},
		"permits of a lost node": {func(w explain.World) { w.Queues.Rows[0].InFlight, w.Queues.Rows[0].Quarantined = 1, 1 }, "m", explain.Ready, "", "on b", "a=full:0.00 b=startable:1.00 c=startable:1.00"},
		"paused": {func(w explain.World) {
			w.Queues.Rows[0].Paused = []admission.Paused{{UpstreamModel: "other", Until: noon}}
			w.Queues.Rows[1].Paused = []admission.Paused{{UpstreamModel: "u", Until: noon}}
		}, "m", explain.Ready, "", "on a", "a=startable:1.00 b=paused:0.00 c=startable:1.00"},
		"ejected by one node of two":              {func(w explain.World) { eject(w, 0, "a") }, "m", explain.Ready, "", "on a or b", fine},
		"ejected by both":                         {func(w explain.World) { eject(w, 0, "a"); eject(w, 1, "a") }, "m", explain.Ready, "", "on b", "a=ejected:0.00 b=startable:1.00 c=startable:1.00"},
		"a draining node does not count":          {func(w explain.World) { eject(w, 0, "a"); w.Nodes[1].Draining = true }, "m", explain.Ready, "", "on b", "a=ejected:0.00 b=startable:1.00 c=startable:1.00"},
		"a departed node does not count":          {func(w explain.World) { eject(w, 0, "a"); w.Nodes[1].Connected = false }, "m", explain.Ready, "", "on b", "a=ejected:0.00 b=startable:1.00 c=startable:1.00"},
		"the last usable is the one ejected last": {func(w explain.World) { eject(w, 0, "acb"); eject(w, 1, "acb") }, "m", explain.Ready, "", "on b", "a=ejected:0.00 b=startable:1.00 c=ejected:0.00"},
		"each node keeps its own last usable":     {func(w explain.World) { eject(w, 0, "acb"); eject(w, 1, "abc") }, "m", explain.Ready, "", "on b", "a=ejected:0.00 b=startable:1.00 c=startable:1.00"},
		"ejected and full is waited for alone":    {func(w explain.World) { fill(w, "c"); eject(w, 0, "ab"); eject(w, 1, "ab") }, "m", explain.Waits, "", "waits for c", "a=ejected:0.00 b=ejected:0.00 c=full:0.00"},
		"disabled servers":                        {func(w explain.World) { disable(w, "ab") }, "m", explain.Ready, "", "tier 1 on c", "a=disabled:0.00 b=disabled:0.00 c=startable:1.00"},
		"a fallback":                              {func(w explain.World) { disable(w, "abc") }, "m", explain.Ready, "", `the fallback "g" is used: starts at once in tier 0 on d`, "a=disabled:0.00 b=disabled:0.00 c=disabled:0.00"},
		"a full fallback":                         {func(w explain.World) { disable(w, "abc"); fill(w, "d") }, "m", explain.Waits, "", "waits for d", "a=disabled:0.00 b=disabled:0.00 c=disabled:0.00"},
		"nobody":                                  {func(w explain.World) { disable(w, "abcd") }, "m", explain.Refused, "no_server_available", "disabled", "a=disabled:0.00 b=disabled:0.00 c=disabled:0.00"},
		"no targets":                              {func(w explain.World) { w.Catalog.Models["m"].Targets, w.Catalog.Models["m"].Fallbacks = nil, nil }, "m", explain.Refused, "no_server_available", "no targets", ""},
		"weight 0":                                {func(w explain.World) { w.Catalog.Models["m"].Targets[1].Weight = 0 }, "m", explain.Ready, "", "on b", "a=disabled:0.00 b=startable:1.00 c=startable:1.00"},
		"the app at its own limit":                {func(w explain.World) { w.Queues.Apps[0].InFlight = 4 }, "m", explain.Waits, "", "own limit: all 4", fine},
		"a leader that is still learning":         {func(w explain.World) { w.Queues.Rows, w.Queues.Apps, w.Queues.Leader.Learning = nil, nil, true }, "m", explain.Ready, "", "just taken over", fine},
		"no nodes":                                {func(w explain.World) { w.Nodes[0].Connected, w.Nodes[1].Connected = false, false }, "m", explain.Ready, "", "no node is connected", fine},
	} {
		t.Run(name, func(t *testing.T) {
			w := stage()
			c.change(w)
			x := explain.Explain(w, w.Catalog.Apps["x"], c.model)
			if x.Verdict != c.verdict || x.Code != c.code || !strings.Contains(x.Detail(), c.detail) {
				t.Errorf("%s %q %q", x.Verdict, x.Code, x.Detail())
			}
			if got := states(x.Tiers); got != c.states {
				t.Errorf("states %s, want %s", got, c.states)
			}
		})
	}
}

func TestExplain_AnExhaustedBudgetComesAfterPermissionAndBeforeServers(t *testing.T) {
	w := stage()
	disable(w, "abcd")
	w.Budget = &budget.Status{Plan: budget.Plan{App: "x", Limit: budget.Spend{Tokens: 10}}, End: noon, Spent: budget.Spend{Tokens: 10}}
	if x := explain.Explain(w, w.Catalog.Apps["x"], "m"); x.Verdict != explain.Refused || x.Code != "insufficient_quota" || !strings.Contains(x.Detail(), "2026-11-23T12:00:00Z") {
		t.Errorf("%+v", x)
	}
	if x := explain.Explain(w, w.Catalog.Apps["x"], "g"); x.Code != "model_not_allowed" {
		t.Errorf("%+v", x)
	}
	w.Budget.Spent.Tokens = 9
	if x := explain.Explain(w, w.Catalog.Apps["x"], "m"); x.Code != "no_server_available" {
		t.Errorf("%+v", x)
	}
}

func TestExplain_WithoutALeaderItSaysSoAndShowsNoFigures(t *testing.T) {
	w := stage()
	w.Queues = nil
	x := explain.Explain(w, w.Catalog.Apps["x"], "m")
	if x.Verdict != explain.Ready || !strings.Contains(x.Detail(), "no replica leads") || x.Pools != nil || x.Tiers[0].Targets[0].Queue != nil {
		t.Errorf("%+v", x)
	}
}

func TestExplain_NamesTheNodesThatEjected(t *testing.T) {
	w := stage()
	eject(w, 0, "a")
	w.Nodes = append(w.Nodes, push.Node{ID: "gone", Ejections: w.Nodes[0].Ejections})
	a := explain.Explain(w, w.Catalog.Apps["x"], "m").Tiers[0].Targets[0]
	if len(a.EjectedBy) != 1 || a.EjectedBy[0] != (explain.EjectedBy{Node: "n1", Reason: "boom", Until: noon.Add(time.Hour)}) || !strings.Contains(a.Detail(), "1 of 2") {
		t.Errorf("%+v", a)
	}
	eject(w, 1, "a")
	if a := explain.Explain(w, w.Catalog.Apps["x"], "m").Tiers[0].Targets[0]; len(a.EjectedBy) != 2 || !strings.Contains(a.Detail(), "boom") {
		t.Errorf("%+v", a)
	}
}
