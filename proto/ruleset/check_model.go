package ruleset

import (
	"fmt"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

const (
	maxTargets   = 1_000
	maxFallbacks = 100
	maxWeight    = 1_000_000
	maxPriority  = 1_000
	// 每百万 token 一百万货币单位；再大就是单位弄错了，也免得成本溢出。
	maxPriceNano = 100_000_000 * 1_000_000_000 // 一亿：够越南盾、印尼盾计价的顶级模型
)

func (c *checker) allModels(models []*configv1.Model) {
	var money currencies
	for i, m := range models {
		it := c.at(KindModel, i)
		it.modelName("name", m.GetName())
		it.unique(c.models, m.GetName())
		c.targets(it, m)
		c.fallbacks(it, m)
		money.prices(it, m.GetPrices())
	}
	c.cycles(models)
}

// targets 查目标。权重 0 即不接流量；一个模型至少要有一个接流量的目标，或者一个回退，否则它永远不能作答。
func (c *checker) targets(it item, m *configv1.Model) {
	if len(m.GetTargets()) > maxTargets {
		it.bad("targets", "must be at most %d", maxTargets)
	}
	type place struct{ server, model string }
	seen := make(map[place]int, len(m.GetTargets()))
	usable := len(m.GetFallbacks()) > 0
	for i, t := range m.GetTargets() {
		at := fmt.Sprintf("targets[%d]", i)
		if _, ok := c.servers[t.GetServer()]; !ok {
			it.bad(at+".server", "server %q does not exist", t.GetServer())
		}
		it.modelName(at+".upstream_model", t.GetUpstreamModel())
		it.between(at+".weight", t.GetWeight(), 0, maxWeight)
		it.between(at+".priority", t.GetPriority(), 0, maxPriority)
		usable = usable || t.GetWeight() > 0
		p := place{t.GetServer(), t.GetUpstreamModel()}
		if first, dup := seen[p]; dup {
			it.bad(at, "same server and upstream_model as targets[%d]", first)
		} else {
			seen[p] = i
		}
	}
	if !usable {
		it.bad("targets", "a model needs at least one target with a weight of 1 or more, or a fallback")
	}
}

func (c *checker) fallbacks(it item, m *configv1.Model) {
	if len(m.GetFallbacks()) > maxFallbacks {
		it.bad("fallbacks", "must be at most %d", maxFallbacks)
	}
	seen := make(map[string]bool, len(m.GetFallbacks()))
	for i, name := range m.GetFallbacks() {
		at := fmt.Sprintf("fallbacks[%d]", i)
		_, exists := c.models[name]
		switch {
		case name == m.GetName():
			it.bad(at, "a model cannot be its own fallback")
		case !exists:
			it.bad(at, "model %q does not exist", name)
		case seen[name]:
			it.bad(at, "model %q appears more than once", name)
		}
		seen[name] = true
	}
}

// cycles 拒绝绕回自己的回退链：每条闭合环的边报一次。自指已由 fallbacks 报过。
// 用显式的栈而不是递归：链的长度由输入决定。
func (c *checker) cycles(models []*configv1.Model) {
	const open, done = 1, 2
	color := make([]uint8, len(models))
	type frame struct{ model, next int }
	for start := range models {
		if color[start] != 0 {
			continue
		}
		color[start] = open
		stack := []frame{{model: start}}
		for len(stack) > 0 {
			f := &stack[len(stack)-1]
			list := models[f.model].GetFallbacks()
			if f.next == len(list) {
				color[f.model] = done
				stack = stack[:len(stack)-1]
				continue
			}
			i := f.next
			f.next++
			to, ok := c.models[list[i]]
			switch {
			case !ok || to == f.model:
			case color[to] == open:
				c.at(KindModel, f.model).bad(fmt.Sprintf("fallbacks[%d]", i), "model %q falls back to this model: a cycle", list[i])
			case color[to] == 0:
				color[to] = open
				stack = append(stack, frame{model: to})
			}
		}
	}
}

// currencies 守住全部署只有一种货币：成本要能相加。
type currencies struct {
	code  string
	owner int
}

func (m *currencies) prices(it item, p *configv1.Prices) {
	it.between("prices.input_per_million", p.GetInputNanoPerMillion(), 0, maxPriceNano)
	it.between("prices.cached_input_per_million", p.GetCachedInputNanoPerMillion(), 0, maxPriceNano)
	it.between("prices.output_per_million", p.GetOutputNanoPerMillion(), 0, maxPriceNano)
	code := p.GetCurrency()
	switch {
	case code == "":
		if p.GetInputNanoPerMillion()|p.GetCachedInputNanoPerMillion()|p.GetOutputNanoPerMillion() != 0 {
			it.bad("prices.currency", "required with prices: three upper-case letters, such as USD")
		}
	case !validCurrency(code):
		it.bad("prices.currency", "must be three upper-case letters, such as USD")
	case m.code == "":
		m.code, m.owner = code, it.index
	case m.code != code:
		it.bad("prices.currency", "all prices must use one currency: models[%d] uses %s, this one %s", m.owner, m.code, code)
	}
}

func validCurrency(s string) bool {
	if len(s) != 3 {
		return false
	}
	for i := range 3 {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return true
}
