package upstreamtest

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/tidwall/gjson"
)

func TestBehavior_ScriptedErrorHasOpenAIFormAndRetryHeaders(t *testing.T) {
	s := started(t, Config{Default: Behavior{Status: 503, ErrorCode: "overloaded", RetryAfter: "7", RetryAfterMS: "6500", Headers: []string{"Set-Cookie: a=b", "Alt-Svc: clear"}}})
	got := post(t, s, "/v1/chat/completions", "a", chatStream)
	if got.status != 503 || got.header.Get("Retry-After") != "7" || got.header.Get("Retry-After-Ms") != "6500" ||
		got.header.Get("Set-Cookie") != "a=b" || got.header.Get("Alt-Svc") != "clear" {
		t.Fatalf("%+v", got)
	}
	if want := `{"error":{"message":"Service Unavailable","type":"server_error","param":null,"code":"overloaded"}}`; got.body != want {
		t.Fatal(got.body)
	}
}

func TestBehavior_OddAnswers(t *testing.T) {
	cases := map[string]struct {
		b      Behavior
		status int
		body   string // 应当含有
	}{
		"html":                {Behavior{Status: 502, HTML: true}, 502, "<h1>502 Bad Gateway</h1>"},
		"not JSON":            {Behavior{Body: "not json", ContentType: "text/plain"}, 200, "not json"},
		"empty":               {Behavior{EmptyBody: true}, 200, ""},
		"redirect":            {Behavior{Redirect: "http://example.invalid/"}, 307, ""},
		"wrong credential":    {Behavior{Authorization: "Bearer other"}, 401, "invalid_api_key"},
		"right credential":    {Behavior{Authorization: "Bearer sk-upstream"}, 200, "[DONE]"},
		"stream_options":      {Behavior{RefuseStreamOptions: true}, 400, `"param":"stream_options"`},
		"CRLF":                {Behavior{CRLF: true, Chunks: 1}, 200, "data: [DONE]\r\n\r\n"},
		"comments":            {Behavior{Comments: true}, 200, ": keep-alive\ndata: {"},
		"huge event":          {Behavior{HugeEvent: 3 << 20}, 200, string(huge(3 << 20))},
		"finish reason":       {Behavior{FinishReason: "content_filter"}, 200, `"finish_reason":"content_filter"`},
		"burst":               {Behavior{Burst: 5, Chunks: 12, ChunkDelay: time.Millisecond}, 200, "[DONE]"},
		"bytes one by one":    {Behavior{SplitBytes: 1, Chunks: 2}, 200, "[DONE]"},
		"runes cut in halves": {Behavior{SplitRunes: true}, 200, "[DONE]"},
	}
	plain := spoken(post(t, started(t, Config{}), "/v1/chat/completions", "p", chatStream).body)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := started(t, Config{Default: c.b})
			got := post(t, s, "/v1/chat/completions", "a", chatStream)
			if got.status != c.status || got.err != nil || !strings.Contains(got.body, c.body) || (c.b.EmptyBody && got.body != "") {
				t.Fatalf("%d %v %.400s", got.status, got.err, got.body)
			}
			if e := entry(t, s, "a"); !e.Finished || e.Status != c.status {
				t.Fatalf("ledger %+v", e)
			}
			split := c.b.Burst > 0 || c.b.SplitRunes || c.b.Comments
			if split && spoken(got.body) != plain {
				t.Fatalf("text differs: %q", spoken(got.body))
			}
		})
	}
}

// 直接看 TCP 上每次读到的字节：至少有一次停在字符中间。
func TestBehavior_SplitRunesCutsInsideACharacter(t *testing.T) {
	s := started(t, Config{Default: Behavior{SplitRunes: true, SplitDelay: 20 * time.Millisecond, Chunks: 1, Text: "é"}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write([]byte("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " +
		strconv.Itoa(len(chatStream)) + "\r\n\r\n" + chatStream))
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("no read ended inside the character: %v", err)
		}
		if bytes.HasSuffix(buf[:n], []byte("\xc3\r\n")) { // 分块编码的一块恰好停在 é 的前半
			return
		}
	}
}

