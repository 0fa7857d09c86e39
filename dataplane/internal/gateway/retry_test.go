package gateway_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// first 让头 n 个请求照 b 办，其余照 rest。
func first(n int64, b, rest upstreamtest.Behavior) func(*upstreamtest.Request) upstreamtest.Behavior {
	return func(r *upstreamtest.Request) upstreamtest.Behavior {
		if r.Seq <= n {
			return b
		}
		return rest
	}
}

var fine = upstreamtest.Behavior{}

// deadAddr 是没有人在听的地址。
func deadAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return "http://" + ln.Addr().String() + "/v1"
}

func TestRetry_ServerErrorGoesOnceMoreToTheSameAndThenPassesUnchanged(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504, 529} {
		n, u := one(t, upstreamtest.Config{Script: first(1, upstreamtest.Behavior{Status: status}, fine)})
		want(t, n.chat(ask), 200, "")
		if got := n.last(); len(got.Attempts) != 2 || got.Attempts[0].Status != int32(status) || got.Attempts[1].Number != 2 {
			t.Fatalf("status %d: %v", status, got.Attempts)
		}
		u.SetScript(nil)
		u.SetDefault(upstreamtest.Behavior{Status: status, ErrorMessage: "boom", ErrorCode: "mine"})
		a := n.chat(ask)
		want(t, a, status, "mine")
		if got := n.last(); len(got.Attempts) != 2 || got.Outcome != usagev1.Outcome_OUTCOME_UPSTREAM_ERROR || got.Status != int32(status) {
			t.Fatalf("status %d: %v", status, got)
		}
	}
}

func TestRetry_OtherStatusesPassUnchangedWithoutRetry(t *testing.T) {
	n, u := one(t, upstreamtest.Config{})
	for i, status := range []int{400, 403, 404, 409, 422, 501} {
		u.SetDefault(upstreamtest.Behavior{Status: status, ErrorCode: "theirs"})
		want(t, n.chat(ask), status, "theirs")
		if got := u.Stats().Requests; got != int64(i+1) {
			t.Fatalf("status %d: %d calls", status, got)
		}
	}
}

func TestRetry_HTMLErrorIsWrapped(t *testing.T) {
	n, _ := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 403, HTML: true}})
	a := n.chat(ask)
	want(t, a, 403, "upstream_error")
	if a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("headers %v", a.header)
	}
}

func TestRetry_AnotherTargetTakesOver(t *testing.T) {
	bad := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 503}})
	good := upstream(t, upstreamtest.Config{})
	n := start(t, newSnap().server("bad", bad.URL()+"/v1").server("good", good.URL()+"/v1").
		model("m", "bad", "good").edit(func(c *configv1.Snapshot) { c.Models[0].Targets[1].Priority = 1 }).compile(t))
	a := n.chat(ask)
	want(t, a, 200, "")
	r := n.last()
	if len(r.Attempts) != 2 || r.Attempts[0].Server != "bad" || r.Attempts[1].Server != "good" || a.header.Get("X-Vega-Server") != "good" {
		t.Fatalf("%v", r.Attempts)
	}
}

// 重试过的请求，首字节是最后一次调用的：失败的那一次的错误体没有给过客户端。
func TestRetry_FirstByteIsThatOfTheLastCall(t *testing.T) {
	const late = 80 * time.Millisecond
	for name, then := range map[string]upstreamtest.Behavior{"plain": {Latency: late}, "stream": {FirstByte: late}} {
		n, u := one(t, upstreamtest.Config{Script: first(1, upstreamtest.Behavior{Status: 503}, then)})
		body := ask
		if name == "stream" {
			body = askStream
		}
		want(t, n.chat(body), 200, "")
		if r := n.last(); len(r.Attempts) != 2 || r.FirstByteUs < late.Microseconds() {
			t.Errorf("%s: first byte after %d us, the last call took %v to its first: %v", name, r.FirstByteUs, late, r.Attempts)
		}
		u.SetScript(first(u.Stats().Requests+1, upstreamtest.Behavior{Status: 503}, upstreamtest.Behavior{Drop: upstreamtest.CutFIN}))
		want(t, n.chat(body), 502, "upstream_error")
		all := n.journal.all()
		if r := all[len(all)-1]; len(r.Attempts) != 2 || r.FirstByteUs != 0 {
			t.Errorf("%s: the last call gave no byte, first byte after %d us: %v", name, r.FirstByteUs, r.Attempts)
		}
		u.SetScript(nil)
		u.SetDefault(upstreamtest.Behavior{Status: 503})
		want(t, n.chat(body), 503, "")
		all = n.journal.all()
		if r := all[len(all)-1]; len(r.Attempts) != 2 || r.FirstByteUs < (20*time.Millisecond).Microseconds() { // 两次之间隔着 RetryDelay
			t.Errorf("%s: the error that was passed on had a first byte, after %d us: %v", name, r.FirstByteUs, r.Attempts)
		}
	}
}

