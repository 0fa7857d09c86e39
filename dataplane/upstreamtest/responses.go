package upstreamtest

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// reply 是一次 /v1/responses 的回答：一条消息，或一次函数调用。
type reply struct {
	*exchange
	text    *text
	tool    *toolCall
	usage   Usage
	created int64
	seq     int64 // 下一个事件的 sequence_number
}

func responses(x *exchange) error {
	r := &reply{exchange: x, created: x.srv.cfg.Now().Unix(), text: x.srv.texts.get(&x.b)}
	if r.tool = pickTool(x.req, ""); r.tool != nil {
		r.tool.id = x.id("call")
		r.text = r.tool.text(x.b.chunks())
	}
	r.usage, _ = count(x.req, &x.b, r.text.runes)
	if x.req.Stream {
		return r.stream()
	}
	body, sent := r.appendResponse(nil, "completed")
	return x.whole(200, "application/json", body, sent)
}

// appendResponse 写出 response 对象；status 为 in_progress 时没有输出与用量。
func (r *reply) appendResponse(buf []byte, status string) (out []byte, sent *Usage) {
	buf = append(buf, `{"id":"`...)
	buf = append(buf, r.id("resp")...)
	buf = append(buf, `","object":"response","created_at":`...)
	buf = strconv.AppendInt(buf, r.created, 10)
	buf = append(buf, `,"status":"`...)
	buf = append(buf, status...)
	buf = append(buf, `","error":null,"incomplete_details":null,"instructions":null,"metadata":{},"model":`...)
	buf = gjson.AppendJSONString(buf, r.model())
	buf = append(buf, `,"parallel_tool_calls":true,"temperature":1,"tool_choice":"auto","tools":[],"top_p":1,"output":[`...)
	if status != "completed" {
		return append(buf, `],"usage":null}`...), nil
	}
	buf = r.appendItem(buf, status, r.text.whole)
	buf = append(buf, ']')
	buf, sent = r.usage.appendField(buf, r.b.Usage, Usage.appendResponses)
	return append(buf, '}'), sent
}

// appendItem 写出唯一的输出项；content 是转义过的文字或参数。
func (r *reply) appendItem(buf []byte, status string, content []byte) []byte {
	if r.tool != nil {
		buf = append(buf, `{"type":"function_call","id":"`...)
		buf = append(buf, r.id("fc")...)
		buf = append(buf, `","call_id":"`...)
		buf = append(buf, r.tool.id...)
		buf = append(buf, `","name":`...)
		buf = gjson.AppendJSONString(buf, r.tool.name)
		buf = append(buf, `,"arguments":"`...)
		buf = append(buf, content...)
		buf = append(buf, `","status":"`...)
		buf = append(buf, status...)
		return append(buf, `"}`...)
	}
	buf = append(buf, `{"type":"message","id":"`...)
	buf = append(buf, r.id("msg")...)
	buf = append(buf, `","role":"assistant","status":"`...)
	buf = append(buf, status...)
	buf = append(buf, `","content":[`...)
	if status == "completed" {
		buf = appendPart(buf, content)
	}
	return append(buf, `]}`...)
}

func appendPart(buf, content []byte) []byte {
	buf = append(buf, `{"type":"output_text","annotations":[],"logprobs":[],"text":"`...)
	buf = append(buf, content...)
	return append(buf, `"}`...)
}

func (r *reply) itemID() string {
	if r.tool != nil {
		return r.id("fc")
	}
	return r.id("msg")
}

// begin 写出一个有类型的事件的开头；其后接 `,"键":值` 与 end。
func (r *reply) begin(buf []byte, kind string) []byte {
	buf = r.beginEvent(buf, kind)
	buf = append(buf, `{"type":"`...)
	buf = append(buf, kind...)
	buf = append(buf, `","sequence_number":`...)
	buf = strconv.AppendInt(buf, r.seq, 10)
	r.seq++
	return buf
}

func (r *reply) end(buf []byte) []byte { return r.endEvent(append(buf, '}')) }

// lifecycle 是 response.created 一类的事件。
func (r *reply) lifecycle(buf []byte, kind, status string) (out []byte, sent *Usage) {
	buf = append(r.begin(buf, kind), `,"response":`...)
	buf, sent = r.appendResponse(buf, status)
	return r.end(buf), sent
}

// place 写出一个事件所指的位置。
func (r *reply) place(buf []byte) []byte {
	buf = append(buf, `,"item_id":"`...)
	buf = append(buf, r.itemID()...)
	buf = append(buf, `","output_index":0`...)
	if r.tool == nil {
		buf = append(buf, `,"content_index":0`...)
	}
	return buf
}

func (r *reply) item(buf []byte, kind, status string, content []byte) []byte {
	buf = append(r.begin(buf, kind), `,"output_index":0,"item":`...)
	return r.end(r.appendItem(buf, status, content))
}

func (r *reply) part(buf []byte, kind string, content []byte) []byte {
	buf = append(r.place(r.begin(buf, kind)), `,"part":`...)
	return r.end(appendPart(buf, content))
}

func (r *reply) stream() error {
	if err := r.openSSE(); err != nil {
		return err
	}
	opening, _ := r.lifecycle(nil, "response.created", "in_progress")
	opening, _ = r.lifecycle(opening, "response.in_progress", "in_progress")
	opening = r.item(opening, "response.output_item.added", "in_progress", nil)
	if r.tool == nil {
		opening = r.part(opening, "response.content_part.added", nil)
	}
	if err := r.send(opening); err != nil {
		return err
	}
	kind := "response.output_text"
	if r.tool != nil {
		kind = "response.function_call_arguments"
	}
	for i, piece := range r.text.pieces {
		if err := r.gap(i); err != nil {
			return err
		}
		if i == 0 && r.b.HugeEvent > 0 {
			piece = huge(r.b.HugeEvent)
		}
		buf := r.srv.getBuf()
		*buf = append(r.place(r.begin(*buf, kind+".delta")), `,"delta":"`...)
		*buf = append(append(*buf, piece...), '"')
		*buf = r.end(*buf)
		if err := r.chunk(buf, nil); err != nil {
			return err
		}
	}
	return r.finish(r.closingEvents(kind)...)
}

func (r *reply) closingEvents(kind string) []section {
	whole := r.text.whole
	buf := r.place(r.begin(nil, kind+".done"))
	if r.tool != nil {
		buf = append(buf, `,"arguments":"`...)
	} else {
		buf = append(buf, `,"text":"`...)
	}
	buf = r.end(append(append(buf, whole...), '"'))
	if r.tool == nil {
		buf = r.part(buf, "response.content_part.done", whole)
	}
	buf = r.item(buf, "response.output_item.done", "completed", whole)
	completed, sent := r.lifecycle(nil, "response.completed", "completed")
	return []section{{data: buf}, {completed, sent}}
}
