package state

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const pepper = "pepper"

func key(id, app, secret string) *configv1.Key {
	mac := ruleset.KeyMAC([]byte(pepper), secret)
	return &configv1.Key{Id: id, App: app, Name: id, Mac: mac[:]}
}

func target(server, model string, weight, priority int64) *configv1.Target {
	return &configv1.Target{Server: server, UpstreamModel: model, Weight: weight, Priority: priority}
}

func snapshot() *configv1.Snapshot {
	off := ruleset.NewServer("off", "http://off:1/v1")
	off.Enabled = false
	return &configv1.Snapshot{
		KeyPepper: []byte(pepper),
		Servers:   []*configv1.Server{ruleset.NewServer("a", "http://a:9001/v1"), ruleset.NewServer("b", "https://b"), off},
		Models: []*configv1.Model{
			{Name: "wide", Targets: []*configv1.Target{
				target("b", "w2", 2, 10), target("a", "w1", 1, 0), target("a", "zero", 0, 0), target("b", "w3", 3, 0), target("off", "w4", 1, 5),
			}, Fallbacks: []string{"narrow"}, Prices: &configv1.Prices{InputNanoPerMillion: 1, CachedInputNanoPerMillion: 2, OutputNanoPerMillion: 3, Currency: "USD"}},
			{Name: "narrow", Targets: []*configv1.Target{target("a", "n", 1, 0), target("off", "n", 1, 0)}},
			{Name: "detour", Fallbacks: []string{"wide", "narrow"}},
		},
		Apps: []*configv1.App{ruleset.NewApp("all"), app("one", "nar*"), app("none"), withDefault(app("fixed", "*"), "off"), app("away", "detour")},
		Keys: []*configv1.Key{key("k1", "all", "vg-one"), key("k2", "one", "vg-two")},
	}
}

func app(name string, models ...string) *configv1.App {
	a := ruleset.NewApp(name)
	a.Models = models
	return a
}

func withDefault(a *configv1.App, server string) *configv1.App {
	a.DefaultServer = server
	return a
}

func compile(t testing.TB, snap *configv1.Snapshot) *State {
	t.Helper()
	s, err := Compile(7, [32]byte{1}, snap)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCompile_SortsTiersAndDropsOnlyZeroWeights(t *testing.T) {
	s := compile(t, snapshot())
	m, ok := s.Model("wide")
	if !ok {
		t.Fatal("no model")
	}
	var got []string
	for _, tier := range m.Tiers {
		for _, x := range tier {
			got = append(got, fmt.Sprintf("%d:%s/%s*%d", x.Priority, x.Server.Name, x.UpstreamModel, x.Weight))
			if x.ID != (TargetID{x.Server.Name, x.UpstreamModel}) {
				t.Errorf("id %v", x.ID)
			}
		}
	}
	want := []string{"0:a/w1*1", "0:b/w3*3", "5:off/w4*1", "10:b/w2*2"}
	if !slices.Equal(got, want) || len(m.Tiers) != 3 {
		t.Errorf("got %v in %d tiers", got, len(m.Tiers))
	}
	if m.Prices != (Prices{1, 2, 3, "USD"}) {
		t.Errorf("prices %+v", m.Prices)
	}
	detour, _ := s.Model("detour")
	narrow, _ := s.Model("narrow")
	if len(detour.Tiers) != 0 || !slices.Equal(detour.Fallbacks, []*Model{m, narrow}) {
		t.Errorf("fallbacks %v", detour.Fallbacks)
	}
	if !slices.Equal(s.ModelNames(), []string{"detour", "narrow", "wide"}) {
		t.Errorf("names %v", s.ModelNames())
	}
}

func TestCompile_ResolvesServersAndDefaults(t *testing.T) {
	snap := snapshot()
	v := snap.Servers[0]
	v.Queue, v.Timeouts, v.DrainLimits = nil, nil, nil
	v.ApiKey, v.ProxyUrl = "sk-1", "socks5://p:1080"
	v.Headers = []*configv1.Header{{Name: "x-team", Value: "infra"}}
	v.OnDisconnect, v.StreamUsage = configv1.OnDisconnect_ON_DISCONNECT_DRAIN, configv1.StreamUsage_STREAM_USAGE_NEVER
	v.Limits = &configv1.Limits{MaxConcurrency: 1, RequestsPerMinute: 2, TokensPerMinute: 3}
	s, ok := compile(t, snap).Server("a")
	if !ok {
		t.Fatal("no server")
	}
	if s.BaseURL.String() != "http://a:9001/v1" || s.ProxyURL.Host != "p:1080" || s.Headers.Get("X-Team") != "infra" {
		t.Errorf("%+v", s)
	}
	if s.QueueTimeout != 30*time.Second || s.MaxWaiting != 4096 || s.Connect != 5*time.Second || s.FirstByte != 2*time.Minute ||
		s.Idle != 2*time.Minute || s.Total != 10*time.Minute || s.AbortGrace != 250*time.Millisecond || s.BurstPercent != 10 {
		t.Errorf("%+v", s)
	}
	if s.DrainLimits != (DrainLimits{20 * time.Second, 4096, 64}) {
		t.Errorf("%+v", s.DrainLimits)
	}
	if !s.Drain || s.StreamUsage != StreamUsageNever || s.Limits != (Limits{1, 2, 3}) || !s.Enabled {
		t.Errorf("%+v", s)
	}
	b, _ := compile(t, snap).Server("b")
	if b.ProxyURL != nil || b.Drain || b.StreamUsage != StreamUsageAuto {
		t.Errorf("%+v", b)
	}
}

func TestCompile_FingerprintsChangeExactlyWithWhatTheyCover(t *testing.T) {
	base := func() *configv1.Server { return ruleset.NewServer("a", "http://a:9001/v1") }
	first, err := compileServer(base())
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		edit           func(*configv1.Server)
		link, identity bool
	}{
		"nothing":  {func(*configv1.Server) {}, false, false},
		"limits":   {func(v *configv1.Server) { v.Limits.MaxConcurrency = 9 }, false, false},
		"path":     {func(v *configv1.Server) { v.BaseUrl = "http://a:9001/v2" }, false, true},
		"host":     {func(v *configv1.Server) { v.BaseUrl = "http://b:9001/v1" }, true, true},
		"scheme":   {func(v *configv1.Server) { v.BaseUrl = "https://a:9001/v1" }, true, true},
		"api key":  {func(v *configv1.Server) { v.ApiKey = "sk-2" }, false, true},
		"header":   {func(v *configv1.Server) { v.Headers = []*configv1.Header{{Name: "X-Key", Value: "1"}} }, false, true},
		"proxy":    {func(v *configv1.Server) { v.ProxyUrl = "http://p" }, true, false},
		"connect":  {func(v *configv1.Server) { v.Timeouts.ConnectMs = 1 }, true, false},
		"any idle": {func(v *configv1.Server) { v.Timeouts.IdleMs = 1 }, false, false},
	}
	for name, c := range cases {
		v := base()
		c.edit(v)
		got, err := compileServer(v)
		if err != nil {
			t.Fatal(err)
		}
		if (got.Link != first.Link) != c.link || (got.Identity != first.Identity) != c.identity {
			t.Errorf("%s: link changed %v, identity changed %v", name, got.Link != first.Link, got.Identity != first.Identity)
		}
	}
	if fingerprint("ab", "c") == fingerprint("a", "bc") {
		t.Error("the boundary between parts is lost")
	}
}

