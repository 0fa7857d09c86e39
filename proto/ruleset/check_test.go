package ruleset

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// good 是一份合格的快照，各用例在它上面改一处。
func good() *configv1.Snapshot {
	mac := KeyMAC([]byte("pepper"), "vg-secret")
	return &configv1.Snapshot{
		Servers: []*configv1.Server{NewServer("gpu-1", "http://127.0.0.1:9001/v1"), NewServer("gpu-2", "https://gpu.example:8443")},
		Models: []*configv1.Model{
			{Name: "gpt-4o", Targets: []*configv1.Target{NewTarget("gpu-1", "gpt-4o-2024"), NewTarget("gpu-2", "gpt-4o-2024")},
				Fallbacks: []string{"org/small"}, Prices: &configv1.Prices{InputNanoPerMillion: 2_500_000_000, Currency: "USD"}},
			{Name: "org/small", Targets: []*configv1.Target{NewTarget("gpu-1", "small")}},
			{Name: "alias", Fallbacks: []string{"gpt-4o"}},
		},
		Apps:      []*configv1.App{NewApp("team-a"), NewApp("team-b")},
		Keys:      []*configv1.Key{{Id: "0193-aa", App: "team-a", Name: "default", Mac: mac[:]}},
		KeyPepper: []byte("pepper"),
	}
}

// budget 给第二个 app 一个合格的预算，再改一处。
func budget(edit func(*configv1.Budget)) func(*configv1.Snapshot) {
	return func(s *configv1.Snapshot) {
		b := &configv1.Budget{AmountNano: 1, Tokens: 1, Period: configv1.BudgetPeriod_BUDGET_PERIOD_DAY, TimeZone: "Asia/Shanghai", SoftPercent: 80}
		edit(b)
		s.Apps[1].Budget = b
	}
}

