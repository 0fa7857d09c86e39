package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// narrow 让一个 server 同时只做一件事。
func narrow(s *configv1.Server) { s.Limits = &configv1.Limits{MaxConcurrency: 1}; s.AbortGraceMs = 0 }

// busy 是一个同时只做一件事的上游，第一个请求占着它，直到 free 被调用。
type busy struct {
	*node
	up    *upstreamtest.Server
	free  func()
	first chan answer
}

// occupied 起一个被占着的布置；then 是第一个之后的请求的剧本。
func occupied(t *testing.T, then upstreamtest.Behavior, edit ...func(*configv1.Server)) *busy {
	t.Helper()
	hold := make(chan struct{})
	u := upstream(t, upstreamtest.Config{Script: first(1, upstreamtest.Behavior{HoldHead: hold}, then), KeepBodies: true})
	n := startLed(t, newSnap().server("s1", u.URL()+"/v1", append([]func(*configv1.Server){narrow}, edit...)...).model("m", "s1").compile(t))
	b := &busy{node: n, up: u, free: sync.OnceFunc(func() { close(hold) }), first: make(chan answer, 1)}
	t.Cleanup(b.free)
	go func() { b.first <- n.chat(ask) }()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := u.WaitInFlight(ctx, 1); err != nil {
		t.Fatal(err)
	}
	return b
}

// waiting 等到恰好有 n 个在等。
func (n *node) waiting(want int64) {
	n.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); n.gate.Totals().Waiting != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			n.t.Fatalf("%d waiting, want %d", n.gate.Totals().Waiting, want)
		}
	}
}

// enqueue 发出一个请求，等它站进队里。
func (n *node) enqueue(body string, edit ...func(*http.Request)) <-chan answer {
	n.t.Helper()
	before := n.gate.Totals().Waiting
	out := make(chan answer, 1)
	go func() { out <- n.chat(body, edit...) }()
	n.waiting(before + 1)
	return out
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = []string{value} }
}

func TestQueue_TellsTheWaitAndThePlaceAtEntry(t *testing.T) {
	b := occupied(t, fine)
	second, third := b.enqueue(ask), b.enqueue(ask)
	time.Sleep(20 * time.Millisecond)
	b.free()
	waited := func(a answer) (ms int) {
		if _, err := fmt.Sscan(a.header.Get("X-Vega-Queue-Wait-Ms"), &ms); err != nil {
			t.Errorf("waited %q ms", a.header.Get("X-Vega-Queue-Wait-Ms"))
		}
		return ms
	}
	for want, c := range map[string]<-chan answer{"1": second, "2": third} {
		a := <-c
		if got := a.header.Get("X-Vega-Queue-Position"); a.status != 200 || got != want || waited(a) < 20 {
			t.Errorf("%d, position %q after %d ms, want %q after at least 20", a.status, got, waited(a), want)
		}
	}
	if a := <-b.first; a.status != 200 || waited(a) >= 20 {
		t.Errorf("%d, the first waited %d ms", a.status, waited(a))
	}
	settle(t, b.node, b.up)
	if s := b.up.Stats(); s.MaxInFlight != 1 || s.Requests != 3 {
		t.Fatalf("%+v", s)
	}
}

func TestQueue_ClientMayShortenTheWaitButNotLengthenIt(t *testing.T) {
	b := occupied(t, fine, func(s *configv1.Server) { s.Queue.TimeoutMs = 400 })
	for _, c := range []struct {
		header     string
		code       string
		least, top time.Duration
	}{
		{"0", "queue_full", 0, 90 * time.Millisecond},
		{"100", "queue_timeout", 100 * time.Millisecond, 300 * time.Millisecond},
		{"60000", "queue_timeout", 400 * time.Millisecond, 3 * time.Second},
		{"99999999999999999999", "queue_timeout", 400 * time.Millisecond, 3 * time.Second},
	} {
		begin := time.Now()
		a := b.chat(ask, header("X-Vega-Queue-Timeout-Ms", c.header))
		took := time.Since(begin)
		want(t, a, 429, c.code)
		if took < c.least || took > c.top {
			t.Errorf("%s: answered after %v", c.header, took)
		}
		var seconds, ms int64
		fmt.Sscan(a.header.Get("Retry-After"), &seconds)
		fmt.Sscan(a.header.Get("Retry-After-Ms"), &ms)
		if seconds < 1 || ms < 1 || seconds*1000 < ms {
			t.Errorf("%s: Retry-After %q, %q ms", c.header, a.header.Get("Retry-After"), a.header.Get("Retry-After-Ms"))
		}
		if waited := a.header.Get("X-Vega-Queue-Position") != ""; waited != (c.least > 0) {
			t.Errorf("%s: position %q", c.header, a.header.Get("X-Vega-Queue-Position"))
		}
	}
	if got := b.up.Stats().Requests; got != 1 {
		t.Fatalf("%d requests reached the upstream", got)
	}
	b.free()
	want(t, <-b.first, 200, "")
}

