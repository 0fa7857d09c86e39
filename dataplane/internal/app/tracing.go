package app

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
)

// traceTimeout 是停下时等追踪送完的上限：收集器不在，进程也要停得下来。
const traceTimeout = 5 * time.Second

// tracerOf 在追踪关着时返回 nil：路上一处比较就省下全部代价。
func tracerOf(p trace.TracerProvider) trace.Tracer {
	if _, off := p.(noop.TracerProvider); off {
		return nil
	}
	return p.Tracer("vega/gateway")
}

func flushTraces(ctx context.Context, stop func(context.Context) error, log *zap.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceTimeout)
	defer cancel()
	if err := stop(ctx); err != nil {
		log.Warn("traces could not be sent before the end", zap.Error(err))
	}
}
