package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	"github.com/vega-gateway/vega/deploy/stack"
)

// TestRouting 在一套 Vega 与三个上游上看分层、权重、回退、重试与摘出；最后 attempts 要与三本账相等。
// 每个情形用自己的上游模型名，病历与暂停互不相干。
func TestRouting(t *testing.T) {
	ups := map[string]*upstreamtest.Server{"a": upstream(t, upstreamtest.Config{}), "b": upstream(t, upstreamtest.Config{}), "c": upstream(t, upstreamtest.Config{})}
	r := start(t, stack.Options{Nodes: 1})
	servers := list{doc{"name": "dead", "base_url": "http://127.0.0.1:1/v1"}}
	for name, up := range ups {
		s := server(name, up)
		s["timeouts"] = doc{"first_byte_ms": 500}
		servers = append(servers, s)
	}
	r.apply(doc{"servers": servers})
	x := &routing{r, ups}
	for _, c := range []struct {
		name string
		run  func(*testing.T, *routing)
	}{
		{"weights inside a tier", routingWeights}, {"a paused target hands over to the lower tier", routingPaused}, {"a lone paused target is waited for", routingPausedAlone},
		{"an ejected target hands over to the lower tier and comes back half-open", routingEjected}, {"a fallback model answers for one that cannot", routingFallback},
		{"a refused credential goes elsewhere", routingDenied}, {"a slow first byte is not retried", routingSlow}, {"a dead server goes elsewhere", routingDead},
		{"at most three attempts", routingAttempts}, {"half answers end abnormally", routingHalf}, {"other 4xx pass unchanged", routingPlain4xx},
	} {
		t.Run(c.name, func(t *testing.T) {
			x.rig.t = t
			c.run(t, x)
		})
	}
	r.t = t
	ups["dead"] = nil
	r.balanced(ups)
}

type routing struct {
	*rig
	ups map[string]*upstreamtest.Server
}

// tgt 是一个去处。
func tgt(server, upstream string, priority, weight int) doc {
	return doc{"server": server, "upstream_model": upstream, "priority": priority, "weight": weight}
}

// serve 应用一个模型；名字以 late 开头，app 才能用。
func (x *routing) serve(name string, fallbacks list, targets ...any) {
	x.t.Helper()
	x.apply(doc{"models": list{doc{"name": name, "targets": targets, "fallbacks": fallbacks}}})
}

func (x *routing) rule(server, model, query string, count int) {
	x.t.Helper()
	x.ups[server].SetRule(upstreamtest.Rule{Model: model, Count: count, Behavior: patch(x.t, query)})
}

// ask 要一次，检查状态与作答的 server（空即不看）。
func (x *routing) ask(model string, status int, from string) answer {
	x.t.Helper()
	a := x.chat(0, model)
	if a.status != status || from != "" && a.header.Get("X-Vega-Server") != from {
		x.t.Errorf("%s: %d from %q, want %d from %q: %.200s", model, a.status, a.header.Get("X-Vega-Server"), status, from, a.body)
	}
	return a
}

// counted 要求三个上游各见过这个上游模型名几次。
func (x *routing) counted(model string, a, b, c int) {
	x.t.Helper()
	got := [3]int{calls(x.ups["a"], model), calls(x.ups["b"], model), calls(x.ups["c"], model)}
	if got != [3]int{a, b, c} {
		x.t.Errorf("%s: the upstreams saw %v, want [%d %d %d]", model, got, a, b, c)
	}
}

func routingWeights(t *testing.T, x *routing) {
	x.serve("late-w", nil, tgt("a", "w", 0, 3), tgt("b", "w", 0, 1), tgt("c", "w", 0, 0), tgt("c", "w-low", 1, 1))
	const n = 400
	for range n {
		x.ask("late-w", 200, "")
	}
	// 二项分布 n=400、p=3/4 的标准差约 8.7；6 个标准差之外当作错。
	a := calls(x.ups["a"], "w")
	if b := calls(x.ups["b"], "w"); a+b != n || a < 248 || a > 352 {
		t.Errorf("weights 3 and 1 gave %d and %d", a, b)
	}
	if calls(x.ups["c"], "w")+calls(x.ups["c"], "w-low") != 0 {
		t.Error("a target of weight 0 or of a lower tier was used while the upper tier could serve")
	}
}

func routingPaused(t *testing.T, x *routing) {
	x.serve("late-p", nil, tgt("a", "p", 0, 1), tgt("b", "p", 1, 1))
	x.rule("a", "p", "status=429&retry_after=2", 1)
	began := time.Now()
	for range 5 {
		x.ask("late-p", 200, "b")
	}
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Errorf("handing over took %s", took)
	}
	x.counted("p", 1, 5, 0)
	time.Sleep(time.Until(began.Add(2300 * time.Millisecond)))
	x.ask("late-p", 200, "a")
}