func TestQueue_MalformedWishesAreRefused(t *testing.T) {
	n, u := one(t, upstreamtest.Config{})
	for name, values := range map[string][]string{
		"X-Vega-Queue-Timeout-Ms": {"", "-1", "1.5", "soon", "0x10"},
		"X-Vega-Class":            {"", "urgent", "Interactive", "3"},
	} {
		for _, v := range values {
			a := n.chat(ask, header(name, v))
			want(t, a, 400, "invalid_request")
			if !strings.Contains(a.body, `"param":"`+strings.ToLower(name)+`"`) {
				t.Errorf("%s: %s", name, a.body)
			}
		}
		want(t, n.chat(ask, func(r *http.Request) { r.Header[name] = []string{"0", "0"} }), 400, "invalid_request")
	}
	if u.Stats().Requests != 0 {
		t.Fatal("a refused request reached the upstream")
	}
	want(t, n.chat(ask, header("X-Vega-Queue-Events", "yes please")), 200, "")
}

// order 是上游见到的次序，以请求体里的 user 为名。
func (b *busy) order() (names []string) {
	for _, row := range b.up.Ledger()[1:] {
		_, name, _ := strings.Cut(string(row.Body), `"user":"`)
		name, _, _ = strings.Cut(name, `"`)
		names = append(names, name)
	}
	return names
}

func named(user string) string {
	return `{"model":"m","user":"` + user + `","max_tokens":8,"messages":[{"role":"user","content":"hi"}]}`
}

func TestQueue_CallerMayLowerItsClassOnly(t *testing.T) {
	// a 带着头，b 没有；次序是入队的次序。
	for _, c := range []struct {
		app    configv1.AppClass
		header string
		queue  []string
		want   string
	}{
		{configv1.AppClass_APP_CLASS_STANDARD, "batch", []string{"a1", "a2", "a3", "b1", "b2"}, "a1 b1 b2 a2 a3"}, // 降了的让着没有降的
		{configv1.AppClass_APP_CLASS_BATCH, "interactive", []string{"b1", "b2", "b3", "a1", "a2"}, "b1 b2 b3 a1 a2"},
		{configv1.AppClass_APP_CLASS_STANDARD, "standard", []string{"a1", "a2", "b1", "b2"}, "a1 a2 b1 b2"},
	} {
		hold := make(chan struct{})
		even := upstreamtest.Behavior{PromptTokens: 25, CompletionTokens: 8} // 与预计的差不多，公平的账才好算
		held := even
		held.HoldHead = hold
		u := upstream(t, upstreamtest.Config{Script: first(1, held, even), KeepBodies: true})
		n := startLed(t, newSnap().server("s1", u.URL()+"/v1", narrow).model("m", "s1").
			edit(func(s *configv1.Snapshot) { s.Apps[0].Class = c.app }).compile(t))
		b := &busy{node: n, up: u}
		go n.chat(named("first"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := u.WaitInFlight(ctx, 1); err != nil {
			t.Fatal(err)
		}
		var all []<-chan answer
		for _, user := range c.queue {
			edit := header("X-None", "1")
			if user[0] == 'a' {
				edit = header("X-Vega-Class", c.header)
			}
			all = append(all, n.enqueue(named(user), edit))
		}
		close(hold)
		for _, a := range all {
			want(t, <-a, 200, "")
		}
		settle(t, n, u)
		if got := strings.Join(b.order(), " "); got != c.want {
			t.Errorf("app %v, header %s: %s, want %s", c.app, c.header, got, c.want)
		}
	}
}

func TestQueue_ClientsThatHangUpLeaveAtOnceAndNeverReachTheUpstream(t *testing.T) {
	b := occupied(t, fine)
	const clients = 40
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			body, edit := ask, header("X-None", "1")
			if i%2 == 1 {
				body, edit = askStream, header("X-Vega-Queue-Events", "1")
			}
			resp, err := b.request(ctx, http.MethodPost, "/v1/chat/completions", body, edit)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			if err == nil {
				t.Error("an aborted request was answered")
			}
		})
	}
	b.waiting(clients)
	begin := time.Now()
	cancel()
	b.waiting(0)
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("they left after %v", took)
	}
	wg.Wait()
	b.free()
	want(t, <-b.first, 200, "")
	want(t, b.chat(ask), 200, "")
	settle(t, b.node, b.up)
	if got := b.up.Stats().Requests; got != 2 {
		t.Fatalf("%d requests reached the upstream, want 2", got)
	}
	if len(b.journal.refused()) != 0 && b.journal.refused()["canceled"] != clients {
		t.Errorf("refused %v", b.journal.refused())
	}
}

