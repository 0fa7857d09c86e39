package report

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// switching 头一次用错的客户端，此后用对的。
type switching struct {
	wrong, right usagev1.UsageServiceClient
	n            atomic.Int64
}

func (s *switching) calls() int64 { return s.n.Load() }

func (s *switching) Report(ctx context.Context, opts ...grpc.CallOption) (grpc.BidiStreamingClient[usagev1.ReportRequest, usagev1.ReportResponse], error) {
	if s.n.Add(1) == 1 {
		return s.wrong.Report(ctx, opts...)
	}
	return s.right.Report(ctx, opts...)
}
