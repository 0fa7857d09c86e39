package adminapi

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// stream 写 server-sent events。每次写都有自己的期限：不读的客户端占不住协程；写完就撤去，HTTP/2 的期限过了会断流，写不写都一样。
type stream struct {
	w       *echo.Response
	control *http.ResponseController
	timeout time.Duration
	buffer  []byte
}

func newStream(c echo.Context, timeout time.Duration) *stream {
	return &stream{w: c.Response(), control: http.NewResponseController(c.Response()), timeout: timeout}
}

// begin 写下头与重连的间隔。
func (s *stream) begin() error {
	h := s.w.Header()
	h.Set(echo.HeaderContentType, "text/event-stream")
	h.Set(echo.HeaderCacheControl, "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx 不要攒
	s.w.WriteHeader(http.StatusOK)
	s.buffer = append(s.buffer[:0], "retry: 2000\n\n"...)
	return s.flush()
}

// event 写一个事件；data 是一行 JSON。
func (s *stream) event(name string, data []byte) error {
	s.buffer = append(s.buffer[:0], "event: "...)
	s.buffer = append(s.buffer, name...)
	s.buffer = append(s.buffer, "\ndata: "...)
	s.buffer = append(s.buffer, data...)
	s.buffer = append(s.buffer, "\n\n"...)
	return s.flush()
}

// comment 写一行注释：让两头与中间的代理知道还连着。
func (s *stream) comment() error {
	s.buffer = append(s.buffer[:0], ":\n\n"...)
	return s.flush()
}

func (s *stream) flush() error {
	if err := s.control.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return err
	}
	if _, err := s.w.Write(s.buffer); err != nil {
		return err
	}
	if err := s.control.Flush(); err != nil {
		return err
	}
	return s.control.SetWriteDeadline(time.Time{})
}