func TestRetry_UnreachableServerIsNoAttempt(t *testing.T) {
	good := upstream(t, upstreamtest.Config{})
	n := start(t, newSnap().server("dead", deadAddr(t)).server("good", good.URL()+"/v1").
		model("m", "dead", "good").model("d", "dead").edit(func(c *configv1.Snapshot) { c.Models[0].Targets[1].Priority = 1 }).compile(t))
	want(t, n.chat(ask), 200, "")
	if r := n.last(); len(r.Attempts) != 1 || r.Attempts[0].Server != "good" || r.Attempts[0].Number != 1 {
		t.Fatalf("%v", r.Attempts)
	}
	want(t, n.chat(`{"model":"d"}`), 502, "upstream_error")
	if len(n.journal.all()) != 1 || n.journal.refused()["upstream_error"] != 1 {
		t.Fatalf("records %d, refused %v", len(n.journal.all()), n.journal.refused())
	}
}

func TestRetry_ConnectionDroppedBeforeAnyAnswerIsAnAttemptAndIsRetried(t *testing.T) {
	for _, how := range []string{upstreamtest.CutReset, upstreamtest.CutFIN} {
		for _, warm := range []bool{false, true} { // 新连接与重用的连接
			n, u := one(t, upstreamtest.Config{})
			if warm {
				want(t, n.chat(ask), 200, "")
			}
			seen := u.Stats().Requests
			u.SetScript(first(seen+1, upstreamtest.Behavior{Drop: how}, fine))
			want(t, n.chat(ask), 200, "")
			settle(t, n, u)
			if got, ledger := attemptsOf(n.journal.all()), u.Stats().Requests; int64(got) != ledger || got != int(seen)+2 {
				t.Fatalf("%s warm=%v: %d attempts, ledger %d", how, warm, got, ledger)
			}
		}
	}
}

func TestRetry_StaleConnectionIsNoAttempt(t *testing.T) {
	n, u := one(t, upstreamtest.Config{})
	for range 50 {
		want(t, n.chat(ask), 200, "")
		u.CloseIdleConnections() // 与下一个请求赛跑
	}
	settle(t, n, u)
	if got, ledger := attemptsOf(n.journal.all()), u.Stats().Requests; int64(got) != ledger {
		t.Fatalf("%d attempts, ledger %d", got, ledger)
	}
}

func TestRetry_LimitedTargetIsPausedAndAnotherIsTakenAtOnce(t *testing.T) {
	busy := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 429, RetryAfter: "30"}})
	good := upstream(t, upstreamtest.Config{})
	n := start(t, newSnap().server("busy", busy.URL()+"/v1").server("good", good.URL()+"/v1").
		model("m", "busy", "good").edit(func(c *configv1.Snapshot) { c.Models[0].Targets[1].Priority = 1 }).compile(t))
	begin := time.Now()
	want(t, n.chat(ask), 200, "")
	want(t, n.chat(ask), 200, "")
	if time.Since(begin) > 5*time.Second || busy.Stats().Requests != 1 || good.Stats().Requests != 2 {
		t.Fatalf("busy %d good %d after %v", busy.Stats().Requests, good.Stats().Requests, time.Since(begin))
	}
}

func TestRetry_LimitedOnlyTargetIsWaitedForOnce(t *testing.T) {
	n, u := one(t, upstreamtest.Config{Script: first(1, upstreamtest.Behavior{Status: 429, RetryAfterMS: "150"}, fine)})
	a := n.chat(ask)
	want(t, a, 200, "")
	r := n.last()
	if len(r.Attempts) != 2 || r.Attempts[0].Outcome != usagev1.Outcome_OUTCOME_LIMITED || r.QueueUs < 100_000 {
		t.Fatalf("%v", r)
	}
	if a.header.Get("X-Vega-Queue-Wait-Ms") == "0" {
		t.Fatal("the wait is not told")
	}
	u.SetScript(nil)
	u.SetDefault(upstreamtest.Behavior{Status: 429, RetryAfterMS: "20", ErrorCode: "slow_down"})
	a = n.chat(ask)
	want(t, a, 429, "slow_down")
	if got := n.last(); len(got.Attempts) != 2 || got.Outcome != usagev1.Outcome_OUTCOME_LIMITED {
		t.Fatalf("%v", got)
	}
}

