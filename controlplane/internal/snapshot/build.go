package snapshot

import (
	"bytes"
	"maps"
	"slices"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// Build 编出 c 的快照；pepper 是算 key 的 MAC 的密钥，原样放进去。结果含明文凭证，不可进日志。
func Build(c *catalog.Catalog, pepper []byte) *configv1.Snapshot {
	s := &configv1.Snapshot{KeyPepper: pepper}
	for _, name := range slices.Sorted(maps.Keys(c.Servers)) {
		s.Servers = append(s.Servers, server(c.Servers[name], c.Credentials[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Models)) {
		s.Models = append(s.Models, model(c.Models[name]))
	}
	s.Apps = Apps(c)
	for _, k := range keysByMAC(c) {
		s.Keys = append(s.Keys, key(k))
	}
	return s
}

// Apps 只编 c 的 app，名字升序。
func Apps(c *catalog.Catalog) (list []*configv1.App) {
	for _, name := range slices.Sorted(maps.Keys(c.Apps)) {
		list = append(list, app(c.Apps[name]))
	}
	return list
}

func keysByMAC(c *catalog.Catalog) []*catalog.Key {
	return slices.SortedFunc(maps.Values(c.Keys), func(a, b *catalog.Key) int { return bytes.Compare(a.MAC[:], b.MAC[:]) })
}

func server(s *catalog.Server, cred *catalog.Credential) *configv1.Server {
	out := &configv1.Server{
		Name: s.Name, Provider: s.Provider, BaseUrl: s.BaseURL, Enabled: s.Enabled, Limits: limits(s.Limits),
		Queue: &configv1.Queue{TimeoutMs: s.Queue.TimeoutMS, MaxWaiting: s.Queue.MaxWaiting},
		Timeouts: &configv1.Timeouts{ConnectMs: s.Timeouts.ConnectMS, FirstByteMs: s.Timeouts.FirstByteMS,
			IdleMs: s.Timeouts.IdleMS, TotalMs: s.Timeouts.TotalMS},
		AbortGraceMs: s.AbortGraceMS, BurstPercent: s.BurstPercent,
		OnDisconnect: onDisconnect(s.OnDisconnect), StreamUsage: streamUsage(s.StreamUsage),
		DrainLimits: &configv1.DrainLimits{TimeoutMs: s.Drain.TimeoutMS, MaxTokens: s.Drain.MaxTokens, MaxConcurrency: s.Drain.MaxConcurrency},
		CaPem:       s.CAPEM, ProxyUrl: s.ProxyURL,
	}
	if cred != nil {
		out.ApiKey = cred.Secret.Reveal()
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		out.Headers = append(out.Headers, &configv1.Header{Name: name, Value: s.Headers[name]})
	}
	return out
}

func limits(l catalog.Limits) *configv1.Limits {
	return &configv1.Limits{MaxConcurrency: l.MaxConcurrency, RequestsPerMinute: l.RequestsPerMinute, TokensPerMinute: l.TokensPerMinute}
}

func onDisconnect(s string) configv1.OnDisconnect {
	switch s {
	case "cancel":
		return configv1.OnDisconnect_ON_DISCONNECT_CANCEL
	case "drain":
		return configv1.OnDisconnect_ON_DISCONNECT_DRAIN
	}
	return configv1.OnDisconnect_ON_DISCONNECT_UNSPECIFIED
}

func streamUsage(s string) configv1.StreamUsage {
	switch s {
	case "auto":
		return configv1.StreamUsage_STREAM_USAGE_AUTO
	case "always":
		return configv1.StreamUsage_STREAM_USAGE_ALWAYS
	case "never":
		return configv1.StreamUsage_STREAM_USAGE_NEVER
	}
	return configv1.StreamUsage_STREAM_USAGE_UNSPECIFIED
}

func model(m *catalog.Model) *configv1.Model {
	out := &configv1.Model{Name: m.Name, Fallbacks: m.Fallbacks}
	for _, t := range m.Targets {
		out.Targets = append(out.Targets, &configv1.Target{
			Server: t.Server, UpstreamModel: t.UpstreamModel, Weight: t.Weight, Priority: t.Priority})
	}
	if p := m.Prices; p != nil {
		out.Prices = &configv1.Prices{InputNanoPerMillion: int64(p.Input), CachedInputNanoPerMillion: int64(p.CachedInput),
			OutputNanoPerMillion: int64(p.Output), Currency: p.Currency}
	}
	return out
}

func app(a *catalog.App) *configv1.App {
	return &configv1.App{Name: a.Name, Enabled: a.Enabled, Weight: a.Weight, Class: class(a.Class),
		Limits: limits(a.Limits), Models: a.Models, DefaultServer: a.DefaultServer, Budget: budget(a.Budget)}
}

func budget(b *catalog.Budget) *configv1.Budget {
	if b == nil {
		return nil
	}
	out := &configv1.Budget{AmountNano: int64(b.Amount), Tokens: b.Tokens, TimeZone: b.TimeZone, SoftPercent: b.SoftPercent}
	switch b.Period {
	case "day":
		out.Period = configv1.BudgetPeriod_BUDGET_PERIOD_DAY
	case "month":
		out.Period = configv1.BudgetPeriod_BUDGET_PERIOD_MONTH
	}
	return out
}

func class(s string) configv1.AppClass {
	switch s {
	case "interactive":
		return configv1.AppClass_APP_CLASS_INTERACTIVE
	case "standard":
		return configv1.AppClass_APP_CLASS_STANDARD
	case "batch":
		return configv1.AppClass_APP_CLASS_BATCH
	}
	return configv1.AppClass_APP_CLASS_UNSPECIFIED
}

func key(k *catalog.Key) *configv1.Key {
	out := &configv1.Key{Id: k.ID, App: k.App, Name: k.Name, Mac: k.MAC[:]}
	if !k.ExpiresAt.IsZero() {
		out.ExpiresAtUnixMs = k.ExpiresAt.UnixMilli()
	}
	return out
}
