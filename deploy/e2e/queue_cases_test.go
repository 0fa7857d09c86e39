package e2e

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

func queueHeaders(t *testing.T, l *line) {
	first := l.occupy(ask{})
	second, third := l.behind(ask{node: 1}), l.behind(ask{})
	time.Sleep(300 * time.Millisecond)
	l.release(1)
	a := l.get(first)
	// 名额紧的时候它也要问一趟授予者，那也算进了队。
	if a.status != 200 || a.number("X-Vega-Queue-Wait-Ms") > 100 || a.number("X-Vega-Queue-Position") > 1 || a.header.Get("X-Vega-Server") != l.name {
		t.Errorf("the one that had not to wait: %d %v", a.status, a.header)
	}
	for i, c := range []*call{second, third} {
		l.release(1)
		a := l.get(c)
		if a.status != 200 || a.number("X-Vega-Queue-Wait-Ms") < 300 || a.number("X-Vega-Queue-Position") != i+1 {
			t.Errorf("number %d in the queue: %d %v", i+1, a.status, a.header)
		}
	}
	if most := l.up.Stats().MaxInFlight; most != 1 {
		t.Errorf("the upstream saw %d at once", most)
	}
}

func queueBuckets(t *testing.T, l *line) {
	names := []string{"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests",
		"X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"}
	c := l.send(ask{})
	l.release(1)
	a := l.get(c)
	for _, name := range names {
		if v := a.header.Get(name); v != "" {
			t.Errorf("%s: %q without a limit", name, v)
		}
	}
	l.app("bounded", doc{"requests_per_minute": 600, "tokens_per_minute": 100_000})
	for range 20 {
		c := l.send(ask{app: "bounded"})
		l.release(1)
		l.get(c)
	}
	time.Sleep(time.Second) // 所示的数可以旧到一秒
	c = l.send(ask{app: "bounded"})
	l.release(1)
	a = l.get(c)
	// 突发 60 个、每秒补不到 9 个。
	if left := a.number(names[1]); a.number(names[0]) != 600 || left < 0 || left > 55 || a.number(names[3]) != 100_000 || a.number(names[4]) < 0 || a.number(names[4]) >= 100_000 {
		t.Errorf("after 21 requests: %v", a.header)
	}
	for _, name := range []string{names[2], names[5]} {
		if d, err := time.ParseDuration(a.header.Get(name)); err != nil || d < 0 || d > time.Minute {
			t.Errorf("%s: %q", name, a.header.Get(name))
		}
	}
}

func queueEvents(t *testing.T, l *line) {
	first := l.occupy(ask{})
	c := l.behind(ask{node: 1, stream: true, header: map[string]string{"X-Vega-Queue-Events": "1"}})
	plain := l.behind(ask{node: 1, stream: true})
	select {
	case <-c.headed:
	case <-time.After(7 * time.Second):
		t.Fatal("no head while waiting, though events were asked for")
	}
	lines := bufio.NewReader(c.resp.Body)
	for _, at := range []time.Duration{0, 5 * time.Second} {
		comment := nextComment(t, lines)
		took := time.Since(c.began)
		// 还没有一个做完，谁也不知道一个要多久：不写 wait_ms。
		if comment != ": vega-queue position=1\n" || took < at || took > at+2*time.Second {
			t.Errorf("%q after %s, want its position after %s", comment, took, at)
		}
	}
	select {
	case <-plain.headed:
		t.Error("a head was committed for a client that did not ask")
	default:
	}
	l.release(3)
	l.get(first)
	rest, err := io.ReadAll(lines)
	if err != nil || c.resp.StatusCode != 200 || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") || c.resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%v %v %q", err, c.resp.Header, rest)
	}
	if a := l.get(plain); a.status != 200 || strings.Contains(a.body, "\n:") || strings.HasPrefix(a.body, ":") {
		t.Errorf("the client that did not ask: %d %q", a.status, a.body)
	}
}

