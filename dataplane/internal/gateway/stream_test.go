package gateway_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

func TestStream_TruncationEndsTheClientsConnectionAbnormally(t *testing.T) {
	for _, how := range []string{upstreamtest.CutReset, upstreamtest.CutFIN, upstreamtest.CutClean, upstreamtest.CutShort} {
		n, u := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{Half: how, HalfAfter: 3, ChunkDelay: 2 * time.Millisecond}})
		a := n.chat(askStream)
		if a.status != 200 || a.err == nil {
			t.Fatalf("%s: status %d, err %v: the client takes a broken stream for whole", how, a.status, a.err)
		}
		if got := strings.Count(a.body, "data: "); got < 3 || strings.Contains(a.body, "[DONE]") {
			t.Fatalf("%s: %d events passed on: %q", how, got, a.body)
		}
		settle(t, n, u)
		r := n.last()
		if r.Outcome != usagev1.Outcome_OUTCOME_UPSTREAM_ERROR || r.Attempts[0].Outcome != usagev1.Outcome_OUTCOME_UPSTREAM_ERROR || len(r.Attempts) != 1 {
			t.Fatalf("%s: %v", how, r)
		}
	}
}

func TestStream_NothingReceivedYetIsAnErrorAnswer(t *testing.T) {
	for _, how := range []string{upstreamtest.CutReset, upstreamtest.CutFIN, upstreamtest.CutClean} {
		n, _ := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{Half: how}})
		want(t, n.chat(askStream), 502, "upstream_error")
	}
}

func TestServe_JSONCutShortIsAnErrorAnswer(t *testing.T) {
	for _, how := range []string{upstreamtest.CutReset, upstreamtest.CutFIN, upstreamtest.CutClean, upstreamtest.CutShort} {
		n, u := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{Half: how, HalfAfter: 6}})
		want(t, n.chat(ask), 502, "upstream_error")
		if u.Stats().Requests != 1 {
			t.Fatalf("%s: retried after the answer had begun", how)
		}
	}
}

func TestServe_EmptyOrForeign200IsAnUpstreamError(t *testing.T) {
	for _, b := range []upstreamtest.Behavior{{EmptyBody: true}, {HTML: true}, {Body: "[1]"}, {Body: `{"a":1} {"b":2}`}} {
		n, _ := one(t, upstreamtest.Config{Default: b})
		want(t, n.chat(ask), 502, "upstream_error")
		if o := n.last().Outcome; o != usagev1.Outcome_OUTCOME_UPSTREAM_ERROR {
			t.Fatalf("%v", o)
		}
	}
}

func TestServe_BytesPassUntouched(t *testing.T) {
	odd := `{ "id" : "x" ,"big":12345678901234567890,"lone":"\ud800","usage":{"prompt_tokens":1,"completion_tokens":2}}` + "\r\n "
	n, u := one(t, upstreamtest.Config{KeepBodies: true, Default: upstreamtest.Behavior{Body: odd}})
	sent := `{"model" :"m", "seed":9007199254740993,"s":"\ud83d","messages":[]}` + "\n"
	a := n.chat(sent)
	want(t, a, 200, "")
	if a.body != odd {
		t.Fatalf("answer %q", a.body)
	}
	if got, expect := string(u.Ledger()[0].Body), strings.Replace(sent, `"m"`, `"up-m"`, 1); got != expect {
		t.Fatalf("upstream saw %q", got)
	}
}

func TestStream_BytesPassUntouched(t *testing.T) {
	for _, b := range []upstreamtest.Behavior{
		{CRLF: true, Comments: true}, {SplitBytes: 7}, {SplitRunes: true, SplitDelay: time.Millisecond}, {HugeEvent: 3 << 20}, {Burst: 5}, {NoDone: true}, {EarlyHints: 2},
	} {
		n, u := one(t, upstreamtest.Config{Default: b}, func(s *configv1.Server) { s.StreamUsage = configv1.StreamUsage_STREAM_USAGE_NEVER })
		a := n.chat(askStream)
		want(t, a, 200, "")
		direct, err := http.NewRequest(http.MethodPost, u.URL()+"/v1/chat/completions", strings.NewReader(strings.Replace(askStream, `"m"`, `"up-m"`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		direct.Header.Set("Authorization", "Bearer sk-upstream")
		direct.Header.Set("X-Request-Id", a.header.Get("X-Request-Id")+"-1")
		resp, err := n.client.Do(direct)
		if err != nil {
			t.Fatal(err)
		}
		truth, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if scrub(a.body) != scrub(string(truth)) {
			t.Fatalf("%+v:\n got %.300q\nwant %.300q", b, a.body, truth)
		}
	}
}

// scrub 去掉两次应答里本就不同的号与时刻。
func scrub(s string) string {
	for _, key := range []string{`"id":"`, `"created":`} {
		parts := strings.Split(s, key)
		for i := 1; i < len(parts); i++ {
			if end := strings.IndexByte(parts[i], ','); end >= 0 {
				parts[i] = parts[i][end:]
			}
		}
		s = strings.Join(parts, key)
	}
	return s
}

func TestStream_ChunksLeaveAsTheyArrive(t *testing.T) {
	hold := make(chan struct{})
	n, _ := one(t, upstreamtest.Config{Script: func(*upstreamtest.Request) upstreamtest.Behavior {
		return upstreamtest.Behavior{Chunks: 3, HoldLast: hold}
	}})
	resp, err := n.request(t.Context(), "POST", "/v1/chat/completions", askStream)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "data: ") {
		t.Fatalf("%q %v", line, err)
	}
	if len(n.journal.all()) != 0 {
		t.Fatal("the account was closed before the terminal event")
	}
	close(hold)
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
}

func TestStream_ClientGoneCancelsTheUpstreamAndIsNoError(t *testing.T) {
	n, u := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{Chunks: 1000, ChunkDelay: 5 * time.Millisecond}})
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := n.request(ctx, "POST", "/v1/chat/completions", askStream)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = resp.Body.Read(make([]byte, 1))
	cancel()
	resp.Body.Close()
	settle(t, n, u)
	r := n.last()
	if r.Outcome != usagev1.Outcome_OUTCOME_ABORTED || r.Attempts[0].Outcome != usagev1.Outcome_OUTCOME_ABORTED || r.Status != 200 {
		t.Fatalf("%v", r)
	}
	if got := u.Stats(); got.Aborted != 1 {
		t.Fatalf("the upstream was not told: %+v", got)
	}
	if len(n.router.Ejections()) != 0 {
		t.Fatal("an abort counted against the upstream")
	}
}

