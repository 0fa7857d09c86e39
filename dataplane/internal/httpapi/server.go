package httpapi

import (
	"net/http"
	"time"
)

const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 32 << 10
	writeTimeout      = time.Minute
)

// Server 造公开监听的 http.Server。
//
// 没有 ReadTimeout：请求体的快慢由 gateway 看着。WriteTimeout 只是每个请求到达时定下的第一个写期限，
// 让不经过 gateway 的应答（404、net/http 自己的 400）与短的应答也不会永远卡在不收的客户端上；长的由 gateway 逐次续。
// net/http 把 MaxHeaderBytes 再放宽 4 KiB，所以这里先减掉，使上限就是 32 KiB。
func Server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		WriteTimeout:      writeTimeout,
		MaxHeaderBytes:    maxHeaderBytes - 4<<10,
	}
}
