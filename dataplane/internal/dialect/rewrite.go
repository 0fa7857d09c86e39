package dialect

// usageOption 是要上游报告用量的流选项。
const usageOption = `"include_usage":true`

// edit 是一处改写：把 at 这段换成 text；text 为空指针时换成模型名。
type edit struct {
	at      Span
	text    string
	isModel bool
}

// Rewrite 把改写后的请求体接到 dst 之后并返回；body 与 env 须是同一次 Peek 或 PeekMultipart 的。
//
// 只换两处：模型的值（model 为空串或请求没点名模型时不换），以及 includeUsage 时把 stream_options.include_usage
// 变成 true（客户端自己要了、表单与 Opaque 时不动）。其余逐字节不变，含空白、大整数与落单的代理。
// 表单里的 model 原样放入，不加引号：它来自配置，只含可打印字符。
func Rewrite(dst, body []byte, env *Envelope, model string, includeUsage bool) []byte {
	var edits [2]edit
	n := 0
	if model != "" && env.ModelSpan.Present() {
		edits[n] = edit{at: env.ModelSpan, isModel: true}
		n++
	}
	if includeUsage && env.Format == JSON && !env.WantsUsage {
		edits[n] = env.usageEdit()
		n++
	}
	if n == 2 && edits[1].at.Start < edits[0].at.Start {
		edits[0], edits[1] = edits[1], edits[0]
	}
	from := 0
	for _, e := range edits[:n] {
		dst = append(dst, body[from:e.at.Start]...)
		switch {
		case !e.isModel:
			dst = append(dst, e.text...)
		case env.Format == Multipart:
			dst = append(dst, model...)
		default:
			dst = appendString(dst, model)
		}
		from = e.at.End
	}
	return append(dst, body[from:]...)
}

// usageEdit 找出让 include_usage 为 true 的那一处改写。
func (e *Envelope) usageEdit() edit {
	switch {
	case e.usage.Present():
		return edit{at: e.usage, text: "true"}
	case e.optionsObj && e.optionsAny:
		return edit{at: Span{e.optionsEnd, e.optionsEnd}, text: "," + usageOption}
	case e.optionsObj:
		return edit{at: Span{e.optionsEnd, e.optionsEnd}, text: usageOption}
	case e.options.Present():
		return edit{at: e.options, text: "{" + usageOption + "}"}
	case e.bodyAny:
		return edit{at: Span{e.bodyEnd, e.bodyEnd}, text: `,"stream_options":{` + usageOption + "}"}
	}
	return edit{at: Span{e.bodyEnd, e.bodyEnd}, text: `"stream_options":{` + usageOption + "}"}
}
