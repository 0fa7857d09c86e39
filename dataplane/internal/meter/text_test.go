package meter

import (
	"bytes"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

// passed 喂完 in（每段 size 字节）之后经过的文字；段与段以 | 隔开。
func passed(kind dialect.StreamKind, in string, size int) (string, Passed, Verdict) {
	var s Stream
	s.Reset(kind, false)
	for p := []byte(in); len(p) > 0; {
		n := min(len(p), max(size, 1))
		s.Feed(p[:n])
		p = p[n:]
	}
	_, v := s.Finish()
	p := s.Passed()
	return strings.ReplaceAll(string(p.Text), "\x00", "|"), p, v
}

func event(json string) string { return "data: " + json + "\n\n" }

func delta(fields string) string {
	return event(`{"id":"c","choices":[{"index":0,"delta":{` + fields + `},"logprobs":null,"finish_reason":null}]}`)
}

func TestText_EveryWayAStreamSpeaks(t *testing.T) {
	for name, c := range map[string]struct {
		kind dialect.StreamKind
		in   string
		want string
	}{
		"content":             {dialect.Chunks, delta(`"role":"assistant","content":""`) + delta(`"content":"Hel"`) + delta(`"content":"lo"`), "Hello"},
		"escapes":             {dialect.Chunks, delta(`"content":"a\"b\\"`) + delta(`"content":"\u4f60 } , \"content\":\"x\""`), `a\"b\\\u4f60 } , \"content\":\"x\"`},
		"spaces":              {dialect.Chunks, event(`{ "choices" : [ { "delta" : { "content" : "a" } } ] }`), "a"},
		"null beside":         {dialect.Chunks, delta(`"content":null,"reasoning_content":"hm"`) + delta(`"content":"yes","reasoning_content":null`), "hm|yes"},
		"reasoning twice":     {dialect.Chunks, delta(`"reasoning_content":"hm","reasoning":"hm"`) + delta(`"reasoning":"so","reasoning_details":[{"type":"reasoning.text","text":"so"}]`), "hmso"},
		"refusal":             {dialect.Chunks, delta(`"refusal":"no"`), "no"},
		"tool call":           {dialect.Chunks, delta(`"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look","arguments":""}}]`) + delta(`"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]`) + delta(`"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]`), `look|{\"a\":1}`},
		"completions":         {dialect.Chunks, event(`{"choices":[{"text":"one ","index":0,"finish_reason":null}]}`) + event(`{"choices":[{"text":"two","index":0,"finish_reason":"stop"}]}`), "one two"},
		"two in one event":    {dialect.Chunks, event(`{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}`), "ab"},
		"log probabilities":   {dialect.Chunks, event(`{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[{"token":"a","bytes":[97],"top_logprobs":[{"token":"b"}]}]}}]}`), "a"},
		"model and id":        {dialect.Chunks, event(`{"id":"content","model":"text","choices":[{"delta":{}}],"system_fingerprint":"x"}`), ""},
		"responses":           {dialect.Typed, "event: response.output_text.delta\n" + event(`{"type":"response.output_text.delta","item_id":"m","delta":"Hel","logprobs":[]}`) + event(`{"type":"response.output_text.delta","delta":"lo"}`) + event(`{"type":"response.output_text.done","text":"Hello"}`), "Hello"},
		"responses arguments": {dialect.Typed, event(`{"type":"response.reasoning_summary_text.delta","delta":"hm"}`) + event(`{"type":"response.function_call_arguments.delta","delta":"{}"}`), "hm|{}"},
		"sound":               {dialect.Typed, event(`{"type":"response.audio.delta","delta":"AAAA"}`) + event(`{"type":"speech.audio.delta","audio":"AAAA"}`) + event(`{"type":"response.audio_transcript.delta","delta":"hi"}`), "hi"},
		"transcript":          {dialect.Typed, event(`{"type":"transcript.text.delta","delta":"said"}`), "said"},
		"untyped":             {dialect.Untyped, delta(`"content":"a"`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			for size := range 60 {
				got, p, v := passed(c.kind, c.in, 60-size)
				if got != c.want || p.Bytes != int64(len(strings.ReplaceAll(c.want, "|", ""))) || p.Bytes != v.TextBytes || p.Kept != p.Bytes {
					t.Fatalf("in pieces of %d: %q %+v, want %q", 60-size, got, p, c.want)
				}
			}
		})
	}
}

func TestText_ParallelAnswersDoNotRunTogether(t *testing.T) {
	var s Stream
	s.Reset(dialect.Chunks, false)
	s.Parallel()
	s.Feed([]byte(delta(`"content":"a"`) + delta(`"content":"b"`)))
	if got := string(s.Passed().Text); got != "a\x00b" {
		t.Errorf("%q", got)
	}
}

func TestText_KeptIsBoundedAndTheRestIsCounted(t *testing.T) {
	var s Stream
	s.Reset(dialect.Chunks, false)
	piece := strings.Repeat("x", 100)
	for range 1_000 {
		s.Feed([]byte(delta(`"content":"` + piece + `"`)))
	}
	p := s.Passed()
	if p.Bytes != 100_000 || p.Kept < maxText/4 || p.Kept > maxText+100 || int64(len(p.Text)) > p.Kept+maxBlocks {
		t.Errorf("%d bytes, kept %d", p.Bytes, p.Kept)
	}
	s.DropText()
	s.Feed([]byte(delta(`"content":"more"`)))
	if p = s.Passed(); p.Bytes != 100_004 || string(p.Text) != "more" || p.Kept != 4 {
		t.Errorf("after the kept text was taken: %+v", p)
	}
}

func TestText_TheSampleIsTakenEvenlyFromStartToEnd(t *testing.T) {
	for _, pieces := range []int{500, 3_000, 20_000, 100_000} {
		var s Stream
		s.Reset(dialect.Chunks, false)
		for i := range pieces {
			s.Feed([]byte(delta(`"content":"` + strings.Repeat(string(rune('a'+i*10/pieces)), 7) + `"`)))
		}
		p, share := s.Passed(), map[rune]int64{}
		for _, c := range string(p.Text) {
			share[c]++
		}
		for c := 'a'; c < 'a'+10; c++ {
			if part := float64(share[c]) / float64(p.Kept); part < 0.03 || part > 0.20 {
				t.Errorf("%d pieces: %.3f of the sample is the %c tenth", pieces, part, c)
			}
		}
		if p.Kept > maxText+textBlock || p.Bytes != int64(7*pieces) {
			t.Errorf("%+v", p)
		}
	}
}

func TestText_UnreportedIsWhatCameAfterTheLastUsage(t *testing.T) {
	usage := `,"usage":{"prompt_tokens":1,"completion_tokens":1}`
	with := strings.Replace(delta(`"content":"abc"`), `}]}`, `}]`+usage+`}`, 1)
	for in, want := range map[string]int64{
		delta(`"content":"abc"`):         3,
		with:                             0,
		with + delta(`"content":"abcd"`): 4,
		with + delta(`"content":"abcd"`) + usageChunk:           0,
		usageChunk + delta(`"content":"a"`) + delta(`"x":null`): 1,
	} {
		if _, _, v := passed(dialect.Chunks, in, 1<<20); v.Unreported != want {
			t.Errorf("%d, want %d: %q", v.Unreported, want, in)
		}
	}
}

func TestStream_LaterUsageReplacesFieldByField(t *testing.T) {
	in := event(`{"type":"message_start","message":{"usage":{"input_tokens":25,"cache_read_input_tokens":5,"output_tokens":1}},"choices":[]}`) +
		event(`{"choices":[],"usage":{"output_tokens":15}}`)
	_, _, v := passed(dialect.Chunks, in, 1<<20)
	if want := (Usage{Prompt: Count{25, true}, Cached: Count{5, true}, Completion: Count{15, true}}); v.Usage != want {
		t.Errorf("%+v", v.Usage)
	}
}

func TestText_OfAWholeAnswer(t *testing.T) {
	for body, c := range map[string]struct {
		kind dialect.Kind
		want string
	}{
		`{"choices":[{"message":{"role":"assistant","content":"Hi","refusal":null}},{"message":{"content":"Ho"}}],"usage":{}}`:                      {dialect.Chat, "Hi|Ho"},
		`{"choices":[{"message":{"content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"look","arguments":"{\"a\":1}"}}]}}]}`: {dialect.Chat, `look|{\"a\":1}`},
		`{"choices":[{"message":{"content":[{"type":"text","text":"part"}],"reasoning_content":"hm"}}]}`:                                            {dialect.Chat, "part|hm"},
		`{"choices":[{"text":"one","index":0}]}`: {dialect.Completions, "one"},
		`{"instructions":"content","output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},{"type":"message","content":[{"type":"output_text","text":"Hi"}]}],"tools":[{"name":"x"}]}`: {dialect.Responses, "hm|Hi"},
		`{"data":[{"text":"x"}]}`:                        {dialect.Embeddings, ""},
		`{"choices":[{"message":{"content":"cut of`:      {dialect.Chat, "cut of"},
		`{"choices":[{"message":{"content":"cut off\`:    {dialect.Chat, "cut off"},
		`{"choices":[{"message":{"content":"cut off\u4f`: {dialect.Chat, "cut off"},
		`{"choices":[{"message":{"content":"a\\`:         {dialect.Chat, `a\\`},
		`{"choices":[{"message":{"content":"a\"`:         {dialect.Chat, `a\"`},
		`{"choices":`:                                    {dialect.Chat, ""},
		`<html>`:                                         {dialect.Chat, ""},
		``:                                               {dialect.Chat, ""},
	} {
		if got := string(bytes.ReplaceAll(Text(nil, c.kind, []byte(body)), []byte{0}, []byte{'|'})); got != c.want {
			t.Errorf("%s: %q, want %q", body, got, c.want)
		}
	}
}

func FuzzText_NeverFailsAndNeverInventsBytes(f *testing.F) {
	f.Add([]byte(`{"choices":[{"message":{"content":"a\"b","reasoning":"x"}}]}`))
	f.Add([]byte(`{"choices":"text":"content":"\`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := Text(nil, dialect.Chat, body)
		for segment := range bytes.SplitSeq(got, []byte{Separator}) {
			if !bytes.Contains(body, segment) {
				t.Fatalf("%q out of %q", segment, body)
			}
		}
		var s Stream
		s.Reset(dialect.Chunks, false)
		s.Feed(append(append([]byte("data: "), body...), "\n\n"...))
		s.Finish()
	})
}

func FuzzIndexKey_IsWhereTheKeyIs(f *testing.F) {
	f.Add([]byte(`{"a":"usage","usage":1}`))
	f.Add([]byte(`usage"usage""usage"`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := indexKey(b, keyUsage), bytes.Index(b, keyUsage); got != want {
			t.Fatalf("%d, want %d in %q", got, want, b)
		}
	})
}
