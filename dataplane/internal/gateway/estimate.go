package gateway

import (
	"bytes"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/proto/schedule"
)

const (
	// bytesPerToken 是英文的经验数；中文一个字三字节，约四分之三个 token，也说得过去。
	bytesPerToken = 4
	// inlineTokens 是一个内联附件（图片等）按多少 token 估：它的字节数什么也不说明。
	inlineTokens = 1024
	// maxChoices 是肯信的 n；再大的上游自会拒绝。
	maxChoices = 128
)

var inlineData = []byte(";base64,")

// promptTokens 由 JSON 请求体的长短估输入的 token；内联的 base64 不是文字，另算。
func promptTokens(body []byte) int64 {
	text, attached := len(body), 0
	for rest := body; ; attached++ {
		i := bytes.Index(rest, inlineData)
		if i < 0 {
			break
		}
		rest = rest[i+len(inlineData):]
		end := bytes.IndexByte(rest, '"')
		if end < 0 {
			end = len(rest)
		}
		text -= end
		rest = rest[end:]
	}
	return int64(text+bytesPerToken-1)/bytesPerToken + int64(attached)*inlineTokens
}

// estimate 预计这次调用的代价；没有点名模型的不计 token，表单与二进制的体看不出有多少。
func (x *exchange) estimate() schedule.Cost {
	if x.model == nil || x.env.Format != dialect.JSON {
		return schedule.Cost{}
	}
	c := schedule.Cost{Prompt: x.prompt}
	if generates(x.ep.Kind) {
		each := x.gw.outputs.predict(x.key.App.Name, x.model.Name)
		if limit, ok := x.env.OutputLimit(); ok {
			each = min(each, limit)
		}
		c.Output = each * x.choices()
	}
	return c
}

// choices 是客户端要几个候选答案。
func (x *exchange) choices() int64 {
	if !x.env.N.Set {
		return 1
	}
	return min(max(x.env.N.Value, 1), maxChoices)
}

// generates 说端点的回答由模型一个个 token 生成，长短因人而异。
func generates(k dialect.Kind) bool {
	return k == dialect.Chat || k == dialect.Completions || k == dialect.Responses
}
