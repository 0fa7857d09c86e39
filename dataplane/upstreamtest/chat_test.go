package upstreamtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestChat_JSONAndStreamSayTheSameWithTheSameUsage(t *testing.T) {
	s := started(t, Config{})
	whole := post(t, s, "/v1/chat/completions", "a", chatJSON)
	stream := post(t, s, "/v1/chat/completions", "b", chatStream)

	text := gjson.Get(whole.body, "choices.0.message.content").String()
	if text == "" || text != spoken(stream.body) {
		t.Fatalf("JSON says %q, stream says %q", text, spoken(stream.body))
	}
	list := events(stream.body)
	if len(list) != 12+3 || list[len(list)-1] != "[DONE]" {
		t.Fatalf("got %d events, last %q", len(list), list[len(list)-1])
	}
	last := list[len(list)-2]
	if len(gjson.Get(last, "choices").Array()) != 0 || gjson.Get(last, "usage").Raw != gjson.Get(whole.body, "usage").Raw {
		t.Fatalf("usage event %s differs from %s", last, whole.body)
	}
	if got := gjson.Get(list[len(list)-3], "choices.0.finish_reason").String(); got != "stop" {
		t.Fatalf("finish_reason %q", got)
	}
	a, b := entry(t, s, "a"), entry(t, s, "b")
	if a.Usage != b.Usage || !a.UsageSent || !b.UsageSent || a.Completion != int(gjson.Get(whole.body, "usage.completion_tokens").Int()) {
		t.Fatalf("ledger usage %+v and %+v", a.Usage, b.Usage)
	}
	if !a.Finished || !b.Finished || b.Chunks != 12 || !b.Stream || a.Stream || b.Model != "gpt-4o" || b.Authorization != "Bearer sk-upstream" {
		t.Fatalf("ledger %+v", b)
	}
}

func TestChat_StreamWithoutIncludeUsageReportsNone(t *testing.T) {
	s := started(t, Config{})
	got := post(t, s, "/v1/chat/completions", "a", strings.Replace(chatStream, "true}", "false}", 1))
	if strings.Contains(got.body, "usage") || entry(t, s, "a").UsageSent {
		t.Fatalf("usage was reported: %s", got.body)
	}
}

func TestChat_UsageModes(t *testing.T) {
	type want struct{ events, nulls, json int } // 带用量对象的事件、usage 为 null 的事件、JSON 里的 completion_tokens（-1 没有）
	cases := map[string]want{
		"normal":     {1, 0, 7},
		"missing":    {0, 0, -1},
		"wrong":      {1, 0, 17},
		"cumulative": {4 + 2, 0, 7},
		"null":       {1, 4 + 1, -1},
		"finish":     {1, 0, 7},
		"always":     {1, 0, 7},
	}
	for mode, want := range cases {
		t.Run(mode, func(t *testing.T) {
			s := started(t, Config{Default: Behavior{
				Chunks: 4, PromptTokens: 5, CompletionTokens: 7, CachedTokens: 2, ReasoningTokens: 3, Usage: UsageMode(mode), UsageOffset: 10,
			}})
			var objects, nulls int
			for _, e := range events(post(t, s, "/v1/chat/completions", "s", chatStream).body) {
				if u := gjson.Get(e, "usage"); u.IsObject() {
					objects++
				} else if u.Exists() {
					nulls++
				}
			}
			if objects != want.events || nulls != want.nulls {
				t.Errorf("stream: %d usage objects and %d nulls, want %+v", objects, nulls, want)
			}
			u := gjson.Get(post(t, s, "/v1/chat/completions", "j", chatJSON).body, "usage.completion_tokens")
			if (want.json < 0) == u.Exists() || (want.json >= 0 && int(u.Int()) != want.json) {
				t.Errorf("JSON: completion_tokens %s, want %d", u.Raw, want.json)
			}
			row := entry(t, s, "s")
			if row.UsageSent != (want.events > 0) {
				t.Errorf("ledger: %+v", row)
			}
			if mode == "normal" && row.Usage != (Usage{5, 7, 2, 3}) {
				t.Errorf("ledger usage %+v", row.Usage)
			}
		})
	}
}

