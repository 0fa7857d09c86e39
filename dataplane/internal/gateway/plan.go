package gateway

import (
	"context"
	"slices"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/admit"
	"github.com/vega-gateway/vega/dataplane/internal/auth"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// wish 说这次要许可时，候选里的哪些算数。
type wish uint8

const (
	anyCandidate  wish = iota // 任何一个
	another                   // 没试过的
	anotherOrSame             // 没试过的，或者最后试的那一个
	sameAgain                 // 最后试的那一个
)

// resolve 由请求点名的模型定出候选；没点名的去 app 的默认处。
func (x *exchange) resolve() error {
	if !x.env.HasModel() {
		return x.resolveDefault()
	}
	x.asked = string(x.env.Model)
	m, ok := x.st.Model(x.asked)
	switch {
	case !ok:
		return vegaerr.New(vegaerr.NotFound, "model_not_found", "the model %q does not exist; GET /v1/models lists those you can use", x.asked).WithParam("model")
	case !x.key.App.Allows(x.asked):
		return vegaerr.New(vegaerr.Denied, "model_not_allowed", "this API key may not use the model %q; GET /v1/models lists those it can use", x.asked).WithParam("model")
	}
	x.asked = m.Name // 与配置共用一份，不留住请求体
	x.use(m)
	x.fallbacks = m.Fallbacks
	x.deadline = x.waitUntil()
	return nil
}

func (x *exchange) resolveDefault() error {
	t := x.key.App.Default
	if t == nil {
		return vegaerr.New(vegaerr.Invalid, "invalid_request", "the request names no model and the app has no default server; add a model to the request").WithParam("model")
	}
	x.targets = append(x.targets[:0], t)
	x.deadline = x.waitUntil()
	return nil
}

// use 换到一个模型；试过的从头记。
func (x *exchange) use(m *state.Model) {
	x.model = m
	x.targets, x.tried, x.again = x.targets[:0], x.tried[:0], false
	for _, tier := range m.Tiers {
		x.targets = append(x.targets, tier...)
	}
}

// patience 说要许可时肯不肯等。
type patience bool

const (
	atOnce patience = false
	inLine patience = true
)

// admit 要一张许可；等则带着原来的入队时刻与期限，所以重试回到原来的位置。
func (x *exchange) admit(w wish, p patience) error {
	x.lookingFor = w
	ask := admit.Ask{
		Candidates: x, App: x.key.App, Class: x.class(), Arrived: x.entered,
		Cost: x.estimate(), Bytes: int64(len(x.body.Bytes())),
	}
	if p == inLine {
		ask.Deadline = x.deadline
	}
	ctx := x.r.Context()
	if x.says.events && !ask.Deadline.IsZero() { // 不等的也可能问授予者一个来回，那不算排队
		ctx, x.hangUp = context.WithCancel(ctx)
		defer x.hangUp()
		ask.Waiting = x.placeFn
	}
	start := x.gw.now()
	err := x.gw.gate.Acquire(ctx, ask, &x.permit)
	x.waited(start)
	if x.position == 0 {
		x.position = x.permit.Position
	}
	if err == nil && x.clientGone() { // 走的同时许可到了；收完为止的 server 不听客户端的取消，所以只能在去之前看
		x.permit.Unused()
		x.leave()
		return vegaerr.New(vegaerr.Canceled, "", "the client went away while waiting")
	}
	return err
}

func (x *exchange) waited(since time.Time) {
	if d := x.gw.now().Sub(since); d >= time.Millisecond {
		x.queued += d
	}
}

// Renew 实现 admit.Candidates：配置换过就按最新的重新认人、解析。到达、期限与试过的不变。
func (x *exchange) Renew() (changed bool, err error) {
	latest := x.gw.state.Load()
	if latest == x.st {
		return false, nil
	}
	x.st = latest
	key, err := auth.Identify(latest, x.r.Header, x.gw.now())
	if err != nil {
		x.barred = true
		return true, err // x.key 留着：已有的尝试要记在它名下
	}
	x.key = key
	was, deadline, tried, again := x.model, x.deadline, slices.Clone(x.tried), x.again
	if err := x.resolve(); err != nil {
		x.barred = true
		return true, err
	}
	if x.model != nil && was != nil && x.model.Name != was.Name {
		x.fallBackTo(was.Name)
	}
	x.deadline, x.tried, x.again = deadline, tried, again
	if len(x.targets) == 0 {
		return true, errNoServer()
	}
	return true, nil
}

// fallBackTo 在新配置里走回等待之前所在的回退模型；它不在了就留在点名的那个。
func (x *exchange) fallBackTo(name string) {
	for i, m := range x.fallbacks {
		if m.Name == name {
			x.use(m)
			x.fallbacks = x.fallbacks[i+1:]
			return
		}
	}
}

// Choose 实现 admit.Candidates。
func (x *exchange) Choose(judge func(*state.Target) ruleset.Verdict) *state.Target {
	x.gateFn = judge
	t, pass := x.gw.router.Choose(x.targets, x.judgeFn)
	x.pass = pass
	return t
}

// Waitable 实现 admit.Candidates。
func (x *exchange) Waitable(judge func(*state.Target) ruleset.Verdict, yield func(*state.Target)) {
	x.gateFn = judge
	x.gw.router.Waitable(x.targets, x.judgeFn, yield)
}

func (x *exchange) verdict(t *state.Target) ruleset.Verdict {
	if !x.wanted(t) {
		return ruleset.Tried
	}
	return x.gateFn(t)
}

// wanted 说这次要的里面有没有 t。
func (x *exchange) wanted(t *state.Target) bool {
	if x.lookingFor == anyCandidate {
		return true
	}
	last := x.tried[len(x.tried)-1].ID == t.ID
	if x.lookingFor == sameAgain || last {
		return last && x.lookingFor != another
	}
	return !slices.ContainsFunc(x.tried, func(old *state.Target) bool { return old.ID == t.ID })
}

// Take 实现 admit.Candidates：许可是等来的，由 admission 挑了 t。
func (x *exchange) Take(t *state.Target) { x.pass = x.gw.router.Take(t) }

// setRouteHeaders 把去了哪、等了多久、限额还剩多少告诉客户端。
func (x *exchange) setRouteHeaders() {
	h := x.w.Header()
	if x.server != nil {
		x.values[1] = x.server.Name
		h["X-Vega-Server"] = x.values[1:2:2]
	}
	x.setQueueHeaders(h)
	x.setBudgetHeader(h)
	x.setLimitHeaders(h)
}
