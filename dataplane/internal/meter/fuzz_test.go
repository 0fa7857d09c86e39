package meter

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

// naiveLine 是一行：内容与行尾。
type naiveLine struct{ text, end string }

func naiveLines(in string) (lines []naiveLine) {
	for in != "" {
		i := strings.IndexAny(in, "\r\n")
		switch {
		case i < 0:
			return append(lines, naiveLine{text: in})
		case strings.HasPrefix(in[i:], "\r\n"):
			lines = append(lines, naiveLine{in[:i], "\r\n"})
			in = in[i+2:]
		default:
			lines = append(lines, naiveLine{in[:i], in[i : i+1]})
			in = in[i+1:]
		}
	}
	return lines
}

// naiveStrip 是一次看完整条流的参照：一行一行、一个事件一个事件，用 encoding/json 判断。
func naiveStrip(in string) (out string, removed int64) {
	var event []naiveLine
	first := true
	flush := func() {
		var data []string
		var whole, left strings.Builder
		for i, l := range event {
			whole.WriteString(l.text + l.end)
			text := l.text
			if first && i == 0 && strings.HasPrefix(text, "\xef\xbb\xbf") {
				text = text[3:]
				left.WriteString("\xef\xbb\xbf")
			}
			if v, ok := strings.CutPrefix(text, "data:"); ok {
				data = append(data, strings.TrimPrefix(v, " "))
			} else if text == "data" {
				data = append(data, "")
			}
			if strings.HasPrefix(text, ":") || text == "" && i < len(event)-1 {
				left.WriteString(text + l.end)
			}
		}
		if naiveUsage(strings.Join(data, "\n")) && len(strings.TrimRight(whole.String(), "\r\n")) <= maxStrip {
			removed++
			out += left.String()
		} else {
			out += whole.String()
		}
		event, first = nil, false
	}
	for _, l := range naiveLines(in) {
		event = append(event, l)
		if l.text == "" {
			flush()
		}
	}
	if len(event) > 0 {
		flush()
	}
	return out, removed
}

func naiveUsage(data string) bool {
	if !json.Valid([]byte(data)) || !hasValue([]byte(data), keyUsage) {
		return false
	}
	d := json.NewDecoder(strings.NewReader(data))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return false
	}
	seen := map[string]string{}
	for d.More() {
		key, _ := d.Token()
		var v json.RawMessage
		if d.Decode(&v) != nil {
			return false
		}
		if _, dup := seen[key.(string)]; !dup {
			seen[key.(string)] = string(v)
		}
	}
	var choices []any
	return strings.HasPrefix(seen["usage"], "{") && strings.HasPrefix(seen["choices"], "[") &&
		json.Unmarshal([]byte(seen["choices"]), &choices) == nil && len(choices) == 0
}

// runAt 把 in 在随机的位置切开喂完。
func runAt(kind dialect.StreamKind, strip bool, in string, r *rand.Rand) (string, Verdict) {
	var s Stream
	s.Reset(kind, strip)
	var out strings.Builder
	for in != "" {
		n := 1 + r.IntN(min(len(in), 1+r.IntN(200)))
		p := []byte(in[:n])
		out.Write(s.Feed(p))
		clear(p)
		in = in[n:]
	}
	rest, v := s.Finish()
	out.Write(rest)
	return out.String(), v
}

type fataler interface{ Fatalf(string, ...any) }

// checkStream 看三件事：剥的结果同参照；任何切法的输出与结论同一整段的；不剥时一个字节不改。
func checkStream(t fataler, in string, seed uint64) {
	want, removed := naiveStrip(in)
	for _, kind := range []dialect.StreamKind{dialect.Chunks, dialect.Typed, dialect.Untyped} {
		for _, strip := range []bool{true, false} {
			expect := in
			if strip && kind == dialect.Chunks {
				expect = want
			}
			got, v := run(kind, strip, in, 0)
			if got != expect {
				t.Fatalf("kind %d strip %v: %q\n gave %q\n want %q", kind, strip, in, got, expect)
			}
			if strip && kind == dialect.Chunks && v.Stripped != removed {
				t.Fatalf("%q: stripped %d, want %d", in, v.Stripped, removed)
			}
			r := rand.New(rand.NewPCG(seed, 1))
			if got2, v2 := runAt(kind, strip, in, r); got2 != expect || v2 != v {
				t.Fatalf("kind %d strip %v: %q cut at random gave %q %+v, want %+v", kind, strip, in, got2, v2, v)
			}
			if got2, v2 := run(kind, strip, in, 1); got2 != expect || v2 != v {
				t.Fatalf("kind %d strip %v: %q byte by byte gave %q %+v, want %+v", kind, strip, in, got2, v2, v)
			}
		}
	}
}

func FuzzStream_AnySplitGivesTheSame(f *testing.F) {
	for _, s := range []string{
		roleChunk + textChunk + usageChunk + doneChunk, "\xef\xbb\xbf" + usageChunk, strings.ReplaceAll(finishChunk+usageChunk, "\n", "\r\n"), strings.ReplaceAll(usageChunk+doneChunk, "\n", "\r"),
		"data: {\"choices\":[],\r\ndata:\"usage\":{}}\r\r\n:x\n\n", "event: error\ndata: x", "data\n\ndata:\n\n", "event: response.completed\ndata: {\"usage\":{\"input_tokens\":1}}\n\n",
	} {
		f.Add([]byte(s), uint64(7))
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) { checkStream(t, string(in), seed) })
}

func TestStream_AnyMixOfEventsAndLineEnds(t *testing.T) {
	pieces := []string{
		"data: ", "data:", "\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n", ": note", ":", "event: error", "id: 1", "retry: 2", "\xef\xbb\xbf", "[DONE]", "data",
		`{"choices":[],"usage":{"prompt_tokens":1}}`, `{"choices":[ ],`, `"usage":{}}`, `{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}`, `{"choices":[{"finish_reason":null}],"usage":null}`,
		`{"error":{"message":"x"}}`, `{"type":"response.completed","response":{"usage":{"output_tokens":3}}}`, "界",
	}
	rapid.Check(t, func(t *rapid.T) {
		in := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 24).Draw(t, "pieces"), "")
		checkStream(t, in, rapid.Uint64().Draw(t, "seed"))
	})
}

func FuzzJSON_NeverInventsFigures(f *testing.F) {
	f.Add([]byte(`{"usage":{"prompt_tokens":1,"completion_tokens":-1,"input_tokens":1.5}}`))
	f.Add([]byte(`{"usage":{"prompt_tokens":1e3,"output_tokens":99999999999999999999}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for kind := dialect.Chat; kind <= dialect.Models; kind++ {
			u, found := JSON(kind, body)
			if found != u.Any() || found && !json.Valid(body) {
				t.Fatalf("%q: %+v %v", body, u, found)
			}
			for _, c := range []Count{u.Prompt, u.Completion, u.Cached, u.Reasoning} {
				if c.Value < 0 || c.Value > maxCount || !c.Set && c.Value != 0 {
					t.Fatalf("%q: %+v", body, u)
				}
			}
		}
		if CheckObject(body) && !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
			t.Fatalf("%q is no object", body)
		}
	})
}
