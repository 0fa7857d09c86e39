package upstreamtest

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// dialog 是一次 chat 或 completions 的回答；二者只在每个 choice 的形状上不同。
type dialog struct {
	*exchange
	chat   bool
	text   *text
	tool   *toolCall // 非 nil 时回答是一次工具调用，text 是它的参数
	usage  Usage
	reason string // finish_reason
	prefix []byte // 每个事件共有的开头，直到 "choices":[
}

func chat(x *exchange) error        { return answerDialog(x, true) }
func completions(x *exchange) error { return answerDialog(x, false) }

func answerDialog(x *exchange, isChat bool) error {
	d := &dialog{exchange: x, chat: isChat, reason: "stop"}
	d.text = x.srv.texts.get(&x.b)
	if isChat {
		if d.tool = pickTool(x.req, "function"); d.tool != nil {
			d.tool.id = x.id("call")
			d.text, d.reason = d.tool.text(x.b.chunks()), "tool_calls"
		}
	}
	var truncated bool
	d.usage, truncated = count(x.req, &x.b, d.text.runes)
	if truncated {
		d.reason = "length"
	}
	if x.b.FinishReason != "" {
		d.reason = x.b.FinishReason
	}
	if x.req.Stream {
		return d.stream()
	}
	return d.whole()
}

func (d *dialog) whole() error {
	buf := d.srv.getBuf()
	defer d.srv.putBuf(buf)
	out := d.appendPrefix(*buf, "chat.completion", "text_completion")
	for i := range d.req.Choices {
		if i > 0 {
			out = append(out, ',')
		}
		out = d.appendMessage(out, i)
	}
	out = append(out, ']')
	out, sent := d.usage.appendField(out, d.b.Usage, Usage.appendChat)
	out = append(out, '}')
	*buf = out
	return d.exchange.whole(200, "application/json", *buf, sent)
}

func (d *dialog) appendPrefix(buf []byte, chatObject, textObject string) []byte {
	object, id := chatObject, "chatcmpl"
	if !d.chat {
		object, id = textObject, "cmpl"
	}
	buf = append(buf, `{"id":"`...)
	buf = append(buf, d.id(id)...)
	buf = append(buf, `","object":"`...)
	buf = append(buf, object...)
	buf = append(buf, `","created":`...)
	buf = strconv.AppendInt(buf, d.srv.cfg.Now().Unix(), 10)
	buf = append(buf, `,"model":`...)
	buf = gjson.AppendJSONString(buf, d.model())
	return append(buf, `,"choices":[`...)
}

// appendMessage 写出非流式的一个 choice。
func (d *dialog) appendMessage(buf []byte, index int) []byte {
	buf = append(buf, `{"index":`...)
	buf = strconv.AppendInt(buf, int64(index), 10)
	switch {
	case !d.chat:
		buf = append(buf, `,"text":"`...)
		buf = append(buf, d.text.whole...)
		buf = append(buf, '"')
	case d.tool != nil:
		buf = append(buf, `,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"`...)
		buf = d.tool.appendHead(buf)
		buf = append(buf, d.text.whole...)
		buf = append(buf, `"}}]}`...)
	default:
		buf = append(buf, `,"message":{"role":"assistant","content":"`...)
		buf = append(buf, d.text.whole...)
		buf = append(buf, `","refusal":null}`...)
	}
	buf = append(buf, `,"logprobs":null,"finish_reason":"`...)
	buf = append(buf, d.reason...)
	return append(buf, `"}`...)
}

func (d *dialog) stream() error {
	d.prefix = d.appendPrefix(nil, "chat.completion.chunk", "text_completion")
	if err := d.openSSE(); err != nil {
		return err
	}
	for i, piece := range d.text.pieces {
		if err := d.gap(i); err != nil {
			return err
		}
		if i == 0 && d.b.HugeEvent > 0 {
			piece = huge(d.b.HugeEvent)
		}
		buf := d.srv.getBuf()
		var sent *Usage
		*buf, sent = d.appendChunk(*buf, i, piece)
		if err := d.chunk(buf, sent); err != nil {
			return err
		}
	}
	return d.finish(d.finishEvent(), d.usageEvent(), section{data: d.done()})
}