func TestRetry_PauseBeyondTheDeadlineAndQuotaPassUnchanged(t *testing.T) {
	n, u := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 429, RetryAfter: "50", ErrorCode: "later"}},
		func(s *configv1.Server) { s.Queue.TimeoutMs = 1000 })
	a := n.chat(ask)
	want(t, a, 429, "later")
	if a.header.Get("Retry-After") != "50" || u.Stats().Requests != 1 {
		t.Fatalf("%v calls %d", a.header, u.Stats().Requests)
	}
	// 暂停还在：后来者到达时就知道等不到。
	a = n.chat(ask)
	want(t, a, 429, "queue_full")
	if a.header.Get("Retry-After") == "" || a.header.Get("Retry-After-Ms") == "" || u.Stats().Requests != 1 {
		t.Fatalf("%v", a.header)
	}
	n2, u2 := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 429, ErrorType: "insufficient_quota", ErrorCode: "insufficient_quota"}})
	want(t, n2.chat(ask), 429, "insufficient_quota")
	if u2.Stats().Requests != 1 {
		t.Fatal("a spent quota was tried again")
	}
}

func TestRetry_NoFirstByteInTimeIs504WithoutRetry(t *testing.T) {
	slow := func(s *configv1.Server) { s.Timeouts.FirstByteMs = 60 }
	for _, b := range []upstreamtest.Behavior{{Latency: 5 * time.Second}, {FirstByte: 5 * time.Second}} {
		for _, body := range []string{ask, askStream} {
			n, u := one(t, upstreamtest.Config{Default: b}, slow)
			want(t, n.chat(body), 504, "upstream_timeout")
			settle(t, n, u)
			if r := n.last(); len(r.Attempts) != 1 || u.Stats().Requests != 1 || r.Outcome != usagev1.Outcome_OUTCOME_UPSTREAM_ERROR {
				t.Fatalf("%v, ledger %d", r, u.Stats().Requests)
			}
		}
	}
}

func TestRetry_Upstream401TakesTheTargetOutAndIsOursToAnswer(t *testing.T) {
	locked := upstream(t, upstreamtest.Config{Authorization: "Bearer another"})
	good := upstream(t, upstreamtest.Config{})
	n := start(t, newSnap().server("locked", locked.URL()+"/v1").server("good", good.URL()+"/v1").
		model("l", "locked").model("m", "locked", "good").edit(func(c *configv1.Snapshot) { c.Models[1].Targets[1].Priority = 1 }).compile(t))
	a := n.chat(`{"model":"l"}`)
	want(t, a, 502, "upstream_auth_failed")
	if strings.Contains(a.body, "sk-upstream") {
		t.Fatal("the credential leaked")
	}
	want(t, n.chat(ask), 200, "")
	want(t, n.chat(ask), 200, "")
	if locked.Stats().Requests != 2 {
		t.Fatalf("the ejected target got %d calls, want 2", locked.Stats().Requests)
	}
	if e := n.router.Ejections(); len(e) == 0 {
		t.Fatal("nothing is ejected")
	}
}

func TestRetry_FallbackModelServesWhenAttemptsAreUsedUpOrNothingIsEnabled(t *testing.T) {
	bad := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 500}})
	good := upstream(t, upstreamtest.Config{})
	n := start(t, newSnap().server("bad", bad.URL()+"/v1").server("good", good.URL()+"/v1").
		server("off", bad.URL()+"/v1", func(s *configv1.Server) { s.Enabled = false }).
		model("dark", "off").model("m", "bad").model("plan-b", "good").
		edit(func(c *configv1.Snapshot) {
			c.Models[0].Fallbacks, c.Models[1].Fallbacks = []string{"plan-b"}, []string{"plan-b"}
		}).compile(t))
	want(t, n.chat(ask), 200, "")
	r := n.last()
	if len(r.Attempts) != 3 || r.Model != "m" || r.ServedModel != "plan-b" || r.Attempts[2].ServedModel != "plan-b" || r.Attempts[0].ServedModel != "m" {
		t.Fatalf("%v", r)
	}
	want(t, n.chat(`{"model":"dark"}`), 200, "")
}

