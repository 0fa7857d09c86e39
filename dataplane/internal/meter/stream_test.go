package meter

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

const (
	roleChunk   = `data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}` + "\n\n"
	textChunk   = `data: {"id":"c","choices":[{"index":0,"delta":{"content":"he said \"usage\": {} and \"choices\":[]"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n"
	finishChunk = `data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}` + "\n\n"
	usageChunk  = `data: {"id":"c","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}` + "\n\n"
	doneChunk   = "data: [DONE]\n\n"
)

var chatUsage = Usage{Prompt: Count{11, true}, Completion: Count{7, true}, Cached: Count{4, true}, Reasoning: Count{2, true}}

// run 把 in 按 size 切开喂完（0 是一整段），返回传出的全部字节与结论。每段用完就涂掉：旁路不许记着它。
func run(kind dialect.StreamKind, strip bool, in string, size int) (string, Verdict) {
	var s Stream
	s.Reset(kind, strip)
	var out strings.Builder
	for len(in) > 0 {
		n := len(in)
		if size > 0 {
			n = min(n, size)
		}
		p := []byte(in[:n])
		out.Write(s.Feed(p))
		clear(p)
		in = in[n:]
	}
	rest, v := s.Finish()
	out.Write(rest)
	return out.String(), v
}

func TestStream_StripsExactlyTheUsageEvent(t *testing.T) {
	head, tail := "\xef\xbb\xbf: hello\n\n"+roleChunk+textChunk+finishChunk, ": bye\n\nid: 7\nretry: 10\n"+doneChunk
	for size := range 40 {
		got, v := run(dialect.Chunks, true, head+usageChunk+tail, size)
		if got != head+tail {
			t.Fatalf("split %d: got %q", size, got)
		}
		if !v.Whole || v.Usage != chatUsage || !v.HasUsage || v.Stripped != 1 || v.Events != 5 || v.ErrorEvent {
			t.Fatalf("split %d: %+v", size, v)
		}
	}
}

func TestStream_TapPassesTheVerySlice(t *testing.T) {
	var s Stream
	s.Reset(dialect.Chunks, false)
	for _, in := range []string{roleChunk, usageChunk[:20], usageChunk[20:], "junk", "\r", "\n"} {
		p := []byte(in)
		if got := s.Feed(p); &got[0] != &p[0] || len(got) != len(p) {
			t.Fatalf("%q was not passed on as it is", in)
		}
	}
	if rest, _ := s.Finish(); len(rest) != 0 {
		t.Fatalf("rest %q", rest)
	}
}

func TestStream_WholeEventsPassWithoutCopyWhileStripping(t *testing.T) {
	var s Stream
	s.Reset(dialect.Chunks, true)
	p := []byte(roleChunk + textChunk)
	if got := s.Feed(p); &got[0] != &p[0] || len(got) != len(p) {
		t.Fatalf("got %q", got)
	}
	q := []byte(finishChunk + usageChunk)
	if got := s.Feed(q); &got[0] != &q[0] || string(got) != finishChunk {
		t.Fatalf("got %q", got)
	}
}

func TestStream_KeepsWhatOnlyLooksLikeUsage(t *testing.T) {
	for _, event := range []string{
		`data: {"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1}}`, `data: {"choices":[],"usage":null}`, `data: {"choices":[],"prompt_filter_results":[]}`,
		`data: {"usage":{"prompt_tokens":1}}`, `data: {"choices":null,"usage":{"prompt_tokens":1}}`, `data: {"choices":[],"usage":7}`, `data: {"choices":[],"x":{"usage":{}}}`,
		`data: {"choices":[],"usage":{}`, `: {"choices":[],"usage":{}}`, `event: x`, `data: {"choices":{},"usage":{}}`, `data: "\"choices\":[],\"usage\":{}"`,
		`data: {"choices":[],"pad":"` + strings.Repeat("x", maxStrip) + `","usage":{}}`,
	} {
		in := event + "\n\n" + doneChunk
		for _, size := range []int{0, 1, 7, 4096} {
			if got, v := run(dialect.Chunks, true, in, size); got != in || v.Stripped != 0 {
				t.Errorf("split %d: %.80q changed to %.80q", size, in, got)
			}
		}
	}
}