// nextComment 读到下一行注释；空行跳过，别的都是错。
func nextComment(t *testing.T, lines *bufio.Reader) string {
	t.Helper()
	for {
		switch line, err := lines.ReadString('\n'); {
		case err != nil || line != "\n" && !strings.HasPrefix(line, ":"):
			t.Fatalf("%q, %v; want a comment", line, err)
		case line != "\n":
			return line
		}
	}
}

func queueEventsRefused(t *testing.T, l *line) {
	first := l.occupy(ask{})
	c := l.send(ask{stream: true, header: map[string]string{"X-Vega-Queue-Events": "1", "X-Vega-Queue-Timeout-Ms": "6000"}})
	a := l.get(c)
	event, body, _ := strings.Cut(a.body, "data: ")
	if a.status != 200 || !strings.HasPrefix(event, ":") || !strings.HasPrefix(body, `{"error":`) || !strings.Contains(body, "queue_timeout") || strings.Contains(a.body, "[DONE]") {
		t.Errorf("%d %q; want comments, one error event, no [DONE]", a.status, a.body)
	}
	l.release(1)
	l.get(first)
	if n := len(l.up.Ledger()); n != 1 {
		t.Errorf("the upstream was called %d times", n)
	}
}

func queueTimeout(t *testing.T, l *line) {
	l.set("queue", doc{"timeout_ms": 900})
	first := l.occupy(ask{})
	short := l.send(ask{header: map[string]string{"X-Vega-Queue-Timeout-Ms": "400"}})
	long := l.send(ask{node: 1, header: map[string]string{"X-Vega-Queue-Timeout-Ms": "60000"}})
	l.get(short).refused(t, "queue_timeout")
	short.within(t, 400*time.Millisecond, 600*time.Millisecond)
	l.get(long).refused(t, "queue_timeout")
	long.within(t, 900*time.Millisecond, 1200*time.Millisecond)
	l.release(1)
	if a := l.get(first); a.status != 200 {
		t.Errorf("the one at the upstream: %+v", a)
	}
	if n := len(l.up.Ledger()); n != 1 {
		t.Errorf("the upstream was called %d times", n)
	}
}

func queueLive(t *testing.T, l *line) {
	calls := []*call{l.occupy(ask{})}
	for i := range 3 {
		calls = append(calls, l.behind(ask{node: i % 2}))
	}
	began := time.Now()
	l.set("limits", doc{"max_concurrency": 4})
	eventually(t, time.Second, "all four at the upstream", func() bool { return l.up.InFlight() == 4 })
	t.Logf("figures: raising a limit admitted its waiters after %s", time.Since(began).Round(time.Millisecond))
	l.set("limits", doc{"max_concurrency": 1})
	late := l.behind(ask{node: 1})
	l.release(3)
	time.Sleep(300 * time.Millisecond)
	if n, arrived := l.up.InFlight(), len(l.up.Ledger()); n != 1 || arrived != 4 {
		t.Errorf("%d in flight, %d calls, after the limit went down to 1", n, arrived)
	}
	l.release(2)
	for _, c := range append(calls, late) {
		if a := l.get(c); a.status != 200 {
			t.Errorf("lowering a limit ended a request: %d %s", a.status, a.body)
		}
	}
}

