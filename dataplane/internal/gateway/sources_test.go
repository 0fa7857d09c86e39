package gateway_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

const (
	reported = usagev1.Source_SOURCE_REPORTED
	counted  = usagev1.Source_SOURCE_COUNTED
	partial  = usagev1.Source_SOURCE_PARTIAL
	unknown  = usagev1.Source_SOURCE_UNKNOWN
)

// openai 起一个上游与一个用 o200k_base 的模型 m。
func openai(t testing.TB, cfg upstreamtest.Config, edit ...func(*configv1.Server)) (*node, *upstreamtest.Server) {
	t.Helper()
	u := upstream(t, cfg)
	return start(t, newSnap().server("s1", u.URL()+"/v1", edit...).model("m", "s1/gpt-4o").compile(t)), u
}

// sentence 是每遍 10 个 o200k token 的文字（句号与后面的空格不相连）。
const sentence = "The quick brown fox jumps over the lazy dog."

func TestSource_EachEndpointIsReportedOrElseCounted(t *testing.T) {
	const promptOfAsk = 8 // 三个引出回答，四个外壳，一个 "hi"
	for _, c := range []struct {
		path, body     string
		prompt, output int64 // 数出来的；-1 即该缺席
	}{
		{"/v1/chat/completions", ask, promptOfAsk, 10},
		{"/v1/chat/completions", askStream, promptOfAsk, 10},
		{"/v1/completions", `{"model":"m","prompt":"2 + 2 = 4"}`, 7, 10},
		{"/v1/completions", `{"model":"m","stream":true,"prompt":"2 + 2 = 4"}`, 7, 10},
		{"/v1/responses", `{"model":"m","input":"2 + 2 = 4"}`, 14, 10},
		{"/v1/responses", `{"model":"m","stream":true,"input":"2 + 2 = 4"}`, 14, 10},
		{"/v1/embeddings", `{"model":"m","input":["2 + 2 = 4","2 + 2 = 4"]}`, 14, -1},
		{"/v1/rerank", `{"model":"m","query":"2 + 2 = 4","documents":["2 + 2 = 4"]}`, 14, -1},
	} {
		name := c.path
		if strings.Contains(c.body, "stream") {
			name += " stream"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, u := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{Text: sentence, Chunks: 4, PromptTokens: 21, CompletionTokens: 6}})
			want(t, n.do(http.MethodPost, c.path, c.body), 200, "")
			a := n.last().Attempts[0]
			if a.Source != reported || a.Usage.GetPromptTokens() != 21 || c.output >= 0 && a.Usage.GetCompletionTokens() != 6 {
				t.Errorf("with usage: %v", a)
			}
			u.SetDefault(upstreamtest.Behavior{Text: sentence, Chunks: 4, Usage: upstreamtest.UsageMissing})
			want(t, n.do(http.MethodPost, c.path, c.body), 200, "")
			r := n.last()
			a = r.Attempts[0]
			if a.Source != counted || a.Usage.GetPromptTokens() != c.prompt || (a.Usage.CompletionTokens == nil) != (c.output < 0) || c.output >= 0 && a.Usage.GetCompletionTokens() != c.output {
				t.Errorf("without usage: %v, want %d and %d", a, c.prompt, c.output)
			}
			if r.Outcome != usagev1.Outcome_OUTCOME_OK || a.Usage.CachedTokens != nil || a.Usage.ReasoningTokens != nil {
				t.Errorf("%v", r)
			}
			settle(t, n, u)
		})
	}
}

func TestSource_ModerationsNeverReportAndAreCounted(t *testing.T) {
	n, _ := openai(t, upstreamtest.Config{})
	want(t, n.do(http.MethodPost, "/v1/moderations", `{"model":"m","input":"2 + 2 = 4"}`), 200, "")
	if a := n.last().Attempts[0]; a.Source != counted || a.Usage.GetPromptTokens() != 7 || a.Usage.CompletionTokens != nil {
		t.Errorf("%v", a)
	}
}

func TestSource_ToolCallsAndManyChoicesAreCounted(t *testing.T) {
	n, _ := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{Text: sentence, Chunks: 1, Usage: upstreamtest.UsageMissing}})
	const tool = `"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}],"tool_choice":"required"`
	for _, body := range []string{`{"model":"m",` + tool + `,"messages":[]}`, `{"model":"m","stream":true,` + tool + `,"messages":[]}`} {
		want(t, n.chat(body), 200, "")
		if a := n.last().Attempts[0]; a.Source != counted || a.Usage.GetCompletionTokens() < 3 || a.Usage.GetPromptTokens() < 20 {
			t.Errorf("%s: %v", body, a)
		}
	}
	for _, body := range []string{`{"model":"m","n":3,"messages":[]}`, `{"model":"m","n":3,"stream":true,"messages":[]}`} {
		want(t, n.chat(body), 200, "")
		if a := n.last().Attempts[0]; a.Source != counted || a.Usage.GetCompletionTokens() != 30 {
			t.Errorf("%s: %v", body, a)
		}
	}
}

