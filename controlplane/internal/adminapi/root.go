package adminapi

import (
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

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

// NewServer 给出装好时限与头部上限的 http.Server；地址与 TLS 由调用者给。
// 写的时限从请求头读完算起，须大过最久的应答（wait 的 10 秒与大的用量查询）。
func NewServer(h http.Handler, log *zap.Logger) (*http.Server, error) {
	std, err := zap.NewStdLogAt(log, zapcore.DebugLevel)
	if err != nil {
		return nil, err
	}
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       2 * time.Minute,
		WriteTimeout:      3 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          std,
	}, nil
}
