package admit

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// unseen 是已经取消、而 select 恰好先挑了别的 context。
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

func TestAcquire_AHangUpThatRacesAGrantGivesItBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := compile(t, 1, []*configv1.Server{server("a", concurrency(1))})
		l := newLeader(specOf(st))
		g, leave := join(t, l, "node", st)
		defer leave()
		ask := Ask{Candidates: list{target(t, st, "a")}, Deadline: in(time.Minute)}
		first := fill(t, g, ask)
		ctx := &unseen{Context: t.Context()}
		var p, q Permit
		late := acquire(ctx, g, ask, &p)
		synctest.Wait() // 先到的在前
		next := acquire(t.Context(), g, ask, &q)
		synctest.Wait()
		ctx.gone.Store(true)
		first.Release()
		if err := <-late; reason(err) != canceled || p.gate != nil {
			t.Errorf("it took the permit though its client was gone: %v", err)
		}
		if err := <-next; err != nil {
			t.Errorf("the one behind it: %v", err)
		}
		q.Release()
		idle(t, g)
	})
}
