package budget

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"

	"github.com/vega-gateway/vega/dataplane/internal/state"
)

// rig 是一个节点：它的钟、记录写到了哪里、守着的 Guard，与记着入库多少的控制面。
type rig struct {
	t    testing.TB
	now  time.Time
	seq  uint64
	dir  string
	g    *Guard
	app  *state.App
	zone *time.Location
}

const epoch = 7

func start(t testing.TB, b state.Budget) *rig {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	if b.Zone == nil {
		b.Zone = zone
	}
	if b.Period == 0 {
		b.Period = configv1.BudgetPeriod_BUDGET_PERIOD_DAY
	}
	r := &rig{t: t, now: time.Date(2026, 11, 23, 12, 0, 0, 0, zone), dir: t.TempDir(), zone: zone}
	r.app = &state.App{Name: "team", Enabled: true, Budget: &b}
	r.boot()
	return r
}

// boot 是进程起来；先前的一个就当被杀了。
func (r *rig) boot() {
	r.t.Helper()
	var err error
	r.g, err = New(Config{Node: "n1", Dir: r.dir}, Deps{
		Reached: func() []Mark { return []Mark{{Epoch: epoch, Seq: r.seq}} }, Now: func() time.Time { return r.now }})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) pass(d time.Duration) { r.now = r.now.Add(d) }

// hear 是控制面说：到 hw 为止都入库了，这一期从 start 起花了 s，有 nodes 个节点。
func (r *rig) hear(s Spend, hw uint64, nodes int64) {
	day := time.Date(r.now.Year(), r.now.Month(), r.now.Day(), 0, 0, 0, 0, r.zone)
	r.g.Heard(&configv1.Budgets{Nodes: nodes, Cursors: []*configv1.UsageCursor{{Epoch: epoch, HighWater: hw}}, Apps: []*configv1.BudgetStatus{{
		App: "team", PeriodStartUnixMs: day.UnixMilli(), PeriodEndUnixMs: day.AddDate(0, 0, 1).UnixMilli(), SpentNano: s.Nano, SpentTokens: s.Tokens}}})
}

// spend 走完一个请求：预留、记账、结算；返回拒绝的原因，放行为空。
func (r *rig) spend(estimate, actual Spend) string {
	r.t.Helper()
	var h Hold
	if err := r.g.Take(r.app, estimate, &h); err != nil {
		return vegaerr.As(err).Reason
	}
	r.seq++
	h.Settle(actual)
	return ""
}

func (r *rig) want(what, reason string, err error) *vegaerr.Error {
	r.t.Helper()
	if err == nil {
		if reason != "" {
			r.t.Fatalf("%s: admitted, want %s", what, reason)
		}
		return nil
	}
	e := vegaerr.As(err)
	if e.Reason != reason {
		r.t.Fatalf("%s: %v, want %q", what, err, reason)
	}
	return e
}

func tokens(n int64) Spend { return Spend{Tokens: n} }

func TestGuard_StopsAtTheLimitAndSaysWhenItStartsAgain(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100})
	r.hear(tokens(99), 0, 1)
	r.want("one left", "", r.g.Check(r.app))
	r.hear(tokens(100), 0, 1)
	e := r.want("none left", "insufficient_quota", r.g.Check(r.app))
	if e.RetryAfter != 12*time.Hour || !strings.Contains(e.Message, "2026-11-23T16:00:00Z") || e.Code != vegaerr.Exhausted {
		t.Errorf("%+v", e)
	}
}

func TestGuard_MoneyAndTokensEachStop(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100, AmountNano: 1_000})
	for s, reason := range map[Spend]string{{999, 99}: "", {1_000, 0}: "insufficient_quota", {0, 100}: "insufficient_quota"} {
		r.hear(s, 0, 1)
		r.want("", reason, r.g.Check(r.app))
	}
	r = start(t, state.Budget{AmountNano: 1_000})
	r.hear(Spend{Nano: 999, Tokens: 1 << 60}, 0, 1)
	r.want("tokens have no limit", "", r.g.Check(r.app))
}