func TestQueue_NothingIsCommittedForThoseWhoDoNotAsk(t *testing.T) {
	b := occupied(t, fine)
	for _, c := range []struct{ body, extra string }{
		{askStream, ""},
		{ask, "X-Vega-Queue-Events: 1\r\n"}, // 不是流
		{askStream, "X-Vega-Queue-Events: true\r\n"},
	} {
		conn, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
			secret, c.extra, len(c.body), c.body)
		b.waiting(1)
		_ = conn.SetReadDeadline(time.Now().Add(3 * eventEvery))
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%+v: %d bytes came while waiting", c, n)
		}
		conn.Close()
		b.waiting(0)
	}
}

func TestQueue_EventsTellThePlaceAndThenTheStreamPassesByteForByte(t *testing.T) {
	story := upstreamtest.Behavior{CRLF: true, Comments: true, Chunks: 4}
	b := occupied(t, story, func(s *configv1.Server) { s.StreamUsage = configv1.StreamUsage_STREAM_USAGE_NEVER })
	ahead := b.enqueue(ask)
	resp, err := b.request(t.Context(), http.MethodPost, "/v1/chat/completions", askStream, header("X-Vega-Queue-Events", "1"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-cache" ||
		resp.Header.Get("X-Vega-Queue-Position") != "2" || resp.Header.Get("X-Request-Id") == "" || resp.Header.Get("X-Vega-Server") != "" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	r := bufio.NewReader(resp.Body)
	var at []time.Time
	for len(at) < 4 {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\n" {
			continue
		}
		if !strings.HasPrefix(line, ": vega-queue position=2") {
			t.Fatalf("%q", line)
		}
		at = append(at, time.Now())
	}
	if span := at[3].Sub(at[0]); span < 2*eventEvery || span > 20*eventEvery {
		t.Errorf("three intervals took %v, each should be %v", span, eventEvery)
	}
	if b.up.Stats().Requests != 1 {
		t.Fatal("a waiting request reached the upstream")
	}
	b.free()
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	got := string(rest)
	for strings.HasPrefix(got, "\n") || strings.HasPrefix(got, ": vega-queue") {
		_, got, _ = strings.Cut(got, "\n")
	}
	want(t, <-ahead, 200, "")
	truth := b.chat(askStream)
	want(t, truth, 200, "")
	if scrub(got) != scrub(truth.body) || !strings.HasSuffix(got, "data: [DONE]\r\n\r\n") {
		t.Fatalf("\n got %q\nwant %q", got, truth.body)
	}
	settle(t, b.node, b.up)
	for _, r := range b.journal.all() {
		if r.Id == resp.Header.Get("X-Request-Id") && (r.Status != 200 || !r.Stream || r.QueueUs == 0) {
			t.Fatalf("%v", r)
		}
	}
}

// events 等到上游空出来，返回看见的事件流（去掉排队的注释）与出没出错。
func (b *busy) events(t *testing.T, edit ...func(*http.Request)) (body string, err error) {
	t.Helper()
	resp, err := b.request(t.Context(), http.MethodPost, "/v1/chat/completions", askStream, append(edit, header("X-Vega-Queue-Events", "1"))...)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	b.free()
	all, err := io.ReadAll(resp.Body)
	for _, line := range strings.SplitAfter(string(all), "\n\n") {
		if !strings.HasPrefix(line, ": vega-queue") {
			body += line
		}
	}
	return body, err
}

func TestQueue_AfterThe200AnErrorIsOneEventAndTheEnd(t *testing.T) {
	for name, c := range map[string]struct {
		then upstreamtest.Behavior
		code string
		log  string
	}{
		"upstream error": {upstreamtest.Behavior{Status: 400, ErrorCode: "theirs"}, "theirs", `"status":400`},
		"in many lines": {upstreamtest.Behavior{Status: 422, Body: "{\n  \"error\": {\n\"message\":\"a\\nb\",\r\n\"type\":null,\"param\":null,\"code\":\"many\"}}\n"},
			"many", `"status":422`},
		"HTML":              {upstreamtest.Behavior{Status: 403, HTML: true}, "upstream_error", `"status":403`},
		"still failing":     {upstreamtest.Behavior{Status: 503, ErrorCode: "down"}, "down", `"status":503`},
		"too large to keep": {upstreamtest.Behavior{Status: 500, Body: strings.Repeat("x", 3<<20), ContentType: "text/plain"}, "upstream_error", `"status":500`},
		"not a stream":      {upstreamtest.Behavior{Body: `{"choices":[]}`}, "upstream_error", `"status":502`},
		"redirect":          {upstreamtest.Behavior{Redirect: "http://127.0.0.1:1/x"}, "upstream_error", `"status":502`},
		"cut before a byte": {upstreamtest.Behavior{Half: upstreamtest.CutReset}, "upstream_error", `"status":502`},
		"dropped":           {upstreamtest.Behavior{Drop: upstreamtest.CutFIN}, "upstream_error", `"status":502`},
	} {
		t.Run(name, func(t *testing.T) {
			b := occupied(t, c.then)
			body, err := b.events(t)
			data, tail, found := strings.Cut(body, "\n\n")
			if err != nil || !found || tail != "" || !strings.HasPrefix(data, "data: {") || strings.ContainsAny(data, "\r\n") {
				t.Fatalf("err %v, %q", err, body)
			}
			if code := (answer{body: strings.TrimPrefix(data, "data: ")}).code(t); code != c.code {
				t.Fatalf("code %q: %s", code, data)
			}
			settle(t, b.node, b.up)
			b.logged(t, c.log)
			all := b.journal.all()
			if r := all[len(all)-1]; len(all) != 2 || !r.Stream || c.log != fmt.Sprintf(`"status":%d`, r.Status) {
				t.Errorf("%d records, the last: %v", len(all), r)
			}
			if got, ledger := attemptsOf(b.journal.all()), b.up.Stats().Requests; int64(got) != ledger {
				t.Fatalf("%d attempts, ledger %d", got, ledger)
			}
		})
	}
}

// logged 等到访问日志里有一行含 text。
func (n *node) logged(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Second); !strings.Contains(n.logs.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s in %s", text, n.logs.String())
		}
	}
}