// appendChunk 写出第 i 块：每个 choice 一个事件。
func (d *dialog) appendChunk(buf []byte, i int, piece []byte) (out []byte, sent *Usage) {
	for c := range d.req.Choices {
		buf = d.beginEvent(buf, "")
		buf = append(buf, d.prefix...)
		buf = append(buf, `{"index":`...)
		buf = strconv.AppendInt(buf, int64(c), 10)
		buf = d.appendDelta(buf, i, piece)
		buf = append(buf, `,"logprobs":null,"finish_reason":null}]`...)
		switch {
		case d.b.Usage == UsageCumulative:
			so := d.usage
			so.Completion = so.Completion * (i + 1) / len(d.text.pieces)
			so.Reasoning = min(so.Reasoning, so.Completion)
			buf, sent = so.appendField(buf, UsageNormal, Usage.appendChat)
		case d.b.Usage == UsageNull && d.req.IncludeUsage:
			buf = append(buf, `,"usage":null`...)
		}
		buf = d.endEvent(append(buf, '}'))
	}
	return buf, sent
}

func (d *dialog) appendDelta(buf []byte, i int, piece []byte) []byte {
	switch {
	case !d.chat:
		buf = append(buf, `,"text":"`...)
		buf = append(buf, piece...)
		return append(buf, '"')
	case d.tool != nil && i == 0:
		buf = append(buf, `,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"`...)
		buf = d.tool.appendHead(buf)
		buf = append(buf, piece...)
		return append(buf, `"}}]}`...)
	case d.tool != nil:
		buf = append(buf, `,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"`...)
		buf = append(buf, piece...)
		return append(buf, `"}}]}`...)
	}
	buf = append(buf, `,"delta":{`...)
	if i == 0 {
		buf = append(buf, `"role":"assistant",`...)
	}
	buf = append(buf, `"content":"`...)
	buf = append(buf, piece...)
	return append(buf, `"}`...)
}

// finishEvent 是带 finish_reason 的事件。
func (d *dialog) finishEvent() (s section) {
	for c := range d.req.Choices {
		s.data = d.beginEvent(s.data, "")
		s.data = append(s.data, d.prefix...)
		s.data = append(s.data, `{"index":`...)
		s.data = strconv.AppendInt(s.data, int64(c), 10)
		if d.chat {
			s.data = append(s.data, `,"delta":{}`...)
		} else {
			s.data = append(s.data, `,"text":""`...)
		}
		s.data = append(s.data, `,"logprobs":null,"finish_reason":"`...)
		s.data = append(s.data, d.reason...)
		s.data = append(s.data, `"}]`...)
		switch {
		case d.b.Usage == UsageFinish || d.b.Usage == UsageCumulative:
			s.data, s.usage = d.usage.appendField(s.data, UsageNormal, Usage.appendChat)
		case d.b.Usage == UsageNull && d.req.IncludeUsage:
			s.data = append(s.data, `,"usage":null`...)
		}
		s.data = d.endEvent(append(s.data, '}'))
	}
	return s
}

// usageEvent 是 choices 为空、只带用量的事件；不该发时为空段。
func (d *dialog) usageEvent() (s section) {
	asked := d.req.IncludeUsage && d.b.Usage != UsageMissing && d.b.Usage != UsageFinish
	if !asked && d.b.Usage != UsageAlways {
		return s
	}
	s.data = append(d.beginEvent(nil, ""), d.prefix...)
	s.data = append(s.data, ']')
	s.data, s.usage = d.usage.appendField(s.data, UsageNormal, Usage.appendChat)
	s.data = d.endEvent(append(s.data, '}'))
	return s
}

// huge 是 n 个字节的内容。
func huge(n int) []byte {
	piece := make([]byte, n)
	for i := range piece {
		piece[i] = 'a' + byte(i%26)
	}
	return piece
}
