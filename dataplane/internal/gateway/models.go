package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// created 是模型对象里的 created：OpenAI 的 SDK 要一个整数，配置里没有造出的时刻，所以是个固定的数。
const created = "1700000000"

// listModels 由本节点答 GET /v1/models 与 GET /v1/models/{model}：只有这个 app 可用的。
func (x *exchange) listModels() error {
	path := x.r.URL.EscapedPath()
	if name, one := strings.CutPrefix(path, "/v1/models/"); one {
		return x.oneModel(name)
	}
	body := append([]byte(nil), `{"object":"list","data":[`...)
	first := true
	for _, name := range x.st.ModelNames() {
		if !x.key.App.Allows(name) {
			continue
		}
		if !first {
			body = append(body, ',')
		}
		first = false
		body = appendModel(body, name)
	}
	x.answerLocally(append(body, "]}"...))
	return nil
}

// oneModel 答一个模型；名字里的斜杠转义与否都认。不许用的与不存在的答得一样。
func (x *exchange) oneModel(escaped string) error {
	name, err := url.PathUnescape(escaped)
	if err != nil {
		return vegaerr.New(vegaerr.Invalid, "invalid_request", "the model name in the path has a malformed percent escape")
	}
	var m *state.Model
	if found, ok := x.st.Model(name); ok && x.key.App.Allows(name) {
		m = found
	}
	if m == nil {
		x.asked = name
		return vegaerr.New(vegaerr.NotFound, "model_not_found", "the model %q does not exist or this API key may not use it", name).WithParam("model")
	}
	x.answerLocally(appendModel(nil, m.Name))
	return nil
}

func appendModel(dst []byte, name string) []byte {
	dst = gjson.AppendJSONString(append(dst, `{"id":`...), name)
	return append(dst, `,"object":"model","created":`+created+`,"owned_by":"vega"}`...)
}

func (x *exchange) answerLocally(body []byte) {
	x.w.Header()["Content-Type"] = jsonType
	x.closed = true // 没有到过上游，没有账
	x.writeWhole(http.StatusOK, body)
}