func queueSeen(t *testing.T, l *line) {
	l.app("other-app", nil)
	first := l.occupy(ask{})
	calls := []*call{first, l.behind(ask{}), l.behind(ask{node: 1}), l.behind(ask{node: 1, app: "other-app"})}
	eventually(t, time.Second, "one in flight by GET /queues", func() bool { return l.queue().InFlight == 1 })
	q := l.queue()
	byApp := map[string]int64{}
	for _, a := range q.ByApp {
		byApp[a.App] = a.Waiting
	}
	if q.Limits.MaxConcurrency != 1 || q.Waiting != 3 || byApp[l.name] != 2 || byApp["other-app"] != 1 || q.Regime != "tight" || q.Leader.Address == "" || q.Leader.Term == 0 {
		t.Errorf("%+v", q)
	}
	var nodes []struct {
		InFlight int64 `json:"in_flight"`
		Waiting  int64
	}
	eventually(t, 3*time.Second, "three waiting by GET /nodes", func() bool {
		if err := l.Admin.Call(t.Context(), http.MethodGet, "/nodes", nil, &nodes); err != nil {
			t.Fatal(err)
		}
		waiting := int64(0)
		for _, n := range nodes {
			waiting += n.Waiting
		}
		return waiting == 3
	})
	l.release(len(calls))
	for _, c := range calls {
		l.get(c)
	}
	eventually(t, 3*time.Second, "an empty queue", func() bool { q := l.queue(); return q.Waiting == 0 && q.InFlight == 0 })
}

func queuePause(t *testing.T, l *line) {
	l.set("limits", doc{"max_concurrency": 4})
	l.up.SetRule(upstreamtest.Rule{Count: 1, Behavior: patch(t, "status=429&retry_after=2")})
	first := l.send(ask{})
	l.release(1)
	eventually(t, 5*time.Second, "the 429", func() bool { return l.up.Stats().ByStatus[429] == 1 })
	paused := time.Now()
	time.Sleep(100 * time.Millisecond) // 让暂停传到另一个节点
	second := l.send(ask{node: 1})
	if q := l.queue(); len(q.Paused) != 1 || q.Paused[0].UpstreamModel != "m" || time.Until(q.Paused[0].Until) > 2*time.Second {
		t.Errorf("operators do not see the pause: %+v", q)
	}
	time.Sleep(time.Until(paused.Add(1800 * time.Millisecond)))
	if n := len(l.up.Ledger()); n != 1 {
		t.Errorf("%d calls while the target was paused, want the one that was refused", n)
	}
	l.release(2)
	for _, c := range []*call{first, second} {
		if a := l.get(c); a.status != 200 || a.number("X-Vega-Queue-Wait-Ms") < 1700 {
			t.Errorf("%d %v", a.status, a.header)
		}
	}
}

func queueApp(t *testing.T, l *line) {
	l.set("limits", doc{"max_concurrency": 8})
	l.app("small", doc{"max_concurrency": 1})
	first := l.occupy(ask{app: "small"})
	c := l.send(ask{node: 1, app: "small", header: map[string]string{"X-Vega-Queue-Timeout-Ms": "400"}})
	other := l.send(ask{node: 1})
	eventually(t, 300*time.Millisecond, "another application is not held up", func() bool { return l.up.InFlight() == 2 })
	l.get(c).refused(t, "rate_limit_exceeded")
	l.release(2)
	for _, c := range []*call{first, other} {
		if a := l.get(c); a.status != 200 {
			t.Errorf("%+v", a)
		}
	}
}

func queueFull(t *testing.T, l *line) {
	l.set("queue", doc{"max_waiting": 2})
	calls := []*call{l.occupy(ask{}), l.behind(ask{}), l.behind(ask{})}
	for range 20 {
		c := l.send(ask{})
		l.get(c).refused(t, "queue_full")
		c.within(t, 0, 200*time.Millisecond) // 竞态检测之下
	}
	l.release(len(calls))
	for _, c := range calls {
		if a := l.get(c); a.status != 200 {
			t.Errorf("%+v", a)
		}
	}
}

func queueNobody(t *testing.T, l *line) {
	l.set("queue", doc{"max_waiting": 0})
	first := l.occupy(ask{})
	for node := range 2 {
		c := l.send(ask{node: node})
		l.get(c).refused(t, "queue_full")
	}
	l.release(1)
	l.get(first)
}

