package snapshot

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/catalog/catalogtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

var pepper = bytes.Repeat([]byte{7}, 32)

type tb interface {
	Helper()
	Fatal(args ...any)
}

func build(t tb, doc string) *catalog.Catalog {
	t.Helper()
	c, err := apply(doc)
	if err != nil {
		t.Fatal(err, vegaerr.As(err).Problems)
	}
	return c
}

func apply(doc string) (*catalog.Catalog, error) {
	d, err := catalog.Parse([]byte(doc))
	if err != nil {
		return nil, err
	}
	mint := catalog.Mint{MAC: func(secret string) [32]byte { return ruleset.KeyMAC(pepper, secret) }}
	c, _, err := catalog.Apply(catalog.New(), d, catalog.ApplyOptions{}, mint)
	return c, err
}

const demo = `{
 "servers": [{"name": "z", "base_url": "http://z", "enabled": false},
             {"name": "a", "base_url": "http://a/v1", "api_key": "sk-upstream", "headers": {"X-B": "2", "X-A": "1"},
              "limits": {"max_concurrency": 1, "requests_per_minute": 2, "tokens_per_minute": 3}, "on_disconnect": "drain", "drain": {"timeout_ms": 12, "max_tokens": 13, "max_concurrency": 14}, "stream_usage": "never",
              "queue": {"timeout_ms": 4, "max_waiting": 5}, "timeouts": {"connect_ms": 6, "first_byte_ms": 7, "idle_ms": 8, "total_ms": 9},
              "abort_grace_ms": 10, "burst_percent": 11, "proxy_url": "http://p:1"}],
 "models": [{"name": "m", "targets": [{"server": "a", "upstream_model": "u", "weight": 2, "priority": 3}], "fallbacks": ["n"],
             "prices": {"input_per_million": 2.5, "cached_input_per_million": 1.25, "output_per_million": 10, "currency": "EUR"}},
            {"name": "n", "targets": [{"server": "z", "upstream_model": "u"}]}],
 "apps": [{"name": "x", "enabled": false, "class": "batch", "weight": 5, "models": ["m*"], "default_server": "a",
           "keys": [{"name": "k", "secret": "0123456789abcdef0123456789abcdef", "expires_at": "2020-01-01T00:00:00Z"}]}]}`

func TestBuild_CarriesEveryField(t *testing.T) {
	s := Build(build(t, demo), pepper)
	want := &configv1.Server{
		Name: "a", Provider: "openai", BaseUrl: "http://a/v1", ApiKey: "sk-upstream", Enabled: true,
		Limits: &configv1.Limits{MaxConcurrency: 1, RequestsPerMinute: 2, TokensPerMinute: 3}, Queue: &configv1.Queue{TimeoutMs: 4, MaxWaiting: 5},
		Timeouts:     &configv1.Timeouts{ConnectMs: 6, FirstByteMs: 7, IdleMs: 8, TotalMs: 9},
		AbortGraceMs: 10, BurstPercent: 11, OnDisconnect: configv1.OnDisconnect_ON_DISCONNECT_DRAIN, StreamUsage: configv1.StreamUsage_STREAM_USAGE_NEVER,
		Headers: []*configv1.Header{{Name: "X-A", Value: "1"}, {Name: "X-B", Value: "2"}}, ProxyUrl: "http://p:1",
		DrainLimits: &configv1.DrainLimits{TimeoutMs: 12, MaxTokens: 13, MaxConcurrency: 14},
	}
	if !proto.Equal(s.GetServers()[0], want) {
		t.Errorf("server\n got %v\nwant %v", s.GetServers()[0], want)
	}
	if z := s.GetServers()[1]; z.GetName() != "z" || z.GetEnabled() || z.GetApiKey() != "" {
		t.Errorf("disabled server: %v", z)
	}
	model := &configv1.Model{Name: "m", Fallbacks: []string{"n"}, Targets: []*configv1.Target{{Server: "a", UpstreamModel: "u", Weight: 2, Priority: 3}},
		Prices: &configv1.Prices{InputNanoPerMillion: 2_500_000_000, CachedInputNanoPerMillion: 1_250_000_000, OutputNanoPerMillion: 10_000_000_000, Currency: "EUR"}}
	if !proto.Equal(s.GetModels()[0], model) {
		t.Errorf("model: %v", s.GetModels()[0])
	}
	app := &configv1.App{Name: "x", Weight: 5, Class: configv1.AppClass_APP_CLASS_BATCH, Limits: &configv1.Limits{}, Models: []string{"m*"}, DefaultServer: "a"}
	if !proto.Equal(s.GetApps()[0], app) {
		t.Errorf("app: %v", s.GetApps()[0])
	}
	mac := ruleset.KeyMAC(pepper, "0123456789abcdef0123456789abcdef")
	k := s.GetKeys()[0]
	if !bytes.Equal(k.GetMac(), mac[:]) || k.GetApp() != "x" || k.GetName() != "k" || k.GetExpiresAtUnixMs() != time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() {
		t.Errorf("an expired key must be carried for the node to judge: %v", k)
	}
	if !bytes.Equal(s.GetKeyPepper(), pepper) {
		t.Error("pepper")
	}
}

