package upstreamtest

import (
	"net/http"
	"strings"
)

// speech 逐块写出二进制；内容由块数与块长决定，没有用量。
func speech(x *exchange) error {
	size := x.b.ChunkBytes
	if size == 0 {
		size = 1024
	}
	if err := x.open("audio/mpeg"); err != nil {
		return err
	}
	n := x.b.chunks()
	for i := range n {
		if err := x.gap(i); err != nil {
			return err
		}
		if i == n-1 && x.b.Half == "" {
			x.chunks++
			return x.finish(section{data: appendNoise(nil, i, size)})
		}
		buf := x.srv.getBuf()
		*buf = appendNoise(*buf, i, size)
		if err := x.chunk(buf, nil); err != nil {
			return err
		}
	}
	return x.finish()
}

// appendNoise 写出第 i 块：以 0xFF 开头、遍历所有字节值，故不是合法的 UTF-8。
func appendNoise(buf []byte, i, size int) []byte {
	for k := range size {
		buf = append(buf, byte(0xFF-k-i))
	}
	return buf
}

// transcriptions 应答 multipart 的语音文件。
func transcriptions(x *exchange) error {
	if x.req.file == nil {
		return x.fail(http.StatusBadRequest, "invalid_request_error", "", "Missing required parameter: 'file'.")
	}
	t := x.srv.texts.get(&x.b)
	usage, _ := count(x.req, &x.b, t.runes)
	switch x.req.form["response_format"] {
	case "text", "srt", "vtt":
		return x.whole(200, "text/plain; charset=utf-8", []byte(strings.TrimSpace(t.plain)+"\n"), nil)
	}
	buf := append([]byte(nil), `{"text":"`...)
	buf = append(append(buf, t.whole...), '"')
	buf, sent := usage.appendField(buf, x.b.Usage, Usage.appendResponses)
	return x.whole(200, "application/json", append(buf, '}'), sent)
}
