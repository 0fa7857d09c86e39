package upstreamtest

import "strconv"

// pixel 是一个 1×1 透明 PNG 的 base64。
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

// images 应答 generations 与 edits：n 张同样的图。
func images(x *exchange) error {
	usage, _ := count(x.req, &x.b, 272)
	buf := append([]byte(nil), `{"created":`...)
	buf = strconv.AppendInt(buf, x.srv.cfg.Now().Unix(), 10)
	buf = append(buf, `,"data":[`...)
	for i := range x.req.Choices {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(buf, `{"b64_json":"`+pixel+`"}`...)
	}
	buf = append(buf, ']')
	buf, sent := usage.appendField(buf, x.b.Usage, Usage.appendResponses)
	return x.whole(200, "application/json", append(buf, '}'), sent)
}