func TestQueue_RefusalAfterThe200IsAnEventAndCountedAsARefusal(t *testing.T) {
	b := occupied(t, fine)
	a := b.chat(askStream, header("X-Vega-Queue-Events", "1"), header("X-Vega-Queue-Timeout-Ms", "120"))
	if a.err != nil || a.status != 200 {
		t.Fatalf("%d %v", a.status, a.err)
	}
	_, event, found := strings.Cut(a.body, "data: ")
	if !found || (answer{body: strings.TrimSpace(event)}).code(t) != "queue_timeout" || strings.Contains(a.body, "[DONE]") || strings.Count(a.body, ": vega-queue") < 2 {
		t.Fatalf("%q", a.body)
	}
	b.logged(t, `"code":"queue_timeout"`)
	b.logged(t, `"status":429,"outcome":"refused"`)
	if b.journal.refused()["queue_timeout"] != 1 || b.up.Stats().Requests != 1 {
		t.Fatalf("refused %v, %d calls", b.journal.refused(), b.up.Stats().Requests)
	}
	// 没有排过队的拒绝，该是什么状态还是什么状态。
	want(t, b.chat(askStream, header("X-Vega-Queue-Events", "1"), header("X-Vega-Queue-Timeout-Ms", "0")), 429, "queue_full")
	b.free()
}

