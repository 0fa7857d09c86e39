package gateway

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/vega-gateway/vega/dataplane/internal/meter"
	"github.com/vega-gateway/vega/dataplane/internal/route"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

var errNotAnObject = errors.New("the answer is not exactly one JSON object")

// buffered 把非流式的 200 整个读完、检查过，才写头：空的、不是恰好一个 JSON 对象的是 502。
func (x *exchange) buffered() error {
	buf := x.gw.bodies.get()
	defer buf.Release()
	if err := x.readInto(buf, x.live, x.gw.cfg.MaxAnswerBytes); err != nil {
		if errors.Is(err, errOverLimit) {
			x.permit.Abort()
			return x.unusable(err, "the upstream's answer is too large")
		}
		x.measuredBody(buf.b, false)
		return x.broken(failureOf(err))
	}
	encoding := x.live.Header.Get("Content-Encoding")
	body, plain := buf.b, buf.b
	decoded := meter.Encoded(encoding) && meter.Decodable(encoding)
	if decoded {
		var err error
		if plain, err = decodeAll(encoding, buf.b, x.gw.cfg.MaxAnswerBytes); err != nil {
			return x.unusable(err, "the upstream's answer could not be decoded")
		}
	}
	if len(plain) == 0 || !meter.Encoded(encoding) || meter.Decodable(encoding) {
		if !meter.CheckObject(plain) {
			x.measuredBody(plain, false)
			return x.unusable(errNotAnObject, "the upstream's answer is empty or not one JSON object")
		}
		x.measuredBody(plain, true)
	}
	x.completed(http.StatusOK, usagev1.Outcome_OUTCOME_OK)
	if decoded && !meter.Accepts(x.r.Header.Get("Accept-Encoding"), encoding) {
		x.head.Del("Content-Encoding")
		body = plain
	}
	x.writeWhole(http.StatusOK, body)
	return nil
}

// unusable 了结一个读完了却不能交出去的应答。
func (x *exchange) unusable(cause error, message string) error {
	x.closeAttempt(usagev1.Outcome_OUTCOME_UPSTREAM_ERROR, route.Failing, cause.Error())
	return errUpstream(cause, message)
}

// decodeAll 解开整个体；超过 limit 或坏了返回错误。
func decodeAll(encoding string, body []byte, limit int) ([]byte, error) {
	r, err := meter.NewReader(encoding, bytes.NewReader(body), meter.Limits{MaxBytes: int64(limit)})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	plain, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return plain, nil
}
