package admission

import (
	"context"
	"time"

	"go.uber.org/zap"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

const (
	inboxSize = 1024
	// minWait 使 Grantor 说“现在就到了”时循环也不至于空转。
	minWait = 200 * time.Microsecond
)

// reign 是一个任期的事件循环：inbox 里的事一件一件做，都在 run 的协程里。
type reign struct {
	host  *Host
	lease *Lease
	log   *zap.Logger
	inbox chan func()
	over  chan struct{} // run 返回即关闭：此后一帧也不会再发
	end   context.CancelCauseFunc
	saver *saver

	// 以下只有 run 的协程用。
	grantor  *schedule.Grantor
	conns    map[uint64]*conn
	revision uint64
	counted  schedule.Counts
	timer    *time.Timer
	armed    schedule.Time
	ended    bool
}

func newReign(h *Host, l *Lease, end context.CancelCauseFunc, g *schedule.Grantor) *reign {
	r := &reign{
		host: h, lease: l, log: h.deps.Log.With(zap.Uint64("term", l.Term)),
		inbox: make(chan func(), inboxSize), over: make(chan struct{}), end: end,
		grantor: g, conns: make(map[uint64]*conn), timer: time.NewTimer(time.Hour),
	}
	r.timer.Stop()
	r.saver = newSaver(r)
	return r
}

// post 把一件事交给循环；任期已经结束则为 false，那件事不会做。正要结束时交进去的也可能没有做。
func (r *reign) post(f func()) bool {
	select {
	case <-r.over:
		return false
	default:
	}
	select {
	case r.inbox <- f:
		return true
	case <-r.over:
		return false
	}
}

// ask 在循环里算出一个值；任期已经结束或 ctx 结束则 ok 为 false。
func ask[T any](ctx context.Context, r *reign, f func() T) (v T, ok bool) {
	answer := make(chan T, 1)
	if !r.post(func() { answer <- f() }) {
		return v, false
	}
	select {
	case v = <-answer:
		return v, true
	case <-r.over:
	case <-ctx.Done():
	}
	return v, false
}

// run 当任到 ctx 结束、租期到头或 Grantor 要退位；返回之前写协程等都已经停了。
func (r *reign) run(ctx context.Context, spec *schedule.Spec) error {
	background, stop := context.WithCancel(ctx)
	done := r.keep(background)
	defer func() {
		close(r.over)
		r.timer.Stop()
		stop()
		done()
	}()
	r.reconfigure(spec)
	for {
		r.arm()
		var f func()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case f = <-r.inbox:
		case <-r.timer.C:
			r.armed = 0
			f = func() { r.step(schedule.Tick{}) }
		}
		if r.lease.Left() <= 0 {
			return errExpired // 被冻住过：醒来的第一件事是停手
		}
		f()
	}
}

// arm 让那一个定时器停在 Grantor 要的时刻。
func (r *reign) arm() {
	next := r.grantor.Next()
	if next == r.armed {
		return
	}
	r.armed = next
	if next == 0 {
		r.timer.Stop()
		return
	}
	r.timer.Reset(max(next.Sub(r.host.now()), minWait))
}

// step 走一步并做完它要的事；结束之后什么也不做。
func (r *reign) step(e schedule.GrantorEvent) {
	if r.ended {
		return
	}
	for _, effect := range r.grantor.Step(r.host.now(), e) {
		r.perform(effect)
	}
	counts := r.grantor.Counts()
	r.host.deps.Metrics.count(r.counted, counts)
	r.counted = counts
}

func (r *reign) perform(e schedule.GrantorEffect) {
	switch e.Kind {
	case schedule.Reply:
		if c := r.conns[e.Conn]; c != nil {
			c.send(e.Response)
		}
	case schedule.Drop:
		if c := r.conns[e.Conn]; c != nil {
			c.drop(errDropped(e.Reason))
		}
	case schedule.Save:
		r.saver.save(e.ID, e.Members)
	case schedule.Delete:
		r.log.Info("node forgotten", zap.String("node", e.Node))
		r.saver.remove(e.Node)
	case schedule.Resign:
		r.ended = true
		r.end(errGreaterTerm)
	}
}

func (r *reign) reconfigure(spec *schedule.Spec) {
	r.revision = spec.Revision
	r.step(schedule.Reconfigured{Spec: spec})
}

// hear 收下 c 的一帧；已经关了或正要断开的不再听。
func (r *reign) hear(c *conn, req *admissionv1.AdmitRequest) {
	if r.conns[c.id] != c || c.isDropped() {
		return
	}
	c.heard = time.Now()
	r.host.elector.heard(req.GetTerm())
	if req.GetRevision() > r.revision {
		r.host.wantNewer(req.GetRevision())
	}
	r.step(schedule.Heard{Conn: c.id, Request: req})
}

func (r *reign) open(c *conn, hello *admissionv1.AdmitRequest) {
	r.conns[c.id] = c
	r.hear(c, hello)
}

func (r *reign) close(c *conn) {
	delete(r.conns, c.id)
	r.step(schedule.Closed{Conn: c.id})
}

// view 是此刻的全貌与那一刻；任期已经结束或 ctx 结束则 ok 为 false。
func (r *reign) view(ctx context.Context) (v *schedule.View, at schedule.Time, ok bool) {
	type seen struct {
		view *schedule.View
		at   schedule.Time
	}
	s, ok := ask(ctx, r, func() seen {
		now := r.host.now()
		return seen{r.grantor.View(now), now}
	})
	return s.view, s.at, ok
}

// audible 是最近听到过的节点名，不为 nil。
func (r *reign) audible() []string {
	nodes := make([]string, 0, len(r.conns))
	for _, c := range r.conns {
		if time.Since(c.heard) < deafAfter {
			nodes = append(nodes, c.node)
		}
	}
	return nodes
}

// deafAfter 是一条流静默多久之后，它的节点就不再算听得见；节点每秒至少说一次话。
const deafAfter = 5 * time.Second