func routingPausedAlone(t *testing.T, x *routing) {
	x.serve("late-q", nil, tgt("a", "q", 0, 1))
	x.rule("a", "q", "status=429&retry_after_ms=700", 1)
	began := time.Now()
	a := x.ask("late-q", 200, "a")
	if took := time.Since(began); took < 700*time.Millisecond || a.header.Get("X-Vega-Queue-Wait-Ms") == "0" {
		t.Errorf("answered after %s, queue wait %s ms", took, a.header.Get("X-Vega-Queue-Wait-Ms"))
	}
	x.counted("q", 2, 0, 0)
	x.rule("a", "q", "status=429&retry_after_ms=100&error_message=second&error_code=their_code", 2)
	if a := x.ask("late-q", 429, "a"); a.code() != "their_code" || !strings.Contains(a.body, "second") {
		t.Errorf("the second 429 was changed: %s", a.body)
	}
	x.rule("a", "q", "status=429&error_code=insufficient_quota", 1)
	time.Sleep(150 * time.Millisecond)
	if a := x.ask("late-q", 429, "a"); a.code() != "insufficient_quota" {
		t.Errorf("insufficient_quota: %s", a.body)
	}
	x.counted("q", 5, 0, 0)
}

func routingEjected(t *testing.T, x *routing) {
	x.serve("late-e", nil, tgt("a", "e", 0, 1), tgt("b", "e", 1, 1))
	x.rule("a", "e", "status=503", 0)
	began := time.Now()
	for range 9 {
		x.ask("late-e", 200, "b")
	}
	x.counted("e", 5, 9, 0) // 连着五次即摘出，之后不再打扰它
	eventually(t, 10*time.Second, "/nodes shows the ejection", func() bool {
		return strings.Contains(askAdmin(x.rig, "GET", "/nodes").body, `"upstream_model":"e"`)
	})
	x.rule("a", "e", "", 0) // 好了，但还在摘出期内
	x.ask("late-e", 200, "b")
	if time.Since(began) > 9*time.Second {
		t.Fatalf("too slow to tell: %s", time.Since(began))
	}
	eventually(t, 20*time.Second, "the probe brings the target back", func() bool { return x.ask("late-e", 200, "").header.Get("X-Vega-Server") == "a" })
	if took := time.Since(began); took < 9*time.Second {
		t.Errorf("back after %s, before the first ejection of 10 s was over", took)
	}
	before := calls(x.ups["b"], "e")
	for range 5 {
		x.ask("late-e", 200, "a")
	}
	if calls(x.ups["b"], "e") != before {
		t.Error("the lower tier is still used after the recovery")
	}
}

func routingFallback(t *testing.T, x *routing) {
	x.serve("late-g", nil, tgt("b", "g", 0, 1))
	x.serve("late-f", list{"late-g"}, tgt("a", "f", 0, 1))
	x.rule("a", "f", "status=503", 0)
	x.ask("late-f", 200, "b")
	x.counted("f", 2, 0, 0) // 同一个再来一次，然后是回退
	x.counted("g", 0, 1, 0)
	x.rule("b", "g", "status=503&error_message=from+g", 0)
	if a := x.ask("late-f", 503, "b"); !strings.Contains(a.body, "from g") {
		t.Errorf("not the last upstream's answer: %s", a.body)
	}
	x.counted("f", 4, 0, 0)
	x.counted("g", 0, 2, 0)
	// 限额不是无能：429 不动用回退。
	x.serve("late-h", list{"late-g"}, tgt("a", "h", 0, 1))
	x.rule("a", "h", "status=429&retry_after_ms=50", 0)
	x.ask("late-h", 429, "a")
	x.counted("g", 0, 2, 0)
}

func routingDenied(t *testing.T, x *routing) {
	x.serve("late-d", nil, tgt("a", "d", 0, 1), tgt("b", "d", 1, 1))
	x.rule("a", "d", "authorization=Bearer+other", 0)
	for range 4 {
		x.ask("late-d", 200, "b")
	}
	x.counted("d", 1, 4, 0) // 一次就摘出
	x.serve("late-d2", nil, tgt("a", "d2", 0, 1))
	x.rule("a", "d2", "authorization=Bearer+other", 0)
	for range 2 { // 最后一个可用的目标不摘出：下一次还去问
		if a := x.ask("late-d2", 502, ""); a.code() != "upstream_auth_failed" {
			t.Errorf("alone: %s", a.body)
		}
	}
	x.counted("d2", 2, 0, 0)
}