// 排队消息之前就写出了 200，所以客户端在上游作答之前走掉，账上也是 200，不是没有写过头。
func TestQueue_AHangUpAfterThe200IsRecordedWithIt(t *testing.T) {
	for name, then := range map[string]upstreamtest.Behavior{
		"before the upstream's head": {Latency: 20 * time.Second}, "before its first byte": {FirstByte: 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			b := occupied(t, then)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			resp, err := b.request(ctx, http.MethodPost, "/v1/chat/completions", askStream, header("X-Vega-Queue-Events", "1"))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b.free()
			want(t, <-b.first, 200, "")
			for b.up.Stats().Requests < 2 {
				time.Sleep(time.Millisecond)
			}
			cancel()
			settle(t, b.node, b.up)
			all := b.journal.all()
			r := all[len(all)-1]
			if len(all) != 2 || r.Id != resp.Header.Get("X-Request-Id") || r.Status != 200 || !r.Stream || r.Outcome != usagev1.Outcome_OUTCOME_ABORTED || r.FirstByteUs != 0 {
				t.Errorf("%d records, the last: %v", len(all), r)
			}
			b.logged(t, `"status":200,"outcome":"aborted"`)
		})
	}
}

func TestQueue_TruncationAfterTheStreamBeganStillEndsAbnormally(t *testing.T) {
	b := occupied(t, upstreamtest.Behavior{Half: upstreamtest.CutReset, HalfAfter: 3, ChunkDelay: 2 * time.Millisecond})
	body, err := b.events(t)
	if err == nil || strings.Contains(body, `"error"`) || strings.Count(body, "data: ") < 3 {
		t.Fatalf("err %v, %q", err, body)
	}
	settle(t, b.node, b.up)
}

func TestQueue_CompressedStreamIsDecodedBehindACommittedHead(t *testing.T) {
	b := occupied(t, upstreamtest.Behavior{Encoding: "gzip"}, func(s *configv1.Server) { s.StreamUsage = configv1.StreamUsage_STREAM_USAGE_NEVER })
	body, err := b.events(t, header("Accept-Encoding", "gzip"))
	if err != nil || !strings.HasSuffix(body, "data: [DONE]\n\n") {
		t.Fatalf("err %v, %.80q", err, body)
	}
}

func TestRetry_After429AtTheLimitItComesBackToItsOldPlace(t *testing.T) {
	hold := make(chan struct{})
	u := upstream(t, upstreamtest.Config{KeepBodies: true, Script: func(r *upstreamtest.Request) upstreamtest.Behavior {
		if r.Seq == 1 {
			return upstreamtest.Behavior{HoldHead: hold, Status: 429, RetryAfterMS: "150"}
		}
		return fine
	}})
	n := startLed(t, newSnap().server("s1", u.URL()+"/v1", narrow).model("m", "s1").compile(t))
	early := make(chan answer, 1)
	go func() { early <- n.chat(named("early")) }()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := u.WaitInFlight(ctx, 1); err != nil {
		t.Fatal(err)
	}
	late := n.enqueue(named("late"))
	close(hold)
	want(t, <-early, 200, "")
	want(t, <-late, 200, "")
	rows := u.Ledger()
	if len(rows) != 3 || !strings.Contains(string(rows[1].Body), "early") || !strings.Contains(string(rows[2].Body), "late") {
		t.Fatalf("%d calls, the second was %s", len(rows), rows[1].Body)
	}
	if gap := rows[1].Start.Sub(rows[0].End); gap < 140*time.Millisecond {
		t.Errorf("the target was called %v after its 429", gap)
	}
}

