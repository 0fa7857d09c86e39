package adminapi

import (
	"net/http"
	"strings"

	"github.com/vega-gateway/vega/proto/ops"
)

// root 按原样的路径分路，不清理也不改写它。
type root struct {
	api, console http.Handler
}

// ServeHTTP 实现 http.Handler。
func (r *root) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path := req.URL.Path
	switch {
	case path == "/api" || strings.HasPrefix(path, "/api/"):
		r.api.ServeHTTP(w, req)
	case path == "/healthz" && (req.Method == http.MethodGet || req.Method == http.MethodHead):
		ops.Healthz(w, req)
	case r.console != nil:
		r.console.ServeHTTP(w, req)
	default:
		http.NotFound(w, req)
	}
}
