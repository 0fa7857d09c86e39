package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

// 每个请求的花费是定的：30 个输入、20 个输出 token；按 model 里的价格是 0.000275 元。
const (
	budgetUpstream = "b?latency=0&prompt_tokens=30&completion_tokens=20"
	tokensEach     = 50
	moneyEach      = 0.000275
)

// budgetStatus 是 GET /apps/{name}/budget 的回答。
type budgetStatus struct {
	App         string    `json:"app"`
	PeriodStart time.Time `json:"period_start"`
	ResetsAt    time.Time `json:"resets_at"`
	Tokens      int64     `json:"tokens"`
	Amount      float64   `json:"amount"`
	SpentTokens int64     `json:"spent_tokens"`
	Spent       float64   `json:"spent"`
	Percent     float64   `json:"percent"`
	State       string    `json:"state"`
}

// spender 是一个有预算的 app 与它的客户端；一期一个月，所以跑过零点也不换期。
type spender struct {
	*rig
	app, key string

	mu      sync.Mutex
	served  []time.Time // 每个 200 答完的时刻
	codes   map[string]int
	refused [2]bool // 每个节点最近的回答是不是 insufficient_quota
	usedUp  [2]bool // 而且不只是失去联系时它自己的那一份用完了
	last    answer  // 最近一个 insufficient_quota
}

func (r *rig) spender(app string, budget doc) *spender {
	r.t.Helper()
	s := &spender{rig: r, app: app, key: strings.Repeat(app[:1], 40), codes: map[string]int{}}
	r.apply(doc{
		"models": list{model("paid", "up", budgetUpstream)},
		"apps":   list{doc{"name": app, "budget": budget, "keys": list{doc{"name": "k", "secret": s.key}}}},
	})
	return s
}

// ask 经节点 i 发一个请求；节点不在时算没有发过。
func (s *spender) ask(i int) {
	body := fmt.Sprintf(`{"model":"paid","max_tokens":20,"messages":[{"role":"user","content":%q}]}`, strings.Repeat("say it ", 20)) // 预计的不少于 50
	a, err := s.try(i, s.key, "/chat/completions", body)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.codes["down"]++
	case a.status == http.StatusOK:
		s.codes["ok"]++
		s.served = append(s.served, time.Now())
		s.refused[i], s.usedUp[i] = false, false
	default:
		s.codes[a.code()]++
		s.refused[i] = a.code() == "insufficient_quota"
		s.usedUp[i] = s.refused[i] && strings.Contains(a.body, "is used up; it starts again")
		if s.refused[i] {
			s.last = a
		}
	}
}

func (s *spender) count(code string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.codes[code]
}

func (s *spender) bothRefuse() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused[0] && s.refused[1]
}

// exhausted 说两个节点都知道预算用完了。
func (s *spender) exhausted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usedUp[0] && s.usedUp[1]
}

// drive 以每个节点每 every 一个的速率发，直到 until 成立；到点还没成立就失败。
func (s *spender) drive(every, patience time.Duration, what string, until func() bool) {
	s.t.Helper()
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !until(); <-tick.C {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within %v: %s; codes %v", s.app, patience, what, s.codes)
		}
		for i := range 2 {
			wg.Go(func() { s.ask(i) })
		}
	}
}