func TestRetry_TheSameServerOnceMoreWaitsWhenOthersHaveTakenItsPlace(t *testing.T) {
	hold := make(chan struct{})
	u := upstream(t, upstreamtest.Config{Script: first(1, upstreamtest.Behavior{HoldHead: hold, Status: 503}, upstreamtest.Behavior{Latency: 100 * time.Millisecond})})
	n := startLed(t, newSnap().server("s1", u.URL()+"/v1", narrow).model("m", "s1").compile(t))
	one := make(chan answer, 1)
	go func() { one <- n.chat(ask) }()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := u.WaitInFlight(ctx, 1); err != nil {
		t.Fatal(err)
	}
	other := n.enqueue(ask)
	close(hold)
	want(t, <-one, 200, "")
	want(t, <-other, 200, "")
	settle(t, n, u)
	if s := u.Stats(); s.Requests != 3 || s.MaxInFlight != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestRetry_Upstream401WaitsForAnotherThatIsMerelyBusy(t *testing.T) {
	b := occupied(t, fine)
	locked := upstream(t, upstreamtest.Config{Authorization: "Bearer another"})
	b.holder.Swap(newSnap().server("s1", b.up.URL()+"/v1", narrow).server("locked", locked.URL()+"/v1").
		model("m", "locked", "s1").edit(func(c *configv1.Snapshot) { c.Models[0].Targets[1].Priority = 1 }).compile(t))
	waits := b.enqueue(ask)
	time.Sleep(150 * time.Millisecond) // 不肯等的早该得到回答了
	b.free()
	a := <-waits
	want(t, a, 200, "")
	if a.header.Get("X-Vega-Server") != "s1" || locked.Stats().Requests != 1 {
		t.Fatalf("%v, %d calls", a.header, locked.Stats().Requests)
	}
}

func TestQueue_AModelOfFallbacksAloneWaitsAsLongAsTheyAllow(t *testing.T) {
	b := occupied(t, fine)
	b.holder.Swap(newSnap().server("s1", b.up.URL()+"/v1", narrow).model("m", "s1").model("alias").
		edit(func(c *configv1.Snapshot) { c.Models[1].Fallbacks = []string{"m"} }).compile(t))
	waits := b.enqueue(`{"model":"alias"}`)
	b.free()
	want(t, <-waits, 200, "")
}

func TestQueue_AFullServerIsPassedOverForOneThatCanStart(t *testing.T) {
	b := occupied(t, fine)
	other := upstream(t, upstreamtest.Config{})
	n := b.node
	n.holder.Swap(newSnap().server("s1", b.up.URL()+"/v1", narrow).server("s2", other.URL()+"/v1").
		model("m", "s1", "s2").edit(func(c *configv1.Snapshot) { c.Models[0].Targets[1].Priority = 1 }).compile(t))
	a := n.chat(ask)
	want(t, a, 200, "")
	wait, err := strconv.Atoi(a.header.Get("X-Vega-Queue-Wait-Ms")) // 问过授予者，至多一个来回
	if a.header.Get("X-Vega-Server") != "s2" || err != nil || wait > 1000 || wait == 0 && a.header.Get("X-Vega-Queue-Position") != "" {
		t.Fatalf("%v", a.header)
	}
	b.free()
}

func TestAbort_ACutCallKeepsItsPlaceForTheGrace(t *testing.T) {
	const grace = 300 * time.Millisecond
	u := upstream(t, upstreamtest.Config{Script: first(1, upstreamtest.Behavior{Chunks: 1000, ChunkDelay: 5 * time.Millisecond}, fine)})
	n := startLed(t, newSnap().server("s1", u.URL()+"/v1", narrow, func(s *configv1.Server) { s.AbortGraceMs = grace.Milliseconds() }).model("m", "s1").compile(t))
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := n.request(ctx, http.MethodPost, "/v1/chat/completions", askStream)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = resp.Body.Read(make([]byte, 1))
	next := n.enqueue(ask)
	cancel()
	resp.Body.Close()
	want(t, <-next, 200, "")
	rows := u.Ledger()
	if gap := rows[1].Start.Sub(rows[0].End); gap < grace-50*time.Millisecond {
		t.Fatalf("the next call started %v after the abort, the grace is %v", gap, grace)
	}
}

func TestLimits_AppSeesItsOwnBucketOnAnswersAndRefusals(t *testing.T) {
	u := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{PromptTokens: 11, CompletionTokens: 5, Headers: []string{"X-Ratelimit-Remaining-Tokens: 1"}}})
	n := startLed(t, newSnap().server("s1", u.URL()+"/v1").model("m", "s1").edit(func(s *configv1.Snapshot) {
		s.Apps[0].Limits = &configv1.Limits{RequestsPerMinute: 600, TokensPerMinute: 60_000}
	}).compile(t))
	for _, a := range []answer{n.chat(ask), n.chat(askStream), n.chat(`{"model":"nope"}`)} {
		for name, want := range map[string]string{"Limit-Requests": "600", "Limit-Tokens": "60000"} {
			if got := a.header.Get("X-Ratelimit-" + name); got != want {
				t.Errorf("%d: %s = %q", a.status, name, got)
			}
		}
		for _, kind := range []string{"Requests", "Tokens"} {
			var left int64
			if _, err := fmt.Sscan(a.header.Get("X-Ratelimit-Remaining-"+kind), &left); err != nil || left < 2 || left > 6000 {
				t.Errorf("%d: %s remaining %q", a.status, kind, a.header.Get("X-Ratelimit-Remaining-"+kind))
			}
			if _, err := time.ParseDuration(a.header.Get("X-Ratelimit-Reset-" + kind)); err != nil {
				t.Errorf("%d: %s reset: %v", a.status, kind, err)
			}
		}
	}
	for name := range n.do(http.MethodGet, "/v1/models", "").header {
		if strings.HasPrefix(name, "X-Ratelimit") {
			t.Errorf("a local answer carries %s", name)
		}
	}
	plain, _ := one(t, upstreamtest.Config{})
	for name := range plain.chat(ask).header {
		if strings.HasPrefix(name, "X-Ratelimit") {
			t.Errorf("an app without limits sees %s", name)
		}
	}
}