func queueHangup(t *testing.T, l *line) {
	first := l.occupy(ask{})
	c := l.behind(ask{node: 1})
	began := time.Now()
	c.hangUp()
	eventually(t, time.Second, "an empty queue", func() bool { return l.waiting() == 0 })
	t.Logf("figures: a client that hung up left the queue after %s", time.Since(began).Round(time.Millisecond))
	l.release(1)
	l.get(first)
	time.Sleep(100 * time.Millisecond)
	if n := len(l.up.Ledger()); n != 1 {
		t.Errorf("the upstream was called %d times", n)
	}
}

func queueRenewed(t *testing.T, l *line) {
	l.app("leaver", nil)
	first := l.occupy(ask{})
	gone := l.behind(ask{node: 1, app: "leaver"})
	if err := l.Admin.Call(t.Context(), http.MethodDelete, "/apps/leaver/keys/k", nil, nil); err != nil {
		t.Fatal(err)
	}
	l.everywhere()
	l.release(1)
	l.get(first)
	if a := l.get(gone); a.status != http.StatusUnauthorized || a.code() != "invalid_api_key" {
		t.Errorf("a key that was revoked during the wait: %d %s", a.status, a.body)
	}
	second := l.occupy(ask{})
	gone = l.behind(ask{node: 1})
	if err := l.Admin.Call(t.Context(), http.MethodDelete, "/models/"+l.name, nil, nil); err != nil {
		t.Fatal(err)
	}
	l.everywhere()
	l.release(1)
	l.get(second)
	if a := l.get(gone); a.status != http.StatusNotFound || a.code() != "model_not_found" {
		t.Errorf("a model that went during the wait: %d %s", a.status, a.body)
	}
	if n := len(l.up.Ledger()); n != 2 {
		t.Errorf("the upstream was called %d times, want 2", n)
	}
}

func queueWords(t *testing.T, l *line) {
	for _, h := range []map[string]string{{"X-Vega-Queue-Timeout-Ms": "soon"}, {"X-Vega-Queue-Timeout-Ms": "-1"}, {"X-Vega-Class": "first"}} {
		if a := l.get(l.send(ask{header: h})); a.status != http.StatusBadRequest || a.code() != "invalid_request" {
			t.Errorf("%v: %d %s", h, a.status, a.body)
		}
	}
	first := l.occupy(ask{})
	c := l.send(ask{node: 1, header: map[string]string{"X-Vega-Queue-Timeout-Ms": "0"}})
	l.get(c).refused(t, "queue_full")
	c.within(t, 0, 200*time.Millisecond)
	l.release(1)
	l.get(first)
}

// queueClasses 的次序在上游的账上看：User-Agent 是各人的名字。
func queueClasses(t *testing.T, l *line) {
	wait := func(app, class, name string) *call {
		h := map[string]string{"User-Agent": name}
		if class != "" {
			h["X-Vega-Class"] = class
		}
		return l.behind(ask{app: app, node: len(name) % 2, header: h})
	}
	order := func(calls ...*call) string {
		before := len(l.up.Ledger()) - 1 // 占着名额的那一个
		l.release(len(calls))
		for _, c := range calls {
			l.get(c)
		}
		var names []string
		for _, e := range l.up.Ledger()[before+1:] {
			names = append(names, e.Header.Get("User-Agent"))
		}
		return strings.Join(names, " ")
	}
	first := l.occupy(ask{})
	if got := order(first, wait(l.name, "", "a"), wait(l.name, "", "bb"), wait(l.name, "interactive", "c")); got != "a bb c" {
		t.Errorf("an application of class standard that says interactive: %q", got)
	}
	first = l.occupy(ask{})
	if got := order(first, wait(l.name, "batch", "low"), wait(l.name, "batch", "lower"), wait(l.name, "", "a"), wait(l.name, "", "bb")); !strings.HasSuffix(got, " lower") {
		t.Errorf("batch beside standard: %q", got)
	}
}
