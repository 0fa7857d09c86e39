package tokens

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tiktoken-go/tokenizer/codec"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

// escaped 给出 JSON 字符串的内容。
func escaped(s string) []byte {
	quoted := gjson.AppendJSONString(nil, s)
	return quoted[1 : len(quoted)-1]
}

func (c *Counter) output(model, text string) int64 {
	e := escaped(text)
	return c.Output(model, e, int64(len(e)))
}

// TestOutput_AgreesWithPublishedCounts 的数出自 OpenAI 公开的例子。
func TestOutput_AgreesWithPublishedCounts(t *testing.T) {
	c := New()
	for _, v := range []struct {
		text           string
		cl100k, o200kN int64
	}{
		{"antidisestablishmentarianism", 6, 6}, {"2 + 2 = 4", 7, 7}, {"お誕生日おめでとう", 9, 8}, {"", 0, 0},
	} {
		if got := c.output("gpt-4", v.text); got != v.cl100k {
			t.Errorf("cl100k_base: %q is %d, want %d", v.text, got, v.cl100k)
		}
		if got := c.output("gpt-4o-2024-08-06", v.text); got != v.o200kN {
			t.Errorf("o200k_base: %q is %d, want %d", v.text, got, v.o200kN)
		}
	}
}

const jargon = `{"model":"gpt-4","messages":[
 {"role":"system","content":"You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
 {"role":"system","name":"example_user","content":"New synergies will help drive top-line growth."},
 {"role":"system","name":"example_assistant","content":"Things working well together will increase revenue."},
 {"role":"system","name":"example_user","content":"Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
 {"role":"system","name":"example_assistant","content":"Let's talk later when we're less busy about how to do better."},
 {"role":"user","content":"This late pivot means we don't have time to boil the ocean for the client deliverable."}]}`

// TestPrompt_AgreesWithThePublishedExample 的数出自 OpenAI 公开的例子，与它的接口报的相等。
func TestPrompt_AgreesWithThePublishedExample(t *testing.T) {
	c := New()
	for model, want := range map[string]int64{"gpt-4": 129, "gpt-3.5-turbo": 129, "gpt-4o": 124} {
		if got := c.Prompt(model, dialect.Chat, []byte(jargon)); got != want {
			t.Errorf("%s: %d, want %d", model, got, want)
		}
	}
}

func TestEncodingOf_KnowsTheFamilies(t *testing.T) {
	c := New()
	for model, want := range map[string]struct{ cl100k, native bool }{
		"gpt-4o": {false, true}, "gpt-4o-mini-2024-07-18": {false, true}, "openai/gpt-4.1": {false, true}, "gpt-5": {false, true}, "o3-mini": {false, true},
		"ft:gpt-4o:acme::1": {false, true}, "chatgpt-4o-latest": {false, true},
		"gpt-4": {true, true}, "GPT-4-Turbo": {true, true}, "gpt-4-32k": {true, true}, "gpt-3.5-turbo": {true, true}, "text-embedding-3-small": {true, true},
		"llama-3-70b": {false, false}, "qwen2.5": {false, false}, "o1x": {false, false}, "gpt-4x": {false, false}, "gpt-45": {false, false}, "": {false, false},
	} {
		e, native := c.encodingOf(model)
		if native != want.native || (e.name == "cl100k_base") != want.cl100k {
			t.Errorf("%q: %s, native %v", model, e.name, native)
		}
	}
}

