package gateway

import (
	"net/http"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/dataplane/internal/proxy"
	"github.com/vega-gateway/vega/dataplane/internal/route"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// maxTries 是一个请求至多去上游几次，含没连上的。
const maxTries = 3

// step 是一次调用之后还可以怎么办。
type step uint8

const (
	stop          step = iota // 不再去
	elsewhere                 // 别的目标，否则同一个马上再来一次
	elsewhereSlow             // 别的目标，否则同一个过 RetryDelay 再来一次
	elsewhereOnly             // 只有别的目标
	whenUnpaused              // 别的目标，否则等暂停过去再来一次
	freshPermit               // 许可过期了，什么也没有送：按原来的意思再要一张
	withoutUsage              // 同一个，不再索取用量
)

// judge 看这次调用的结果：该交给客户端返回 false，可以再去返回 true（怎么去在 x.after）。
//
// 再去不成时：x.final 非 nil 就以它回答，否则交出 x.kept。
func (x *exchange) judge() bool {
	x.after, x.final = stop, nil
	x.kept.drop()
	switch {
	case x.failure != nil:
		x.judgeFailure(x.failure)
	case x.live.Status < http.StatusOK: // 没有人要过换协议的 101，也没有更小的状态
		x.judgeFailure(&proxy.Failure{Kind: proxy.Broken, Sent: true})
	case x.live.Status < http.StatusBadRequest:
	default:
		x.judgeRefusal()
	}
	return x.after != stop
}

func (x *exchange) judgeFailure(f *proxy.Failure) {
	if f.Sent {
		x.permit.Abort()
	} else {
		x.permit.Unused()
	}
	if x.expired(f) {
		return
	}
	switch f.Kind {
	case proxy.Canceled:
		x.final = vegaerr.Wrap(f, vegaerr.Canceled, "", "the client went away")
		x.closeAttempt(usagev1.Outcome_OUTCOME_ABORTED, route.Neutral, "")
	case proxy.FirstByte, proxy.Total, proxy.Idle:
		x.final = errUpstreamTimeout(f)
		x.closeAttempt(usagev1.Outcome_OUTCOME_UPSTREAM_ERROR, route.Failing, f.Kind.String())
	default:
		x.after = elsewhere
		x.final = vegaerr.Wrap(f, vegaerr.Unavailable, "upstream_error", "the upstream could not be reached or broke the connection; try again").FromUpstream()
		x.closeAttempt(usagev1.Outcome_OUTCOME_UPSTREAM_ERROR, route.Failing, f.Kind.String())
	}
}

// expired 认出连接来得比许可的寿命还晚的一次：不怪上游，也不算一次尝试，按要那张许可时的意思再要一张。
// 一次次加起来等到了 connect_ms 就与连不上无异，不归这里管。
func (x *exchange) expired(f *proxy.Failure) bool {
	if f.Kind != proxy.Late || f.Sent {
		return false
	}
	x.dialing += x.gw.now().Sub(x.call.start)
	if x.dialing >= x.permit.Target.Server.Connect {
		x.dialing = 0
		return false
	}
	x.tries--
	x.tried = x.tried[:len(x.tried)-1]
	x.after = freshPermit
	return true
}

// judgeRefusal 读完一个 4xx、5xx 的应答，按表决定。
func (x *exchange) judgeRefusal() {
	t, status := x.permit.Target, x.live.Status
	if f := x.keep(); f != nil {
		x.judgeFailure(f)
		return
	}
	outcome, result := usagev1.Outcome_OUTCOME_CLIENT_ERROR, route.Healthy
	switch {
	case x.kept.rest:
		// 大到不像错误应答：原样交出，不重试。
	case status == http.StatusUnauthorized:
		x.after, outcome, result = elsewhereOnly, usagev1.Outcome_OUTCOME_UPSTREAM_ERROR, route.Denied
		x.final = vegaerr.New(vegaerr.Unavailable, "upstream_auth_failed", "the upstream refused the gateway's own credential; the operator must check the API key of server %q", t.Server.Name).FromUpstream()
	case status == http.StatusTooManyRequests:
		outcome = usagev1.Outcome_OUTCOME_LIMITED
		x.judgeLimited()
	case status == http.StatusBadRequest && x.injected && x.usageIsOptional() && dialect.NamesStreamOptions(x.kept.body()):
		x.gw.refusers.add(t)
		x.after = withoutUsage
	case retryable(status):
		x.after, outcome, result = elsewhereSlow, usagev1.Outcome_OUTCOME_UPSTREAM_ERROR, route.Failing
	case status >= http.StatusInternalServerError:
		outcome = usagev1.Outcome_OUTCOME_UPSTREAM_ERROR
	}
	if !x.kept.rest {
		x.closeAttempt(outcome, result, http.StatusText(status))
	}
}

// judgeLimited 暂停被 429 的目标；第二次 429 与额度用尽不再去。
func (x *exchange) judgeLimited() {
	if dialect.IsInsufficientQuota(x.kept.body()) {
		return
	}
	wait, _ := dialect.RetryAfter(x.kept.header, x.gw.now())
	x.gw.gate.Pause(x.permit.Target, wait)
	if !x.limited {
		x.limited, x.after = true, whenUnpaused
	}
}

func retryable(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, 529:
		return true
	}
	return false
}

