package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// unseen 是一个已经取消、而等着它的人恰好先看见了别的事的 context：取消与许可同时到时 select 挑了许可，就是这个样子。
type unseen struct {
	context.Context //nolint:containedctx // 只换掉 Err
	gone            atomic.Bool
}

func (c *unseen) Err() error {
	if c.gone.Load() {
		return context.Canceled
	}
	return c.Context.Err()
}

// TestQueue_AHangUpThatRacesAGrantNeverReachesADrainingUpstream：收完为止的 server 不听客户端的取消，
// 所以走了的客户端的请求一旦送出去就要算到底。
func TestQueue_AHangUpThatRacesAGrantNeverReachesADrainingUpstream(t *testing.T) {
	for name, stream := range map[string]string{"plain": ask, "stream": askStream} {
		t.Run(name, func(t *testing.T) {
			b := occupied(t, upstreamtest.Behavior{}, func(s *configv1.Server) { s.OnDisconnect = configv1.OnDisconnect_ON_DISCONNECT_DRAIN })
			ctx := &unseen{Context: t.Context()}
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(stream))
			r.Header.Set("Authorization", "Bearer "+secret)
			r.Header.Set("Content-Type", "application/json")
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() {
					if cause := recover(); cause != nil && cause != any(http.ErrAbortHandler) { // 异常结束连接就是这样说的
						panic(cause)
					}
				}()
				b.server.Handler.ServeHTTP(httptest.NewRecorder(), r)
			}()
			b.waiting(1)
			ctx.gone.Store(true)
			b.free()
			<-done
			want(t, <-b.first, 200, "")
			settle(t, b.node, b.up)
			if got := b.up.Stats().Requests; got != 1 {
				t.Errorf("%d requests reached the upstream; the client of the second was gone", got)
			}
		})
	}
}