func TestPrompt_EachShapeOfInput(t *testing.T) {
	c := New()
	for body, want := range map[string]struct {
		kind dialect.Kind
		n    int64
	}{
		`{"prompt":"2 + 2 = 4"}`:                                   {dialect.Completions, 7},
		`{"prompt":["2 + 2 = 4","2 + 2 = 4"]}`:                     {dialect.Completions, 14},
		`{"prompt":[1,2,3]}`:                                       {dialect.Completions, 3},
		`{"input":[[1,2],[3]]}`:                                    {dialect.Embeddings, 3},
		`{"input":[[["2 + 2 = 4"]]]}`:                              {dialect.Embeddings, 0},
		`{"input":[{"type":"text","text":"2 + 2 = 4"}]}`:           {dialect.Moderations, 7},
		`{"query":"2 + 2 = 4","documents":["2 + 2 = 4"]}`:          {dialect.Rerank, 14},
		`{"query":"2 + 2 = 4","documents":[{"text":"2 + 2 = 4"}]}`: {dialect.Rerank, 14},
		`{"input":"2 + 2 = 4"}`:                                    {dialect.Responses, 7 + perMessage + perReply},
		`{"input":"2 + 2 = 4","instructions":"2 + 2 = 4"}`:         {dialect.Responses, 14 + 2*perMessage + perReply},
		`{"messages":[{"role":"user","content":[{"type":"text","text":"2 + 2 = 4"},{"type":"image_url","image_url":{"url":"data:;base64,AAAA"}}]}]}`: {dialect.Chat, 7 + PerAttachment + perMessage + perReply},
		`{"input":[{"role":"user","content":[{"type":"input_text","text":"2 + 2 = 4"}]}]}`:                                                           {dialect.Responses, 7 + perMessage + perReply},
		`{"prompt":"2 + 2 = 4"} `: {dialect.Images, 0},
	} {
		if got := c.Prompt("gpt-4o", want.kind, []byte(body)); got != want.n {
			t.Errorf("%s: %d, want %d", body, got, want.n)
		}
	}
}

func TestOutput_SegmentsDoNotMergeAndEscapesAreUndone(t *testing.T) {
	c := New()
	if got := c.Output("gpt-4o", []byte("2 + 2 = 4\x002 + 2 = 4"), 18); got != 14 {
		t.Errorf("two segments: %d", got)
	}
	raw := []byte(`床前明月光\n\"quoted\" \ud83d\ude00`)
	if plain, got := c.output("gpt-4o", "床前明月光\n\"quoted\" \U0001f600"), c.Output("gpt-4o", raw, int64(len(raw))); plain != got {
		t.Errorf("%d and %d", plain, got)
	}
}

// TestOutput_LongRunsOfSpaceCostLittle 防着占住 CPU 的文字：不切开的话这些要数几十秒。
func TestOutput_LongRunsOfSpaceCostLittle(t *testing.T) {
	c := New()
	text := []byte(strings.Repeat(" \n", 64<<10))
	done := make(chan int64, 2)
	for _, model := range []string{"gpt-4o", "gpt-4"} {
		go func() { done <- c.Output(model, text, int64(len(text))) }()
	}
	for range cap(done) {
		select {
		case n := <-done:
			if n < 60<<10 || n > 70<<10 { // 一对一个 token
				t.Errorf("%d tokens", n)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("counting does not end")
		}
	}
	if s := "a" + strings.Repeat(" ", longestSpace) + "b"; spaceCut(s) != len(s) || spaceCut(" "+s) != len(s)+1 || spaceCut(s[:9]+" "+s[9:]) >= len(s) {
		t.Error("only what is longer than the bound is cut")
	}
}

// corpus 是几种文字各若干段：散文、代码、数字、中文。
func corpus(r *rand.Rand, size int) string {
	words := [][]string{
		strings.Fields("the quick brown fox jumps over a lazy dog while nobody in particular watches, and then everyone goes home; however it was interesting."),
		{"func", " main() {\n", "\treturn", " x", " := ", "range(", "items)", "\n}\n", "if err != nil", " fmt.Println(", `"hello\t"`, ")\n"},
		{"12", "345.67", "-", "1,000,000", "%", "2026-01-02", "0x1f", "\n"},
		{"床前明月光，", "疑是地上霜。", "举头望明月，", "低头思故乡。", "黄河入海流", "\n"},
	}
	var b strings.Builder
	for b.Len() < size {
		list := words[r.IntN(len(words))]
		for range 20 + r.IntN(30) {
			b.WriteString(list[r.IntN(len(list))])
			if list[0] == "the" {
				b.WriteByte(' ')
			}
		}
	}
	return b.String()
}

// TestOutput_ErrorAgainstTheWholeTextStaysSmall 比的是流里留着的开头加推算，与整段文字的真数。
func TestOutput_ErrorAgainstTheWholeTextStaysSmall(t *testing.T) {
	c, r := New(), rand.New(rand.NewPCG(1, 2))
	enc, _ := c.encodingOf("gpt-4o")
	var exact, errs []float64
	for range 200 {
		text := corpus(r, 200+r.IntN(7_000))
		truth := float64(enc.count(text))
		exact = append(exact, math.Abs(float64(c.output("gpt-4o", text))-truth)/truth)
	}
	for range 60 {
		text := escaped(strings.Repeat(corpus(r, 4_000), 2+r.IntN(4)))
		truth := float64(c.Output("gpt-4o", text, int64(len(text))))
		kept := text[:8<<10]
		errs = append(errs, math.Abs(float64(c.Output("gpt-4o", kept, int64(len(text))))-truth)/truth)
	}
	fmt.Printf("figures: token_count error_p95=%.4f texts=%d error_p95_beyond_the_kept_text=%.4f\n", p95(exact), len(exact), p95(errs))
	if p95(exact) > 0.02 || p95(errs) > 0.10 {
		t.Errorf("p95 %.4f and %.4f", p95(exact), p95(errs))
	}
}

func p95(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)*95/100]
}

