package gateway

import (
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/meter"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

const (
	// flowStep 是流出多少 token 才向许可报告一次。
	flowStep = 256
	// progressStep 与 progressEvery 是又流出多少 token、又过了多久才向 journal 报一次进度：
	// 进程被杀时，一条流至多少记这么多。
	progressStep  = 512
	progressEvery = time.Second
	// fatEvent 以上的平均每事件文字字节，一个事件就不止一个 token。
	fatEvent = 16
)

// progress 是上一次告诉 journal 的进度。
type progress struct {
	tokens int64
	at     time.Time
}

// flowing 看一眼流到了哪里：让比预计长的流早些记上账，向 journal 报进度，不报用量的攒够一段就数。
func (x *exchange) flowing(m *meter.Stream) {
	v := m.Verdict()
	n := x.outputSoFar(&v)
	x.flow = n
	if n-x.flowed >= flowStep {
		x.flowed = n
		x.permit.Progress(n)
	}
	if x.call.attempt == nil {
		return
	}
	if x.gone { // 不再写，也就没有人看钟
		x.clock = x.gw.now()
	}
	if broken(bugSilentStream) {
		return
	}
	if n-x.told.tokens >= progressStep || n > x.told.tokens && x.clock.Sub(x.told.at) >= progressEvery {
		x.tellProgress(&v, n)
	}
	x.countStep(m)
}

// countStep 在不报用量的流攒够一段文字时数掉它：留着的文字有界，数也不都拖到最后。
func (x *exchange) countStep(m *meter.Stream) {
	p := &x.call.passed
	if !p.stepwise || !x.countable() {
		return
	}
	if now := m.Passed(); now.Kept >= stepText {
		p.counted += x.gw.tokens.Output(x.upstreamModel(x.call.attempt), now.Text, now.Bytes-p.before)
		p.before = now.Bytes
		m.DropText()
	}
}

// outputSoFar 是到此为止的输出 token：上游边走边报的按它，否则一个事件当一个 token，事件太长的由字节猜。
func (x *exchange) outputSoFar(v *meter.Verdict) int64 {
	if v.HasUsage && v.Unreported == 0 {
		return v.Usage.Completion.Value
	}
	n := max(v.Usage.Completion.Value, v.Events)
	if v.TextBytes > fatEvent*v.Events && x.call.attempt != nil {
		n = max(n, x.gw.tokens.GuessOutput(x.upstreamModel(x.call.attempt), v.TextBytes))
	}
	return n
}

// tellProgress 告诉 journal 这次调用到此为止的用量。
func (x *exchange) tellProgress(v *meter.Verdict, n int64) {
	x.told = progress{tokens: n, at: x.clock}
	u := v.Usage
	if !u.Prompt.Set && x.countable() {
		u.Prompt = meter.Count{Value: x.gw.tokens.GuessPrompt(x.upstreamModel(x.call.attempt), x.prompt), Set: true}
	}
	u.Completion = meter.Count{Value: n, Set: true}
	p := &x.rec.progress
	put(&p.Usage, &x.rec.soFar, u)
	p.CostNano, p.Source = x.price(u), usagev1.Source_SOURCE_PARTIAL
	x.book.ticket.Progress(p)
}

// measuredStream 收下一条流的用量与文字；meter 至少要用到关账。
func (x *exchange) measuredStream(m *meter.Stream, complete bool) {
	v, now, p := m.Verdict(), m.Passed(), &x.call.passed
	if complete && !v.ErrorEvent {
		x.remember(x.permit.Target, v.HasUsage)
	}
	x.measured(v.Usage, v.HasUsage, complete && (!v.ErrorEvent || v.HasUsage))
	p.text, p.bytes = now.Text, now.Bytes-p.before
	p.whole = p.before == 0 && now.Kept == now.Bytes
	p.reasoned, p.events, p.stale = now.Reasoned, v.Events, v.HasUsage && v.Unreported > 0
}
