package httpapi

import (
	"net/http"
	"time"
)

const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 32 << 10
)

// Server 造公开监听的 http.Server。
//
// 没有 ReadTimeout 与 WriteTimeout：请求体的快慢由 gateway 看着，流没有总时长。
// net/http 把 MaxHeaderBytes 再放宽 4 KiB，所以这里先减掉，使上限就是 32 KiB。
func Server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes - 4<<10,
	}
}