func TestServe_ClientGoneBeforeTheAnswerCancelsTheUpstream(t *testing.T) {
	n, u := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{Latency: 10 * time.Second}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_ = u.WaitInFlight(ctx, 1)
		cancel()
	}()
	if _, err := n.request(ctx, "POST", "/v1/chat/completions", ask); err == nil {
		t.Fatal("no error for an aborted request")
	}
	settle(t, n, u)
	if r := n.last(); r.Outcome != usagev1.Outcome_OUTCOME_ABORTED || len(r.Attempts) != 1 || r.Status != 0 {
		t.Fatalf("%v", r)
	}
}

func TestStream_DrainReadsToTheEndForTheFigures(t *testing.T) {
	n, u := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{Chunks: 30, ChunkDelay: 3 * time.Millisecond, CompletionTokens: 77}},
		func(s *configv1.Server) { s.OnDisconnect = configv1.OnDisconnect_ON_DISCONNECT_DRAIN })
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := n.request(ctx, "POST", "/v1/chat/completions", askStream)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = resp.Body.Read(make([]byte, 1))
	cancel()
	resp.Body.Close()
	settle(t, n, u)
	r := n.last()
	if r.Outcome != usagev1.Outcome_OUTCOME_ABORTED || r.Attempts[0].Usage.GetCompletionTokens() != 77 || u.Stats().Finished != 1 {
		t.Fatalf("%v %+v", r, u.Stats())
	}
}

func TestStream_QuietUpstreamIsCutAfterIdle(t *testing.T) {
	n, u := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{Chunks: 3, ChunkDelay: 10 * time.Second}},
		func(s *configv1.Server) { s.Timeouts.IdleMs = 80 })
	begin := time.Now()
	a := n.chat(askStream)
	if a.err == nil || time.Since(begin) > 5*time.Second {
		t.Fatalf("err %v after %v", a.err, time.Since(begin))
	}
	settle(t, n, u)
}

func TestStream_ErrorEventIsWholeButCountsAsTheUpstreamsError(t *testing.T) {
	n, _ := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{StreamErrorAfter: 2}})
	a := n.chat(askStream)
	want(t, a, 200, "")
	if o := n.last().Outcome; o != usagev1.Outcome_OUTCOME_UPSTREAM_ERROR {
		t.Fatalf("%v", o)
	}
}

func TestServe_CompressedAnswersAreMeteredAndDecodedForThoseWhoCannot(t *testing.T) {
	for _, enc := range []string{"gzip", "br", "zstd", "deflate"} {
		n, _ := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{Encoding: enc, CompletionTokens: 6}})
		for _, body := range []string{ask, askStream} {
			a := n.chat(body)
			want(t, a, 200, "")
			if a.header.Get("Content-Encoding") != "" || !strings.Contains(a.body, `"choices"`) {
				t.Fatalf("%s: %v %.80q", enc, a.header, a.body)
			}
			if got := n.last().Attempts[0].Usage.GetCompletionTokens(); got != 6 {
				t.Fatalf("%s: %d tokens", enc, got)
			}
		}
	}
	n, _ := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{Encoding: "gzip", CompletionTokens: 6}})
	accept := func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") }
	for _, body := range []string{ask, `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}`} {
		a := n.chat(body, accept)
		want(t, a, 200, "")
		zr, err := gzip.NewReader(strings.NewReader(a.body))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(zr)
		if err != nil || !bytes.Contains(plain, []byte(`"choices"`)) || a.header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%v %v", err, a.header)
		}
		if got := n.last().Attempts[0].Usage.GetCompletionTokens(); got != 6 {
			t.Fatalf("%d tokens", got)
		}
	}
}

