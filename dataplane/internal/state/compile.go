package state

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Compile 把一份快照编成 State。有任何毛病都不编，返回的错误是 vegaerr（Invalid），Problems 逐处列出。
// rev 与 digest 原样记下，digest 由调用者核对。不保留 snap，也不改它。
func Compile(rev uint64, digest [sha256.Size]byte, snap *configv1.Snapshot) (*State, error) {
	if err := check(snap); err != nil {
		return nil, err
	}
	s := &State{
		Revision: rev,
		Digest:   digest,
		servers:  make(map[string]*Server, len(snap.GetServers())),
		models:   make(map[string]*Model, len(snap.GetModels())),
		apps:     make(map[string]*App, len(snap.GetApps())),
		keys:     make(map[[sha256.Size]byte]*Key, len(snap.GetKeys())),
		macs:     newMACPool(snap.GetKeyPepper()),
	}
	for _, v := range snap.GetServers() {
		server, err := compileServer(v)
		if err != nil {
			return nil, err
		}
		s.servers[server.Name] = server
	}
	s.compileModels(snap.GetModels())
	s.compileApps(snap.GetApps())
	s.compileKeys(snap.GetKeys())
	return s, nil
}

// maxListed 是错误文本里最多列出的毛病数；Problems 里总是全部。
const maxListed = 8

func check(snap *configv1.Snapshot) error {
	found := ruleset.Check(snap)
	if len(found) == 0 {
		if len(snap.GetKeys()) > 0 && len(snap.GetKeyPepper()) == 0 {
			return vegaerr.New(vegaerr.Invalid, "invalid_snapshot", "key_pepper is missing")
		}
		return nil
	}
	problems := make([]vegaerr.Problem, len(found))
	var text strings.Builder
	for i, p := range found {
		problems[i] = vegaerr.Problem{Path: p.Path(), Message: p.Message}
		if i < maxListed {
			fmt.Fprintf(&text, "; %s", p)
		}
	}
	if more := len(found) - maxListed; more > 0 {
		fmt.Fprintf(&text, "; and %d more", more)
	}
	return vegaerr.New(vegaerr.Invalid, "invalid_snapshot", "%d problems%s", len(found), text.String()).WithProblems(problems)
}

func (s *State) compileModels(list []*configv1.Model) {
	for _, m := range list {
		p := m.GetPrices()
		s.models[m.GetName()] = &Model{
			Name:  m.GetName(),
			Tiers: s.tiers(m.GetTargets()),
			Prices: Prices{
				Input: p.GetInputNanoPerMillion(), CachedInput: p.GetCachedInputNanoPerMillion(),
				Output: p.GetOutputNanoPerMillion(), Currency: p.GetCurrency(),
			},
		}
	}
	for _, m := range list { // 模型都有了，回退才指得到
		for _, name := range m.GetFallbacks() {
			s.models[m.GetName()].Fallbacks = append(s.models[m.GetName()].Fallbacks, s.models[name])
		}
	}
	s.names = slices.Sorted(maps.Keys(s.models))
}

// tiers 把接流量的目标按优先级分层。
func (s *State) tiers(list []*configv1.Target) [][]*Target {
	targets := make([]*Target, 0, len(list))
	for _, t := range list {
		targets = append(targets, &Target{
			ID:     TargetID{Server: t.GetServer(), UpstreamModel: t.GetUpstreamModel()},
			Server: s.servers[t.GetServer()], UpstreamModel: t.GetUpstreamModel(),
			Weight: t.GetWeight(), Priority: t.GetPriority(),
		})
	}
	return ruleset.Tiers(targets, func(t *Target) int64 { return t.Priority }, func(t *Target) int64 { return t.Weight })
}

func (s *State) compileKeys(list []*configv1.Key) {
	for _, k := range list {
		key := &Key{ID: k.GetId(), Name: k.GetName(), App: s.apps[k.GetApp()]}
		if ms := k.GetExpiresAtUnixMs(); ms > 0 {
			key.ExpiresAt = time.UnixMilli(ms)
		}
		s.keys[[sha256.Size]byte(k.GetMac())] = key
	}
}

func limits(l *configv1.Limits) Limits {
	return Limits{
		MaxConcurrency:    l.GetMaxConcurrency(),
		RequestsPerMinute: l.GetRequestsPerMinute(),
		TokensPerMinute:   l.GetTokensPerMinute(),
	}
}