// next 还掉许可，按 x.after 再要一张；没有下一次返回 false。
func (x *exchange) next() bool {
	x.leave()
	if x.clientGone() {
		x.final = vegaerr.New(vegaerr.Canceled, "", "the client went away")
		return false
	}
	if x.seek() {
		x.kept.drop()
		x.final, x.firstByte = nil, 0 // 上一次的错误体没有给过客户端
		return true
	}
	return false
}

func (x *exchange) seek() bool {
	switch x.after {
	case freshPermit:
		return x.askAgain()
	case withoutUsage:
		return x.tries < maxTries && (x.admit(sameAgain, atOnce) == nil || x.admitLater(anyCandidate))
	case whenUnpaused:
		return x.tries < maxTries && (x.admit(another, atOnce) == nil || x.admitLater(anyCandidate))
	case elsewhereOnly:
		return x.tries < x.allowance() && x.admitLater(another) || x.fallBack()
	case elsewhere:
		return x.tryElsewhere(0) || x.fallBack()
	}
	return x.tryElsewhere(x.gw.cfg.RetryDelay) || x.fallBack()
}

// askAgain 带着原来的入队时刻与期限再要一张许可；要不到就是这个请求的回答。
func (x *exchange) askAgain() bool {
	err := x.admit(x.lookingFor, inLine)
	if err == nil {
		return true
	}
	x.final = err
	return unable(err) && x.fallBack()
}

// unable 说一个模型没有一个目标能服务：那是回退该管的，限额不是。
func unable(err error) bool { return vegaerr.As(err).Reason == "no_server_available" }

// tryElsewhere 去别的目标；此刻没有能去的，过 delay 再去同一个，一个模型里只此一次。
// 要去的都满着就回到队里原来的位置等：许可已经还了，同一个也可能被别人占去。
func (x *exchange) tryElsewhere(delay time.Duration) bool {
	if x.tries >= x.allowance() {
		return false
	}
	if x.admit(another, atOnce) == nil {
		return true
	}
	if x.again {
		return x.admitLater(another)
	}
	x.again = true
	return (delay == 0 || x.sleep(delay)) && x.admitLater(anotherOrSame)
}

// admitLater 带着原来的入队时刻与期限等到有目标能去；等不到则交出上游的那个回答。
// 等的当中钥匙、模型没了，以那个错误回答；等任何一个而一个也不剩了，也以那个错误回答。
func (x *exchange) admitLater(w wish) bool {
	err := x.admit(w, inLine)
	switch {
	case err == nil:
		return true
	case x.barred, vegaerr.CodeOf(err) == vegaerr.Canceled, w == anyCandidate && vegaerr.CodeOf(err) != vegaerr.Exhausted:
		x.final = err
	}
	return false
}

// allowance 是这个模型可以用到第几次尝试；还有回退时留一次给它。
func (x *exchange) allowance() int {
	if len(x.fallbacks) > 0 {
		return maxTries - 1
	}
	return maxTries
}

// enter 为点名的模型要第一张许可；它没有一个目标能服务时依次换成回退模型。
func (x *exchange) enter() error {
	err := x.admit(anyCandidate, inLine)
	for err != nil && unable(err) && len(x.fallbacks) > 0 {
		x.popFallback()
		err = x.admit(anyCandidate, inLine)
	}
	return err
}

// fallBack 换到下一个回退模型；没有、尝试用完或它也不能服务返回 false。
func (x *exchange) fallBack() bool {
	if x.barred || len(x.fallbacks) == 0 || x.tries >= maxTries {
		return false
	}
	x.popFallback()
	return x.enter() == nil
}

func (x *exchange) popFallback() {
	m := x.fallbacks[0]
	x.fallbacks = x.fallbacks[1:]
	x.use(m)
}
