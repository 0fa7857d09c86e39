package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/dataplane/internal/route"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/schedule"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// announceStall 是一行排队消息写给客户端可以停多久：写的时候许可可能正好来了，不能为一个不收的客户端占着它。
const announceStall = 2 * time.Second

var sseType = []string{"text/event-stream"}

// announce 把排到第几写成一行 SSE 注释；第一行之前写出 200 的头，从此这个应答只能是一条流。
func (x *exchange) announce(p schedule.Place) {
	if x.gone {
		return
	}
	if x.position == 0 {
		x.position = p.Position
	}
	x.writeBy = time.Now().Add(announceStall)
	_ = x.rc.SetWriteDeadline(x.writeBy)
	if !x.committed {
		x.open()
	}
	n, err := x.w.Write(appendPlace(x.comment[:0], p))
	if err == nil {
		err = x.rc.Flush()
	}
	x.sent += int64(n)
	x.disarmWrite()
	if x.gone = err != nil; x.gone {
		x.hangUp() // 写不出去的客户端不必再排
	}
}

// open 写出排队消息之前的头：去了哪还不知道，等了多久也不知道。
func (x *exchange) open() {
	x.committed, x.early, x.streaming = true, true, true
	h := x.w.Header()
	h["Content-Type"], h["Cache-Control"], h["X-Accel-Buffering"] = sseType, noCache, noBuffering
	x.setPosition(h)
	x.setLimitHeaders(h)
	x.w.WriteHeader(http.StatusOK)
}

// appendPlace 接上一行注释，如 ": vega-queue position=3 wait_ms=1200"；说不出的不写。后面的空行让攒到空行才交出的客户端也看得见。
func appendPlace(dst []byte, p schedule.Place) []byte {
	dst = append(dst, ": vega-queue"...)
	if p.Position > 0 {
		dst = strconv.AppendInt(append(dst, " position="...), p.Position, 10)
	}
	if p.Wait >= 0 {
		dst = strconv.AppendInt(append(dst, " wait_ms="...), p.Wait.Milliseconds(), 10)
	}
	return append(dst, "\n\n"...)
}

// begun 说应答（不算排队消息）已经开始给客户端，只能继续或断开。
func (x *exchange) begun() bool { return x.committed && !x.early }

// writeErrorEvent 在排队消息之后以一个事件答一个错误，然后干净地结束，没有 [DONE]。
// status 是没有先开流时会答的状态：进日志、指标与账，客户端看见的是 200。
func (x *exchange) writeErrorEvent(status int, o usagev1.Outcome, body []byte) {
	x.status = status
	x.settleAccount(status, o)
	x.early = false
	out := append(make([]byte, 0, len(body)+16), "data: "...)
	x.write(append(append(out, oneLine(body)...), "\n\n"...))
}

// oneLine 去掉 JSON 里的换行：事件的一行 data 容不下它们。
func oneLine(body []byte) []byte {
	if !bytes.ContainsAny(body, "\r\n") {
		return body
	}
	var b bytes.Buffer
	if json.Compact(&b, body) != nil {
		return body
	}
	return b.Bytes()
}

// keptEvent 把读完的错误应答变成一个事件。
func (x *exchange) keptEvent() error {
	out, _ := dialect.WrapError(x.kept.status, x.kept.header.Get("Content-Type"), x.kept.body())
	if x.kept.rest { // 大到不像错误应答：一个事件装不下，剩下的不读了
		x.permit.Abort()
		x.closeAttempt(outcomeOfStatus(x.kept.status), route.Neutral, "")
	}
	x.writeErrorEvent(x.kept.status, x.lastOutcome(), out)
	return nil
}

var errNotAStream = errors.New("the upstream answered without an event stream")

// notAStream 了结一个已经先开了流、上游却不以流作答的请求。
func (x *exchange) notAStream() error {
	x.closeAttempt(usagev1.Outcome_OUTCOME_UPSTREAM_ERROR, route.Neutral, "")
	x.permit.Abort()
	return vegaerr.Wrap(errNotAStream, vegaerr.Unavailable, "upstream_error",
		"the upstream answered with status %d and no event stream; without x-vega-queue-events the answer would pass as it is", x.live.Status).FromUpstream()
}