// busiest 是任何 window 之内答完的请求数的最大值。
func (s *spender) busiest(window time.Duration) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	most, from := 0, 0
	for to := range s.served {
		for s.served[to].Sub(s.served[from]) > window {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

func (s *spender) status() (b budgetStatus) {
	s.t.Helper()
	if err := s.Admin.Call(s.t.Context(), http.MethodGet, "/apps/"+s.app+"/budget", nil, &b); err != nil {
		s.t.Fatal(err)
	}
	return b
}

// settled 等到答完的请求都入库，给出那时的处境。
func (s *spender) settled() (b budgetStatus) {
	s.t.Helper()
	eventually(s.t, 20*time.Second, s.app+": what was answered is in the books", func() bool {
		b = s.status()
		return b.SpentTokens >= int64(s.count("ok"))*tokensEach
	})
	return b
}

// mustRefuse 查一个拒绝的每一处。
func (s *spender) mustRefuse(b budgetStatus) {
	s.t.Helper()
	s.mu.Lock()
	a := s.last
	s.mu.Unlock()
	if a.status != http.StatusTooManyRequests || a.header.Get("X-Should-Retry") != "false" || a.header.Get("X-Vega-Budget-Warning") == "" ||
		!strings.Contains(a.body, b.ResetsAt.UTC().Format(time.RFC3339)) {
		s.t.Errorf("%s: %d %v %s", s.app, a.status, a.header, a.body)
	}
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if left := time.Until(b.ResetsAt); err != nil || (time.Duration(seconds)*time.Second-left).Abs() > time.Minute {
		s.t.Errorf("%s: Retry-After %d s, the budget starts again in %v", s.app, seconds, left)
	}
	if b.State != "exhausted" || b.Percent < 100 || !b.ResetsAt.After(time.Now()) || b.PeriodStart.After(time.Now()) {
		s.t.Errorf("%s: %+v", s.app, b)
	}
}

// TestBudget_HoldsAcrossTheFleetAndThroughKills：两个节点各以定速花，一个 app 限 token，一个限钱；当中杀掉控制面与一个节点。
// 花掉的 ≤ 预算 + 每个节点最后一个请求 + 三秒里答完的（别的节点花了而这个还没听说的不会更多）。全部再杀一遍之后仍然拒绝。
func TestBudget_HoldsAcrossTheFleetAndThroughKills(t *testing.T) {
	r := start(t, stack.Options{Nodes: 2})
	const tokens, amount = 15_000, 0.0825 // 都是三百个请求
	spenders := []*spender{r.spender("tokens", doc{"tokens": tokens}), r.spender("money", doc{"amount": amount})}
	var wg sync.WaitGroup
	for _, s := range spenders {
		wg.Go(func() {
			s.drive(50*time.Millisecond, time.Minute, "a third is spent", func() bool { return s.count("ok") >= 100 })
		})
	}
	wg.Wait()

	r.Controlplane.Kill()
	r.Dataplanes[0].Kill()
	for _, p := range []*stack.Process{r.Dataplanes[0], r.Controlplane} {
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.AwaitReady(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for _, s := range spenders {
		wg.Go(func() { s.drive(50*time.Millisecond, 2*time.Minute, "both nodes refuse", s.exhausted) })
	}
	wg.Wait()

	for _, s := range spenders {
		b := s.settled()
		bound := 2 + s.busiest(3*time.Second)
		s.mustRefuse(b)
		if s.app == "tokens" {
			limit, over, most := int64(tokens), b.SpentTokens-tokens, int64(bound*tokensEach)
			t.Logf("figures: budget limit=%d spent=%d overshoot=%d bound=%d unit=token", limit, b.SpentTokens, over, most)
			if over > most || b.SpentTokens < limit {
				t.Errorf("overshoot %d, bound %d", over, most)
			}
			continue
		}
		over, most := b.Spent-amount, float64(bound)*moneyEach
		t.Logf("figures: budget limit=%g spent=%.6f overshoot=%.6f bound=%.6f unit=USD", amount, b.Spent, over, most)
		if over > most+1e-9 || b.Spent < amount-1e-9 {
			t.Errorf("overshoot %g, bound %g", over, most)
		}
	}

	time.Sleep(1500 * time.Millisecond) // 节点记得的至多旧一秒
	everything := append([]*stack.Process{r.Controlplane}, r.Dataplanes...)
	for _, p := range everything {
		p.Kill()
	}
	for _, p := range everything {
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range spenders {
		before := s.count("ok")
		s.refused = [2]bool{}
		s.drive(50*time.Millisecond, 30*time.Second, "both nodes refuse after everything was killed", s.bothRefuse)
		if n := s.count("ok") - before; n > 0 {
			t.Errorf("%d requests answered after the budget was used up", n)
		}
		if i == 0 {
			s.apply(doc{"apps": list{doc{"name": s.app, "budget": doc{"tokens": 10 * tokens}}}})
			eventually(t, 10*time.Second, "a larger budget lets requests in again", func() bool { s.ask(0); s.ask(1); return s.count("ok") >= before+2 })
		}
	}
}

// TestBudget_AwayFromTheControlPlaneTheFleetStaysWithinIt：控制面被杀之后两个节点能发多快发多快，其中一个反复被杀；
// 合起来至多超出每个节点最后放行的那个请求。控制面回来后余下的还能花，花完为止。
func TestBudget_AwayFromTheControlPlaneTheFleetStaysWithinIt(t *testing.T) {
	r := start(t, stack.Options{Nodes: 2})
	const limit = 10_000
	s := r.spender("away", doc{"tokens": limit})
	s.drive(20*time.Millisecond, time.Minute, "a part is spent", func() bool { return s.count("ok") >= 20 })
	s.settled()
	time.Sleep(1500 * time.Millisecond) // 两个节点都听到了
	r.Controlplane.Kill()
	time.Sleep(3500 * time.Millisecond) // 不再新鲜
	kills := 0
	for round := range 6 {
		s.mu.Lock()
		s.refused = [2]bool{}
		s.mu.Unlock()
		stop := time.Now().Add(700 * time.Millisecond)
		s.drive(5*time.Millisecond, time.Minute, "a while", func() bool { return time.Now().After(stop) || s.bothRefuse() })
		if round%2 == 0 {
			r.Dataplanes[0].Kill()
			kills++
			if err := r.Dataplanes[0].Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := r.AwaitReady(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.drive(20*time.Millisecond, time.Minute, "both parts are used up", s.bothRefuse)
	s.mu.Lock()
	if a := s.last; !strings.Contains(a.body, "out of touch") || a.header.Get("X-Should-Retry") != "false" {
		t.Errorf("%v %s", a.header, a.body)
	}
	s.mu.Unlock()
	away := int64(s.count("ok")) * tokensEach
	if bound := int64(limit + 2*tokensEach); away > bound {
		t.Errorf("spent %d while away, bound %d", away, bound)
	}
	t.Logf("figures: budget away limit=%d spent=%d overshoot=%d bound=%d kills=%d", limit, away, max(away-limit, 0), 2*tokensEach, kills)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.Controlplane.Start(ctx); err != nil {
		t.Fatal(err)
	}
	s.drive(100*time.Millisecond, 2*time.Minute, "the rest is spent", func() bool { return s.exhausted() && s.status().State == "exhausted" })
	b := s.settled()
	over, bound := b.SpentTokens-limit, int64(2+s.busiest(3*time.Second))*tokensEach
	t.Logf("figures: budget limit=%d spent=%d overshoot=%d bound=%d after=outage", limit, b.SpentTokens, over, bound)
	if over > bound || b.SpentTokens < limit {
		t.Errorf("overshoot %d, bound %d", over, bound)
	}
	s.mustRefuse(b)
	var all []budgetStatus
	if err := r.Admin.Call(t.Context(), http.MethodGet, "/budgets", nil, &all); err != nil || len(all) != 1 || fmt.Sprint(all[0]) != fmt.Sprint(b) {
		t.Errorf("%+v %v", all, err)
	}
}
