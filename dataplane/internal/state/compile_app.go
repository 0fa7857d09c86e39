package state

import (
	"strings"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

func (s *State) compileApps(list []*configv1.App) {
	// 上万个 app 通常只有几种允许列表：编好的列表与够得着的 server 按列表共用。
	lists := make(map[string]*reach)
	for _, v := range list {
		key := strings.Join(v.GetModels(), "\x00") // 名字里没有控制字符
		r, ok := lists[key]
		if !ok {
			r = s.reach(v.GetModels())
			lists[key] = r
		}
		a := &App{
			Name: v.GetName(), Enabled: v.GetEnabled(), Weight: v.GetWeight(), Class: class(v.GetClass()),
			Limits: limits(v.GetLimits()), Default: r.only, Budget: budget(v.GetBudget()), allow: r.allow,
		}
		if name := v.GetDefaultServer(); name != "" {
			a.Default = direct(s.servers[name])
		}
		s.apps[a.Name] = a
	}
}

// reach 是一份允许列表编好的样子，与它够得着的唯一 server（没有或不止一个则为 nil）。
type reach struct {
	allow *ruleset.Patterns
	only  *Target
}

// reach 只看模型自己的目标：回退是作答者的事，不让 app 因此“够得着”更多 server。
func (s *State) reach(patterns []string) *reach {
	r := &reach{allow: ruleset.CompilePatterns(patterns)}
	var only *Server
	for _, name := range s.names {
		if !r.allow.Allows(name) {
			continue
		}
		for _, tier := range s.models[name].Tiers {
			for _, t := range tier {
				switch {
				case !t.Server.Enabled, t.Server == only:
				case only == nil:
					only = t.Server
				default:
					return r
				}
			}
		}
	}
	if only != nil {
		r.only = direct(only)
	}
	return r
}

// direct 是不带模型的请求去一个 server 的目标；UpstreamModel 为空即不改写模型。
func direct(s *Server) *Target {
	return &Target{ID: TargetID{Server: s.Name}, Server: s, Weight: ruleset.DefaultWeight}
}

// budget 的时区已经由 ruleset 查过。
func budget(b *configv1.Budget) *Budget {
	if b == nil {
		return nil
	}
	zone, _ := ruleset.TimeZone(b.GetTimeZone())
	return &Budget{
		AmountNano: b.GetAmountNano(), Tokens: b.GetTokens(), Period: b.GetPeriod(), Zone: zone, SoftPercent: b.GetSoftPercent(),
	}
}

func class(c configv1.AppClass) string {
	switch c {
	case configv1.AppClass_APP_CLASS_INTERACTIVE:
		return ClassInteractive
	case configv1.AppClass_APP_CLASS_BATCH:
		return ClassBatch
	}
	return ClassStandard
}