func TestGuard_AnAppWithoutABudgetIsNeverAsked(t *testing.T) {
	r := start(t, state.Budget{Tokens: 1})
	var h Hold
	none := &state.App{Name: "free"}
	if r.g.Check(none) != nil || r.g.Take(none, tokens(9), &h) != nil || (*Guard)(nil).Check(r.app) != nil || (*Guard)(nil).Take(r.app, tokens(1), &h) != nil {
		t.Error("refused")
	}
	h.Settle(tokens(9))
	h.Release()
	if _, ok := (*Guard)(nil).Warning(r.app); ok || len(r.g.accounts) != 0 {
		t.Error("an account was opened")
	}
}

func TestGuard_OwnSpendingCountsUntilTheCursorHasPassedIt(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100})
	r.hear(tokens(0), 0, 1)
	if why := r.spend(tokens(10), tokens(100)); why != "" {
		t.Fatal(why)
	}
	r.want("own spending", "insufficient_quota", r.g.Check(r.app))
	r.hear(tokens(0), 0, 1) // 还没有入库；此时盖章
	r.want("still own", "insufficient_quota", r.g.Check(r.app))
	r.hear(tokens(60), 1, 1) // 入库了：账上说是 60
	r.want("booked", "", r.g.Check(r.app))
	if got := r.g.accounts["team"].mine(); got != (Spend{}) {
		t.Errorf("%+v left", got)
	}
}

// TestGuard_ARecordSeriesLongAtRestIsNotWaitedFor：内存里的那一份几天前用过一次，控制面早已不再说它的游标。
func TestGuard_ARecordSeriesLongAtRestIsNotWaitedFor(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100})
	memory := uint64(0)
	r.g.reached = func() []Mark { return []Mark{{Epoch: epoch, Seq: r.seq}, {Epoch: 8, Seq: memory}} }
	r.hear(tokens(0), 0, 1)
	memory = 1
	r.hear(tokens(0), 0, 1)
	r.spend(tokens(1), tokens(30))
	r.hear(tokens(0), 0, 1) // 盖上两份的位置
	r.hear(tokens(0), 1, 1)
	if own := r.g.accounts["team"].mine(); own != tokens(30) {
		t.Errorf("%+v is still on its way, want 30 tokens: either series may hold it", own)
	}
	r.pass(2 * 24 * time.Hour)
	for range 8 {
		r.hear(tokens(30), 1, 1)
		r.pass(time.Second)
	}
	r.spend(tokens(1), tokens(40))
	r.hear(tokens(30), 1, 1)
	r.hear(tokens(70), 2, 1)
	r.want("40 of 70 are this node's own, counted once", "", r.g.Check(r.app))
}

func TestGuard_ParcelsPutTogetherWaitForEverySeries(t *testing.T) {
	a := &account{}
	for i := range uint64(maxParcels + 1) {
		marks := []Mark{{Epoch: epoch, Seq: i + 1}}
		if i == 0 {
			marks = append(marks, Mark{Epoch: 8, Seq: 5})
		}
		a.open = tokens(1)
		a.seal(time.Time{}, marks)
	}
	a.booked(map[uint64]uint64{epoch: 1_000})
	if len(a.own) != 1 || a.own[0].Spend != tokens(2) {
		t.Errorf("%+v", a.own)
	}
	if a.booked(map[uint64]uint64{epoch: 2, 8: 5}); len(a.own) != 0 {
		t.Errorf("%+v", a.own)
	}
}

func TestGuard_RequestsInFlightHoldWhatTheyAreExpectedToSpend(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100})
	r.hear(tokens(50), 0, 1)
	var a, b Hold
	r.want("first", "", r.g.Take(r.app, tokens(60), &a))
	if e := r.want("second", "rate_limit_exceeded", r.g.Take(r.app, tokens(1), &b)); e.RetryAfter != time.Second {
		t.Errorf("%+v", e)
	}
	r.want("waiting is not spending", "", r.g.Check(r.app))
	a.Settle(tokens(5))
	a.Release()
	r.want("after the first", "", r.g.Take(r.app, tokens(1), &b))
	b.Release()
	b.Release()
	if f := r.g.accounts["team"].flight; f != (Spend{}) {
		t.Errorf("flight %+v", f)
	}
}

