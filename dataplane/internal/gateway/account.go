package gateway

import (
	"net/http"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/meter"
	"github.com/vega-gateway/vega/dataplane/internal/route"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

// call 是进行中的一次调用的账。
type call struct {
	start    time.Time
	number   int
	attempt  *usagev1.Attempt // nil：还没有（或没有）到线上
	usage    meter.Usage
	reported bool
	complete bool // 应答完整：用量是最后的数
	passed   passed
}

func (c *call) begin(now time.Time, number int) { *c = call{start: now, number: number} }

// attempts 是已经记下的尝试数。
func (x *exchange) attempts() int {
	if x.rec == nil {
		return 0
	}
	return len(x.rec.req.Attempts)
}

// openAttempt 记下一次到了线上的调用。
func (x *exchange) openAttempt(t *state.Target) {
	if x.rec == nil {
		x.rec = x.gw.records.get()
	}
	a := x.rec.add()
	a.Number, a.Server, a.UpstreamModel = int32(x.call.number), t.Server.Name, t.UpstreamModel
	if x.model != nil {
		a.ServedModel = x.model.Name
	}
	if x.live != nil {
		a.Status = int32(x.live.Status)
	}
	x.call.attempt = a
}

// sawByte 记下这次调用的首个上游正文字节；探测的目标由此算活着。
func (x *exchange) sawByte() {
	if x.firstByte == 0 {
		x.firstByte = x.gw.now().Sub(x.arrived)
	}
	if x.live.Status < http.StatusInternalServerError && x.live.Status != http.StatusUnauthorized {
		x.gw.router.Alive(&x.pass)
	}
}

// measured 收下读到的用量。
func (x *exchange) measured(u meter.Usage, found, complete bool) {
	x.call.usage, x.call.reported, x.call.complete = u, found, complete
}

// closeAttempt 定下一次调用的结局；重复调用只认第一次。没到线上的只影响健康。
func (x *exchange) closeAttempt(o usagev1.Outcome, result route.Result, reason string) {
	if x.result == route.Neutral {
		x.result, x.reason = result, reason
	}
	a := x.call.attempt
	if a == nil {
		return
	}
	x.call.attempt = nil
	elapsed := x.gw.now().Sub(x.call.start)
	x.upstream += elapsed
	a.Outcome, a.DurationUs = o, elapsed.Microseconds()
	x.fillUsage(a)
	x.settlePermit(a)
	x.gw.metrics.attempt(a.Server, a.Status)
}

// fillUsage 定下这次调用的用量与它的来源。上游答的是错误而没有报用量的，什么也没有生成：没有用量，也没有来源。
func (x *exchange) fillUsage(a *usagev1.Attempt) {
	c := &x.call
	switch {
	case c.reported && c.complete:
		a.Source = usagev1.Source_SOURCE_REPORTED
		x.learn(a)
	case c.reported:
		a.Source = usagev1.Source_SOURCE_PARTIAL
		x.topUp(a)
	case a.Status >= http.StatusMultipleChoices:
		return
	case !x.countable() || !c.complete && !c.passed.any():
		a.Source = usagev1.Source_SOURCE_UNKNOWN
		return
	case c.complete:
		a.Source = usagev1.Source_SOURCE_COUNTED
		x.countTokens(a)
	default:
		a.Source = usagev1.Source_SOURCE_PARTIAL
		x.countTokens(a)
	}
	x.rec.write(a, c.usage)
	a.CostNano = x.price(c.usage)
}

// price 按应答的模型的价格算钱；没有点名模型的不计。
func (x *exchange) price(u meter.Usage) int64 {
	if x.model == nil {
		return 0
	}
	return cost(x.model.Prices, u)
}

// settlePermit 以真实的用量结算许可，并学下这次回答有多长。
// 用量无从知道的 200 按预计的算；上游答的是错误则什么也没有生成。
func (x *exchange) settlePermit(a *usagev1.Attempt) {
	u := x.call.usage
	used := schedule.Cost{Prompt: u.Prompt.Value, Output: u.Completion.Value}
	x.permit.Settle(used, a.Source != usagev1.Source_SOURCE_UNKNOWN)
	complete := a.Source == usagev1.Source_SOURCE_REPORTED || a.Source == usagev1.Source_SOURCE_COUNTED
	if complete && u.Completion.Set && x.served != nil && generates(x.ep.Kind) {
		x.gw.outputs.observe(x.key.App.Name, x.served.Name, u.Completion.Value/x.choices())
	}
}

// settleAccount 关这个请求的账，恰好一次；必须在应答的最后一次写之前，客户端看完时账已经在。
func (x *exchange) settleAccount(status int, o usagev1.Outcome) {
	if x.closed {
		return
	}
	x.closed = true
	if x.status == 0 {
		x.status = status
	}
	if x.rec == nil {
		x.withdraw() // 崩溃在得知有没有送到之前
		return
	}
	r := &x.rec.req
	ended := x.gw.now()
	r.Id, r.KeyId, r.App = x.id, x.key.ID, x.key.App.Name
	r.Model, r.Endpoint = x.asked, x.ep.Name
	if x.served != nil {
		r.ServedModel = x.served.Name
	}
	r.StartedUnixMs, r.EndedUnixMs = x.arrived.UnixMilli(), ended.UnixMilli()
	r.Outcome, r.Status, r.Stream = o, int32(x.status), x.streaming
	r.QueueUs, r.FirstByteUs = x.queued.Microseconds(), x.firstByte.Microseconds()
	r.Revision, r.ClientRequestId = x.st.Revision, x.clientRequestID()
	x.noteUsage()
	x.book.open = false
	spent := spentBy(r)
	x.book.ticket.Close(r)
	x.hold.Settle(spent) // 记录里有了才算花掉，见 budget
}

// account 在路的尽头收尾：账还开着的在此关上，没到过上游的记一次拒绝。
func (x *exchange) account() {
	if !x.closed {
		if x.call.attempt != nil {
			x.call.passed.text = nil // 流的计量也许已经归还
			x.closeAttempt(usagev1.Outcome_OUTCOME_GATEWAY_ERROR, route.Neutral, "")
			x.permit.Abort()
		}
		x.settleAccount(x.status, x.outcomeOfStatus())
	}
	if x.attemptsMade == 0 && x.refusal != nil {
		app := ""
		if a := x.app(); a != nil {
			app = a.Name
		}
		x.gw.journal.Refuse(app, x.asked, x.refusal.ReasonOrCode())
	}
}

// noteUsage 把日志与指标要的数抄下来：记录交出之后就不是我们的了。
func (x *exchange) noteUsage() {
	r := &x.rec.req
	x.attemptsMade = len(r.Attempts)
	x.outcome = r.Outcome
	for _, a := range r.Attempts {
		x.tokens.prompt += a.GetUsage().GetPromptTokens()
		x.tokens.completion += a.GetUsage().GetCompletionTokens()
		x.tokens.cached += a.GetUsage().GetCachedTokens()
		x.tokens.reasoning += a.GetUsage().GetReasoningTokens()
	}
}

// lastOutcome 是最后一次调用的结局。
func (x *exchange) lastOutcome() usagev1.Outcome {
	if n := x.attempts(); n > 0 {
		return x.rec.req.Attempts[n-1].Outcome
	}
	return usagev1.Outcome_OUTCOME_GATEWAY_ERROR
}

// outcomeOfStatus 由我们答的状态定结局：上游没有答案时用。
func (x *exchange) outcomeOfStatus() usagev1.Outcome {
	switch {
	case x.gone || x.canceled:
		return usagev1.Outcome_OUTCOME_ABORTED
	case x.status == http.StatusTooManyRequests:
		return usagev1.Outcome_OUTCOME_LIMITED
	case x.status == http.StatusBadGateway, x.status == http.StatusServiceUnavailable, x.status == http.StatusGatewayTimeout:
		return usagev1.Outcome_OUTCOME_UPSTREAM_ERROR
	case x.status >= http.StatusBadRequest && x.status < http.StatusInternalServerError:
		return usagev1.Outcome_OUTCOME_CLIENT_ERROR
	}
	return usagev1.Outcome_OUTCOME_GATEWAY_ERROR
}

// clientRequestID 是客户端自己的请求号，只进日志与记录。
func (x *exchange) clientRequestID() string {
	const longest = 128
	id := x.r.Header.Get("X-Request-Id")
	return id[:min(len(id), longest)]
}