func TestApp_DefaultIsTheNamedOrTheOnlyReachableServer(t *testing.T) {
	s := compile(t, snapshot())
	for name, want := range map[string]string{
		"all": "", "one": "a", "none": "", "fixed": "off", "away": "",
	} {
		a, ok := s.App(name)
		if !ok {
			t.Fatal(name)
		}
		got := ""
		if a.Default != nil {
			got = a.Default.Server.Name
			if a.Default.UpstreamModel != "" || a.Default.ID != (TargetID{Server: got}) {
				t.Errorf("%s: %+v", name, a.Default)
			}
		}
		if got != want {
			t.Errorf("%s: default %q, want %q", name, got, want)
		}
	}
	one, _ := s.App("one")
	if !one.Allows("narrow") || one.Allows("wide") || one.Class != ClassStandard || one.Weight != 1 {
		t.Errorf("%+v", one)
	}
}

func TestCompile_CarriesABudgetInItsTimeZone(t *testing.T) {
	s := snapshot()
	s.Apps[0].Budget = &configv1.Budget{AmountNano: 100_500_000_000, Tokens: 7, Period: configv1.BudgetPeriod_BUDGET_PERIOD_DAY, TimeZone: "Asia/Shanghai", SoftPercent: 80}
	st := compile(t, s)
	a, _ := st.App(s.GetApps()[0].GetName())
	if b := a.Budget; b == nil || b.AmountNano != 100_500_000_000 || b.Tokens != 7 || b.Period != configv1.BudgetPeriod_BUDGET_PERIOD_DAY ||
		b.Zone.String() != "Asia/Shanghai" || b.SoftPercent != 80 {
		t.Errorf("%+v", a.Budget)
	}
	if none, _ := st.App(s.GetApps()[1].GetName()); none.Budget != nil {
		t.Errorf("%+v", none.Budget)
	}
	s.Apps[0].Budget.TimeZone = "Mars/Olympus"
	if _, err := Compile(1, [32]byte{}, s); err == nil {
		t.Error("a node that cannot tell where the period begins must refuse the revision")
	}
}