func TestStream_StripsEveryWayOfWritingTheUsageEvent(t *testing.T) {
	for _, c := range [][2]string{
		{`data:{ "usage" : { } , "choices" : [ ] }` + "\n\n", ""},
		{"data: {\"choices\":[],\ndata: \"usage\":{}}\n\n", ""},
		{"event: message\r\nid: 3\r\n: keep me\r\ndata: {\"choices\":[],\"usage\":{}}\r\n\r\n", ": keep me\r\n"},
		{"data: {\"choices\":[],\"usage\":{}}\r\r", ""},
		{"\xef\xbb\xbfdata: {\"choices\":[],\"usage\":{}}\n\n", "\xef\xbb\xbf"},
		{"data: {\"choices\":[],\"usage\":{}}", ""},
	} {
		for size := range 30 {
			if got, v := run(dialect.Chunks, true, c[0], size); got != c[1] || v.Stripped != 1 {
				t.Errorf("split %d: %q gave %q", size, c[0], got)
			}
		}
	}
}

func TestStream_TellsWholeFromCut(t *testing.T) {
	for _, c := range []struct {
		name, in     string
		kind         dialect.StreamKind
		whole, error bool
	}{
		{"empty", "", dialect.Chunks, false, false},
		{"cut after text", roleChunk + textChunk, dialect.Chunks, false, false},
		{"finish only", roleChunk + finishChunk, dialect.Chunks, true, false},
		{"done only", roleChunk + doneChunk, dialect.Chunks, true, false},
		{"done without blank line", roleChunk + "data: [DONE]", dialect.Chunks, true, false},
		{"half finish", roleChunk + finishChunk[:len(finishChunk)-20], dialect.Chunks, false, false},
		{"finish in content", `data: {"choices":[{"delta":{"content":"x","finish_reason":"stop"}}]}` + "\n\n", dialect.Chunks, false, false},
		{"usage only", usageChunk, dialect.Chunks, false, false},
		{"error event", roleChunk + `data: {"error":{"message":"m"}}` + "\n\n", dialect.Chunks, true, true},
		{"error null", `data: {"error":null,"choices":[]}` + "\n\n", dialect.Chunks, false, false},
		{"named error", "event: error\ndata: {}\n\n", dialect.Chunks, true, true},
		{"second choice finished", `data: {"choices":[{"finish_reason":null},{"finish_reason":"length"}]}` + "\n\n", dialect.Chunks, true, false},
		{"comment only", ": [DONE]\n\n", dialect.Chunks, false, false},
		{"typed completed", "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n", dialect.Typed, true, false},
		{"typed without event line", "data: {\"type\":\"response.incomplete\"}\n\n", dialect.Typed, true, false},
		{"typed late type", "data: {\"a\":1, \"type\":\"transcript.text.done\"}\n\n", dialect.Typed, true, false},
		{"typed failed", "event: response.failed\ndata: {}\n\n", dialect.Typed, true, true},
		{"typed bare error", "data: {\"error\":{\"message\":\"m\"}}\n\n", dialect.Typed, true, true},
		{"typed partial", "event: response.output_text.done\ndata: {}\n\n", dialect.Typed, false, false},
		{"typed null error", "event: response.created\ndata: {\"error\":null}\n\n", dialect.Typed, false, false},
		{"untyped", "data: x\n\n", dialect.Untyped, true, false},
	} {
		for _, size := range []int{0, 1, 3, 11} {
			if _, v := run(c.kind, false, c.in, size); v.Whole != c.whole || v.ErrorEvent != c.error {
				t.Errorf("%s, split %d: %+v", c.name, size, v)
			}
		}
	}
}

