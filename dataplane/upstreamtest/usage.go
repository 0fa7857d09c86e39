package upstreamtest

import "strconv"

// Usage 是报告给客户端的记号数；Completion 含 Reasoning，Prompt 含 Cached。
type Usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Cached     int `json:"cached_tokens"`
	Reasoning  int `json:"reasoning_tokens"`
}

// count 按剧本算出一次请求的用量，以及它是否被 max_tokens 截短。
// 输入由提示原文的长度算出（与是否流式、有没有 stream_options 无关），输出由字数算出，故 JSON 与流一致。
func count(req *Request, b *Behavior, runes int) (u Usage, truncated bool) {
	u = Usage{Prompt: pick(b.PromptTokens, 8+(req.promptBytes+3)/4), Cached: b.CachedTokens, Reasoning: b.ReasoningTokens}
	u.Completion = pick(b.CompletionTokens, runes+b.ReasoningTokens)
	if b.CompletionTokens == 0 && req.MaxTokens > 0 && u.Completion > req.MaxTokens {
		u.Completion, truncated = req.MaxTokens, true
		u.Reasoning = min(u.Reasoning, u.Completion)
	}
	u.Completion *= req.Choices
	if b.Usage == UsageWrong {
		offset := pick(b.UsageOffset, 1000)
		if b.UsageOffset < 0 {
			offset = b.UsageOffset
		}
		u.Prompt = max(0, u.Prompt+offset)
		u.Completion = max(0, u.Completion+offset)
	}
	return u, truncated
}

// pick 读剧本里的数：0 取 fallback，负数为 0。
func pick(n, fallback int) int {
	switch {
	case n == 0:
		return fallback
	case n < 0:
		return 0
	}
	return n
}

// appendChat 以 chat 与 completions 的形状写出。
func (u Usage) appendChat(buf []byte) []byte {
	buf = append(buf, `{"prompt_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.Prompt), 10)
	buf = append(buf, `,"completion_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.Completion), 10)
	buf = append(buf, `,"total_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.Prompt+u.Completion), 10)
	buf = append(buf, `,"prompt_tokens_details":{"cached_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.Cached), 10)
	buf = append(buf, `},"completion_tokens_details":{"reasoning_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.Reasoning), 10)
	return append(buf, `}}`...)
}

// appendInput 以 embeddings 的形状写出：只有输入。
func (u Usage) appendInput(buf []byte) []byte {
	buf = append(buf, `{"prompt_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.Prompt), 10)
	buf = append(buf, `,"total_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.Prompt), 10)
	return append(buf, '}')
}

// appendResponses 以 responses、images 与 transcriptions 的形状写出。
func (u Usage) appendResponses(buf []byte) []byte {
	buf = append(buf, `{"input_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.Prompt), 10)
	buf = append(buf, `,"input_tokens_details":{"cached_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.Cached), 10)
	buf = append(buf, `},"output_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.Completion), 10)
	buf = append(buf, `,"output_tokens_details":{"reasoning_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.Reasoning), 10)
	buf = append(buf, `},"total_tokens":`...)
	buf = strconv.AppendInt(buf, int64(u.Prompt+u.Completion), 10)
	return append(buf, '}')
}

// appendField 写出 `,"usage":…`；missing 时什么也不写。返回值 sent 为 nil 表示没有报告。
func (u Usage) appendField(buf []byte, mode UsageMode, shape func(Usage, []byte) []byte) (out []byte, sent *Usage) {
	switch mode {
	case UsageMissing:
		return buf, nil
	case UsageNull:
		return append(buf, `,"usage":null`...), nil
	}
	return shape(u, append(buf, `,"usage":`...)), &u
}
