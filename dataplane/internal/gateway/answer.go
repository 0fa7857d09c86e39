package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"

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
	case x.kept.buf != nil:
		return x.answerKept()
	}
	x.dropBody() // 从这里起不会再有下一次，流开着的时候不占着它
	header, status := x.live.Header, x.live.Status
	switch {
	case status == http.StatusOK && eventStream(header):
		return x.stream()
	case status == http.StatusOK && x.ep.CheckObject:
		return x.buffered()
	}
	dialect.FilterResponseHeaders(x.w.Header(), header)
	return x.passThrough(nil)
}

func eventStream(h http.Header) bool {
	t, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(t), "text/event-stream")
}

// commit 写出应答头；length 负数即不知道。
func (x *exchange) commit(status int, length int64) {
	x.committed = true
	if x.status == 0 {
		x.status = status
	}
	x.setRouteHeaders()
	if length >= 0 {
		x.values[3] = strconv.FormatInt(length, 10)
		x.w.Header()["Content-Length"] = x.values[3:4:4]
	}
	x.w.WriteHeader(status)
}

// writeWhole 一次写出一个完整的应答；账须已经关上。
func (x *exchange) writeWhole(status int, body []byte) {
	x.commit(status, int64(len(body)))
	x.write(body)
}

// bigWrite 以上的一次写才先定期限：再小的总装得进套接字的缓冲。
const bigWrite = 16 << 10

// write 写给客户端；写不出去返回 false，从此当它走了。
func (x *exchange) write(p []byte) bool {
	if x.gone || len(p) == 0 {
		return !x.gone
	}
	if len(p) > bigWrite {
		x.renewWriteBy()
	}
	n, err := x.w.Write(p)
	x.sent += int64(n)
	x.gone = err != nil
	return !x.gone
}

// flush 把写过的送上线；同样以写不出去为走了。
func (x *exchange) flush() bool {
	if !x.gone {
		x.renewWriteBy()
		x.gone = x.rc.Flush() != nil
	}
	return !x.gone
}

// writeSlack 是写期限至多多久续一次：定期限要进内核的定时器，不必每块一次。
const writeSlack = 5 * time.Second

func (x *exchange) renewWriteBy() {
	now := time.Now()
	if by := now.Add(x.gw.cfg.WriteStall); by.Sub(x.writeBy) > writeSlack {
		x.writeBy = by.Add(writeSlack)
		_ = x.rc.SetWriteDeadline(x.writeBy)
	}
}

// broken 了结一次读到一半断了的调用：还没写出头就答错误，写出了就让连接异常结束。
// complete 为 false 的用量是到此为止的数。
func (x *exchange) broken(f *proxy.Failure) error {
	if f.Kind == proxy.Canceled || x.clientGone() {
		x.closeAttempt(usagev1.Outcome_OUTCOME_ABORTED, route.Neutral, "")
		return vegaerr.Wrap(f, vegaerr.Canceled, "", "the client went away")
	}
	x.closeAttempt(usagev1.Outcome_OUTCOME_UPSTREAM_ERROR, route.Failing, f.Kind.String())
	if x.committed {
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
}
