package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	"github.com/vega-gateway/vega/deploy/stack"
)

// explained 是 GET /explain 的回答里要看的部分。
type explained struct {
	Verdict, Code, Detail string
	Budget                *budgetStatus
	AppLimits             struct {
		InFlight *int64 `json:"in_flight"`
		Free     *int64
	} `json:"app_limits"`
	Tiers []struct {
		Priority int64
		Targets  []explainedTarget
	}
}

type explainedTarget struct {
	Server, State, Detail string
	Share                 float64
	EjectedBy             []struct{ Node, Reason string } `json:"ejected_by"`
	Queue                 *struct {
		InFlight int64 `json:"in_flight"`
		Waiting  int64
	}
}

func (e explained) target(server string) (found explainedTarget) {
	for _, tier := range e.Tiers {
		for _, t := range tier.Targets {
			if t.Server == server {
				found = t
			}
		}
	}
	return found
}

// next 是解释说此刻会去的那些 server：最先有份额的那一层。
func (e explained) next() (servers []string) {
	for _, tier := range e.Tiers {
		for _, t := range tier.Targets {
			if t.Share > 0 {
				servers = append(servers, t.Server)
			}
		}
		if servers != nil {
			return servers
		}
	}
	return nil
}

func (r *rig) explain(app, model string) (e explained) {
	r.t.Helper()
	if err := r.Admin.Call(r.t.Context(), http.MethodGet, "/explain?app="+url.QueryEscape(app)+"&model="+url.QueryEscape(model), nil, &e); err != nil {
		r.t.Fatal(err)
	}
	return e
}

// agrees 等解释成为 verdict 与 code，再要求每个节点的回答与它一样：同一个码，或者去它说的地方。
func (r *rig) agrees(app, key, model, verdict, code string) explained {
	r.t.Helper()
	var e explained
	deadline := time.Now().Add(15 * time.Second)
	for e = r.explain(app, model); e.Verdict != verdict || e.Code != code; e = r.explain(app, model) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s asks for %s: %+v, want %s %q", app, model, e, verdict, code)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for i := range r.Dataplanes {
		a, err := r.try(i, key, "/chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":"hi"}]}`)
		if err != nil {
			r.t.Fatal(err)
		}
		if a.code() != code || (a.status == http.StatusOK) != (code == "") {
			r.t.Errorf("%s asks node %d for %s: the explanation says %s %q, the gateway %d %q", app, i, model, e.Verdict, e.Code, a.status, a.code())
		}
		if went := a.header.Get("X-Vega-Server"); verdict == "ready" && !slices.Contains(e.next(), went) && !strings.Contains(e.Detail, " on "+went) {
			r.t.Errorf("%s asks node %d for %s: went to %q, the explanation says %v: %s", app, i, model, went, e.next(), e.Detail)
		}
	}
	return e
}

// TestExplain 让解释与网关各说一遍：两个节点，每个情形里码要相同，去处要相同。
func TestExplain(t *testing.T) {
	a, b := upstream(t, upstreamtest.Config{}), upstream(t, upstreamtest.Config{})
	r := start(t, stack.Options{Nodes: 2})
	x := &routing{r, map[string]*upstreamtest.Server{"a": a, "b": b}}
	off := server("off", b)
	off["enabled"] = false
	narrow := server("narrow", b)
	narrow["limits"], narrow["queue"] = doc{"max_concurrency": 1}, doc{"timeout_ms": 20000, "max_waiting": 2}
	r.apply(doc{"servers": list{server("a", a), server("b", b), off, narrow}})
	for _, c := range []struct {
		name string
		run  func(*testing.T, *routing)
	}{
		{"names and permissions", explainNames}, {"disabled servers and fallbacks", explainDisabled}, {"a used up budget", explainBudget},
		{"a paused target", explainPaused}, {"a full server, then a full queue", explainFull}, {"an app at its own limit", explainAppLimit},
		{"an upstream that dies", explainEjected},
	} {
		t.Run(c.name, func(t *testing.T) {
			x.rig.t = t
			c.run(t, x)
		})
	}
	r.t = t
}

func explainNames(t *testing.T, x *routing) {
	x.agrees("team-a", x.key, "chat", "ready", "")
	x.agrees("team-a", x.key, "nothing", "refused", "model_not_found")
	x.agrees("team-a", x.key, "secret", "refused", "model_not_allowed")
	key := strings.Repeat("o", 40)
	x.apply(doc{"apps": list{doc{"name": "off-app", "enabled": false, "keys": list{doc{"name": "k", "secret": key}}}}})
	x.agrees("off-app", key, "chat", "refused", "app_disabled")
	if err := x.Admin.Call(t.Context(), http.MethodGet, "/explain?app=nobody&model=chat", nil, nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("an unknown app: %v", err)
	}
}

func explainDisabled(t *testing.T, x *routing) {
	x.serve("late-off", nil, tgt("off", "u", 0, 1))
	if e := x.agrees("team-a", x.key, "late-off", "refused", "no_server_available"); e.target("off").State != "disabled" || e.target("off").Queue != nil {
		t.Errorf("%+v", e)
	}
	x.serve("late-low", nil, tgt("off", "u", 0, 1), tgt("b", "low", 1, 1))
	x.agrees("team-a", x.key, "late-low", "ready", "")
	// 后备不看 app 许不许：许了所要的就够。网关与解释都如此。
	x.serve("not-named", nil, tgt("b", "back", 0, 1))
	x.serve("late-back", list{"not-named"}, tgt("off", "u", 0, 1))
	if e := x.agrees("team-a", x.key, "late-back", "ready", ""); !strings.Contains(e.Detail, `the fallback "not-named"`) {
		t.Errorf("%+v", e)
	}
}

func explainBudget(t *testing.T, x *routing) {
	s := x.spender("poor", doc{"tokens": 40})
	x.agrees("poor", s.key, "nothing", "refused", "model_not_found")
	s.ask(0)
	eventually(t, 10*time.Second, "every node has heard of the spending", func() bool { // 每个节点约每秒听一次
		for i := range x.Dataplanes {
			s.ask(i)
		}
		return s.usedUp == [2]bool{true, true}
	})
	if e := x.agrees("poor", s.key, "paid", "refused", "insufficient_quota"); e.Budget == nil || e.Budget.State != "exhausted" {
		t.Errorf("%+v", e)
	}
}

func explainPaused(t *testing.T, x *routing) {
	x.serve("late-pause", nil, tgt("a", "pz", 0, 1), tgt("b", "pz", 1, 1))
	x.rule("a", "pz", "status=429&retry_after=20", 1)
	x.ask("late-pause", 200, "b")
	eventually(t, 10*time.Second, "the pause is explained", func() bool { return x.explain("team-a", "late-pause").target("a").State == "paused" })
	x.agrees("team-a", x.key, "late-pause", "ready", "")
}

// occupy 发 n 个慢的请求；返回的函数等它们都答完。
func (r *rig) occupy(n int, key, model string) (wait func()) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			a, err := r.try(i%len(r.Dataplanes), key, "/chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":"hi"}]}`)
			if err != nil || a.status != http.StatusOK {
				r.t.Errorf("a slow request to %s: %v %d %s", model, err, a.status, a.body)
			}
		})
	}
	return wg.Wait
}