// TestLearn_AForeignTokenizerIsCorrectedFromWhatItReports 的上游数的是 cl100k 的 1.3 倍，我们不知道。
func TestLearn_AForeignTokenizerIsCorrectedFromWhatItReports(t *testing.T) {
	c, r := New(), rand.New(rand.NewPCG(3, 4))
	truth := func(text string) int64 { return round(1.3 * float64(c.cl100k.count(text))) }
	run := func(n int) (p float64) {
		var errs []float64
		for range n {
			text := corpus(r, 500+r.IntN(3_000))
			want := float64(truth(text))
			errs = append(errs, math.Abs(float64(c.output("foreign", text))-want)/want)
		}
		return p95(errs)
	}
	before := run(40)
	taught := 0
	for range 200 {
		text := corpus(r, 500+r.IntN(3_000))
		c.Learn("foreign", Lesson{Bytes: int64(len(escaped(text))), Output: truth(text)})
		if c.Wants("foreign") {
			taught++
			c.LearnText("foreign", escaped(text), truth(text))
		}
	}
	after := run(100)
	fmt.Printf("figures: token_count_foreign error_p95_before=%.4f error_p95=%.4f texts_counted_to_learn=%d of=200\n", before, after, taught)
	if after > 0.10 || taught > 40 || before < after {
		t.Errorf("before %.3f after %.3f, counted %d", before, after, taught)
	}
}

func TestLearn_WithoutEverCountingNoEncodingIsLoaded(t *testing.T) {
	c := New()
	loaded := false
	for _, e := range []*encoding{&c.o200k, &c.cl100k} {
		load := e.load
		*e = encoding{e.name, func() *codec.Codec { loaded = true; return load() }}
	}
	for range 100 {
		c.Learn("foreign", Lesson{Estimate: 100, Prompt: 130, Bytes: 400, Output: 100})
		if c.Wants("foreign") {
			t.Fatal("a model that was never counted wants its text counted")
		}
	}
	if got := c.GuessOutput("foreign", 4_000); got < 990 || got > 1010 {
		t.Errorf("guessed %d from the bytes, want 1000", got)
	}
	if got := c.GuessPrompt("foreign", 1_000); got < 1290 || got > 1310 {
		t.Errorf("guessed %d of the prompt, want 1300", got)
	}
	if c.GuessOutput("unheard of", 4_000) != 1000 || c.GuessPrompt("unheard of", 77) != 77 || loaded {
		t.Error("the guess without lessons, or an encoding was loaded")
	}
	// 还没有学过校正时，每字节的比已经可信就用它，也不必装编码。
	if got := c.Output("foreign", []byte("abcd"), 4_000); got < 990 || got > 1010 || loaded {
		t.Errorf("counted %d, loaded %v", got, loaded)
	}
}

func TestPrompt_AHugeOneIsCountedInBoundedTime(t *testing.T) {
	c := New()
	text := strings.Repeat("The same sentence again and again, with a number 42. ", 40_000)
	body := []byte(`{"messages":[{"role":"user","content":"` + text + `"}]}`)
	enc, _ := c.encodingOf("gpt-4o")
	want := float64(enc.count(text[:53*100])) / 100 * 40_000
	if got := float64(c.Prompt("gpt-4o", dialect.Chat, body)); math.Abs(got-want)/want > 0.02 {
		t.Errorf("%v, want %v", got, want)
	}
}

func BenchmarkOutput_1000Tokens(b *testing.B) {
	c := New()
	text := escaped(corpus(rand.New(rand.NewPCG(5, 6)), 4_000))
	c.Output("gpt-4o", text, int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		c.Output("gpt-4o", text, int64(len(text)))
	}
}
