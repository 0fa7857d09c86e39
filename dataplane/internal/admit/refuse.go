package admit

import (
	"time"

	"github.com/vega-gateway/vega/proto/schedule"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// 拒绝的对外原因。
const (
	queueFull     = "queue_full"
	queueTimeout  = "queue_timeout"
	rateLimited   = "rate_limit_exceeded"
	noServer      = "no_server_available"
	leastRetry    = time.Second
	longestRetry  = time.Minute
	fairShare     = 4  // 一个 app 至多占全部的几分之一
	leastForAnApp = 64 // 但总站得下这么多
)

// worthWaiting 说 w 为什么不必等；nil 即值得。须持锁。
func (g *Gate) worthWaiting(ask *Ask, w *waiter) error {
	if len(w.targets) == 0 {
		return g.errNoServer()
	}
	if err := g.noShare(w); err != nil {
		return err
	}
	switch {
	case ask.Deadline.IsZero() && !g.link.welcomed:
		return g.errRefused(schedule.Refusal{Code: queueFull, RetryAfter: g.estimate(w)})
	case ask.Deadline.IsZero():
		return g.roomFor(w)
	case g.at(ask.Deadline) <= g.now:
		return g.errExpired(schedule.Refusal{Code: queueTimeout, RetryAfter: g.estimate(w)})
	case g.now.Add(g.pausedFor(w.targets)) > g.at(ask.Deadline):
		return g.errRefused(schedule.Refusal{Code: queueFull, RetryAfter: g.estimate(w)})
	}
	return g.roomFor(w)
}

// roomFor 说内存站不站得下 w；须持锁。站得下即替它找好 crowd。
func (g *Gate) roomFor(w *waiter) error {
	c := g.apps[w.App]
	if c == nil {
		c = &crowd{}
	}
	count, bytes := g.cfg.MaxWaiting, g.cfg.MaxWaitingBytes
	if g.waiting >= count || g.waitingBytes+w.bytes > bytes ||
		c.waiting >= max(leastForAnApp, count/fairShare) || c.bytes+w.bytes > bytes/fairShare && c.waiting > 0 {
		return g.errRefused(schedule.Refusal{Code: queueFull, RetryAfter: g.estimate(w)})
	}
	w.crowd = c
	g.apps[w.App] = c
	return nil
}

// noShare 在控制面不在、本节点在每个候选上都没有份额时给出回答。须持锁。
func (g *Gate) noShare(w *waiter) error {
	for _, t := range w.targets {
		if !g.holder.NoShare(g.now, t.Server.Name, w.App) {
			return nil
		}
	}
	return vegaerr.New(vegaerr.Unavailable, noServer,
		"the control plane is away and this node owns no share of the limits; try again shortly").WithRetryAfter(g.jitter(leastRetry))
}

// estimate 是现在来的一个请求大概要等多久：取各候选里最短的，但不短于暂停，也不长过 longestRetry。须持锁。
// 它没有站进队里，授予者不知道有它，所以只看本节点上别人等了多久。
func (g *Gate) estimate(w *waiter) time.Duration {
	best := longestRetry
	for _, t := range w.targets {
		best = min(best, g.servers[t.Server.Name].newcomer(g.now))
	}
	return max(best, g.pausedFor(w.targets))
}

// jitter 使 d 上下浮动两成，不少于 leastRetry 的八成：一同被拒的不一同回来。
func (g *Gate) jitter(d time.Duration) time.Duration {
	return time.Duration(float64(max(d, leastRetry)) * (0.8 + 0.4*g.deps.Random()))
}

func (g *Gate) errNoServer() error {
	return vegaerr.New(vegaerr.Unavailable, noServer,
		"no server can take this request now: every target of the model is disabled or ejected; try again shortly").WithRetryAfter(g.jitter(leastRetry))
}

// errRefused 是一来就知道等不到的回答。
func (g *Gate) errRefused(r schedule.Refusal) error {
	text := "every server of the model is busy and its queue is full, or the wait would be longer than allowed; retry later"
	if r.Code == rateLimited {
		text = "the application is at its own limit and the wait would be longer than allowed; retry later"
	}
	return vegaerr.New(vegaerr.Exhausted, r.Code, "%s", text).WithRetryAfter(g.jitter(r.RetryAfter))
}

// errExpired 是等到了期限的回答。
func (g *Gate) errExpired(r schedule.Refusal) error {
	text := "the request waited in the queue for as long as it may; retry later"
	if r.Code == rateLimited {
		text = "the request waited for as long as it may: the application is at its own limit; retry later"
	}
	return vegaerr.New(vegaerr.Exhausted, r.Code, "%s", text).WithRetryAfter(g.jitter(r.RetryAfter))
}
