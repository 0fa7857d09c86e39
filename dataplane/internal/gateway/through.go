package gateway

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/vega-gateway/vega/dataplane/internal/meter"
	"github.com/vega-gateway/vega/dataplane/internal/proxy"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// tapBytes 是为读用量肯留的 JSON 应答的上限。
const tapBytes = 4 << 20

// passage 是一个边读边送的应答：二进制、别的端点的 JSON、3xx，以及大得反常的错误。
type passage struct {
	left int64   // 还差多少字节，负数即不知道
	copy *buffer // 为读用量留的一份；nil 即不必或太大
}

// passThrough 原样交出正来着的应答；prefix 是已经读出的开头。
func (x *exchange) passThrough(prefix []byte) error {
	p := passage{left: x.live.Length}
	if x.worthTapping() {
		p.copy = x.gw.bodies.get()
	}
	defer func() {
		if p.copy != nil {
			p.copy.Release()
		}
	}()
	if len(prefix) > 0 {
		if p.left >= 0 {
			p.left -= int64(len(prefix))
		}
		x.commit(x.live.Status, x.live.Length)
		x.write(prefix)
	}
	return x.carry(&p)
}

// worthTapping 说应答里可能有用量：没有压缩的 JSON。
func (x *exchange) worthTapping() bool {
	h := x.live.Header
	return strings.Contains(h.Get("Content-Type"), "json") && !meter.Encoded(h.Get("Content-Encoding"))
}

func (x *exchange) carry(p *passage) error {
	c := x.gw.chunks.take()
	defer c.done()
	for {
		room := c.room()
		n, err := x.live.Read(room)
		if n > 0 {
			x.sawByte()
			p.keep(room[:n])
		}
		last := errors.Is(err, io.EOF) || p.left == 0
		if last {
			x.completedPassage(p)
		}
		if n > 0 && !x.handOver(room[:n], p.left < 0) && !x.drains() {
			p.cut(x)
			return x.broken(&proxy.Failure{Kind: proxy.Canceled, Sent: true})
		}
		switch {
		case last:
			if !x.committed && !x.gone {
				x.commit(x.live.Status, x.live.Length)
			}
			return nil
		case err != nil:
			p.cut(x)
			return x.broken(failureOf(err))
		}
		c.fit(n)
	}
}

// handOver 送出一段；长度不知道的多半是边产边送的，随读随冲。
func (x *exchange) handOver(b []byte, now bool) bool {
	if !x.committed && !x.gone {
		x.commit(x.live.Status, x.live.Length)
	}
	return x.write(b) && (!now || x.flush())
}

// keep 记下经过的一段。
func (p *passage) keep(b []byte) {
	if p.left > 0 {
		p.left -= int64(len(b))
	}
	if p.copy == nil {
		return
	}
	if len(p.copy.b)+len(b) > tapBytes {
		p.copy.Release()
		p.copy = nil
		return
	}
	p.copy.b = append(p.copy.b, b...)
}

func (x *exchange) completedPassage(p *passage) {
	if x.closed {
		return
	}
	if p.copy != nil {
		x.measuredBody(p.copy.b, true)
	}
	x.completed(x.live.Status, outcomeOfStatus(x.live.Status))
}

// cut 在应答断在半路时把有的交去数。
func (p *passage) cut(x *exchange) {
	if p.copy != nil && !x.closed {
		x.measuredBody(p.copy.b, false)
	}
}

// outcomeOfStatus 是上游完整地答了 status 的结局。
func outcomeOfStatus(status int) usagev1.Outcome {
	switch {
	case status >= http.StatusInternalServerError:
		return usagev1.Outcome_OUTCOME_UPSTREAM_ERROR
	case status == http.StatusTooManyRequests:
		return usagev1.Outcome_OUTCOME_LIMITED
	case status >= http.StatusBadRequest:
		return usagev1.Outcome_OUTCOME_CLIENT_ERROR
	}
	return usagev1.Outcome_OUTCOME_OK
}