func TestGuard_ThousandsWaitingDoNotBurstThrough(t *testing.T) {
	r := start(t, state.Budget{Tokens: 1_000})
	r.hear(tokens(0), 0, 1)
	for range 5_000 { // 都在预算还够时进了队
		r.want("queue", "", r.g.Check(r.app))
	}
	admitted := 0
	for range 5_000 {
		if r.spend(tokens(10), tokens(10)) == "" {
			admitted++
		}
	}
	if admitted != 100 {
		t.Errorf("%d admitted", admitted)
	}
}

func TestGuard_AReservationIsGivenBackWhereItWasTaken(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100})
	other := &state.App{Name: "other", Enabled: true, Budget: r.app.Budget}
	day := time.Date(2026, 11, 23, 0, 0, 0, 0, r.zone)
	heard := &configv1.Budgets{Nodes: 1}
	for _, app := range []string{"team", "other"} {
		heard.Apps = append(heard.Apps, &configv1.BudgetStatus{App: app, PeriodStartUnixMs: day.UnixMilli(), PeriodEndUnixMs: day.AddDate(0, 0, 1).UnixMilli()})
	}
	r.g.Heard(heard)
	var h, running Hold
	r.want("the first call", "", r.g.Take(r.app, tokens(100), &h))
	r.want("another request", "", r.g.Take(other, tokens(100), &running))
	r.want("the second call, after the key went to another app", "rate_limit_exceeded", r.g.Take(other, tokens(1), &h))
	running.Release()
	r.want("once there is room", "", r.g.Take(other, tokens(40), &h))
	r.want("the first app is free again", "", r.g.Take(r.app, tokens(100), &Hold{}))
	r.want("beside it", "", r.g.Take(other, tokens(60), &running))
	h.Settle(Spend{})
	r.want("the other request still holds its own", "", r.g.Take(other, tokens(40), &h))
	r.want("and no more", "rate_limit_exceeded", r.g.Take(other, tokens(1), &Hold{}))
}

func TestGuard_AwayFromTheControlPlaneEachNodeSpendsItsPart(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100})
	r.hear(tokens(40), 0, 3) // 余 60，一份 20
	r.pass(3 * time.Second)
	r.want("still fresh", "", r.g.Check(r.app))
	r.pass(time.Millisecond)
	spent := 0
	for ; r.spend(tokens(1), tokens(1)) == ""; spent++ {
	}
	if spent != 20 {
		t.Errorf("spent %d of 20", spent)
	}
	e := r.want("part used up", "insufficient_quota", r.g.Check(r.app))
	if e.RetryAfter != retryShare || !strings.Contains(e.Message, "out of touch") {
		t.Errorf("%+v", e)
	}
	for range 6 {
		r.hear(tokens(40), 0, 3) // 回来了，而别的节点攒下的还没有交上去
		r.want("not believed yet", "insufficient_quota", r.g.Check(r.app))
		r.pass(time.Second)
	}
	r.hear(tokens(60), 20, 3)
	r.want("the control plane is back", "", r.g.Check(r.app))
}

func TestGuard_AfterAnOutageItListensForAWhileWithoutInterruption(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100})
	r.hear(tokens(100), 0, 1)
	r.pass(time.Minute)
	for range 3 { // 每次只回来五秒
		for range 5 {
			r.hear(tokens(0), 0, 1)
			r.want("not believed", "insufficient_quota", r.g.Check(r.app))
			r.pass(time.Second)
		}
		r.pass(10 * time.Second)
	}
}

