package upstreamtest

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// rerank 按原来的次序给出递减的分数。
func rerank(x *exchange) error {
	documents := int(gjson.GetBytes(x.req.Body, "documents.#").Int())
	if top := int(gjson.GetBytes(x.req.Body, "top_n").Int()); top > 0 {
		documents = min(documents, top)
	}
	usage, _ := count(x.req, &x.b, 0)
	usage.Completion, usage.Reasoning = 0, 0
	buf := append([]byte(nil), `{"id":"`...)
	buf = append(buf, x.id("rerank")...)
	buf = append(buf, `","model":`...)
	buf = gjson.AppendJSONString(buf, x.model())
	buf = append(buf, `,"results":[`...)
	for i := range min(documents, maxInputs) {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(buf, `{"index":`...)
		buf = strconv.AppendInt(buf, int64(i), 10)
		buf = append(buf, `,"relevance_score":`...)
		buf = strconv.AppendFloat(buf, 1/float64(i+1), 'f', 4, 64)
		buf = append(buf, '}')
	}
	buf = append(buf, ']')
	buf, sent := usage.appendField(buf, x.b.Usage, Usage.appendInput)
	return x.whole(200, "application/json", append(buf, '}'), sent)
}