func TestCheck_ABudgetLimitsMoneyOrTokensOrBoth(t *testing.T) {
	for name, edit := range map[string]func(*configv1.Budget){
		"both": func(*configv1.Budget) {}, "money": func(b *configv1.Budget) { b.Tokens = 0 },
		"tokens": func(b *configv1.Budget) { b.AmountNano = 0 }, "no warning": func(b *configv1.Budget) { b.SoftPercent = 0 },
		"month": func(b *configv1.Budget) { b.Period = configv1.BudgetPeriod_BUDGET_PERIOD_MONTH },
	} {
		s := good()
		budget(edit)(s)
		if got := Check(s); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestCheck_AcceptsGoodAndEmpty(t *testing.T) {
	for name, s := range map[string]*configv1.Snapshot{"good": good(), "empty": {}, "nil": nil} {
		if got := Check(s); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestCheck_ReportsEachProblemAtItsPath(t *testing.T) {
	mac := func(secret string) []byte { m := KeyMAC([]byte("pepper"), secret); return m[:] }
	type s = configv1.Snapshot
	cases := map[string]struct {
		edit func(*s)
		path string
		text string
	}{
		"server name":          {func(s *s) { s.Servers[1].Name = "GPU" }, "servers[1].name", "a-z"},
		"server name twice":    {func(s *s) { s.Servers[1].Name = "gpu-1" }, "servers[1].name", "servers[0]"},
		"provider":             {func(s *s) { s.Servers[0].Provider = "nope" }, "servers[0].provider", "openai"},
		"no base url":          {func(s *s) { s.Servers[0].BaseUrl = "" }, "servers[0].base_url", "required"},
		"base url scheme":      {func(s *s) { s.Servers[0].BaseUrl = "ftp://h" }, "servers[0].base_url", "http://"},
		"base url host":        {func(s *s) { s.Servers[0].BaseUrl = "http:///v1" }, "servers[0].base_url", "host"},
		"base url user":        {func(s *s) { s.Servers[0].BaseUrl = "http://u:hunter2@h/v1" }, "servers[0].base_url", "api_key"},
		"base url query":       {func(s *s) { s.Servers[0].BaseUrl = "http://h/v1?a=b" }, "servers[0].base_url", "query"},
		"base url bare query":  {func(s *s) { s.Servers[0].BaseUrl = "http://h/v1?" }, "servers[0].base_url", "query"},
		"base url fragment":    {func(s *s) { s.Servers[0].BaseUrl = "http://h/v1#" }, "servers[0].base_url", "fragment"},
		"base url port":        {func(s *s) { s.Servers[0].BaseUrl = "http://h:70000" }, "servers[0].base_url", "port"},
		"base url empty port":  {func(s *s) { s.Servers[0].BaseUrl = "http://h:/v1" }, "servers[0].base_url", "port"},
		"base url space":       {func(s *s) { s.Servers[0].BaseUrl = "http://h/a b" }, "servers[0].base_url", "host"},
		"api key":              {func(s *s) { s.Servers[0].ApiKey = "sk hunter2" }, "servers[0].api_key", "ASCII"},
		"concurrency":          {func(s *s) { s.Servers[0].Limits.MaxConcurrency = -1 }, "servers[0].limits.max_concurrency", "-1"},
		"requests":             {func(s *s) { s.Servers[0].Limits.RequestsPerMinute = 1 << 40 }, "servers[0].limits.requests_per_minute", "between"},
		"tokens":               {func(s *s) { s.Servers[0].Limits.TokensPerMinute = -2 }, "servers[0].limits.tokens_per_minute", "between"},
		"queue timeout":        {func(s *s) { s.Servers[0].Queue.TimeoutMs = 0 }, "servers[0].queue.timeout_ms", "between 1"},
		"max waiting":          {func(s *s) { s.Servers[0].Queue.MaxWaiting = 2_000_000 }, "servers[0].queue.max_waiting", "between 0"},
		"connect":              {func(s *s) { s.Servers[0].Timeouts.ConnectMs = 0 }, "servers[0].timeouts.connect_ms", "between 1"},
		"first byte":           {func(s *s) { s.Servers[0].Timeouts.FirstByteMs = 0 }, "servers[0].timeouts.first_byte_ms", "between 1"},
		"idle":                 {func(s *s) { s.Servers[0].Timeouts.IdleMs = 86_400_001 }, "servers[0].timeouts.idle_ms", "between 1"},
		"total":                {func(s *s) { s.Servers[0].Timeouts.TotalMs = -1 }, "servers[0].timeouts.total_ms", "between 1"},
		"connect beyond total": {func(s *s) { s.Servers[0].Timeouts.TotalMs = 4_000 }, "servers[0].timeouts.connect_ms", "total_ms"},
		"drain for ever":       {func(s *s) { s.Servers[0].DrainLimits.TimeoutMs = 600_001 }, "servers[0].drain.timeout_ms", "between 1 and 600000"},
		"drain of nothing":     {func(s *s) { s.Servers[0].DrainLimits.MaxTokens = 0 }, "servers[0].drain.max_tokens", "between 1 and"},
		"drain of none":        {func(s *s) { s.Servers[0].DrainLimits.MaxConcurrency = 0 }, "servers[0].drain.max_concurrency", "between 1 and"},
		"abort grace":          {func(s *s) { s.Servers[0].AbortGraceMs = 60_001 }, "servers[0].abort_grace_ms", "60000"},
		"burst":                {func(s *s) { s.Servers[0].BurstPercent = 0 }, "servers[0].burst_percent", "between 1 and 100"},
		"on disconnect":        {func(s *s) { s.Servers[0].OnDisconnect = 9 }, "servers[0].on_disconnect", "unknown"},
		"stream usage":         {func(s *s) { s.Servers[0].StreamUsage = 9 }, "servers[0].stream_usage", "unknown"},
		"header name":          {headers("X Bad", "v"), "servers[0].headers[0].name", "header name"},
		"header reserved":      {headers("authorization", "v"), "servers[0].headers[0].name", "set by the gateway"},
		"header hop by hop":    {headers("Transfer-Encoding", "v"), "servers[0].headers[0].name", "set by the gateway"},
		"header ours":          {headers("x-request-id", "v"), "servers[0].headers[0].name", "set by the gateway"},
		"header twice":         {headers("X-A", "1", "x-a", "2"), "servers[0].headers[1].name", "more than once"},
		"header value":         {headers("X-A", "hunter2\r\nX-B: 1"), "servers[0].headers[0].value", "control"},
		"ca not pem":           {func(s *s) { s.Servers[0].CaPem = "hello" }, "servers[0].ca_pem", "PEM"},
		"ca not certificate":   {func(s *s) { s.Servers[0].CaPem = block("PRIVATE KEY", "x") }, "servers[0].ca_pem", "CERTIFICATE"},
		"ca broken":            {func(s *s) { s.Servers[0].CaPem = block("CERTIFICATE", "x") }, "servers[0].ca_pem", "parsed"},
		"proxy scheme":         {func(s *s) { s.Servers[0].ProxyUrl = "socks4://h:1" }, "servers[0].proxy_url", "socks5"},
		"proxy path":           {func(s *s) { s.Servers[0].ProxyUrl = "http://u:hunter2@h/x" }, "servers[0].proxy_url", "path"},

		"model name":        {func(s *s) { s.Models[1].Name = "a\nb" }, "models[1].name", "printable"},
		"model name space":  {func(s *s) { s.Models[1].Name = " small" }, "models[1].name", "space"},
		"model name twice":  {func(s *s) { s.Models[1].Name = "gpt-4o" }, "models[1].name", "models[0]"},
		"target server":     {func(s *s) { s.Models[0].Targets[1].Server = "gone" }, "models[0].targets[1].server", "gone"},
		"upstream model":    {func(s *s) { s.Models[0].Targets[0].UpstreamModel = "" }, "models[0].targets[0].upstream_model", "printable"},
		"weight":            {func(s *s) { s.Models[0].Targets[0].Weight = 1_000_001 }, "models[0].targets[0].weight", "between"},
		"priority":          {func(s *s) { s.Models[0].Targets[0].Priority = 1_001 }, "models[0].targets[0].priority", "between"},
		"target twice":      {func(s *s) { s.Models[0].Targets[1].Server = "gpu-1" }, "models[0].targets[1]", "targets[0]"},
		"no targets":        {func(s *s) { s.Models[1].Targets = nil }, "models[1].targets", "fallback"},
		"all weights zero":  {func(s *s) { s.Models[1].Targets[0].Weight = 0 }, "models[1].targets", "weight of 1"},
		"fallback gone":     {func(s *s) { s.Models[0].Fallbacks = []string{"gone"} }, "models[0].fallbacks[0]", "does not exist"},
		"fallback self":     {func(s *s) { s.Models[0].Fallbacks = []string{"gpt-4o"} }, "models[0].fallbacks[0]", "its own"},
		"fallback twice":    {func(s *s) { s.Models[0].Fallbacks = []string{"org/small", "org/small"} }, "models[0].fallbacks[1]", "more than once"},
		"fallback cycle":    {func(s *s) { s.Models[1].Fallbacks = []string{"alias"} }, "models[2].fallbacks[0]", "cycle"},
		"price":             {func(s *s) { s.Models[0].Prices.OutputNanoPerMillion = -1 }, "models[0].prices.output_per_million", "between"},
		"currency":          {func(s *s) { s.Models[0].Prices.Currency = "usd" }, "models[0].prices.currency", "upper-case"},
		"currency missing":  {func(s *s) { s.Models[0].Prices.Currency = "" }, "models[0].prices.currency", "required"},
		"currency disagree": {func(s *s) { s.Models[1].Prices = &configv1.Prices{Currency: "EUR"} }, "models[1].prices.currency", "models[0] uses USD"},

		"app name":            {func(s *s) { s.Apps[0].Name = "-a" }, "apps[0].name", "a-z"},
		"app name twice":      {func(s *s) { s.Apps[1].Name = "team-a" }, "apps[1].name", "apps[0]"},
		"app weight":          {func(s *s) { s.Apps[0].Weight = 0 }, "apps[0].weight", "between 1 and 1000"},
		"app class":           {func(s *s) { s.Apps[0].Class = 7 }, "apps[0].class", "unknown"},
		"budget of nothing":   {budget(func(b *configv1.Budget) { b.AmountNano, b.Tokens = 0, 0 }), "apps[1].budget", "an amount or tokens"},
		"budget below zero":   {budget(func(b *configv1.Budget) { b.AmountNano = -1 }), "apps[1].budget.amount", "between 0 and 1000000000"},
		"budget beyond sense": {budget(func(b *configv1.Budget) { b.AmountNano = maxBudgetNano + 1 }), "apps[1].budget.amount", "between 0 and 1000000000"},
		"budget tokens":       {budget(func(b *configv1.Budget) { b.Tokens = -5 }), "apps[1].budget.tokens", "-5"},
		"budget period":       {budget(func(b *configv1.Budget) { b.Period = 0 }), "apps[1].budget.period", "day or month"},
		"budget zone":         {budget(func(b *configv1.Budget) { b.TimeZone = "Mars/Olympus" }), "apps[1].budget.time_zone", "Asia/Shanghai"},
		"budget zone here":    {budget(func(b *configv1.Budget) { b.TimeZone = "Local" }), "apps[1].budget.time_zone", "IANA"},
		"budget soft":         {budget(func(b *configv1.Budget) { b.SoftPercent = 101 }), "apps[1].budget.soft_percent", "between 0 and 100"},

		"app limits":     {func(s *s) { s.Apps[0].Limits.MaxConcurrency = -1 }, "apps[0].limits.max_concurrency", "between"},
		"app pattern":    {func(s *s) { s.Apps[0].Models = []string{"*", ""} }, "apps[0].models[1]", "printable"},
		"default server": {func(s *s) { s.Apps[0].DefaultServer = "gone" }, "apps[0].default_server", "gone"},

		"key app":     {func(s *s) { s.Keys[0].App = "gone" }, "keys[0].app", "gone"},
		"key name":    {func(s *s) { s.Keys[0].Name = "a b" }, "keys[0].name", "letters"},
		"key id":      {func(s *s) { s.Keys[0].Id = "" }, "keys[0].id", "letters"},
		"key mac":     {func(s *s) { s.Keys[0].Mac = []byte("short") }, "keys[0].mac", "32 bytes"},
		"key expires": {func(s *s) { s.Keys[0].ExpiresAtUnixMs = -1 }, "keys[0].expires_at", "negative"},
		"key secret twice": {func(s *s) {
			s.Keys = append(s.Keys, &configv1.Key{Id: "x", App: "team-b", Name: "k", Mac: s.Keys[0].Mac})
		}, "keys[1].mac", "keys[0]"},
		"key name twice": {func(s *s) {
			s.Keys = append(s.Keys, &configv1.Key{Id: "x", App: "team-a", Name: "default", Mac: mac("2")})
		}, "keys[1].name", "keys[0]"},
		"key id twice": {func(s *s) {
			s.Keys = append(s.Keys, &configv1.Key{Id: "0193-aa", App: "team-b", Name: "k", Mac: mac("2")})
		}, "keys[1].id", "keys[0]"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := good()
			c.edit(s)
			got := Check(s)
			if !slices.ContainsFunc(got, func(p Problem) bool { return p.Path() == c.path && strings.Contains(p.Message, c.text) }) {
				t.Errorf("want %s with %q, got %v", c.path, c.text, got)
			}
			for _, p := range got {
				if strings.Contains(p.Message, "hunter2") {
					t.Errorf("a secret is echoed: %v", p)
				}
			}
		})
	}
}

func headers(pairs ...string) func(*configv1.Snapshot) {
	return func(s *configv1.Snapshot) {
		for i := 0; i < len(pairs); i += 2 {
			s.Servers[0].Headers = append(s.Servers[0].Headers, &configv1.Header{Name: pairs[i], Value: pairs[i+1]})
		}
	}
}

func block(kind, body string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(body)}))
}