func TestGuard_ARestartWhileAwayRemembersWhatWasSpent(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100})
	r.hear(tokens(40), 0, 3)
	r.g.save()
	r.pass(time.Minute)
	total := 0
	for life := range 10 {
		for range 3 {
			if r.spend(tokens(1), tokens(1)) == "" {
				total++
			}
		}
		if life%2 == 0 {
			var h Hold
			_ = r.g.Take(r.app, tokens(1), &h) // 死的时候在途
		}
		r.boot()
	}
	if total > 20 || total < 10 {
		t.Errorf("spent %d of a part of 20", total)
	}
	r.want("nothing left", "insufficient_quota", r.g.Take(r.app, tokens(1), &Hold{}))
}

// TestGuard_AwayItWritesDownOnlyASmallPartAtATime 数盘上的那一份换过几回：每个请求写一次盘，就等一次盘。
func TestGuard_AwayItWritesDownOnlyASmallPartAtATime(t *testing.T) {
	for name, b := range map[string]state.Budget{"tokens": {Tokens: 100_000}, "money": {AmountNano: 100_000}, "both": {Tokens: 100_000, AmountNano: 100_000}} {
		r := start(t, b)
		r.hear(Spend{}, 0, 1)
		r.pass(time.Minute)
		writes, last := 0, os.FileInfo(nil)
		for range 1_000 {
			if reason := r.spend(Spend{10, 10}, Spend{10, 10}); reason != "" {
				t.Fatalf("%s: %s", name, reason)
			}
			st, err := os.Stat(filepath.Join(r.dir, fileName))
			if err != nil {
				t.Fatal(err)
			}
			if last == nil || !os.SameFile(last, st) {
				writes++
			}
			last = st
		}
		if writes > claimParts {
			t.Errorf("%s: written %d times for a tenth of the budget", name, writes)
		}
	}
}

func TestGuard_ARestartKnowsItsSpendingUntilTheJournalIsDelivered(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100})
	r.hear(tokens(0), 0, 1)
	r.spend(tokens(1), tokens(100))
	r.g.save()
	r.boot()
	for range 8 {
		r.hear(tokens(0), 0, 1) // 记录还在日志里
		r.want("not delivered yet", "insufficient_quota", r.g.Check(r.app))
		r.pass(time.Second)
	}
	r.hear(tokens(70), 1, 1)
	r.want("delivered", "", r.g.Check(r.app))
}

func TestGuard_ANewPeriodStartsAtZeroOnItsOwn(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100})
	r.hear(tokens(100), 0, 2)
	r.pass(time.Minute)
	r.want("used up", "insufficient_quota", r.g.Check(r.app))
	r.pass(12 * time.Hour) // 过了上海的零点，控制面还没有回来
	spent := 0
	for ; r.spend(tokens(1), tokens(1)) == ""; spent++ {
	}
	if spent != 50 {
		t.Errorf("spent %d of a part of 50", spent)
	}
	r.boot()
	r.want("the new period is remembered", "insufficient_quota", r.g.Check(r.app))
	r.pass(24 * time.Hour)
	r.want("and the next one is free again", "", r.g.Check(r.app))
}

func TestGuard_ConnectedAClockAheadIsNotANewBudget(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100})
	r.hear(tokens(100), 0, 1)
	r.now = r.now.Add(2 * time.Second)
	r.g.accounts["team"].heard = r.now.Add(24 * time.Hour)
	r.now = r.now.Add(24 * time.Hour) // 只有墙上的钟跳了
	r.want("the control plane's period counts", "insufficient_quota", r.g.Check(r.app))
}

func TestGuard_UnknownSpendingIsNotSpentOn(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100})
	if e := r.want("never heard", "not_ready", r.g.Check(r.app)); e.RetryAfter != time.Second || e.Code != vegaerr.Unavailable {
		t.Errorf("%+v", e)
	}
	r.g.Heard(&configv1.Budgets{Nodes: 1}) // 连着，但还没有说到它：预算刚加上
	r.want("just added", "", r.g.Take(r.app, tokens(1), &Hold{}))
	r.pass(2 * time.Second)
	r.g.Heard(&configv1.Budgets{Nodes: 1})
	r.pass(2 * time.Second)
	r.g.Heard(&configv1.Budgets{Nodes: 1})
	r.want("should have been named by now", "not_ready", r.g.Check(r.app))
	r.hear(tokens(0), 0, 1)
	r.want("named", "", r.g.Check(r.app))
}