func TestStream_TerminalIsSeenWithTheReadThatHoldsIt(t *testing.T) {
	var s Stream
	s.Reset(dialect.Chunks, true)
	for _, step := range []struct {
		in   string
		want bool
	}{{finishChunk, false}, {usageChunk, false}, {"data: [DO", false}, {"NE]", true}, {"\n\n", true}} {
		s.Feed([]byte(step.in))
		if s.TerminalSeen() != step.want {
			t.Fatalf("after %q: %v", step.in, !step.want)
		}
	}
	if v := s.Verdict(); v.Usage != chatUsage {
		t.Fatalf("usage is not known at the terminal event: %+v", v)
	}
	s.Reset(dialect.Typed, false)
	s.Feed([]byte("event: response.completed\n"))
	if s.TerminalSeen() {
		t.Fatal("before the data of the event")
	}
	s.Feed([]byte(`data: {"type":"response.completed","response":{"usage":{"input_tokens":0,"output_tokens":5,"input_tokens_details":{"cached_tokens":0},"output_tokens_details":{"reasoning_tokens":3}}}}` + "\n\n"))
	want := Usage{Prompt: Count{0, true}, Completion: Count{5, true}, Cached: Count{0, true}, Reasoning: Count{3, true}}
	if v := s.Verdict(); !s.TerminalSeen() || v.Usage != want || !v.Whole {
		t.Fatalf("%+v", v)
	}
}

func TestStream_FirstContentIsNotTheRole(t *testing.T) {
	for _, c := range []struct {
		kind   dialect.StreamKind
		events []string
	}{
		{dialect.Chunks, []string{": ping\n\n", roleChunk, textChunk}},
		{dialect.Chunks, []string{roleChunk, `data: {"choices":[{"delta":{"content":null,"tool_calls":[{"index":0}]}}]}` + "\n\n"}},
		{dialect.Chunks, []string{`data: {"choices":[{"text":""}]}` + "\n\n", `data: {"choices":[{"text":"a"}]}` + "\n\n"}},
		{dialect.Chunks, []string{roleChunk, `data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}` + "\n\n"}},
		{dialect.Typed, []string{"event: response.created\ndata: {}\n\n", "event: response.output_text.delta\ndata: {}\n\n"}},
	} {
		var s Stream
		s.Reset(c.kind, false)
		for i, e := range c.events {
			s.Feed([]byte(e))
			if want := i == len(c.events)-1; s.ContentSeen() != want {
				t.Errorf("%q: %v", e, !want)
			}
		}
	}
}

func TestStream_CumulativeUsageReplaces(t *testing.T) {
	var in strings.Builder
	for i := range 5 {
		fmt.Fprintf(&in, `data: {"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":3,"completion_tokens":%d}}`+"\n\n", i)
	}
	_, v := run(dialect.Chunks, false, in.String()+finishChunk+doneChunk, 0)
	if want := (Usage{Prompt: Count{3, true}, Completion: Count{4, true}}); v.Usage != want {
		t.Fatalf("%+v", v)
	}
}

func TestStream_MegabyteEventsPassAndAreRead(t *testing.T) {
	big := `data: {"choices":[{"delta":{"content":"` + strings.Repeat("界", 700_000) + `"},"finish_reason":"stop"}]}` + "\n\n"
	for _, strip := range []bool{true, false} {
		for _, size := range []int{0, 4096, 100_001} {
			got, v := run(dialect.Chunks, strip, roleChunk+big+usageChunk, size)
			if want := roleChunk + big; strip && got != want || !strip && got != want+usageChunk {
				t.Fatalf("strip %v split %d: %d bytes", strip, size, len(got))
			}
			if !v.Whole || v.Oversized || v.Usage != chatUsage {
				t.Fatalf("strip %v split %d: %+v", strip, size, v)
			}
		}
	}
}

