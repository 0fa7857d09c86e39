package gateway

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/dataplane/internal/proxy"
	"github.com/vega-gateway/vega/dataplane/internal/route"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// answer 把结果交给客户端：我们的错误、读完的错误应答，或者正来着的应答。
func (x *exchange) answer() error {
	switch {
	case x.final != nil:
		return x.final
	case x.kept.buf != nil && x.early:
		return x.keptEvent()
	case x.kept.buf != nil:
		return x.answerKept()
	}
	header, status := x.live.Header, x.live.Status
	x.head = header
	streaming := status == http.StatusOK && eventStream(header)
	x.keepInput(streaming)
	switch {
	case streaming:
		return x.stream()
	case x.early:
		return x.notAStream()
	case status == http.StatusOK && x.ep.CheckObject:
		return x.buffered()
	}
	return x.passThrough(nil)
}

func eventStream(h http.Header) bool {
	t, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(t), "text/event-stream")
}

// commit 写出应答头；length 负数即不知道。上游的头到这里才过滤进来：在此之前还可能改答我们的错误，不能沾着它们。
// 排队时已经写出过头的，从这里起应答才算开始。
func (x *exchange) commit(status int, length int64) {
	if x.status == 0 {
		x.status = status
	}
	if x.early {
		x.early = false
		return
	}
	x.committed = true
	h := x.w.Header()
	if x.head != nil {
		dialect.FilterResponseHeaders(h, x.head)
		if _, ok := h["Content-Type"]; !ok {
			h["Content-Type"] = nil // 上游没有说，net/http 也不要替它猜
		}
	}
	if x.streaming {
		h["Cache-Control"], h["X-Accel-Buffering"] = noCache, noBuffering
	}
	x.setRouteHeaders()
	if length >= 0 && status != http.StatusNoContent && status != http.StatusNotModified {
		x.values[3] = strconv.FormatInt(length, 10)
		h["Content-Length"] = x.values[3:4:4]
	}
	x.armWrite(0)
	x.w.WriteHeader(status)
	x.disarmWrite()
}

// writeWhole 一次写出一个完整的应答；账须已经关上。
func (x *exchange) writeWhole(status int, body []byte) {
	x.commit(status, int64(len(body)))
	x.write(body)
}

// broken 了结一次读到一半断了的调用：还没写出头就答错误，写出了就让连接异常结束。
// complete 为 false 的用量是到此为止的数。
func (x *exchange) broken(f *proxy.Failure) error {
	x.permit.Abort()
	if f.Kind == proxy.Canceled || x.clientGone() {
		x.closeAttempt(usagev1.Outcome_OUTCOME_ABORTED, route.Neutral, "")
		return vegaerr.Wrap(f, vegaerr.Canceled, "", "the client went away")
	}
	x.closeAttempt(usagev1.Outcome_OUTCOME_UPSTREAM_ERROR, route.Failing, f.Kind.String())
	if x.begun() {
		x.settleAccount(x.status, usagev1.Outcome_OUTCOME_UPSTREAM_ERROR)
	}
	if f.Kind == proxy.Truncated || f.Kind == proxy.Broken {
		return errUpstream(f, "the upstream broke off its answer; try again")
	}
	return errUpstreamTimeout(f)
}

// completed 了结一次完整的调用并关账；客户端已走的算 aborted，用量照记。
func (x *exchange) completed(status int, o usagev1.Outcome) {
	result := route.Healthy
	if o == usagev1.Outcome_OUTCOME_UPSTREAM_ERROR {
		result = route.Failing
	}
	if x.clientGone() {
		o = usagev1.Outcome_OUTCOME_ABORTED
	}
	x.closeAttempt(o, result, "")
	x.settleAccount(status, o)
	x.dropBody() // 数过了；客户端收得再慢也不占着它
}
