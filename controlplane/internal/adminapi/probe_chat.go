package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// maxChatBody 是试一次对话至多读多少，字节：一个 token 的应答远小于它。
const maxChatBody = 1 << 20

// chatProbe 是试一次对话的结果。
type chatProbe struct {
	OK        bool    `json:"ok"`
	Model     string  `json:"model"`
	LatencyMS float64 `json:"latency_ms"`
	Status    int     `json:"status,omitempty"`
	// UsageReported 只在成功时有。
	UsageReported *bool  `json:"usage_reported,omitempty"`
	Error         string `json:"error,omitempty"`
}

// chat 要一个只有一个 token 的对话，两次调用合起来至多等 limit：上游不认 max_tokens 就换新的名字再来一次。
func (p *prober) chat(ctx context.Context, model string, limit time.Duration) chatProbe {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	begin := time.Now()
	got, err := p.ping(ctx, model, "max_tokens")
	if err == nil && got.status == http.StatusBadRequest && bytes.Contains(got.body, []byte("max_tokens")) {
		begin = time.Now()
		got, err = p.ping(ctx, model, "max_completion_tokens")
	}
	out := chatProbe{Model: model, Status: got.status, LatencyMS: millisecondsSince(begin)}
	switch {
	case err != nil:
		out.Error = p.failure(err)
	case got.status != http.StatusOK:
		out.Error = withWords(refusal(got.status), p.words(got))
	case got.cut:
		out.Error = "the answer to a request for one token is larger than 1 MiB"
	default:
		out.readAnswer(p, got)
	}
	return out
}

func (p *prober) ping(ctx context.Context, model, limitName string) (reply, error) {
	body, err := json.Marshal(map[string]any{
		"model": model, "messages": []map[string]string{{"role": "user", "content": "ping"}}, limitName: 1,
	})
	if err != nil {
		return reply{}, err
	}
	return p.call(ctx, http.MethodPost, "/chat/completions", string(body), maxChatBody)
}

func (c *chatProbe) readAnswer(p *prober, got reply) {
	var answer struct {
		Choices []json.RawMessage `json:"choices"`
		Usage   struct {
			Prompt *int64 `json:"prompt_tokens"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(got.body, &answer); err != nil || answer.Choices == nil {
		c.Error = withWords("the upstream answered, but not with a chat completion", p.words(got))
		return
	}
	reported := answer.Usage.Prompt != nil
	c.OK, c.UsageReported = true, &reported
}

func withWords(what, words string) string {
	if words == "" {
		return what
	}
	return what + ": " + words
}
