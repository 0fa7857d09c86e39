package explain_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/explain"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/schedule"
)

var names = []string{"a", "b", "c", "d"}

// worlds 造任意的世界：目标、停用、满、暂停、摘出、节点，一应俱全。
var worlds = rapid.Custom(func(t *rapid.T) explain.World {
	cat := catalog.New()
	w := explain.World{Catalog: cat, Queues: &admission.Queues{}}
	for _, name := range names {
		cat.Servers[name] = &catalog.Server{ServerSpec: catalog.ServerSpec{Name: name, Enabled: rapid.IntRange(0, 3).Draw(t, "enabled") > 0}}
		q := admission.Queue{Server: name, Limits: schedule.Limits{MaxConcurrency: rapid.Int64Range(0, 2).Draw(t, "limit")}, InFlight: rapid.Int64Range(0, 2).Draw(t, "in flight")}
		if rapid.IntRange(0, 3).Draw(t, "paused") == 0 {
			q.Paused = []admission.Paused{{UpstreamModel: "u", Until: noon}}
		}
		w.Queues.Rows = append(w.Queues.Rows, q)
	}
	m := &catalog.Model{ModelSpec: catalog.ModelSpec{Name: "m"}}
	for _, name := range names[:rapid.IntRange(0, len(names)).Draw(t, "targets")] {
		m.Targets = append(m.Targets, catalog.Target{Server: name, UpstreamModel: "u", Weight: rapid.Int64Range(0, 3).Draw(t, "weight"), Priority: rapid.Int64Range(0, 2).Draw(t, "priority")})
	}
	cat.Models["m"] = m
	cat.Apps["x"] = &catalog.App{AppSpec: catalog.AppSpec{Name: "x", Enabled: true, Models: []string{"*"}}}
	for _, id := range []string{"n1", "n2", "n3"}[:rapid.IntRange(0, 3).Draw(t, "nodes")] {
		n := push.Node{ID: id, Connected: rapid.Bool().Draw(t, "connected"), Draining: rapid.IntRange(0, 3).Draw(t, "draining") == 0}
		for _, name := range names {
			if rapid.Bool().Draw(t, "ejected") {
				n.Ejections = append(n.Ejections, push.Ejection{Server: name, UpstreamModel: "u", Reason: "r", Since: noon.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "since")) * time.Second)})
			}
		}
		w.Nodes = append(w.Nodes, n)
	}
	return w
})

func TestExplain_SharesAreExactlyWhatCanBeChosen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := worlds.Draw(t, "world")
		x := explain.Explain(w, w.Catalog.Apps["x"], "m")
		var flat []explain.Target
		for i, tier := range x.Tiers {
			if i > 0 && tier.Priority <= x.Tiers[i-1].Priority {
				t.Fatalf("tiers out of order: %+v", x.Tiers)
			}
			sum, some := 0.0, false
			for _, target := range tier.Targets {
				sum, some = sum+target.Share, some || target.State == ruleset.Startable
				if (target.Share > 0) != (target.State == ruleset.Startable) || target.Priority != tier.Priority {
					t.Fatalf("%+v in tier %d", target, tier.Priority)
				}
				flat = append(flat, target)
			}
			if some && math.Abs(sum-1) > 1e-9 {
				t.Fatalf("shares of a usable tier sum to %v", sum)
			}
		}
		if len(flat) != len(w.Catalog.Models["m"].Targets) {
			t.Fatalf("%d of %d targets", len(flat), len(w.Catalog.Models["m"].Targets))
		}
		i, ok := ruleset.Choose(len(flat), func(i int) int64 { return flat[i].Priority }, func(i int) int64 { return flat[i].Weight },
			func(i int) ruleset.Verdict { return flat[i].State }, rapid.Uint64().Draw(t, "r"))
		if ok != (x.Verdict == explain.Ready) {
			t.Fatalf("a choice exists: %v, verdict %s", ok, x.Verdict)
		}
		if ok && (flat[i].Share == 0 || !slices.ContainsFunc(x.Tiers, func(tier explain.Tier) bool { return tier.Priority == flat[i].Priority })) {
			t.Fatalf("chose %+v, which has no share", flat[i])
		}
	})
}

// 每个节点自己选：它选得中的，解释也说能开始；谁也选不中、等不了的，解释才说没有。
func TestExplain_AgreesWithEveryNode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := worlds.Draw(t, "world")
		x := explain.Explain(w, w.Catalog.Apps["x"], "m")
		states := map[string]ruleset.Verdict{}
		for _, tier := range x.Tiers {
			for _, target := range tier.Targets {
				states[target.Server] = target.State
			}
		}
		live, hope := 0, false
		for _, n := range w.Nodes {
			if !n.Connected || n.Draining {
				continue
			}
			live++
			for server, v := range nodeVerdicts(w, n) {
				hope = hope || v.Waitable()
				if v.Waitable() && states[server] != v {
					t.Fatalf("node %s says %s of %s, the explanation %s", n.ID, v, server, states[server])
				}
			}
		}
		if live > 0 && hope == (x.Code == "no_server_available") {
			t.Fatalf("some node sees a target worth waiting for: %v, the explanation %+v", hope, x)
		}
	})
}

// nodeVerdicts 照 route.Router 的写法独立地算一个节点的判断；权重为 0 的不在其中。
func nodeVerdicts(w explain.World, n push.Node) map[string]ruleset.Verdict {
	out := map[string]ruleset.Verdict{}
	var newest *push.Ejection
	usable := false
	for _, target := range w.Catalog.Models["m"].Targets {
		if target.Weight == 0 {
			continue
		}
		out[target.Server] = ruleset.Disabled
		if !w.Catalog.Servers[target.Server].Enabled {
			continue
		}
		i := slices.IndexFunc(n.Ejections, func(e push.Ejection) bool { return e.Server == target.Server })
		if i < 0 {
			usable = true
			out[target.Server] = judged(w, target.Server)
			continue
		}
		out[target.Server] = ruleset.Ejected
		if e := &n.Ejections[i]; newest == nil || e.Since.After(newest.Since) {
			newest = e
		}
	}
	if !usable && newest != nil {
		out[newest.Server] = judged(w, newest.Server)
	}
	return out
}

func judged(w explain.World, server string) ruleset.Verdict {
	q := w.Queues.Rows[slices.Index(names, server)]
	switch {
	case len(q.Paused) > 0:
		return ruleset.Paused
	case q.Limits.MaxConcurrency > 0 && q.InFlight >= q.Limits.MaxConcurrency:
		return ruleset.Full
	}
	return ruleset.Startable
}