func TestSettle_TheBucketEndsUpWithWhatTheUpstreamReported(t *testing.T) {
	const limit, burst = 60_000, 6_000
	ten := `{"model":"m","n":10,"messages":[]}` // 预计五千多
	for name, c := range map[string]struct {
		b    upstreamtest.Behavior
		body string
		used int64
	}{
		"json, more than predicted":    {upstreamtest.Behavior{PromptTokens: 1000, CompletionTokens: 4000}, ask, 5000},
		"stream, more than predicted":  {upstreamtest.Behavior{PromptTokens: 1000, CompletionTokens: 4000}, askStream, 5000},
		"less than predicted":          {upstreamtest.Behavior{PromptTokens: 10, CompletionTokens: 20}, ten, 30},
		"an error costs nothing":       {upstreamtest.Behavior{Status: 400}, ten, 0},
		"missing is counted":           {upstreamtest.Behavior{Usage: upstreamtest.UsageMissing}, ten, 490},
		"unknown stays the prediction": {upstreamtest.Behavior{HTML: true}, ten, 5120},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := upstream(t, upstreamtest.Config{Default: c.b})
			n := startLed(t, newSnap().server("s1", u.URL()+"/v1").model("m", "s1").edit(func(s *configv1.Snapshot) {
				s.Apps[0].Limits = &configv1.Limits{TokensPerMinute: limit}
			}).compile(t))
			begin := time.Now()
			if a := n.chat(c.body); a.err != nil {
				t.Fatal(a.err)
			}
			settle(t, n, u)
			time.Sleep(2 * time.Second) // 余量至多一秒旧，节点闲置的单位也在一秒之内还回去；这段时间桶里回来两千左右
			levels, ok := n.gate.Levels("team")
			back := int64(time.Since(begin).Seconds() * limit / 60)
			if missing := burst - levels.Tokens.Remaining; !ok || missing < c.used-back-400 || missing > c.used+1000 {
				t.Fatalf("%d are missing from the bucket after %d were used and at most %d came back", missing, c.used, back)
			}
		})
	}
}