func TestCheck_ListsEveryProblemAtOnceInOrder(t *testing.T) {
	s := good()
	s.Servers[0].Name, s.Servers[1].BurstPercent = "Bad", 101
	s.Models[1].Name = ""
	s.Apps[0].Weight = 5_000
	s.Keys[0].Mac = nil
	var paths []string
	for _, p := range Check(s) {
		paths = append(paths, p.Path())
	}
	want := []string{
		"servers[0].name", "servers[1].burst_percent",
		"models[0].targets[0].server", "models[0].fallbacks[0]", "models[1].name", "models[1].targets[0].server",
		"apps[0].weight", "keys[0].mac",
	}
	if !slices.Equal(paths, want) {
		t.Errorf("got  %q\nwant %q", paths, want)
	}
}

func TestCheck_AbsentMessagesAndUnspecifiedEnumsMeanDefaults(t *testing.T) {
	s := good()
	s.Servers[0].Queue, s.Servers[0].Timeouts, s.Servers[0].Limits = nil, nil, nil
	s.Servers[0].OnDisconnect, s.Servers[0].StreamUsage, s.Apps[0].Class = 0, 0, 0
	if got := Check(s); len(got) != 0 {
		t.Error(got)
	}
}

func TestCheck_ZeroWeightIsAllowedBesideAnotherTargetOrAFallback(t *testing.T) {
	s := good()
	s.Models[0].Targets[0].Weight, s.Models[0].Targets[1].Weight = 0, 0 // 有回退
	s.Models[1].Targets = append(s.Models[1].Targets, &configv1.Target{Server: "gpu-2", UpstreamModel: "small"})
	if got := Check(s); len(got) != 0 {
		t.Error(got)
	}
}