func TestServe_RedirectsPassUnchanged(t *testing.T) {
	n, u := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{Redirect: "http://127.0.0.1:1/elsewhere"}})
	a := n.chat(ask)
	if a.status != 307 || a.header.Get("Location") != "http://127.0.0.1:1/elsewhere" || u.Stats().Requests != 1 {
		t.Fatalf("%d %v", a.status, a.header)
	}
}

func TestServe_HeadersAreFilteredBothWays(t *testing.T) {
	n, u := one(t, upstreamtest.Config{Default: upstreamtest.Behavior{Headers: []string{"Set-Cookie: a=b", "Alt-Svc: h3", "X-Vega-Server: fake", "X-Ratelimit-Limit-Requests: 9", "Openai-Version: 1", "X-Upstream: yes"}}},
		func(s *configv1.Server) { s.Headers = []*configv1.Header{{Name: "X-Team", Value: "infra"}} })
	a := n.chat(ask, func(r *http.Request) {
		for _, h := range []string{"Cookie", "X-Forwarded-For", "X-Api-Secret", "X-Request-Id", "Openai-Organization", "X-Stainless-Lang", "Traceparent"} {
			r.Header.Set(h, "client")
		}
	})
	want(t, a, 200, "")
	up := u.Ledger()[0].Header
	for _, h := range []string{"Cookie", "X-Forwarded-For", "X-Api-Secret", "Api-Key"} {
		if up.Get(h) != "" {
			t.Errorf("%s went up", h)
		}
	}
	if up.Get("X-Team") != "infra" || up.Get("Openai-Organization") != "client" || up.Get("X-Stainless-Lang") != "client" || up.Get("Traceparent") != "client" || !strings.HasPrefix(up.Get("X-Request-Id"), "req_") {
		t.Errorf("up: %v", up)
	}
	for _, h := range []string{"Set-Cookie", "Alt-Svc", "X-Ratelimit-Limit-Requests"} {
		if a.header.Get(h) != "" {
			t.Errorf("%s came back", h)
		}
	}
	if a.header.Get("X-Upstream") != "yes" || a.header.Get("Openai-Version") != "1" || a.header.Get("X-Vega-Server") != "s1" || len(a.header["X-Request-Id"]) != 1 {
		t.Errorf("back: %v", a.header)
	}
	if r := n.last(); r.ClientRequestId != "client" {
		t.Errorf("client request id %q", r.ClientRequestId)
	}
	logs := n.logs.String()
	if strings.Contains(logs, secret) || strings.Contains(logs, "sk-upstream") || !strings.Contains(logs, `"client_request_id":"client"`) {
		t.Errorf("log %s", logs)
	}
}

func TestServe_MultipartBinaryAndOtherEndpointsPass(t *testing.T) {
	n, u := one(t, upstreamtest.Config{KeepBodies: true})
	form := "--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n\x00\xff\x01binary\r\n--B--\r\n"
	a := n.do("POST", "/v1/audio/transcriptions", form, func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=B") })
	want(t, a, 200, "")
	if got, expect := string(u.Ledger()[0].Body), strings.Replace(form, "\r\n\r\nm\r\n", "\r\n\r\nup-m\r\n", 1); got != expect {
		t.Fatalf("upstream saw %q", got)
	}
	want(t, n.do("POST", "/v1/embeddings", `{"model":"m","input":"x"}`), 200, "")
	if r := n.last(); r.Attempts[0].Usage.PromptTokens == nil {
		t.Fatalf("%v", r)
	}
	speech := n.do("POST", "/v1/audio/speech", `{"model":"m","input":"hello","voice":"x"}`)
	want(t, speech, 200, "")
	if speech.body == "" {
		t.Fatal("no audio")
	}
	want(t, n.do("POST", "/v1/responses", `{"model":"m","input":"hello"}`), 200, "")
	if r := n.last(); r.Attempts[0].Usage.GetCompletionTokens() == 0 {
		t.Fatalf("%v", r)
	}
	streamed := n.do("POST", "/v1/responses", `{"model":"m","input":"hello","stream":true}`)
	want(t, streamed, 200, "")
	if r := n.last(); !r.Stream || r.Attempts[0].Usage.GetCompletionTokens() == 0 || r.Outcome != usagev1.Outcome_OUTCOME_OK {
		t.Fatalf("%v", r)
	}
	want(t, n.do("POST", "/v1/moderations", `{"input":"x"}`), 200, "")
	if r := n.last(); r.Model != "" || r.Attempts[0].Server != "s1" {
		t.Fatalf("%v", r)
	}
	want(t, n.do("GET", "/v1/files?limit=2&x=%2F", ""), 200, "")
}

func TestServe_NoModelAndNoDefaultIsABadRequest(t *testing.T) {
	u := upstream(t, upstreamtest.Config{})
	n := start(t, newSnap().server("a", u.URL()+"/v1").server("b", u.URL()+"/v1").model("m", "a", "b").compile(t))
	want(t, n.chat(`{"messages":[]}`), 400, "invalid_request")
}