func TestChat_MaxTokensTruncatesAndSaysLength(t *testing.T) {
	s := started(t, Config{})
	got := post(t, s, "/v1/chat/completions", "a", `{"model":"m","max_tokens":3,"n":2,"messages":[]}`)
	if gjson.Get(got.body, "choices.#").Int() != 2 || gjson.Get(got.body, "usage.completion_tokens").Int() != 6 ||
		gjson.Get(got.body, "choices.1.finish_reason").String() != "length" {
		t.Fatal(got.body)
	}
}

func TestChat_ToolsGetACall(t *testing.T) {
	const body = `{"model":"m","stream":%t,"messages":[{"role":"user","content":"天气"}],"tools":[{"type":"function","function":
		{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}}}}}]}`
	s := started(t, Config{Default: Behavior{Chunks: 5}})
	whole := post(t, s, "/v1/chat/completions", "a", fmt.Sprintf(body, false)).body
	call := gjson.Get(whole, "choices.0.message.tool_calls.0")
	if call.Get("function.name").String() != "get_weather" || gjson.Get(whole, "choices.0.finish_reason").String() != "tool_calls" {
		t.Fatal(whole)
	}
	args := call.Get("function.arguments").String()
	if gjson.Get(args, "city").String() != "杭州" || gjson.Get(args, "days").Int() != 7 {
		t.Fatalf("arguments %s", args)
	}
	var streamed string
	for _, e := range events(post(t, s, "/v1/chat/completions", "b", fmt.Sprintf(body, true)).body) {
		streamed += gjson.Get(e, "choices.0.delta.tool_calls.0.function.arguments").String()
	}
	if streamed != args {
		t.Fatalf("streamed arguments %q, want %q", streamed, args)
	}
}

func TestCompletions_StreamAndJSONSayTheSame(t *testing.T) {
	s := started(t, Config{})
	whole := post(t, s, "/v1/completions", "a", `{"model":"m","prompt":"x"}`).body
	var streamed string
	for _, e := range events(post(t, s, "/v1/completions", "b", `{"model":"m","prompt":"x","stream":true}`).body) {
		streamed += gjson.Get(e, "choices.0.text").String()
	}
	if want := gjson.Get(whole, "choices.0.text").String(); want == "" || streamed != want {
		t.Fatalf("stream %q, JSON %q", streamed, want)
	}
}

func TestResponses_StreamHasTypedEventsAndUsage(t *testing.T) {
	s := started(t, Config{Default: Behavior{Chunks: 3}})
	whole := post(t, s, "/v1/responses", "a", `{"model":"m","input":"hi"}`).body
	stream := post(t, s, "/v1/responses", "b", `{"model":"m","input":"hi","stream":true}`).body
	var kinds []string
	var text string
	var completed gjson.Result
	for i, e := range events(stream) {
		if got := gjson.Get(e, "sequence_number").Int(); got != int64(i) {
			t.Fatalf("event %d has sequence_number %d", i, got)
		}
		kind := gjson.Get(e, "type").String()
		kinds = append(kinds, strings.TrimPrefix(kind, "response."))
		if kind == "response.output_text.delta" {
			text += gjson.Get(e, "delta").String()
		}
		if kind == "response.completed" {
			completed = gjson.Get(e, "response")
		}
		if !strings.Contains(stream, "event: "+kind+"\n") {
			t.Errorf("no event line for %s", kind)
		}
	}
	want := "created in_progress output_item.added content_part.added output_text.delta output_text.delta output_text.delta " +
		"output_text.done content_part.done output_item.done completed"
	if strings.Join(kinds, " ") != want {
		t.Fatalf("events %v", kinds)
	}
	if text != gjson.Get(whole, "output.0.content.0.text").String() || completed.Get("usage").Raw != gjson.Get(whole, "usage").Raw {
		t.Fatalf("stream %s\nJSON %s", stream, whole)
	}
	if entry(t, s, "a").Usage != entry(t, s, "b").Usage || entry(t, s, "b").Prompt == 0 {
		t.Fatalf("ledger %+v", entry(t, s, "b"))
	}
}

func TestResponses_ToolsGetAFunctionCall(t *testing.T) {
	s := started(t, Config{})
	stream := post(t, s, "/v1/responses", "b", `{"model":"m","input":"hi","stream":true,"tools":[{"type":"function","name":"f","parameters":{"properties":{"a":{"type":"boolean"}}}}]}`).body
	list := events(stream)
	item := gjson.Get(list[len(list)-1], "response.output.0")
	if item.Get("type").String() != "function_call" || item.Get("arguments").String() != `{"a":true}` {
		t.Fatal(stream)
	}
}
