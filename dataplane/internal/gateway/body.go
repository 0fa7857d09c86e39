package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// slowest 是送请求体可以有的最低速度（字节每秒），超过 BodyStall 的起步时间之后算。
const slowest = 1 << 10

// readBody 把请求体一次读进池里的缓冲。
//
// Content-Length 超限的不读就拒绝；没有长度的读到超限为止。停得太久、慢得不像话的答 408。
func (x *exchange) readBody() error {
	limit := x.gw.cfg.MaxBodyBytes
	if x.r.ContentLength > limit {
		x.w.Header().Set("Connection", "close")
		return errTooLarge(limit)
	}
	x.body = x.gw.bodies.get()
	if x.r.ContentLength == 0 || x.r.Body == nil || x.r.Body == http.NoBody {
		return nil
	}
	x.body.b = slices.Grow(x.body.b, int(max(x.r.ContentLength, 512)))
	err := x.fill(limit)
	_ = x.rc.SetReadDeadline(time.Time{}) // 留着它会让服务器以为客户端走了
	if err != nil {
		x.w.Header().Set("Connection", "close")
		return x.bodyError(err, limit)
	}
	return nil
}

var errOverLimit = errors.New("request body over the limit")

func (x *exchange) fill(limit int64) error {
	start := time.Now()
	var armed time.Time
	for {
		now := time.Now()
		if now.Sub(armed) > time.Second {
			armed = now
			_ = x.rc.SetReadDeadline(x.readBy(start, now))
		}
		if len(x.body.b) == cap(x.body.b) {
			x.body.b = slices.Grow(x.body.b, max(512, min(len(x.body.b), 1<<20)))
		}
		n, err := x.r.Body.Read(x.body.b[len(x.body.b):cap(x.body.b)])
		x.body.b = x.body.b[:len(x.body.b)+n]
		if int64(len(x.body.b)) > limit {
			return errOverLimit
		}
		if err == io.EOF || err == nil && int64(len(x.body.b)) == x.r.ContentLength {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readBy 是此刻的读期限：从现在起 BodyStall，并且不晚于最低速度允许的时刻。
func (x *exchange) readBy(start, now time.Time) time.Time {
	stall := now.Add(x.gw.cfg.BodyStall)
	pace := start.Add(x.gw.cfg.BodyStall + time.Duration(len(x.body.b)/slowest)*time.Second)
	if pace.Before(stall) {
		return pace
	}
	return stall
}

func (x *exchange) bodyError(err error, limit int64) error {
	var timeout net.Error
	switch {
	case errors.Is(err, errOverLimit):
		return errTooLarge(limit)
	case errors.As(err, &timeout) && timeout.Timeout():
		return vegaerr.Wrap(err, vegaerr.Timeout, "request_timeout", "the request body came too slowly; send it at least at 1 KiB per second")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, context.Canceled), errors.As(err, &timeout):
		x.gone = true
		return vegaerr.Wrap(err, vegaerr.Canceled, "", "the client went away while sending the request body")
	}
	return vegaerr.Wrap(err, vegaerr.Invalid, "invalid_request", "the request body could not be read: its transfer encoding is malformed")
}

func errTooLarge(limit int64) error {
	return vegaerr.New(vegaerr.TooLarge, "request_too_large", "the request body is larger than the limit of %d bytes; send a smaller one", limit)
}
