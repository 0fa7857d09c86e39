package state

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

// State 是编译好的一版配置；造好之后只读，零值不可用，由 Compile 造。
type State struct {
	Revision uint64
	Digest   [sha256.Size]byte

	servers map[string]*Server
	models  map[string]*Model
	names   []string // models 的名字，升序
	apps    map[string]*App
	keys    map[[sha256.Size]byte]*Key
	macs    *macPool
}

// Limits 的零值字段表示不限。
type Limits struct {
	MaxConcurrency    int64
	RequestsPerMinute int64
	TokensPerMinute   int64
}

// Server 是一个上游端点。
type Server struct {
	Name         string
	Provider     string
	BaseURL      *url.URL
	APIKey       string
	Enabled      bool
	Limits       Limits
	QueueTimeout time.Duration
	MaxWaiting   int
	Connect      time.Duration
	FirstByte    time.Duration
	Idle         time.Duration
	Total        time.Duration
	AbortGrace   time.Duration
	BurstPercent int
	Drain        bool // 客户端挂断后把上游的回答收下去，到 DrainLimits 为止
	DrainLimits  DrainLimits
	StreamUsage  StreamUsage
	Headers      http.Header
	CAPEM        string
	ProxyURL     *url.URL // nil 即直连
	// Link 是连接参数（BaseURL 的主机、CA、代理、连接超时）的指纹：相同即可共用一个连接池。
	Link [sha256.Size]byte
	// Identity 是 BaseURL 与凭证的指纹：变了，过去的摘出与暂停就不作数。
	Identity [sha256.Size]byte
}

// DrainLimits 限着客户端走后仍收下去的调用。
type DrainLimits struct {
	Timeout        time.Duration // 从客户端走的那一刻算起
	MaxTokens      int64         // 走后至多再收多少输出 token
	MaxConcurrency int64         // 本节点上同时收几个
}

// StreamUsage 是要不要替客户端向流索取用量。
type StreamUsage uint8

const (
	StreamUsageAuto StreamUsage = iota
	StreamUsageAlways
	StreamUsageNever
)

// TargetID 在进程内指认一个目标，跨版本稳定；摘出与暂停以它为键。
type TargetID struct{ Server, UpstreamModel string }

// Target 是模型可以去的一处。
type Target struct {
	ID            TargetID
	Server        *Server
	UpstreamModel string
	Weight        int64
	Priority      int64
}

// Model 是一个公开模型名；Tiers 按优先级由先到后，同层依配置里的次序。零权重的目标不在其中，除此之外没有任何取舍：
// 停用的 server 也在，由选择时判断。Tiers 可以为空（只有回退的模型）。
type Model struct {
	Name      string
	Tiers     [][]*Target
	Fallbacks []*Model
	Prices    Prices
}

// Prices 的单位是每百万 token 的 10⁻⁹ 货币单位。
type Prices struct {
	Input, CachedInput, Output int64
	Currency                   string
}

// App 是被服务与计量的一方。
type App struct {
	Name    string
	Enabled bool
	Weight  int64
	Class   string
	Limits  Limits
	// Default 是不带模型的请求去的地方：default_server，或唯一够得着的 server；nil 即没有。
	Default *Target
	// Budget 为 nil 表示没有预算。
	Budget *Budget

	allow *ruleset.Patterns
}

// Budget 是一期之内至多花多少；为 0 的一项不限。
type Budget struct {
	AmountNano  int64 // 10⁻⁹ 货币单位
	Tokens      int64 // 输入与输出之和
	Period      configv1.BudgetPeriod
	Zone        *time.Location
	SoftPercent int64 // 花到百分之几就警告，0 即不警告
}

// Key 是 app 的一把钥匙；ExpiresAt 为零值表示不过期。
type Key struct {
	ID        string
	Name      string
	App       *App
	ExpiresAt time.Time
}

// App.Class 的取值。
const (
	ClassInteractive = "interactive"
	ClassStandard    = "standard"
	ClassBatch       = "batch"
)
