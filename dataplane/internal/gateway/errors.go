package gateway

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

var jsonType = []string{"application/json"}

// statusOf 给出原因的 HTTP 状态与 OpenAI 的 type；表在 dialect，这里只有它不必知道的几个。
func statusOf(e *vegaerr.Error) (status int, typ string) {
	switch reason := e.ReasonOrCode(); reason {
	case "request_timeout":
		return http.StatusRequestTimeout, "invalid_request_error"
	case "method_not_allowed":
		return http.StatusMethodNotAllowed, "invalid_request_error"
	default:
		return dialect.Describe(reason)
	}
}

// finish 把路上的错误答给客户端；nil 即已经答完。
func (x *exchange) finish(err error) {
	if err == nil {
		return
	}
	x.refusal = vegaerr.As(err)
	if x.refusal.Code == vegaerr.Canceled {
		x.abort, x.canceled = true, true
		if x.early { // 200 在排队时就给了它
			x.status = http.StatusOK
		}
		return
	}
	if x.begun() { // 应答已经开始：只能断开
		x.abort = true
		return
	}
	x.writeError(x.refusal)
}

func (x *exchange) writeError(e *vegaerr.Error) {
	status, _ := statusOf(e)
	x.status = status
	if x.early {
		x.writeErrorEvent(status, x.outcomeOfStatus(), errorBody(e, x.id))
		return
	}
	x.setRouteHeaders()
	x.settleAccount(status, x.outcomeOfStatus())
	x.committed = true
	x.armWrite(0)
	WriteError(x.w, e, x.id)
}

// WriteError 以 OpenAI 的形式写一个错误；id 是请求号，未知的内部错误只给它。429 与 503 带上重试间隔。
func WriteError(w http.ResponseWriter, e *vegaerr.Error, id string) {
	status, _ := statusOf(e)
	h := w.Header()
	h["Content-Type"] = jsonType
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		wait := max(e.RetryAfter, time.Millisecond)
		if e.RetryAfter <= 0 {
			wait = time.Second
		}
		h.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
		h.Set("Retry-After-Ms", strconv.FormatInt(wait.Milliseconds(), 10))
	}
	if e.ReasonOrCode() == "insufficient_quota" { // 到下一期之前再来也没有用，而 SDK 见 429 就重试
		h.Set("X-Should-Retry", "false")
	}
	body := errorBody(e, id)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // 写不出去就是客户端走了，没有别人可以告诉
}

// errorBody 是错误的 OpenAI 形式，没有换行。
func errorBody(e *vegaerr.Error, id string) []byte {
	_, typ := statusOf(e)
	message := e.Message
	if e.Code == vegaerr.Internal {
		message = fmt.Sprintf("internal error; quote the request id %s when asking for help", id)
	}
	return dialect.AppendError(nil, message, typ, e.Param, e.ReasonOrCode())
}

// crashed 记下一次崩溃；还没有写过什么就答 500。
func (x *exchange) crashed(cause any) {
	x.gw.log.Error("panic while serving a request", zap.String("request_id", x.id),
		zap.String("panic", fmt.Sprint(cause)), zap.ByteString("stack", debug.Stack()))
	x.refusal = vegaerr.Wrap(fmt.Errorf("panic: %v", cause), vegaerr.Internal, "", "internal error")
	x.abort = true
	if !x.begun() {
		x.abort = false
		x.writeError(x.refusal)
	}
}

func errNotReady() error {
	return vegaerr.New(vegaerr.Unavailable, "not_ready", "the gateway has no configuration yet; try again shortly").WithRetryAfter(time.Second)
}

func errNoServer() error {
	return vegaerr.New(vegaerr.Unavailable, "no_server_available", "no server serves this model any more; try again shortly").WithRetryAfter(time.Second)
}

func errUpstreamTimeout(cause error) error {
	return vegaerr.Wrap(cause, vegaerr.Timeout, "upstream_timeout", "the upstream did not answer in time; it may still be working on the request").FromUpstream()
}

func errUpstream(cause error, message string) error {
	return vegaerr.Wrap(cause, vegaerr.Unavailable, "upstream_error", "%s", message).FromUpstream()
}