func routingSlow(t *testing.T, x *routing) {
	x.serve("late-s", nil, tgt("a", "s", 0, 1), tgt("b", "s", 1, 1))
	x.rule("a", "s", "latency=5s", 0)
	began := time.Now()
	if a := x.ask("late-s", 504, "a"); a.code() != "upstream_timeout" {
		t.Errorf("code %q", a.code())
	}
	if took := time.Since(began); took < 500*time.Millisecond || took > 3*time.Second {
		t.Errorf("504 after %s with first_byte_ms 500", took)
	}
	x.counted("s", 1, 0, 0)
}

func routingDead(t *testing.T, x *routing) {
	x.serve("late-x", nil, tgt("dead", "x", 0, 1), tgt("b", "x", 1, 1))
	x.ask("late-x", 200, "b")
	x.serve("late-y", nil, tgt("a", "y", 0, 1), tgt("b", "y", 1, 1))
	x.rule("a", "y", "drop=reset", 0)
	x.ask("late-y", 200, "b")
	x.counted("y", 1, 1, 0)
}

func routingAttempts(t *testing.T, x *routing) {
	x.serve("late-n", nil, tgt("a", "n", 0, 1), tgt("b", "n", 1, 1), tgt("c", "n", 2, 1), tgt("c", "n-4", 3, 1))
	for _, s := range []string{"a", "b", "c"} {
		x.rule(s, "n", "status=529&error_code=from_"+s, 0)
	}
	if a := x.ask("late-n", 529, "c"); a.code() != "from_c" {
		t.Errorf("not the last answer: %s", a.body)
	}
	x.counted("n", 1, 1, 1)
	x.counted("n-4", 0, 0, 0)
	var ids []string
	for _, s := range []string{"a", "b", "c"} {
		for _, e := range x.ups[s].Ledger() {
			if e.Model == "n" {
				ids = append(ids, e.RequestID[strings.LastIndexByte(e.RequestID, '-'):])
			}
		}
	}
	if fmt.Sprint(ids) != "[-1 -2 -3]" {
		t.Errorf("attempt numbers %v", ids)
	}
	x.serve("late-m", nil, tgt("a", "m", 0, 1))
	x.rule("a", "m", "status=500", 1)
	began := time.Now()
	x.ask("late-m", 200, "a")
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("the same target was asked again after %s", took)
	}
	x.counted("m", 2, 0, 0)
}

func routingHalf(t *testing.T, x *routing) {
	x.serve("late-half", nil, tgt("a", "half", 0, 1), tgt("b", "half", 1, 1))
	n := 0
	for _, how := range []string{"reset", "fin", "clean"} {
		x.rule("a", "half", "half="+how+"&half_after=4&chunk_delay=5ms", 0)
		body, err := x.streamBody("late-half")
		if err == nil || strings.Contains(body, "[DONE]") {
			t.Errorf("%s: the client took half a stream for whole: %v, %q", how, err, body)
		}
		if how != "reset" && strings.Count(body, "data: ") < 4 {
			t.Errorf("%s: events that had arrived were not passed on: %q", how, body)
		}
		n++
	}
	x.rule("a", "half", "half=fin&half_after=6", 0)
	if a := x.ask("late-half", 502, "a"); a.code() != "upstream_error" {
		t.Errorf("half a JSON answer: %s", a.body)
	}
	x.counted("half", n+1, 0, 0)
	// 一个 finish_reason 之后的干净结束是完整的；[DONE] 不补造。
	x.serve("late-nodone", nil, tgt("b", "nodone?no_done", 0, 1))
	if body, err := x.streamBody("late-nodone"); err != nil || strings.Contains(body, "[DONE]") || !strings.Contains(body, "finish_reason\":\"stop") {
		t.Errorf("a stream that ends after its finish_reason: %v, %q", err, body)
	}
}

func routingPlain4xx(t *testing.T, x *routing) {
	for _, status := range []int{400, 403, 404, 409, 422} {
		name := fmt.Sprintf("late-p%d", status)
		x.serve(name, nil, tgt("a", fmt.Sprintf("p%d", status), 0, 1), tgt("b", fmt.Sprintf("p%d", status), 1, 1))
		x.rule("a", fmt.Sprintf("p%d", status), fmt.Sprintf("status=%d&error_code=theirs", status), 0)
		if a := x.ask(name, status, "a"); a.code() != "theirs" {
			t.Errorf("%d: %s", status, a.body)
		}
		x.counted(fmt.Sprintf("p%d", status), 1, 0, 0)
	}
}

// streamBody 收一个流到头；连接异常结束时 err 非 nil。
func (r *rig) streamBody(model string) (string, error) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.APIURL(0)+"/chat/completions",
		strings.NewReader(fmt.Sprintf(`{"model":%q,"stream":true,"messages":[{"role":"user","content":"hi"}]}`, model)))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	raw, err := io.ReadAll(resp.Body)
	return string(raw), err
}