func TestStream_EventTooLargeToReadIsNotCalledCut(t *testing.T) {
	huge := "event: response.completed\ndata: {\"x\":\"" + strings.Repeat("y", maxEvent) + "\"}\n\n"
	for _, kind := range []dialect.StreamKind{dialect.Chunks, dialect.Typed} {
		for _, size := range []int{0, 32 << 10} {
			for _, strip := range []bool{true, false} {
				got, v := run(kind, strip, huge, size)
				if got != huge || !v.Whole || !v.Oversized || v.Events != 1 {
					t.Fatalf("kind %d split %d: %d bytes, %+v", kind, size, len(got), v)
				}
			}
		}
	}
	if _, v := run(dialect.Chunks, false, huge+textChunk, 0); v.Whole {
		t.Fatal("a cut after a later event is still a cut")
	}
}

func TestStream_HoldsBackNoMoreThanTheCap(t *testing.T) {
	var s Stream
	s.Reset(dialect.Chunks, true)
	sent, got := 0, 0
	p := []byte("data: " + strings.Repeat("x", 1018))
	for range 200 {
		sent += len(p)
		got += len(s.Feed(p))
		if sent-got > maxStrip+slack+len(p) {
			t.Fatalf("%d bytes are held back", sent-got)
		}
	}
	if sent != got {
		t.Fatalf("a released event is held back again: %d of %d", got, sent)
	}
}

func TestStream_DoesNotAllocatePerChunk(t *testing.T) {
	in := benchStream()
	for _, strip := range []bool{true, false} {
		for _, size := range []int{0, 100, 1000} {
			var s Stream
			feed := func() {
				s.Reset(dialect.Chunks, strip)
				for b := in; len(b) > 0; {
					n := len(b)
					if size > 0 {
						n = min(n, size)
					}
					s.Feed(b[:n])
					b = b[n:]
				}
				s.Finish()
			}
			feed()
			if n := testing.AllocsPerRun(50, feed); n > 4 {
				t.Errorf("strip %v split %d: %v allocations per stream of 64 chunks", strip, size, n)
			}
		}
	}
}

func TestPool_GivesAFreshStream(t *testing.T) {
	var p Pool
	s := p.Get(dialect.Chunks, true)
	s.Feed([]byte(usageChunk + doneChunk + "data: half"))
	p.Put(s)
	s = p.Get(dialect.Chunks, false)
	if rest, v := s.Finish(); len(rest) != 0 || v != (Verdict{}) || s.TerminalSeen() || s.ContentSeen() {
		t.Fatalf("%q %+v", rest, v)
	}
}

func benchStream() []byte {
	var b bytes.Buffer
	b.WriteString(roleChunk)
	for i := range 61 {
		fmt.Fprintf(&b, `data: {"id":"chatcmpl-9","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":" word%d"},"logprobs":null,"finish_reason":null}],"usage":null}`+"\n\n", i)
	}
	b.WriteString(finishChunk + usageChunk + doneChunk)
	return b.Bytes()
}

func BenchmarkFeed64Chunks(b *testing.B) {
	in := benchStream()
	chunks := bytes.SplitAfter(in, []byte("\n\n"))
	var ragged [][]byte
	for rest := in; len(rest) > 0; {
		n := min(len(rest), 1000)
		ragged = append(ragged, rest[:n])
		rest = rest[n:]
	}
	for _, c := range []struct {
		name  string
		strip bool
		reads [][]byte
	}{{"paced/tap", false, chunks}, {"paced/strip", true, chunks}, {"ragged/tap", false, ragged}, {"ragged/strip", true, ragged}, {"burst/tap", false, [][]byte{in}}, {"burst/strip", true, [][]byte{in}}} {
		b.Run(c.name, func(b *testing.B) {
			var s Stream
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				s.Reset(dialect.Chunks, c.strip)
				for _, r := range c.reads {
					s.Feed(r)
				}
				s.Finish()
			}
		})
	}
}

func BenchmarkFeedContinuousUsage(b *testing.B) {
	p := []byte(`data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}],"usage":{"prompt_tokens":3,"completion_tokens":40,"total_tokens":43}}` + "\n\n")
	var s Stream
	s.Reset(dialect.Chunks, true)
	b.ReportAllocs()
	for b.Loop() {
		s.Feed(p)
	}
}
