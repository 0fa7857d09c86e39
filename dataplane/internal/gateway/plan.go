package gateway

import (
	"slices"
	"strconv"
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
	anyCandidate wish = iota // 任何一个
	another                  // 没试过的
	sameAgain                // 最后试的那一个
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

// waitUntil 是这个请求最多等到何时：候选的 server 里肯让人等最久的那个说了算。从到达算起，重试与回退不延长它。
func (x *exchange) waitUntil() time.Time {
	var longest time.Duration
	for _, t := range x.targets {
		longest = max(longest, t.Server.QueueTimeout)
	}
	return x.arrived.Add(longest)
}

// admit 要一张许可。只有 anyCandidate 肯等。
func (x *exchange) admit(w wish) error {
	ask := admit.Ask{Candidates: x}
	x.lookingFor = w
	if w == anyCandidate {
		ask.Deadline = x.deadline
	}
	start := x.gw.now()
	err := x.gw.gate.Acquire(x.r.Context(), ask, &x.permit)
	x.waited(start)
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
		return true, err // x.key 留着：已有的尝试要记在它名下
	}
	x.key = key
	was, deadline, tried, again := x.model, x.deadline, slices.Clone(x.tried), x.again
	if err := x.resolve(); err != nil {
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
	switch x.lookingFor {
	case another:
		for _, old := range x.tried {
			if old.ID == t.ID {
				return ruleset.Tried
			}
		}
	case sameAgain:
		if t.ID != x.tried[len(x.tried)-1].ID {
			return ruleset.Tried
		}
	}
	return x.gateFn(t)
}

// setRouteHeaders 把去了哪、等了多久告诉客户端。
func (x *exchange) setRouteHeaders() {
	h := x.w.Header()
	if x.server != nil {
		x.values[1] = x.server.Name
		h["X-Vega-Server"] = x.values[1:2:2]
	}
	x.values[2] = strconv.FormatInt(x.queued.Milliseconds(), 10)
	h["X-Vega-Queue-Wait-Ms"] = x.values[2:3:3]
}
