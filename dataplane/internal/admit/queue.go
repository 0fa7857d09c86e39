package admit

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/schedule"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// glance 是“不等”的请求问一次授予者的时限：手上没有闲置的单位不等于没有，问一个来回才知道。
const glance = 50 * time.Millisecond

// queue 等到有许可、有回答或没有人要了为止。
func (g *Gate) queue(ctx context.Context, ask *Ask, p *Permit) error {
	for {
		w := g.borrow()
		err := g.wait(ctx, ask, p, w)
		if err != nil || p.gate != nil {
			return err
		}
		// 等来的目标在新的配置里不能去了，带着原来的到达再等。
	}
}

// wait 站进队里等一个结局；没有错误也没有许可，即要再等一次。
func (g *Gate) wait(ctx context.Context, ask *Ask, p *Permit, w *waiter) error {
	defer g.depart(w)
	if err := g.join(ask, p, w); err != nil {
		return err
	}
	events, stop := g.events(ask, w)
	defer stop()
	look := true // 进队之后先看一次：在此之前换的配置这里看得见，在此之后换的会叫醒
	for {
		if look {
			if err := g.review(ask, w); err != nil {
				return err
			}
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return errGone(ctx)
		case <-events:
			ask.Waiting(g.place(w))
			continue
		}
		var why outcome
		why, look = g.outcomeOf(w, p)
		switch why {
		case granted:
			if ctx.Err() != nil { // 两个都好了时 select 随便挑：先走的不要了，depart 还掉
				return errGone(ctx)
			}
			return g.take(ask, p, w)
		case refused:
			return g.errRefused(w.refusal)
		case expired:
			if ask.Deadline.IsZero() {
				return g.errRefused(schedule.Refusal{Code: queueFull, RetryAfter: w.refusal.RetryAfter})
			}
			return g.errExpired(w.refusal)
		}
	}
}

func errGone(ctx context.Context) error {
	return vegaerr.Wrap(ctx.Err(), vegaerr.Canceled, "", "the client went away while waiting")
}

// join 站进每个候选 server 的队；不必等的当场返回错误。
func (g *Gate) join(ask *Ask, p *Permit, w *waiter) error {
	g.lock()
	defer g.mu.Unlock()
	p.permit = schedule.Permit{Request: ask.request()}
	w.Request, w.permit, w.Permit, w.Tag, w.bytes = p.permit.Request, p, &p.permit, w, ask.Bytes
	g.step(schedule.Ticked{}) // 有没有份额，要状态机的时间走到此刻才说得准
	w.targets, w.Candidates = g.gather(ask.Candidates, w, w.Candidates[:0])
	if nobodyWaits(w.targets) {
		ask.Deadline = time.Time{}
	}
	if err := g.worthWaiting(ask, w); err != nil {
		return err
	}
	g.lastID++
	w.ID, w.Arrived, w.Deadline = g.lastID, g.at(ask.Arrived), g.at(ask.Deadline)
	if w.Arrived == 0 {
		w.Arrived = g.now
	}
	if w.Deadline == 0 {
		w.Deadline = g.now.Add(glance)
	}
	g.stand(w)
	g.step(schedule.Arrived{Waiter: &w.Waiter})
	switch {
	case w.outcome == refused:
		return g.errRefused(w.refusal)
	case w.outcome == pending && p.Position == 0 && !ask.Deadline.IsZero():
		p.Position, w.entering = g.placeOf(w).Position, true
	}
	return nil
}

// nobodyWaits 说每个目标的 server 都写明了 max_waiting 为 0：此刻不能开始的当即拒绝，如同客户端说了不等。
func nobodyWaits(list []*state.Target) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(t *state.Target) bool { return t.Server.MaxWaiting > 0 })
}

// gather 给出此刻值得等的目标，与接在 list 之后的候选，一一对应。须持锁。
func (g *Gate) gather(c Candidates, w *waiter, list []schedule.Candidate) ([]*state.Target, []schedule.Candidate) {
	targets := w.targets[:0]
	g.asking, g.full = &w.Request, math.MaxInt64
	c.Waitable(g.judge, func(t *state.Target) {
		targets = append(targets, t)
		list = append(list, schedule.Candidate{Server: t.Server.Name, UpstreamModel: t.UpstreamModel, Weight: t.Weight, Priority: t.Priority})
	})
	g.asking = nil
	return targets, list
}