func TestRetry_FallbackIsNotForLimits(t *testing.T) {
	busy := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 429, RetryAfter: "50"}})
	good := upstream(t, upstreamtest.Config{})
	n := start(t, newSnap().server("busy", busy.URL()+"/v1").server("good", good.URL()+"/v1").
		model("m", "busy").model("plan-b", "good").
		edit(func(c *configv1.Snapshot) { c.Models[0].Fallbacks = []string{"plan-b"} }).compile(t))
	want(t, n.chat(ask), 429, "")
	if good.Stats().Requests != 0 {
		t.Fatal("a limit made the request fall back")
	}
}

func TestRetry_AtMostThreeAttempts(t *testing.T) {
	bad := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 500}})
	s := newSnap()
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		s.server(name, bad.URL()+"/v1")
	}
	n := start(t, s.model("m", "a", "b", "c", "d", "e").compile(t))
	want(t, n.chat(ask), 500, "")
	if bad.Stats().Requests != 3 {
		t.Fatalf("%d calls", bad.Stats().Requests)
	}
	seen := map[string]bool{}
	for _, at := range n.last().Attempts {
		seen[at.Server] = true
	}
	if len(seen) != 3 {
		t.Fatalf("the same target was tried while others were left: %v", n.last().Attempts)
	}
}

func TestRetry_SickTargetIsEjectedAndTheLastUsableNever(t *testing.T) {
	bad := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 500}})
	good := upstream(t, upstreamtest.Config{})
	n := start(t, newSnap().server("bad", bad.URL()+"/v1").server("good", good.URL()+"/v1").
		model("only", "bad/x").model("m", "bad/x", "good/x").edit(func(c *configv1.Snapshot) { c.Models[1].Targets[1].Priority = 1 }).compile(t))
	for range 8 {
		want(t, n.chat(ask), 200, "")
	}
	if got := bad.Stats().Requests; got != 5 {
		t.Fatalf("the sick target got %d calls, want 5 and then silence", got)
	}
	want(t, n.chat(`{"model":"only"}`), 500, "")
	if got := bad.Stats().Requests; got != 7 {
		t.Fatalf("the last usable target was left out: %d calls", got)
	}
}

func TestRetry_AfterAWaitNamesAreResolvedAgain(t *testing.T) {
	u := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 429, RetryAfterMS: "300"}})
	base := func() *snap { return newSnap().server("s1", u.URL()+"/v1").model("m", "s1").model("x", "s1") }
	n := start(t, base().compile(t))
	for _, c := range []struct {
		next   *snap
		status int
		code   string
	}{
		{base().key("team", secret+"-other"), 401, "invalid_api_key"},
		{newSnap().server("s1", u.URL()+"/v1").model("x", "s1"), 404, "model_not_found"},
		{newSnap().server("s1", u.URL()+"/v1", func(s *configv1.Server) { s.Enabled = false }).model("m", "s1"), 503, "no_server_available"},
	} {
		n.holder.Swap(base().compile(t))
		done := make(chan answer, 1)
		go func() { done <- n.chat(ask) }()
		for n.gate.Totals().Waiting == 0 {
			time.Sleep(time.Millisecond)
		}
		n.holder.Swap(c.next.compile(t))
		want(t, <-done, c.status, c.code)
	}
	settle(t, n, u)
	if got, ledger := attemptsOf(n.journal.all()), u.Stats().Requests; int64(got) != ledger {
		t.Fatalf("%d attempts, ledger %d", got, ledger)
	}
}

func TestRetry_IdempotencyKeyDoesNotMakeTheTransportReplay(t *testing.T) {
	n, u := one(t, upstreamtest.Config{})
	want(t, n.chat(ask), 200, "")
	u.SetScript(first(2, upstreamtest.Behavior{Drop: upstreamtest.CutFIN}, fine))
	want(t, n.chat(ask, func(r *http.Request) { r.Header.Set("Idempotency-Key", "k") }), 200, "")
	rows := u.Ledger()
	if rows[1].RequestID == rows[2].RequestID || rows[2].Header.Get("Idempotency-Key") != "k" {
		t.Fatalf("%q %q", rows[1].RequestID, rows[2].RequestID)
	}
	u.SetScript(first(4, upstreamtest.Behavior{Drop: upstreamtest.CutFIN}, fine))
	want(t, n.do(http.MethodGet, "/v1/files", ""), 200, "")
	settle(t, n, u)
	if got, ledger := attemptsOf(n.journal.all()), u.Stats().Requests; int64(got) != ledger {
		t.Fatalf("%d attempts, ledger %d", got, ledger)
	}
}
