package upstreamtest

// beginEvent 写出一个事件的开头，直到 "data: "；name 为空则没有 event 行。
func (x *exchange) beginEvent(buf []byte, name string) []byte {
	if x.b.Comments {
		buf = append(buf, ": keep-alive"...)
		buf = append(buf, x.eol...)
	}
	if name != "" {
		buf = append(buf, "event: "...)
		buf = append(buf, name...)
		buf = append(buf, x.eol...)
	}
	return append(buf, "data: "...)
}

// endEvent 结束一个事件。
func (x *exchange) endEvent(buf []byte) []byte {
	buf = append(buf, x.eol...)
	return append(buf, x.eol...)
}

// openSSE 开始一个事件流。
func (x *exchange) openSSE() error {
	x.w.Header().Set("Cache-Control", "no-cache")
	return x.open("text/event-stream; charset=utf-8")
}

// done 是 data: [DONE] 事件；NoDone 时为 nil。
func (x *exchange) done() []byte {
	if x.b.NoDone {
		return nil
	}
	return x.endEvent(append(x.beginEvent(nil, ""), "[DONE]"...))
}
