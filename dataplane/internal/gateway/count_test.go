package gateway_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// TestCount_AStreamThatKeepsItsUsageToItselfIsCountedInFullFromThenOn：要了用量而不给的目标，头一次由抽出的几段推算，其后边走边数。
func TestCount_AStreamThatKeepsItsUsageToItselfIsCountedInFullFromThenOn(t *testing.T) {
	// 前面是英文，后面是数字：只留开头就推不出后面。
	text := strings.Repeat(sentence+" ", 200) + strings.Repeat("7 0 3 9 1 5 2 8 ", 2_000)
	const truth = 2_000 + 32_000
	n, u := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{Text: text, Chunks: 2000, Usage: upstreamtest.UsageMissing}})
	var off [2]float64
	for i := range off {
		want(t, n.chat(askStream), 200, "")
		a := n.last().Attempts[0]
		if a.Source != counted {
			t.Fatalf("%v", a)
		}
		off[i] = math.Abs(float64(a.Usage.GetCompletionTokens())-truth) / truth
	}
	fmt.Printf("figures: token_count_silent first_error=%.4f later_error=%.4f\n", off[0], off[1])
	if off[0] > 0.10 || off[1] > 0.02 {
		t.Errorf("errors %v", off)
	}
	// 又给了：不再边走边数，用它给的。
	u.SetDefault(upstreamtest.Behavior{Text: text, Chunks: 2000, CompletionTokens: 5})
	want(t, n.chat(askStream), 200, "")
	if a := n.last().Attempts[0]; a.Source != reported || a.Usage.GetCompletionTokens() != 5 {
		t.Errorf("%v", a)
	}
}

func TestCount_ALargePromptOfAnAbandonedStreamIsGuessedFromWhatWasLearnt(t *testing.T) {
	body := func(words int) string {
		return `{"model":"m","stream":true,"messages":[{"role":"user","content":"` + strings.Repeat("seven ", words) + `"}]}`
	}
	n, u := openai(t, upstreamtest.Config{Script: func(r *upstreamtest.Request) upstreamtest.Behavior {
		return upstreamtest.Behavior{PromptTokens: 8 + strings.Count(string(r.Body), "seven"), Half: map[bool]string{true: upstreamtest.CutReset}[strings.Contains(string(r.Body), `"user":"cut"`)], HalfAfter: 3}
	}})
	for i := range 6 {
		want(t, n.chat(body(1_500+300*i)), 200, "")
	}
	if a := n.chat(strings.Replace(body(2_000), `"stream"`, `"user":"cut","stream"`, 1)); a.err == nil {
		t.Fatal("the cut was hidden")
	}
	settle(t, n, u)
	a := n.last().Attempts[0]
	if off := math.Abs(float64(a.Usage.GetPromptTokens())-2_008) / 2_008; a.Source != partial || off > 0.05 {
		t.Errorf("%v: off by %.3f", a, off)
	}
}

func TestCount_AJSONAnswerCutInTheMiddleIsPartial(t *testing.T) {
	n, u := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{Text: strings.Repeat(sentence, 20), Half: upstreamtest.CutShort, HalfAfter: 6}})
	want(t, n.chat(ask), 502, "upstream_error")
	settle(t, n, u)
	if a := n.last().Attempts[0]; a.Source != partial || a.Usage.GetCompletionTokens() < 40 || a.Usage.GetCompletionTokens() > 160 || a.Usage.GetPromptTokens() != 8 {
		t.Errorf("%v", a)
	}
}

// TestCount_AForeignTokenizerIsLearntThroughTheRoad 的上游每个 o200k token 报 1.5 个。
func TestCount_AForeignTokenizerIsLearntThroughTheRoad(t *testing.T) {
	for name, body := range map[string]string{"json": ask, "stream": askStream} {
		t.Run(name, func(t *testing.T) {
			u := upstream(t, upstreamtest.Config{})
			n := start(t, newSnap().server("s1", u.URL()+"/v1").model("m", "s1/llama-3-70b").compile(t))
			say := func(times int, usage upstreamtest.UsageMode) float64 {
				u.SetDefault(upstreamtest.Behavior{Text: strings.Repeat(sentence, times), Chunks: times, CompletionTokens: 15 * times, Usage: usage})
				want(t, n.chat(body), 200, "")
				return float64(n.last().Attempts[0].Usage.GetCompletionTokens()) / float64(15*times)
			}
			first := say(20, upstreamtest.UsageMissing)
			for i := range 20 {
				say(5+i, upstreamtest.UsageNormal)
			}
			later := say(33, upstreamtest.UsageMissing)
			fmt.Printf("figures: token_count_foreign_road kind=%s first=%.3f later=%.3f\n", name, first, later)
			if first > 0.75 || later < 0.95 || later > 1.05 {
				t.Errorf("counted %.3f of the truth before, %.3f after", first, later)
			}
		})
	}
}
