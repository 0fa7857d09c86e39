package gateway_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/budget"
	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

func newBudgets(t testing.TB, j ledger) *budget.Guard {
	t.Helper()
	g, err := budget.New(budget.Config{}, budget.Deps{
		Reached: func() []budget.Mark { return []budget.Mark{{Epoch: j.Epoch(), Seq: j.Stats().LastSeq}} }})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// budgeted 给 team 一个预算，模型 m 每个 token 一个货币单位。
func budgeted(b *configv1.Budget) func(*configv1.Snapshot) {
	return func(s *configv1.Snapshot) {
		b.Period, b.TimeZone = configv1.BudgetPeriod_BUDGET_PERIOD_DAY, "UTC"
		s.Apps[0].Budget = b
		s.Models[0].Prices = &configv1.Prices{InputNanoPerMillion: 1e15, OutputNanoPerMillion: 1e15, Currency: "USD"}
	}
}

// spent 是控制面说：这一期花了这么多。
func (n *node) spent(nano, tokens int64) (resets time.Time) {
	day := time.Now().UTC().Truncate(24 * time.Hour)
	n.budgets.Heard(&configv1.Budgets{Nodes: 1, Apps: []*configv1.BudgetStatus{{
		App: "team", PeriodStartUnixMs: day.UnixMilli(), PeriodEndUnixMs: day.Add(24 * time.Hour).UnixMilli(), SpentNano: nano, SpentTokens: tokens}}})
	return day.Add(24 * time.Hour)
}

func limited(t *testing.T, b *configv1.Budget, cfg upstreamtest.Config) (*node, *upstreamtest.Server) {
	t.Helper()
	u := upstream(t, cfg)
	return start(t, newSnap().server("s1", u.URL()+"/v1").model("m", "s1").edit(budgeted(b)).compile(t)), u
}

func TestBudget_UsedUpIs429WithTheResetTimeAndNoRetry(t *testing.T) {
	n, u := limited(t, &configv1.Budget{Tokens: 100, SoftPercent: 80}, upstreamtest.Config{})
	resets := n.spent(0, 100)
	a := n.chat(ask)
	want(t, a, http.StatusTooManyRequests, "insufficient_quota")
	if !strings.Contains(a.body, resets.Format(time.RFC3339)) || !strings.Contains(a.body, `"type":"insufficient_quota"`) {
		t.Errorf("%s", a.body)
	}
	if a.header.Get("X-Should-Retry") != "false" || a.header.Get("X-Vega-Budget-Warning") != "100" {
		t.Errorf("%v", a.header)
	}
	seconds, _ := strconv.Atoi(a.header.Get("Retry-After"))
	if left := time.Until(resets); time.Duration(seconds)*time.Second < left-time.Second || time.Duration(seconds)*time.Second > left+2*time.Second {
		t.Errorf("retry after %d s, the period ends in %v", seconds, left)
	}
	if got := n.journal.refused(); got["insufficient_quota"] != 1 || len(n.journal.all()) != 0 {
		t.Errorf("%v", got)
	}
	if got := len(u.Ledger()); got != 0 {
		t.Errorf("%d calls upstream", got)
	}
}

func TestBudget_WhatTheRequestsReportIsSpent(t *testing.T) {
	for name, b := range map[string]*configv1.Budget{"tokens": {Tokens: 100}, "money": {AmountNano: 100e9}} {
		n, _ := limited(t, b, upstreamtest.Config{Default: upstreamtest.Behavior{PromptTokens: 30, CompletionTokens: 10}})
		n.spent(0, 0)
		for i, body := range []string{ask, askStream, ask} {
			if a := n.chat(body); a.status != 200 {
				t.Fatalf("%s: request %d: %d %s", name, i, a.status, a.body)
			}
		}
		want(t, n.chat(ask), http.StatusTooManyRequests, "insufficient_quota") // 120 ≥ 100
	}
}

func TestBudget_UnknownUsageCostsNothing(t *testing.T) {
	n, _ := limited(t, &configv1.Budget{Tokens: 100, AmountNano: 1}, upstreamtest.Config{Default: upstreamtest.Behavior{Usage: upstreamtest.UsageMissing, Status: 400}})
	n.spent(0, 0)
	for range 5 {
		want(t, n.chat(ask), http.StatusBadRequest, "")
	}
}

func TestBudget_WaitingRequestsAreCheckedAgainBeforeTheyLeave(t *testing.T) {
	hold := make(chan struct{})
	u := upstream(t, upstreamtest.Config{Script: first(1, upstreamtest.Behavior{HoldHead: hold, PromptTokens: 90, CompletionTokens: 10}, fine)})
	n := startLed(t, newSnap().server("s1", u.URL()+"/v1", narrow).model("m", "s1").edit(budgeted(&configv1.Budget{Tokens: 100})).compile(t))
	n.spent(0, 0)
	head := make(chan answer, 1)
	go func() { head <- n.chat(ask) }()
	if err := u.WaitInFlight(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	a, b := n.enqueue(ask), n.enqueue(ask) // 进队时一个 token 也还没有花
	close(hold)
	want(t, <-head, 200, "")
	want(t, <-a, http.StatusTooManyRequests, "insufficient_quota")
	want(t, <-b, http.StatusTooManyRequests, "insufficient_quota")
	settle(t, n, u)
	if got := len(u.Ledger()); got != 1 {
		t.Errorf("%d calls upstream", got)
	}
}

func TestBudget_WhatIsInFlightHoldsItsShare(t *testing.T) {
	hold := make(chan struct{})
	u := upstream(t, upstreamtest.Config{Script: first(1, upstreamtest.Behavior{HoldHead: hold, PromptTokens: 1, CompletionTokens: 1}, fine)})
	n := start(t, newSnap().server("s1", u.URL()+"/v1").model("m", "s1").edit(budgeted(&configv1.Budget{Tokens: 100})).compile(t))
	n.spent(0, 0)
	head := make(chan answer, 1)
	go func() { head <- n.chat(ask) }()
	if err := u.WaitInFlight(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	second := n.chat(ask) // 头一个预计要五百多 token
	want(t, second, http.StatusTooManyRequests, "rate_limit_exceeded")
	if second.header.Get("Retry-After") != "1" || second.header.Get("X-Should-Retry") != "" {
		t.Errorf("%v", second.header)
	}
	close(hold)
	want(t, <-head, 200, "")
	settle(t, n, u)
	n.spent(0, 2)
	want(t, n.chat(ask), 200, "")
}

func TestBudget_WarnsOnEveryAnswerFromTheSoftPercentOn(t *testing.T) {
	n, _ := limited(t, &configv1.Budget{Tokens: 1000, SoftPercent: 80}, upstreamtest.Config{Default: upstreamtest.Behavior{PromptTokens: 1, CompletionTokens: 1}})
	n.spent(0, 790)
	if a := n.chat(ask); a.status != 200 || a.header.Get("X-Vega-Budget-Warning") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	n.spent(0, 853)
	for _, body := range []string{ask, askStream} {
		if a := n.chat(body); a.status != 200 || !strings.HasPrefix(a.header.Get("X-Vega-Budget-Warning"), "8") {
			t.Errorf("%d %q", a.status, a.header.Get("X-Vega-Budget-Warning"))
		}
	}
}

func TestBudget_NotKnowingWhatWasSpentIsNotReady(t *testing.T) {
	n, _ := limited(t, &configv1.Budget{Tokens: 1000}, upstreamtest.Config{})
	a := n.chat(ask)
	want(t, a, http.StatusServiceUnavailable, "not_ready")
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("%v", a.header)
	}
	n.spent(0, 0)
	want(t, n.chat(ask), 200, "")
}
