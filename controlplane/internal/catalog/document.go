package catalog

import (
	"time"

	"github.com/vega-gateway/vega/proto/ruleset"
)

// 各枚举认得的值；前两者的第一个是缺省。
var (
	onDisconnect = []string{"cancel", "drain"}
	streamUsage  = []string{"auto", "always", "never"}
	classes      = []string{"interactive", "standard", "batch"}
	periods      = []string{"month", "day"}
)

// Document 是解析过的输入：整份声明式文件，或单个对象（那时只有一个列表、一个元素）。缺省值已经填好。
type Document struct {
	Servers []ServerDoc `json:"servers"`
	Models  []ModelDoc  `json:"models"`
	Apps    []AppDoc    `json:"apps"`

	// root 是单个对象的文档所说的那个对象；整份文件时为零值。
	root Ref
}

// ServerDoc 是输入里的 server。
type ServerDoc struct {
	ServerSpec
	// APIKey 为 nil 表示沿用所存的，空的 Secret 表示清除。
	APIKey *Secret `json:"api_key,omitempty"`
}

// ModelDoc 是输入里的 model。
type ModelDoc struct{ ModelSpec }

// AppDoc 是输入里的 app。
type AppDoc struct {
	AppSpec
	// Keys 为 nil 表示没有写这个列表：key 一概不动。
	Keys *[]KeyDoc `json:"keys,omitempty"`
}

// KeyDoc 是输入里的 key。
type KeyDoc struct {
	Name string `json:"name"`
	// Secret 为 nil 表示沿用所存的；新 key 则生成。
	Secret *Secret `json:"secret,omitempty"`
	// ExpiresAt 为 nil 表示不过期。
	ExpiresAt *time.Time `json:"expires_at"`
}

func (s *ServerDoc) setDefaults() {
	s.Provider, s.Enabled = ruleset.DefaultProvider, true
	s.Queue = Queue{TimeoutMS: ruleset.DefaultQueueTimeoutMs, MaxWaiting: ruleset.DefaultMaxWaiting}
	s.Timeouts = defaultTimeouts(0)
	s.AbortGraceMS, s.BurstPercent = ruleset.DefaultAbortGraceMs, ruleset.DefaultBurstPercent
	s.OnDisconnect, s.StreamUsage = onDisconnect[0], streamUsage[0]
	s.Drain = DefaultDrain()
}

// DefaultDrain 是没写 drain 时的限制；有这一项之前存下的 server 也按它。
func DefaultDrain() Drain {
	d := ruleset.DefaultDrainLimits()
	return Drain{TimeoutMS: d.GetTimeoutMs(), MaxTokens: d.GetMaxTokens(), MaxConcurrency: d.GetMaxConcurrency()}
}

func (d *Drain) setDefaults() { *d = DefaultDrain() }

func defaultTimeouts(total int64) Timeouts {
	t := ruleset.DefaultTimeouts(total)
	return Timeouts{ConnectMS: t.GetConnectMs(), FirstByteMS: t.GetFirstByteMs(), IdleMS: t.GetIdleMs(), TotalMS: t.GetTotalMs()}
}

// settle 让没写的各项不超过写了的 total_ms：只写总期限的人不该因别项的缺省值被拒。
func (t *Timeouts) settle(n *node) {
	d := defaultTimeouts(t.TotalMS)
	for name, v := range map[string]struct {
		at       *int64
		fallback int64
	}{
		"connect_ms": {&t.ConnectMS, d.ConnectMS}, "first_byte_ms": {&t.FirstByteMS, d.FirstByteMS}, "idle_ms": {&t.IdleMS, d.IdleMS},
	} {
		if given := n.get(name); given == nil || given.kind == nullNode {
			*v.at = v.fallback
		}
	}
}

func (t *Target) setDefaults() { t.Weight = ruleset.DefaultWeight }

func (p *Prices) setDefaults() { p.Currency = "USD" }

func (b *Budget) setDefaults() {
	b.Period, b.TimeZone, b.SoftPercent = periods[0], "UTC", ruleset.DefaultSoftPercent
}

// settle 让 {} 等于没有预算：什么也没写的人没有要每月零元。
func (b *Budget) settle(n *node) {
	for _, f := range n.fields {
		if f.value.kind != nullNode {
			return
		}
	}
	*b = Budget{}
}

func (a *AppDoc) setDefaults() {
	a.Enabled, a.Weight, a.Class = true, ruleset.DefaultWeight, classes[1]
	a.Models = []string{"*"}
}