func TestCheck_DiamondOfFallbacksIsNoCycle(t *testing.T) {
	s := good()
	s.Models[2].Fallbacks = []string{"gpt-4o", "org/small"} // gpt-4o 也回退到 org/small
	if got := Check(s); len(got) != 0 {
		t.Error(got)
	}
}

func TestCheck_LongFallbackChainIsWalkedOnce(t *testing.T) {
	s := &configv1.Snapshot{Servers: []*configv1.Server{NewServer("s", "http://h")}}
	const n = 20_000
	name := func(i int) string { return "m" + strings.Repeat("x", i%3) + big.NewInt(int64(i)).String() }
	for i := range n {
		m := &configv1.Model{Name: name(i), Targets: []*configv1.Target{NewTarget("s", "m")}}
		if i+1 < n {
			m.Fallbacks = []string{name(i + 1)}
		}
		s.Models = append(s.Models, m)
	}
	start := time.Now()
	if got := Check(s); len(got) != 0 {
		t.Fatal(got[0])
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v: not linear", d)
	}
	s.Models[n-1].Fallbacks = []string{name(0)}
	if got := Check(s); len(got) != 1 || got[0].Field != "fallbacks[0]" || got[0].Index != n-1 {
		t.Errorf("got %v", got)
	}
}

func TestCheck_AcceptsRealCertificatesAndProxies(t *testing.T) {
	s := good()
	s.Servers[0].CaPem = certificate(t) + "\n" + certificate(t) + "\n"
	for _, u := range []string{"http://u:p@proxy:3128", "https://proxy", "socks5://127.0.0.1:1080/"} {
		s.Servers[0].ProxyUrl = u
		if got := Check(s); len(got) != 0 {
			t.Errorf("%s: %v", u, got)
		}
	}
	s.Servers[0].CaPem += "trailing"
	if got := Check(s); len(got) != 1 || got[0].Field != "ca_pem" {
		t.Errorf("got %v", got)
	}
}

func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1<<31, 0), IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", string(der))
}

func TestDefaultTimeouts_NeverExceedTotal(t *testing.T) {
	for _, total := range []int64{0, 1, 3_000, 60_000, 86_400_000} {
		s := good()
		s.Servers[0].Timeouts = DefaultTimeouts(total)
		if got := Check(s); len(got) != 0 {
			t.Errorf("total %d: %v", total, got)
		}
	}
}

// FuzzCheck 查的是任何解得出的消息都不使它崩溃，而且判断与次序可重复。
func FuzzCheck(f *testing.F) {
	seed, err := proto.Marshal(good())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &configv1.Snapshot{}
		if proto.Unmarshal(b, s) != nil {
			return
		}
		if !slices.Equal(Check(s), Check(s)) {
			t.Error("two checks disagree")
		}
	})
}
