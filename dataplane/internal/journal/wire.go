package journal

import (
	"encoding/binary"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// 手写的线上编码：只写 usage.proto 里的几个消息，不分配，文本与数字边写边收进控制面肯收的范围。
// 嵌套的消息先空出定长的长度（变长整数可以带多余的高位零），写完再填：不必先算一遍大小。
// 标签字节是 字段号<<3 | 类型；与生成的代码一致由 TestWire_IsWhatTheGeneratedCodeReads 看着。

func appendText(b []byte, tag byte, s string) []byte {
	if s = clean(s); s == "" {
		return b
	}
	b = binary.AppendUvarint(append(b, tag), uint64(len(s)))
	return append(b, s...)
}

func appendNumber(b []byte, tag byte, n uint64) []byte {
	if n == 0 {
		return b
	}
	return binary.AppendUvarint(append(b, tag), n)
}

func appendBounded(b []byte, tag byte, n, limit int64) []byte {
	return appendNumber(b, tag, uint64(bound(n, limit)))
}

func appendBool(b []byte, tag byte, v bool) []byte {
	if !v {
		return b
	}
	return append(b, tag, 1)
}

// nest 空出一个嵌套消息的长度，返回它的位置；写完内容再 closeNest。
const nestSize = 3

func nest(b []byte, tag byte) ([]byte, int) { return append(b, tag, 0, 0, 0), len(b) + 1 }

func closeNest(b []byte, at int) {
	n := len(b) - at - nestSize
	b[at], b[at+1], b[at+2] = byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14)
}

// appendRequest 写一个 Request 的各字段。
func appendRequest(b []byte, r *usagev1.Request) []byte {
	b = appendText(b, 0x0a, r.Id)
	b = appendText(b, 0x12, r.KeyId)
	b = appendText(b, 0x1a, r.App)
	b = appendText(b, 0x22, r.Model)
	b = appendText(b, 0x2a, r.ServedModel)
	b = appendText(b, 0x32, r.Endpoint)
	b = appendBounded(b, 0x38, r.StartedUnixMs, maxTime)
	b = appendBounded(b, 0x40, r.EndedUnixMs, maxTime)
	b = appendNumber(b, 0x48, uint64(r.Outcome))
	b = appendNumber(b, 0x50, uint64(r.Status))
	b = appendBool(b, 0x58, r.Stream)
	b = appendBounded(b, 0x60, r.QueueUs, maxTime)
	b = appendBounded(b, 0x68, r.FirstByteUs, maxTime)
	b = appendNumber(b, 0x70, r.Revision)
	for _, a := range r.Attempts {
		b = appendNestedAttempt(b, a)
	}
	b = appendClientID(b, r.ClientRequestId)
	if r.Replayed {
		b = append(b, 0x88, 0x01, 1)
	}
	if r.Unjournalled {
		b = append(b, 0x90, 0x01, 1)
	}
	return b
}

// appendClientID 写 client_request_id：字段号 16，标签占两个字节。
func appendClientID(b []byte, id string) []byte {
	if id == "" {
		return b
	}
	return appendText(append(b, 0x82), 0x01, id)
}

func appendNestedAttempt(b []byte, a *usagev1.Attempt) []byte {
	b, at := nest(b, 0x7a)
	b = appendAttempt(b, a)
	closeNest(b, at)
	return b
}

func appendAttempt(b []byte, a *usagev1.Attempt) []byte {
	b = appendNumber(b, 0x08, uint64(a.Number))
	b = appendText(b, 0x12, a.Server)
	b = appendText(b, 0x1a, a.UpstreamModel)
	b = appendNumber(b, 0x20, uint64(a.Outcome))
	b = appendNumber(b, 0x28, uint64(a.Status))
	b = appendBounded(b, 0x30, a.DurationUs, maxNumber)
	b = appendNumber(b, 0x38, uint64(a.Source))
	if a.Usage != nil {
		b = appendUsage(b, a.Usage)
	}
	b = appendBounded(b, 0x48, a.CostNano, maxCost)
	return appendText(b, 0x52, a.ServedModel)
}

// appendUsage 写 usage 字段；缺席的不写，零照写。
func appendUsage(b []byte, u *usagev1.Usage) []byte {
	b = append(b, 0x42, 0)
	at := len(b) - 1
	for i, n := range [...]*int64{u.PromptTokens, u.CompletionTokens, u.CachedTokens, u.ReasoningTokens} {
		if n != nil {
			b = binary.AppendUvarint(append(b, byte(i+1)<<3), uint64(bound(*n, maxNumber)))
		}
	}
	b[at] = byte(len(b) - at - 1) // 至多 4×7 字节
	return b
}

// appendNestedCall 写一次刚要开始的调用，作为 attempts 的一项。
func appendNestedCall(b []byte, c *Call) []byte {
	b, at := nest(b, 0x7a)
	b = appendNumber(b, 0x08, uint64(c.Number))
	b = appendText(b, 0x12, c.Server)
	b = appendText(b, 0x1a, c.UpstreamModel)
	b = appendText(b, 0x52, c.ServedModel)
	closeNest(b, at)
	return b
}

// appendOpening 以 Request 的样子写一个 Opening。
func appendOpening(b []byte, o *Opening) []byte {
	b = appendText(b, 0x0a, o.ID)
	b = appendText(b, 0x12, o.KeyID)
	b = appendText(b, 0x1a, o.App)
	b = appendText(b, 0x22, o.Model)
	b = appendText(b, 0x32, o.Endpoint)
	b = appendBounded(b, 0x38, o.StartedUnixMS, maxTime)
	b = appendBool(b, 0x58, o.Stream)
	b = appendBounded(b, 0x60, o.QueueUS, maxTime)
	b = appendNumber(b, 0x70, o.Revision)
	b = appendNestedCall(b, &o.Call)
	return appendClientID(b, o.ClientRequestID)
}

// appendProgress 以 Attempt 的样子写一次进展。
func appendProgress(b []byte, p *Progress) []byte {
	b = appendNumber(b, 0x38, uint64(p.Source))
	b = appendUsage(b, &p.Usage)
	return appendBounded(b, 0x48, p.CostNano, maxCost)
}

// appendRefusals 写 Record 的 refusals 字段。
func appendRefusals(b []byte, r *usagev1.Refusals) []byte {
	b, at := nest(b, 0x1a)
	b = appendBounded(b, 0x08, r.SecondUnix, maxNumber)
	b = appendText(b, 0x12, r.App)
	b = appendText(b, 0x1a, r.Code)
	b = appendBounded(b, 0x20, r.Count, maxNumber)
	b = appendText(b, 0x2a, r.Model)
	closeNest(b, at)
	return b
}

// requestTotals 是 r 记下的那一份的贡献：数字收进范围之后的。
func requestTotals(r *usagev1.Request) Totals {
	t := Totals{Requests: 1, Attempts: int64(len(r.Attempts))}
	for _, a := range r.Attempts {
		t.CostNano += bound(a.CostNano, maxCost)
		if u := a.Usage; u != nil {
			t.Prompt += bound(u.GetPromptTokens(), maxNumber)
			t.Completion += bound(u.GetCompletionTokens(), maxNumber)
			t.Cached += bound(u.GetCachedTokens(), maxNumber)
			t.Reasoning += bound(u.GetReasoningTokens(), maxNumber)
		}
	}
	return t
}