func TestSource_ZeroIsAValueAndAbsentStaysAbsent(t *testing.T) {
	n, u := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{PromptTokens: -1, CompletionTokens: -1}})
	for _, body := range []string{ask, askStream} {
		want(t, n.chat(body), 200, "")
		a := n.last().Attempts[0]
		if a.Source != reported || a.Usage.PromptTokens == nil || a.Usage.GetPromptTokens() != 0 || a.Usage.CompletionTokens == nil || a.Usage.GetCompletionTokens() != 0 ||
			a.Usage.CachedTokens == nil || a.Usage.ReasoningTokens == nil {
			t.Errorf("explicit zeros: %v", a)
		}
	}
	u.SetDefault(upstreamtest.Behavior{Body: `{"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5}}`})
	want(t, n.chat(ask), 200, "")
	if a := n.last().Attempts[0]; a.Source != reported || a.Usage.GetPromptTokens() != 5 || a.Usage.CompletionTokens != nil || a.Usage.CachedTokens != nil || a.Usage.ReasoningTokens != nil {
		t.Errorf("only the prompt was reported: %v", a)
	}
	u.SetDefault(upstreamtest.Behavior{PromptTokens: 9, CompletionTokens: 8, CachedTokens: 7, ReasoningTokens: 6})
	want(t, n.chat(askStream), 200, "")
	if v := n.last().Attempts[0].Usage; v.GetPromptTokens() != 9 || v.GetCompletionTokens() != 8 || v.GetCachedTokens() != 7 || v.GetReasoningTokens() != 6 {
		t.Errorf("%v", v)
	}
}

func TestSource_CumulativeUsageReplacesAndIsPartialWhenCut(t *testing.T) {
	b := upstreamtest.Behavior{Text: sentence, Chunks: 5, CompletionTokens: 50, PromptTokens: 9, Usage: upstreamtest.UsageCumulative}
	n, u := openai(t, upstreamtest.Config{Default: b})
	want(t, n.chat(askStream), 200, "")
	if a := n.last().Attempts[0]; a.Source != reported || a.Usage.GetCompletionTokens() != 50 || a.Usage.GetPromptTokens() != 9 {
		t.Errorf("whole: %v", a)
	}
	b.Half, b.HalfAfter = upstreamtest.CutReset, 3
	u.SetDefault(b)
	if a := n.chat(askStream); a.err == nil {
		t.Fatal("the cut was hidden")
	}
	settle(t, n, u)
	if a := n.last().Attempts[0]; a.Source != partial || a.Usage.GetCompletionTokens()%10 != 0 || a.Usage.GetCompletionTokens() > 30 || a.Usage.GetPromptTokens() != 9 {
		t.Errorf("cut: %v", a)
	}
}