func TestKey_FindsBySecretOnly(t *testing.T) {
	snap := snapshot()
	snap.Keys[1].ExpiresAtUnixMs = 1_700_000_000_123
	s := compile(t, snap)
	k, ok := s.Key("vg-two")
	if !ok || k.ID != "k2" || k.App.Name != "one" || !k.ExpiresAt.Equal(time.UnixMilli(1_700_000_000_123)) {
		t.Fatalf("%+v", k)
	}
	if k, _ := s.Key("vg-one"); !k.ExpiresAt.IsZero() {
		t.Error("expires")
	}
	for _, secret := range []string{"", "vg-onE", "vg-one ", string(snap.Keys[0].Mac), strings.Repeat("x", 257)} {
		if _, ok := s.Key(secret); ok {
			t.Errorf("%q is known", secret)
		}
	}
}

func TestMAC_AgreesWithTheControlPlanesFromManyGoroutines(t *testing.T) {
	s := compile(t, snapshot())
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				secret := strings.Repeat("s", (g*200+i)%300)
				if s.MAC(secret) != ruleset.KeyMAC([]byte(pepper), secret) {
					t.Errorf("length %d differs", len(secret))
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestCompile_ListsProblemsAndBuildsNothing(t *testing.T) {
	snap := snapshot()
	for i := range 20 {
		snap.Apps = append(snap.Apps, app(fmt.Sprintf("BAD%d", i), "*"))
	}
	s, err := Compile(1, [32]byte{}, snap)
	var e *vegaerr.Error
	if s != nil || !errors.As(err, &e) || e.Code != vegaerr.Invalid || len(e.Problems) != 20 {
		t.Fatalf("%v %v", s, err)
	}
	if e.Problems[0].Path != "apps[5].name" || !strings.Contains(e.Message, "20 problems; apps[5].name: ") || !strings.Contains(e.Message, "and 12 more") {
		t.Errorf("%v", e)
	}
	snap = snapshot()
	snap.KeyPepper = nil
	if _, err := Compile(1, [32]byte{}, snap); vegaerr.CodeOf(err) != vegaerr.Invalid {
		t.Errorf("keys without a pepper: %v", err)
	}
	if _, err := Compile(1, [32]byte{}, nil); err != nil {
		t.Errorf("an empty configuration is a configuration: %v", err)
	}
}

func TestCompile_KeepsNothingOfTheSnapshot(t *testing.T) {
	snap := snapshot()
	s := compile(t, snap)
	proto.Reset(snap.Servers[0])
	snap.KeyPepper[0] = 'X'
	snap.Apps[1].Models[0] = "*"
	clear(snap.Keys[0].Mac)
	if _, ok := s.Key("vg-one"); !ok {
		t.Error("the pepper or the keys are shared")
	}
	one, _ := s.App("one")
	a, _ := s.Server("a")
	if one.Allows("wide") || a.BaseURL.Host != "a:9001" {
		t.Error("lists are shared")
	}
}

func TestWithRevision_ChangesOnlyTheNumber(t *testing.T) {
	s := compile(t, snapshot())
	n := s.WithRevision(9)
	if s.Revision != 7 || n.Revision != 9 || n.Digest != s.Digest {
		t.Errorf("%d %d", s.Revision, n.Revision)
	}
	if k, ok := n.Key("vg-one"); !ok || k.App.Name != "all" {
		t.Error("keys are lost")
	}
}

func TestHolder_ReadyAfterTheFirstSwap(t *testing.T) {
	h := New()
	select {
	case <-h.Ready():
		t.Fatal("ready too early")
	default:
	}
	if h.Load() != nil {
		t.Fatal("loaded before the first swap")
	}
	s := compile(t, snapshot())
	h.Swap(s)
	h.Swap(s.WithRevision(8))
	<-h.Ready()
	if h.Load().Revision != 8 {
		t.Error("the newest does not win")
	}
}

func BenchmarkKey(b *testing.B) {
	s := compile(b, snapshot())
	secret := "vg-" + strings.Repeat("k", 43)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Key(secret)
		}
	})
}

func TestKey_DoesNotAllocate(t *testing.T) {
	s := compile(t, snapshot())
	secret := "vg-" + strings.Repeat("k", 43)
	// 并行的回收偶尔清空池子，均值取整后仍应为 0。
	if n := testing.AllocsPerRun(1000, func() { s.Key(secret) }); n != 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCompile10000Apps(b *testing.B) {
	snap := snapshot()
	for i := range 10_000 {
		name := fmt.Sprintf("app-%d", i)
		snap.Apps = append(snap.Apps, app(name, "*"))
		snap.Keys = append(snap.Keys, key(name, name, name))
	}
	for i := range 200 {
		snap.Models = append(snap.Models, &configv1.Model{Name: fmt.Sprintf("m-%d", i), Targets: []*configv1.Target{target("a", "m", 1, 0)}})
	}
	b.ReportAllocs()
	for b.Loop() {
		compile(b, snap)
	}
}
