package gateway

import (
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// report 在请求结束时写一行访问日志、记指标、结束追踪。没有体，没有钥匙。
func (x *exchange) report() {
	total := x.gw.now().Sub(x.arrived)
	x.gw.metrics.request(x, total)
	x.endSpan()
	level := zapcore.InfoLevel
	if x.refusal != nil && x.refusal.Code.String() == "internal" {
		level = zapcore.ErrorLevel
	}
	entry := x.gw.log.Check(level, "request")
	if entry == nil {
		return
	}
	lines, ok := x.gw.lines.Get().(*[]zap.Field)
	if !ok {
		lines = new([]zap.Field)
	}
	f := (*lines)[:0]
	f = append(f,
		zap.String("request_id", x.id), zap.String("endpoint", x.ep.Name), zap.Int("status", x.status),
		zap.String("outcome", x.outcomeName()), zap.Int("attempts", x.attemptsMade), zap.Bool("stream", x.streaming),
		zap.Int64("queue_ms", x.queued.Milliseconds()), zap.Int64("upstream_ms", x.upstream.Milliseconds()),
		zap.Int64("first_byte_ms", x.firstByte.Milliseconds()), zap.Int64("total_ms", total.Milliseconds()),
		zap.Int64("bytes", x.sent),
	)
	if id := x.clientRequestID(); id != "" {
		f = append(f, zap.String("client_request_id", id))
	}
	if x.key != nil {
		f = append(f, zap.String("app", x.key.App.Name), zap.String("key_id", x.key.ID))
	}
	if x.asked != "" {
		f = append(f, zap.String("model", x.asked))
	}
	if x.served != nil && x.served.Name != x.asked {
		f = append(f, zap.String("served_model", x.served.Name))
	}
	if x.server != nil {
		f = append(f, zap.String("server", x.server.Name),
			zap.Int64("prompt_tokens", x.tokens.prompt), zap.Int64("completion_tokens", x.tokens.completion),
			zap.Int64("cached_tokens", x.tokens.cached), zap.Int64("reasoning_tokens", x.tokens.reasoning))
	}
	if x.refusal != nil {
		f = append(f, zap.String("code", x.refusal.ReasonOrCode()), zap.NamedError("error", x.refusal))
	}
	entry.Write(f...)
	clear(f)
	*lines = f
	x.gw.lines.Put(lines)
}

var outcomeNames = func() map[usagev1.Outcome]string {
	m := make(map[usagev1.Outcome]string, len(usagev1.Outcome_name))
	for v, name := range usagev1.Outcome_name {
		m[usagev1.Outcome(v)] = strings.ToLower(strings.TrimPrefix(name, "OUTCOME_"))
	}
	return m
}()

// outcomeName 给出结局：到过上游的是记录里的那个，没到过的是 refused、aborted 或（本节点自己答的）ok。
func (x *exchange) outcomeName() string {
	switch {
	case x.attemptsMade > 0:
		return outcomeNames[x.outcome]
	case x.canceled || x.gone:
		return "aborted"
	case x.refusal != nil:
		return "refused"
	}
	return "ok"
}