// TestSource_APlaceholderIsReplacedNeverAdded 的上游开头就报一个占位的输出，末尾才报真的。
func TestSource_APlaceholderIsReplacedNeverAdded(t *testing.T) {
	const open = `data: {"type":"message_start","message":{"usage":{"input_tokens":25,"output_tokens":1}},"choices":[]}` + "\n\n"
	text := `data: {"choices":[{"index":0,"delta":{"content":"` + sentence + `"},"finish_reason":null}]}` + "\n\n"
	const end = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"output_tokens":15}}` + "\n\ndata: [DONE]\n\n"
	n, u := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{ContentType: "text/event-stream", Body: open + text + end}})
	want(t, n.chat(askStream), 200, "")
	if a := n.last().Attempts[0]; a.Source != reported || a.Usage.GetPromptTokens() != 25 || a.Usage.GetCompletionTokens() != 15 {
		t.Errorf("whole: %v", a)
	}
	u.SetDefault(upstreamtest.Behavior{ContentType: "text/event-stream", Body: open + text})
	if a := n.chat(askStream); a.err == nil {
		t.Fatal("the cut was hidden")
	}
	if a := n.last().Attempts[0]; a.Source != partial || a.Usage.GetPromptTokens() != 25 || a.Usage.GetCompletionTokens() != 10 {
		t.Errorf("cut: %v", a)
	}
}

func TestSource_ACutStreamIsCountedFromWhatPassed(t *testing.T) {
	for _, how := range []string{upstreamtest.CutReset, upstreamtest.CutFIN, upstreamtest.CutClean} {
		n, u := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{Text: strings.Repeat(sentence, 4), Chunks: 4, Half: how, HalfAfter: 2}})
		if a := n.chat(askStream); a.err == nil {
			t.Fatal("the cut was hidden")
		}
		settle(t, n, u)
		r := n.last()
		a := r.Attempts[0]
		if a.Source != partial || a.Usage.GetPromptTokens() != 8 || a.Usage.GetCompletionTokens() < 10 || a.Usage.GetCompletionTokens() > 21 || r.Outcome != usagev1.Outcome_OUTCOME_UPSTREAM_ERROR {
			t.Errorf("%s: %v", how, r)
		}
	}
}

func TestSource_NothingKnownIsUnknown(t *testing.T) {
	n, u := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{Drop: upstreamtest.CutReset}})
	want(t, n.chat(ask), 502, "upstream_error")
	for _, a := range n.last().Attempts {
		if a.Source != unknown || a.Usage != nil || a.CostNano != 0 {
			t.Errorf("%v", a)
		}
	}
	hold := make(chan struct{})
	defer close(hold)
	u.SetDefault(upstreamtest.Behavior{HoldHead: hold})
	ctx, hangUp := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer hangUp()
	if _, err := n.request(ctx, http.MethodPost, "/v1/chat/completions", askStream); err == nil {
		t.Fatal("it was held")
	}
	settle(t, n, u)
	if r := n.last(); r.Outcome != usagev1.Outcome_OUTCOME_ABORTED || r.Attempts[0].Source != unknown || r.Attempts[0].Usage != nil {
		t.Errorf("the first byte never came: %v", r)
	}
}

func TestSource_AnErrorWithoutUsageHasNeitherTokensNorSource(t *testing.T) {
	n, _ := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 400}})
	want(t, n.chat(ask), 400, "")
	if a := n.last().Attempts[0]; a.Source != usagev1.Source_SOURCE_UNSPECIFIED || a.Usage != nil || a.CostNano != 0 {
		t.Errorf("%v", a)
	}
}

// abandon 读到第一段就走。
func (n *node) abandon(body string) {
	n.t.Helper()
	ctx, cancel := context.WithCancel(n.t.Context())
	defer cancel()
	resp, err := n.request(ctx, http.MethodPost, "/v1/chat/completions", body)
	if err != nil {
		n.t.Fatal(err)
	}
	_, _ = io.ReadFull(resp.Body, make([]byte, 1))
	cancel()
	resp.Body.Close()
}

func TestSource_AClientThatLeavesIsPartialAndAborted(t *testing.T) {
	n, u := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{Text: sentence, Chunks: 4000, ChunkDelay: 5 * time.Millisecond}})
	n.abandon(askStream)
	settle(t, n, u)
	r := n.last()
	if a := r.Attempts[0]; r.Outcome != usagev1.Outcome_OUTCOME_ABORTED || a.Source != partial || a.Usage.GetPromptTokens() != 8 || a.Usage.GetCompletionTokens() < 1 {
		t.Errorf("%v", r)
	}
}

func TestSource_LongStreamsWithoutUsageAreCountedToTheEnd(t *testing.T) {
	text := strings.Repeat(sentence+" ", 3000) // 十三万字节，远多于流里留着的
	const truth = 30_000
	for name, u := range map[string]upstreamtest.UsageMode{"never asked": upstreamtest.UsageMissing} {
		n, _ := openai(t, upstreamtest.Config{Default: upstreamtest.Behavior{Text: text, Chunks: 3000, Usage: u}},
			func(s *configv1.Server) { s.StreamUsage = configv1.StreamUsage_STREAM_USAGE_NEVER })
		want(t, n.chat(askStream), 200, "")
		a := n.last().Attempts[0]
		off := math.Abs(float64(a.Usage.GetCompletionTokens())-truth) / truth
		fmt.Printf("figures: token_count_stream text_bytes=%d counted=%d truth=%d error=%.4f\n", len(text), a.Usage.GetCompletionTokens(), truth, off)
		if a.Source != counted || off > 0.02 {
			t.Errorf("%s: %v", name, a)
		}
	}
}

func TestSource_CountedTokensAreCharged(t *testing.T) {
	u := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Text: sentence, Chunks: 3, Usage: upstreamtest.UsageMissing}})
	n := start(t, newSnap().server("s1", u.URL()+"/v1").model("m", "s1/gpt-4o").edit(func(s *configv1.Snapshot) {
		s.Models[0].Prices = &configv1.Prices{InputNanoPerMillion: 1_000_000, OutputNanoPerMillion: 2_000_000, Currency: "USD"}
	}).compile(t))
	want(t, n.chat(ask), 200, "")
	if a := n.last().Attempts[0]; a.CostNano != 8*1+10*2 {
		t.Errorf("%v", a)
	}
}