func TestEncode_SameContentGivesTheSameDigest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := apply(string(catalogtest.Document(t)))
		if err != nil {
			return // 两把 key 抽到同一个 secret
		}
		a, err := Encode(1, Build(c, pepper))
		if err != nil {
			t.Fatal(err)
		}
		b, err := Encode(2, Build(c, pepper))
		if err != nil || !bytes.Equal(a.GetDigest(), b.GetDigest()) || !bytes.Equal(a.GetSnapshot(), b.GetSnapshot()) || b.GetRevision() != 2 {
			t.Fatalf("digests differ: %v", err)
		}
	})
}

func TestEncode_CompressesWhatIsWorthIt(t *testing.T) {
	small, err := Encode(3, Build(build(t, demo), pepper))
	if err != nil || small.GetEncoding() != configv1.Encoding_ENCODING_IDENTITY {
		t.Fatalf("small: %v, %v", small.GetEncoding(), err)
	}
	var apps []string
	for i := range 200 {
		apps = append(apps, fmt.Sprintf(`{"name": "app-%d"}`, i))
	}
	s := Build(build(t, `{"apps": [`+strings.Join(apps, ",")+`]}`), pepper)
	big, err := Encode(4, s)
	if err != nil || big.GetEncoding() != configv1.Encoding_ENCODING_ZSTD {
		t.Fatalf("big: %v, %v", big.GetEncoding(), err)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	raw, err := d.DecodeAll(big.GetSnapshot(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(raw); !bytes.Equal(sum[:], big.GetDigest()) {
		t.Error("the digest must be that of the uncompressed bytes")
	}
	var back configv1.Snapshot
	if err := proto.Unmarshal(raw, &back); err != nil || !proto.Equal(&back, s) {
		t.Errorf("decoded snapshot differs: %v", err)
	}
}

func TestCheck_PointsIntoTheCallersDocument(t *testing.T) {
	const doc = `{
	 "servers": [{"name": "z", "base_url": "ftp://z"}, {"name": "Bad_Name", "base_url": "http://b", "headers": {"X-Ok": "1", "Host": "evil"}, "limits": {"max_concurrency": -1}}],
	 "models": [{"name": "m", "targets": [{"server": "gone", "upstream_model": "u"}], "fallbacks": ["nobody"], "prices": {"currency": "EUR"}},
	            {"name": "a", "targets": [{"server": "z", "upstream_model": "u"}], "prices": {"input_per_million": 1}}],
	 "apps": [{"name": "x", "weight": 0, "default_server": "gone", "keys": [{"name": "no good", "secret": "0123456789abcdef0123456789abcdef"}]}]}`
	d, err := catalog.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	err = Check(build(t, doc))
	if vegaerr.CodeOf(err) != vegaerr.Invalid {
		t.Fatalf("got %v", err)
	}
	var got []string
	for _, p := range vegaerr.As(d.Relocate(err)).Problems {
		got = append(got, p.Path+": "+p.Message)
	}
	for _, want := range []string{
		"servers[0].base_url: must be a URL", "servers[1].name: must be", "servers[1].headers.Host: Host is set by the gateway",
		"servers[1].limits.max_concurrency: must be between", `models[0].targets[0].server: server "gone" does not exist`,
		`models[0].fallbacks[0]: model "nobody" does not exist`, `models[0].prices.currency: all prices must use one currency: model "a" uses USD`,
		"apps[0].weight: must be between", `apps[0].default_server: server "gone" does not exist`, "apps[0].keys[0].name: must be",
	} {
		found := 0
		for _, g := range got {
			if strings.HasPrefix(g, want) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%q found %d times in\n%s", want, found, strings.Join(got, "\n"))
		}
	}
	if len(got) != 10 {
		t.Errorf("%d problems:\n%s", len(got), strings.Join(got, "\n"))
	}
	if err := Check(build(t, demo)); err != nil {
		t.Errorf("demo: %v %v", err, vegaerr.As(err).Problems)
	}
}

func TestCheck_SaysWhatIsWrongWithABudgetInTheCallersWords(t *testing.T) {
	doc, err := catalog.Parse([]byte(`{"apps": [{"name": "b"}, {"name": "a", "budget": {"amount": -1, "time_zone": "Mars/Olympus"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := catalog.Apply(catalog.New(), doc, catalog.ApplyOptions{}, catalog.Mint{})
	if err != nil {
		t.Fatal(err)
	}
	problems := vegaerr.As(doc.Relocate(Check(c))).Problems
	if len(problems) != 2 || problems[0].Path != "apps[1].budget.amount" || problems[1].Path != "apps[1].budget.time_zone" {
		t.Errorf("%+v", problems)
	}
}

func TestBuild_CarriesABudget(t *testing.T) {
	c := catalog.New()
	c.Apps["a"] = &catalog.App{AppSpec: catalog.AppSpec{Name: "a", Budget: &catalog.Budget{
		Amount: 100_500_000_000, Tokens: 7, Period: "day", TimeZone: "Asia/Shanghai", SoftPercent: 80}}}
	want := &configv1.Budget{AmountNano: 100_500_000_000, Tokens: 7, Period: configv1.BudgetPeriod_BUDGET_PERIOD_DAY, TimeZone: "Asia/Shanghai", SoftPercent: 80}
	if got := Build(c, nil).GetApps()[0].GetBudget(); !proto.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
