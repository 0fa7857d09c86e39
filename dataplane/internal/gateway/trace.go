package gateway

import (
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

// GenAI 语义约定的属性名；约定还在“发展中”，没有可依赖的版本，所以写在这里。
const (
	attrOperation     = attribute.Key("gen_ai.operation.name")
	attrProvider      = attribute.Key("gen_ai.provider.name")
	attrRequestModel  = attribute.Key("gen_ai.request.model")
	attrResponseModel = attribute.Key("gen_ai.response.model")
	attrInputTokens   = attribute.Key("gen_ai.usage.input_tokens")
	attrOutputTokens  = attribute.Key("gen_ai.usage.output_tokens")
	attrErrorType     = attribute.Key("error.type")
	attrStatus        = attribute.Key("http.response.status_code")
	attrApp           = attribute.Key("vega.app")
	attrServer        = attribute.Key("vega.server")
	attrRequestID     = attribute.Key("vega.request_id")
	attrAttempts      = attribute.Key("vega.attempts")
)

// startSpan 在打开追踪时开一个 span，接在客户端的 traceparent 之后。
func (x *exchange) startSpan() {
	if x.gw.tracer == nil {
		return
	}
	ctx := propagation.TraceContext{}.Extract(x.r.Context(), propagation.HeaderCarrier(x.r.Header))
	ctx, x.span = x.gw.tracer.Start(ctx, x.ep.Name, trace.WithSpanKind(trace.SpanKindServer))
	x.r = x.r.WithContext(ctx)
}

// propagate 让上游接在我们的 span 之后；没有追踪时客户端的 traceparent 原样过去。
func (x *exchange) propagate(h http.Header) {
	if x.span != nil {
		propagation.TraceContext{}.Inject(x.r.Context(), propagation.HeaderCarrier(h))
	}
}

func (x *exchange) endSpan() {
	if x.span == nil {
		return
	}
	x.span.SetAttributes(
		attrOperation.String(operation(x.ep)), attrRequestModel.String(x.asked), attrRequestID.String(x.id),
		attrStatus.Int(x.status), attrAttempts.Int(x.attemptsMade),
		attrInputTokens.Int64(x.tokens.prompt), attrOutputTokens.Int64(x.tokens.completion),
	)
	if a := x.app(); a != nil {
		x.span.SetAttributes(attrApp.String(a.Name))
	}
	if x.server != nil {
		x.span.SetAttributes(attrServer.String(x.server.Name), attrProvider.String(x.server.Provider))
	}
	if x.served != nil {
		x.span.SetAttributes(attrResponseModel.String(x.served.Name))
	}
	if x.refusal != nil {
		x.span.SetAttributes(attrErrorType.String(x.refusal.ReasonOrCode()))
		x.span.SetStatus(codes.Error, x.refusal.ReasonOrCode())
	}
	x.span.End()
}

// operation 是约定里的操作名；约定没有名字的端点用我们的。
func operation(ep *dialect.Endpoint) string {
	switch ep.Kind {
	case dialect.Chat:
		return "chat"
	case dialect.Completions:
		return "text_completion"
	case dialect.Embeddings:
		return "embeddings"
	}
	return ep.Name
}
