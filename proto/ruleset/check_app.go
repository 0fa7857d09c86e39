package ruleset

import (
	"crypto/sha256"
	"fmt"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

const (
	maxAppWeight = 1_000
	maxPatterns  = 1_000
	maxKeyIDLen  = 64
	// 预算的上限：十亿货币单位，一千万亿 token；两者加上在途的都离 int64 的边还远。
	maxBudgetNano   = 1_000_000_000 * 1_000_000_000
	maxBudgetTokens = 1_000_000_000_000_000
)

// app 查一个 app。models 为空是合法的：它什么模型也不许用。default_server 不必在允许的模型够得着的范围内。
func (c *checker) app(it item, a *configv1.App) {
	it.name(a.GetName())
	it.unique(c.apps, a.GetName())
	it.between("weight", a.GetWeight(), 1, maxAppWeight)
	enum(it, "class", a.GetClass(), configv1.AppClass_name)
	it.limits(a.GetLimits())
	if len(a.GetModels()) > maxPatterns {
		it.bad("models", "must be at most %d", maxPatterns)
	}
	for i, p := range a.GetModels() {
		it.modelName(fmt.Sprintf("models[%d]", i), p)
	}
	if s := a.GetDefaultServer(); s != "" {
		if _, ok := c.servers[s]; !ok {
			it.bad("default_server", "server %q does not exist", s)
		}
	}
	it.budget(a.GetBudget())
}

// budget 查预算；没有即不限，合格。金额以 10⁻⁹ 计，文本里说的是货币单位。
func (it item) budget(b *configv1.Budget) {
	if b == nil {
		return
	}
	if n := b.GetAmountNano(); n < 0 || n > maxBudgetNano {
		it.bad("budget.amount", "must be between 0 and %d", int64(maxBudgetNano/1_000_000_000))
	}
	it.between("budget.tokens", b.GetTokens(), 0, maxBudgetTokens)
	if b.GetAmountNano() == 0 && b.GetTokens() == 0 {
		it.bad("budget", "needs an amount or tokens above 0; for no budget leave it out or write {}")
	}
	if p := b.GetPeriod(); p != configv1.BudgetPeriod_BUDGET_PERIOD_DAY && p != configv1.BudgetPeriod_BUDGET_PERIOD_MONTH {
		it.bad("budget.period", "must be day or month")
	}
	if _, ok := TimeZone(b.GetTimeZone()); !ok {
		it.bad("budget.time_zone", "%.64q is not an IANA time zone such as Asia/Shanghai", b.GetTimeZone())
	}
	it.between("budget.soft_percent", b.GetSoftPercent(), 0, 100)
}

func (c *checker) keys(keys []*configv1.Key) {
	type name struct{ app, name string }
	names := make(map[name]int, len(keys))
	ids := make(map[string]int, len(keys))
	macs := make(map[string]int, len(keys))
	for i, k := range keys {
		it := c.at(KindKey, i)
		if _, ok := c.apps[k.GetApp()]; !ok {
			it.bad("app", "app %q does not exist", k.GetApp())
		}
		if !ValidKeyName(k.GetName()) {
			it.bad("name", "must be 1-%d characters of letters, digits, '.', '-' and '_', starting and ending with a letter or digit", MaxKeyNameLen)
		}
		if !validKeyID(k.GetId()) {
			it.bad("id", "must be 1-%d characters of letters, digits and '-'", maxKeyIDLen)
		}
		if len(k.GetMac()) != sha256.Size {
			it.bad("mac", "must be %d bytes, got %d", sha256.Size, len(k.GetMac()))
		} else {
			first(it, "mac", macs, string(k.GetMac()), "secret")
		}
		if k.GetExpiresAtUnixMs() < 0 {
			it.bad("expires_at", "must not be negative")
		}
		first(it, "id", ids, k.GetId(), "id")
		first(it, "name", names, name{k.GetApp(), k.GetName()}, "name")
	}
}

// first 要求这一项是头一个用 v 的。v 可能是秘密的指纹，因此只说与谁相同。
func first[K comparable](it item, field string, seen map[K]int, v K, what string) {
	if i, dup := seen[v]; dup {
		it.bad(field, "same %s as keys[%d]", what, i)
		return
	}
	seen[v] = it.index
}

func validKeyID(s string) bool {
	if len(s) == 0 || len(s) > maxKeyIDLen {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}