func explainFull(t *testing.T, x *routing) {
	x.serve("late-full", nil, tgt("narrow", "slow?latency=4s", 0, 1))
	idle := x.agrees("team-a", x.key, "late-full", "ready", "")
	if idle.target("narrow").Share != 1 {
		t.Errorf("%+v", idle)
	}
	first := x.occupy(1, x.key, "late-full")
	e := x.agrees("team-a", x.key, "late-full", "waits", "") // 每个节点一个，都排过队才答
	if n := e.target("narrow"); n.State != "full" || n.Share != 0 || n.Detail == "" || n.Queue == nil {
		t.Errorf("%+v", n)
	}
	first()
	rest := x.occupy(3, x.key, "late-full")
	defer rest()
	x.agrees("team-a", x.key, "late-full", "refused", "queue_full")
}

func explainAppLimit(t *testing.T, x *routing) {
	key := strings.Repeat("l", 40)
	x.apply(doc{"apps": list{doc{"name": "narrow-app", "limits": doc{"max_concurrency": 1}, "keys": list{doc{"name": "k", "secret": key}}}}})
	x.serve("late-app", nil, tgt("b", "slow?latency=3s", 0, 1))
	defer x.occupy(1, key, "late-app")()
	var e explained
	eventually(t, 10*time.Second, "the app's own limit is explained", func() bool {
		e = x.explain("narrow-app", "late-app")
		return e.Verdict == "waits"
	})
	if !strings.Contains(e.Detail, "own limit") || e.target("b").State != "ready" || e.AppLimits.InFlight == nil || *e.AppLimits.InFlight != 1 {
		t.Errorf("%+v", e)
	}
	if other := x.explain("team-a", "late-app"); other.Verdict != "ready" {
		t.Errorf("another app is held up too: %+v", other)
	}
}

func explainEjected(t *testing.T, x *routing) {
	x.serve("late-dies", nil, tgt("a", "d", 0, 3), tgt("b", "d", 1, 1))
	x.serve("late-alone", nil, tgt("a", "alone", 0, 1))
	x.agrees("team-a", x.key, "late-dies", "ready", "")
	x.ups["a"].Close()
	kill := func(node int) {
		for range 6 {
			if a := x.chat(node, "late-dies"); a.status != http.StatusOK || a.header.Get("X-Vega-Server") != "b" {
				t.Errorf("%d from %q: %.200s", a.status, a.header.Get("X-Vega-Server"), a.body)
			}
		}
	}
	kill(0)
	eventually(t, 8*time.Second, "one node of two is named", func() bool {
		a := x.explain("team-a", "late-dies").target("a")
		return a.State == "ready" && a.Share == 1 && len(a.EjectedBy) == 1 && strings.Contains(a.Detail, "1 of 2")
	})
	kill(0) // 摘满了又被探过也无妨：它还是死的，摘得更久
	kill(1)
	eventually(t, 8*time.Second, "every node ejected it", func() bool {
		kill(0)
		a := x.explain("team-a", "late-dies").target("a")
		return a.State == "ejected" && len(a.EjectedBy) == 2 && a.EjectedBy[0].Reason != "" && a.Share == 0 && strings.Contains(a.Detail, a.EjectedBy[0].Reason)
	})
	if e := x.explain("team-a", "late-dies"); !slices.Equal(e.next(), []string{"b"}) {
		t.Errorf("%+v", e)
	}
	for i := range 2 {
		if a := x.chat(i, "late-dies"); a.header.Get("X-Vega-Server") != "b" {
			t.Errorf("node %d went to %q", i, a.header.Get("X-Vega-Server"))
		}
		for range 6 { // 最后一个可用的目标从不摘出：网关照去，解释照说
			if a := x.chat(i, "late-alone"); a.code() != "upstream_error" {
				t.Errorf("node %d: %d %s", i, a.status, a.body)
			}
		}
	}
	eventually(t, 8*time.Second, "the last usable target stays usable", func() bool {
		e := x.explain("team-a", "late-alone")
		return e.Verdict == "ready" && len(e.target("a").EjectedBy) == 2 && strings.Contains(e.target("a").Detail, "last usable")
	})
}