func TestBehavior_EarlyHintsComeBeforeTheHead(t *testing.T) {
	s := started(t, Config{Default: Behavior{EarlyHints: 2}})
	var hints int
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
		if code == http.StatusEarlyHints {
			hints++
		}
		return nil
	}}
	r := newRequest(t, httptrace.WithClientTrace(t.Context(), trace), s, "/v1/chat/completions", "a", chatJSON)
	resp, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if hints != 2 || resp.StatusCode != 200 || resp.Header.Get("Link") != "" {
		t.Fatalf("%d hints, %d, Link %q", hints, resp.StatusCode, resp.Header.Get("Link"))
	}
}

func TestBehavior_EncodesRegardlessOfAcceptEncoding(t *testing.T) {
	decoders := map[string]func(io.Reader) (io.Reader, error){
		"gzip":    func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"deflate": func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) },
		"zstd":    func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, zstd.WithDecoderConcurrency(1)) },
		"br":      func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
	}
	for name, decoder := range decoders {
		t.Run(name, func(t *testing.T) {
			s := started(t, Config{Default: Behavior{Encoding: name, Chunks: 4}})
			for id, body := range map[string]string{"j": chatJSON, "s": chatStream} {
				got := post(t, s, "/v1/chat/completions", id, body)
				r, err := decoder(strings.NewReader(got.body))
				if err != nil || got.header.Get("Content-Encoding") != name {
					t.Fatal(err, got.header)
				}
				plain, err := io.ReadAll(r)
				if err != nil || !strings.Contains(string(plain), `"total_tokens"`) {
					t.Fatalf("%v %s", err, plain)
				}
			}
		})
	}
}

func TestBehavior_LatencyComesBeforeTheHeadAndFirstByteAfterIt(t *testing.T) {
	const d = 60 * time.Millisecond
	s := started(t, Config{Default: Behavior{Latency: d, FirstByte: d}})
	begin := time.Now()
	resp, err := client(t).Do(newRequest(t, t.Context(), s, "/v1/chat/completions", "a", chatJSON))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	head := time.Since(begin)
	_, _ = io.ReadAll(resp.Body)
	if total := time.Since(begin); head < d || total < 2*d {
		t.Fatalf("head after %s, body after %s", head, total)
	}
}

func TestScript_IsSwappedWhileRunning(t *testing.T) {
	s := started(t, Config{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 25 {
				status := 200
				if i%2 == 0 {
					status = 418
				}
				s.SetScript(func(r *Request) Behavior {
					b := r.Default
					b.Status = status
					return b
				})
				if got := post(t, s, "/v1/chat/completions", "x", chatJSON).status; got != 200 && got != 418 {
					t.Errorf("status %d", got)
				}
			}
		})
	}
	wg.Wait()
	s.SetScript(func(r *Request) Behavior {
		return Behavior{Status: 400, ErrorMessage: r.Model + " " + gjson.GetBytes(r.Body, "messages.0.role").String()}
	})
	if got := post(t, s, "/v1/chat/completions", "y", chatJSON); !strings.Contains(got.body, `"gpt-4o user"`) {
		t.Fatal(got.body)
	}
}

func TestDirectives_InModelAndPromptWinOverEverything(t *testing.T) {
	s := started(t, Config{Default: Behavior{Status: 500}, Script: func(*Request) Behavior { return Behavior{Status: 501} }})
	patch, err := ParsePatch("status=502")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(model, prompt string) answered {
		return post(t, s, "/v1/chat/completions", "x", `{"model":"`+model+`","messages":[{"role":"user","content":"`+prompt+`"}]}`)
	}
	if got := ask("m", ""); got.status != 501 {
		t.Fatalf("script: %d", got.status)
	}
	s.SetRule(Rule{Behavior: patch})
	if got := ask("m", ""); got.status != 502 {
		t.Fatalf("rule: %d", got.status)
	}
	if got := ask("m?status=503", ""); got.status != 503 {
		t.Fatalf("model: %d", got.status)
	}
	if got := ask("m?status=503", `hi [[fake?status=504\u0026error_code=late]] there`); got.status != 504 || !strings.Contains(got.body, `"late"`) {
		t.Fatalf("prompt: %+v", got)
	}
	if got := ask("m?status=200&usage=always", ""); gjson.Get(got.body, "model").String() != "m" {
		t.Fatalf("answered model: %s", got.body)
	}
	if got := ask("m?latencyy=1s", ""); got.status != 400 || !strings.Contains(got.body, "latencyy") {
		t.Fatalf("misspelt: %+v", got)
	}
}
