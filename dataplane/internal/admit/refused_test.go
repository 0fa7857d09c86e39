package admit

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/schedule"
)

// refusing 是一个每条流都开得了、随即以 err 回绝的控制面；marked 说它说明了没有记账。
type refusing struct {
	*memoryConn
	err    error
	marked bool
}

func (c refusing) NewStream(ctx context.Context, _ *grpc.StreamDesc, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return &refusedStream{ctx: ctx, how: c}, nil
}

type refusedStream struct {
	ctx context.Context //nolint:containedctx // grpc.ClientStream 就是这个样子
	how refusing
}

func (s *refusedStream) Header() (metadata.MD, error) { return nil, nil }
func (s *refusedStream) Context() context.Context     { return s.ctx }
func (s *refusedStream) CloseSend() error             { return nil }
func (s *refusedStream) SendMsg(any) error            { return nil }

func (s *refusedStream) Trailer() metadata.MD {
	if s.how.marked {
		return metadata.Pairs(schedule.UnbookedTrailer, "1")
	}
	return nil
}

func (s *refusedStream) RecvMsg(any) error {
	time.Sleep(time.Millisecond)
	return s.how.err
}

func TestRun_RefusedStreamsDoNotKeepANodeFromItsShare(t *testing.T) {
	stored := &admissionv1.Share{Version: 3, Amounts: []*admissionv1.Amount{
		{Pool: &admissionv1.Pool{Server: "a", Kind: admissionv1.PoolKind_POOL_KIND_IN_FLIGHT}, Units: 4, Limit: 4}}}
	for name, tc := range map[string]struct {
		how  refusing
		want int64
	}{
		"a token that is not taken any more":    {refusing{err: status.Error(codes.Unauthenticated, "join token")}, 4},
		"a control plane without admission":     {refusing{err: status.Error(codes.Unimplemented, "unknown service")}, 4},
		"a replica that is shutting down":       {refusing{err: status.Error(codes.Unavailable, "shutting down"), marked: true}, 4},
		"a hello that is not in order":          {refusing{err: status.Error(codes.InvalidArgument, "bad"), marked: true}, 4},
		"a line that breaks for no known cause": {refusing{err: status.Error(codes.Unavailable, "connection reset")}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := compile(t, 1, []*configv1.Server{server("a", concurrency(4), func(s *configv1.Server) { s.Timeouts = ruleset.DefaultTimeouts(1_000) })})
				g, leave := join(t, nil, "node", st, func(_ *Config, d *Deps) {
					d.Stored, d.Dial = stored, func(string) (Conn, error) { return tc.how, nil }
				})
				defer leave()
				time.Sleep(time.Minute)
				if got := g.state().Pools[0].Cap; got != tc.want {
					t.Errorf("a minute later it may start %d of its 4, want %d", got, tc.want)
				}
			})
		})
	}
}
