package upstreamtest

import (
	"net/http"
	"slices"

	"github.com/tidwall/gjson"
)

func listModels(x *exchange) error {
	buf := append([]byte(nil), `{"object":"list","data":[`...)
	for i, name := range x.srv.cfg.Models {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = appendModel(buf, name)
	}
	return x.whole(200, "application/json", append(buf, `]}`...), nil)
}

func getModel(x *exchange) error {
	name := x.r.PathValue("id")
	if !slices.Contains(x.srv.cfg.Models, name) {
		return x.fail(http.StatusNotFound, "invalid_request_error", "model_not_found", "The model '"+name+"' does not exist")
	}
	return x.whole(200, "application/json", appendModel(nil, name), nil)
}

func appendModel(buf []byte, name string) []byte {
	buf = append(buf, `{"id":`...)
	buf = gjson.AppendJSONString(buf, name)
	return append(buf, `,"object":"model","created":1700000000,"owned_by":"fake"}`...)
}
