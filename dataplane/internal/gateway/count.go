package gateway

import (
	"github.com/vega-gateway/vega/dataplane/internal/dialect"
	"github.com/vega-gateway/vega/dataplane/internal/meter"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/dataplane/internal/tokens"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// stepText 是不报用量的流攒到多少字节的文字就数一次：留着的文字有界，数也不拖到最后。
const stepText = 6 << 10

// passed 是这次调用里经过的生成的文字，与已经数过的部分。
type passed struct {
	text     []byte // 还没有数的，形式见 meter.Passed
	bytes    int64  // 还没有数的字节，含没有留下的
	whole    bool   // text 就是全部文字
	reasoned bool
	events   int64
	stale    bool  // 报过的用量之后还有文字：它只是中途的数，或者占位的
	stepwise bool  // 攒够一段就数：这条流不会报用量
	sampled  bool  // 留着文字是为了学校正
	counted  int64 // 已经数过的 token
	before   int64 // 已经数过的字节
}

func (p *passed) any() bool { return p.bytes+p.before > 0 || p.events > 0 }

// countable 说这个端点的用量由网关自己也数得出：输入与输出都是文字。
func (x *exchange) countable() bool {
	if x.env.Format != dialect.JSON {
		return false
	}
	switch x.ep.Kind {
	case dialect.Chat, dialect.Completions, dialect.Responses, dialect.Embeddings, dialect.Moderations, dialect.Rerank:
		return true
	}
	return false
}

// upstreamModel 是按它选编码、按它记校正的名字。
func (x *exchange) upstreamModel(a *usagev1.Attempt) string {
	if a.UpstreamModel != "" {
		return a.UpstreamModel
	}
	return x.asked
}

// countTokens 由经过的文字与请求数出用量。
func (x *exchange) countTokens(a *usagev1.Attempt) {
	u := &x.call.usage
	model := x.upstreamModel(a)
	u.Prompt = meter.Count{Value: x.promptCount(model), Set: true}
	if generates(x.ep.Kind) {
		u.Completion = meter.Count{Value: x.outputCount(model), Set: true}
	}
}

func (x *exchange) outputCount(model string) int64 {
	p := &x.call.passed
	return p.counted + x.gw.tokens.Output(model, p.text, p.bytes)
}

// promptCount 数输入：体还在就数它，不在了就按体长与学到的比猜。
func (x *exchange) promptCount(model string) int64 {
	switch {
	case x.inputTokens > 0:
		return x.inputTokens
	case x.body != nil:
		return x.gw.tokens.Prompt(model, x.ep.Kind, x.body.Bytes())
	case x.input != nil:
		return x.gw.tokens.Prompt(model, x.ep.Kind, x.input.Bytes())
	}
	return x.gw.tokens.GuessPrompt(model, x.prompt)
}

// topUp 补上只报到中途的用量：报的之后还有文字，输出取数出来的与报的之中大的，从不相加；没有报输入的补上。
func (x *exchange) topUp(a *usagev1.Attempt) {
	if !x.call.passed.stale || !x.countable() {
		return
	}
	u, model := &x.call.usage, x.upstreamModel(a)
	if !u.Prompt.Set {
		u.Prompt = meter.Count{Value: x.promptCount(model), Set: true}
	}
	u.Completion = meter.Count{Value: max(u.Completion.Value, x.outputCount(model)), Set: true}
}

// learn 以报全了的用量校正自己的估计；通常不碰编码。
func (x *exchange) learn(a *usagev1.Attempt) {
	if !x.countable() || a.Outcome != usagev1.Outcome_OUTCOME_OK {
		return
	}
	u, p, model := &x.call.usage, &x.call.passed, x.upstreamModel(a)
	lesson := tokens.Lesson{Estimate: x.prompt, Prompt: u.Prompt.Value, Bytes: p.bytes + p.before}
	visible := u.Completion.Value
	if !p.reasoned { // 思考没有给出来：报的输出里有一部分没有文字
		visible -= u.Reasoning.Value
	}
	if u.Completion.Set && visible > 0 {
		lesson.Output = visible
	}
	x.gw.tokens.Learn(model, lesson)
	if lesson.Output > 0 && len(p.text) > 0 && p.whole && (p.sampled || x.gw.tokens.Wants(model)) {
		x.gw.tokens.LearnText(model, p.text, lesson.Output)
	}
}

// smallInput 以内的请求体在流开着时留一份，好在客户端中途走了时数它；再大的按学到的比猜，不占着内存。
const smallInput = 4 << 10

// keepInput 放掉请求体：从这里起不会再有下一次。非流式的应答很快就来，体留到最后。
func (x *exchange) keepInput(streaming bool) {
	if !x.countable() {
		x.dropBody()
		return
	}
	if !streaming {
		return
	}
	switch b := x.body.Bytes(); {
	case len(b) <= smallInput:
		x.input = x.gw.inputs.get()
		x.input.b = append(x.input.b, b...)
	case !x.expectsUsage():
		x.inputTokens = x.gw.tokens.Prompt(x.upstreamModel(x.call.attempt), x.ep.Kind, b)
	}
	x.dropBody()
}

// expectsUsage 说这条流多半会报用量：要过，或者它的事件本来就带，而且这个目标没有赖过。
func (x *exchange) expectsUsage() bool {
	asked := x.injected || x.env.WantsUsage || x.ep.Kind == dialect.Responses
	return asked && !x.gw.silent.has(x.permit.Target)
}

// remember 记住一个目标被要了用量给不给；t 是这次调用的目标。
func (x *exchange) remember(t *state.Target, gave bool) {
	switch asked := x.injected || x.env.WantsUsage || x.ep.Kind == dialect.Responses; {
	case gave:
		x.gw.silent.remove(t)
	case asked:
		x.gw.silent.add(t)
	}
}

// measuredBody 收下一个 JSON 应答：有用量读用量，没有就取出文字备数。body 至少要用到关账。
func (x *exchange) measuredBody(body []byte, complete bool) {
	var usage meter.Usage
	var found bool
	if complete {
		usage, found = meter.JSON(x.ep.Kind, body)
	}
	x.measured(usage, found, complete)
	a := x.call.attempt
	if a == nil || !x.countable() || !generates(x.ep.Kind) || found && !x.gw.tokens.Wants(x.upstreamModel(a)) {
		return
	}
	x.texts = x.gw.bodies.get()
	x.texts.b = meter.Text(x.texts.b, x.ep.Kind, body)
	x.call.passed = passed{text: x.texts.b, bytes: int64(len(x.texts.b)), whole: true, sampled: found}
}