func TestGuard_ADamagedOrForeignFileDoesNotWeakenTheLimit(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100})
	r.hear(tokens(0), 0, 1)
	r.g.save()
	good, err := os.ReadFile(filepath.Join(r.dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"empty": "", "cut": string(good[:len(good)-3]), "edited": strings.Replace(string(good), `"tokens":0`, `"tokens":9`, 1),
		"of another node": strings.Replace(string(good), `"n1"`, `"n2"`, 1), "not ours": "hello\nworld",
	} {
		if err := os.WriteFile(filepath.Join(r.dir, fileName), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		r.boot()
		if e := vegaerr.As(r.g.Check(r.app)); e.Reason != "not_ready" {
			t.Errorf("%s: %v", name, e)
		}
	}
}

func TestGuard_WhatCannotBeWrittenDownIsNotSpent(t *testing.T) {
	r := start(t, state.Budget{Tokens: 100})
	r.hear(tokens(0), 0, 1)
	r.pass(time.Minute)
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	r.want("no place to write", "not_ready", r.g.Take(r.app, tokens(1), &Hold{}))
	for range 7 {
		r.hear(tokens(0), 0, 1)
		r.pass(time.Second)
	}
	r.want("connected nothing need be written", "", r.g.Take(r.app, tokens(1), &Hold{}))
}

func TestGuard_WarnsFromTheSoftPercentOn(t *testing.T) {
	r := start(t, state.Budget{Tokens: 1_000, AmountNano: 1_000, SoftPercent: 80})
	if _, ok := r.g.Warning(r.app); ok {
		t.Error("nothing is known yet")
	}
	r.hear(Spend{Nano: 10, Tokens: 799}, 0, 1)
	if p, ok := r.g.Warning(r.app); ok {
		t.Errorf("%d", p)
	}
	r.spend(tokens(1), tokens(6))
	if p, ok := r.g.Warning(r.app); !ok || p != 80 {
		t.Errorf("%d %v", p, ok)
	}
	r.hear(Spend{Nano: 5_000}, 9, 1)
	if p, ok := r.g.Warning(r.app); !ok || p != 500 {
		t.Errorf("%d %v", p, ok)
	}
	r.app.Budget.SoftPercent = 0
	if _, ok := r.g.Warning(r.app); ok {
		t.Error("no warning was asked for")
	}
}

func TestGuard_AbsurdFiguresDoNotWrapAround(t *testing.T) {
	r := start(t, state.Budget{AmountNano: 1_000})
	r.hear(Spend{}, 0, 1)
	if why := r.spend(Spend{Nano: 1<<63 - 1, Tokens: 1<<63 - 1}, Spend{Nano: 1<<63 - 1, Tokens: 1<<63 - 1}); why != "" {
		t.Fatal(why)
	}
	r.want("spent", "insufficient_quota", r.g.Check(r.app))
	r.g.accounts["team"].open = Spend{1<<63 - 1, 1<<63 - 1}
	r.want("spent twice", "insufficient_quota", r.g.Check(r.app))
}

// BenchmarkRequest 是一个有预算的请求在路上的全部：查、预留、结算、看警告。
func BenchmarkRequest(b *testing.B) {
	r := start(b, state.Budget{Tokens: 1 << 40, AmountNano: 1 << 50, SoftPercent: 80})
	r.g.now = time.Now
	r.now = time.Now()
	r.hear(tokens(1), 0, 2)
	var h Hold
	b.ReportAllocs()
	for b.Loop() {
		if r.g.Check(r.app) != nil || r.g.Take(r.app, Spend{Nano: 1, Tokens: 1}, &h) != nil {
			r.hear(tokens(1), 0, 2)
		}
		h.Settle(Spend{Nano: 1, Tokens: 1})
		r.g.Warning(r.app)
	}
}