// place 是此刻排在第几、还要多久。
func (g *Gate) place(w *waiter) schedule.Place {
	g.lock()
	defer g.mu.Unlock()
	if w.outcome != pending {
		return schedule.Place{Position: 1}
	}
	return g.placeOf(w)
}

// placeOf 是状态机给的位置；刚递给授予者、还没有回音的，按本节点上站在各候选前面的人数，取最短的队。须持锁。
func (g *Gate) placeOf(w *waiter) schedule.Place {
	p := g.holder.Place(g.now, &w.Waiter)
	if p.Position > 0 {
		return p
	}
	for i, l := range w.loads {
		if i == 0 || l.waiting < p.Position {
			p.Position = l.waiting
		}
	}
	return p
}

// events 在要报告位置时先报一次，再给出此后每次该报的信号。
func (g *Gate) events(ask *Ask, w *waiter) (due <-chan time.Time, stop func()) {
	if ask.Waiting == nil || ask.Deadline.IsZero() {
		return nil, func() {}
	}
	ask.Waiting(g.place(w))
	t := time.NewTicker(g.cfg.EventEvery)
	return t.C, t.Stop
}

// outcomeOf 给出结局；有了结局，开始等时的位置以授予者说的为准：本节点只看得见自己的队。
func (g *Gate) outcomeOf(w *waiter, p *Permit) (why outcome, look bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at := g.holder.Entered(&w.Waiter); w.entering && w.outcome != pending && at > 0 {
		p.Position = at
	}
	look, w.look = w.look, false
	return w.outcome, look
}

// review 按最新的配置与健康重算候选；没有值得等的了即是回答。
func (g *Gate) review(ask *Ask, w *waiter) error {
	if _, err := ask.Candidates.Renew(); err != nil {
		return err
	}
	g.lock()
	defer g.mu.Unlock()
	if w.outcome != pending {
		return nil // 结局已定；醒来自会看见
	}
	g.uncount(w)
	var fresh []schedule.Candidate
	w.targets, fresh = g.gather(ask.Candidates, w, w.fresh[:0])
	w.fresh = fresh
	g.count(w)
	switch {
	case len(fresh) == 0:
		return g.errNoServer()
	case !slices.Equal(w.Candidates, fresh):
		g.step(schedule.Changed{Waiter: &w.Waiter, Candidates: slices.Clone(fresh)}) // 队里从此看着它
	}
	if w.outcome != pending {
		return nil
	}
	return g.noShare(w)
}

// take 收下等来的许可：名字按最新的配置重新解析，它去的地方还在候选里才作数。
func (g *Gate) take(ask *Ask, p *Permit, w *waiter) error {
	if _, err := ask.Candidates.Renew(); err != nil {
		return err
	}
	id := state.TargetID{Server: p.permit.Server, UpstreamModel: p.permit.Upstream}
	p.Target = nil
	ask.Candidates.Waitable(anyTarget, func(t *state.Target) {
		if t.ID == id && p.Target == nil {
			p.Target = t
		}
	})
	if p.Target == nil {
		return nil
	}
	ask.Candidates.Take(p.Target)
	w.permit = nil // 归请求了
	g.metrics.waited(w.App, p.permit.Server, g.clock().Sub(w.Arrived))
	return nil
}

func anyTarget(*state.Target) ruleset.Verdict { return ruleset.Startable }

// depart 使 w 离开：还站着的出队，没有收下的许可还回去。总要调用，崩溃时也是。
func (g *Gate) depart(w *waiter) {
	g.lock()
	defer g.mu.Unlock()
	switch {
	case w.after != nil:
		g.leaveStand(w)
		g.step(schedule.Left{Waiter: &w.Waiter})
	case w.permit != nil && w.permit.gate != nil:
		g.giveBack(w.permit)
	}
	g.putAway(w)
}
