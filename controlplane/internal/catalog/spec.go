package catalog

// ServerSpec 是运维写下的 server：连接、限额、排队与超时。凭证不在其中。时间单位毫秒。
type ServerSpec struct {
	Name         string            `json:"name"`
	Provider     string            `json:"provider"`
	BaseURL      string            `json:"base_url"`
	Enabled      bool              `json:"enabled"`
	Limits       Limits            `json:"limits"`
	Queue        Queue             `json:"queue"`
	Timeouts     Timeouts          `json:"timeouts"`
	AbortGraceMS int64             `json:"abort_grace_ms"`
	BurstPercent int64             `json:"burst_percent"`
	OnDisconnect string            `json:"on_disconnect"`
	Drain        Drain             `json:"drain"`
	StreamUsage  string            `json:"stream_usage"`
	Headers      map[string]string `json:"headers"`
	// CAPEM 是验证上游证书用的 PEM 文本；空则用系统的。
	CAPEM string `json:"ca_pem,omitempty"`
	// ProxyURL 是出站代理；空则直连。里面可以有口令，给人看时须经 public。
	ProxyURL string `json:"proxy_url,omitempty"`
}

// Limits 的零值字段表示不限。
type Limits struct {
	MaxConcurrency    int64 `json:"max_concurrency"`
	RequestsPerMinute int64 `json:"requests_per_minute"`
	TokensPerMinute   int64 `json:"tokens_per_minute"`
}

// Queue 是排队的上限：等多久（毫秒）、等几个。
type Queue struct {
	TimeoutMS  int64 `json:"timeout_ms"`
	MaxWaiting int64 `json:"max_waiting"`
}

// Drain 限着客户端走后仍收下去的调用：收多久（毫秒，从走的那一刻算）、再收多少输出 token、一个节点上同时收几个。
type Drain struct {
	TimeoutMS      int64 `json:"timeout_ms"`
	MaxTokens      int64 `json:"max_tokens"`
	MaxConcurrency int64 `json:"max_concurrency"`
}

// Timeouts 的单位都是毫秒。
type Timeouts struct {
	ConnectMS   int64 `json:"connect_ms"`
	FirstByteMS int64 `json:"first_byte_ms"`
	IdleMS      int64 `json:"idle_ms"`
	TotalMS     int64 `json:"total_ms"`
}

// ModelSpec 是一个公开模型名与它可以去的地方。
type ModelSpec struct {
	Name      string   `json:"name"`
	Targets   []Target `json:"targets"`
	Fallbacks []string `json:"fallbacks"`
	// Prices 为 nil 表示没有定价。
	Prices *Prices `json:"prices,omitempty"`
}

// Target 是模型可以去的一处。
type Target struct {
	Server        string `json:"server"`
	UpstreamModel string `json:"upstream_model"`
	Weight        int64  `json:"weight"`
	Priority      int64  `json:"priority"`
}

// Prices 是每百万 token 的价格。
type Prices struct {
	Input       Price  `json:"input_per_million"`
	CachedInput Price  `json:"cached_input_per_million"`
	Output      Price  `json:"output_per_million"`
	Currency    string `json:"currency"`
}

// AppSpec 是被服务与计量的一方；它的 key 另存。
type AppSpec struct {
	Name          string   `json:"name"`
	Enabled       bool     `json:"enabled"`
	Weight        int64    `json:"weight"`
	Class         string   `json:"class"`
	Limits        Limits   `json:"limits"`
	Models        []string `json:"models"`
	DefaultServer string   `json:"default_server"`
	// Budget 为 nil 表示没有预算。
	Budget *Budget `json:"budget,omitempty"`
}

// Budget 是一个 app 一期之内至多花多少；Amount 与 Tokens 为 0 即这一项不限。
type Budget struct {
	// Amount 的单位是 10⁻⁹ 货币单位，文档里写成十进制数；货币是各模型的价格共用的那一种。
	Amount Price `json:"amount"`
	// Tokens 是输入与输出之和。
	Tokens int64 `json:"tokens"`
	// Period 是 day 或 month，从 TimeZone 里的零点、一号的零点开始。
	Period   string `json:"period"`
	TimeZone string `json:"time_zone"`
	// SoftPercent 是花到百分之几就警告；0 即不警告。
	SoftPercent int64 `json:"soft_percent"`
}

func (s *ServerSpec) normalise() {
	if s.Headers == nil {
		s.Headers = map[string]string{}
	}
}

func (m *ModelSpec) normalise() {
	if m.Targets == nil {
		m.Targets = []Target{}
	}
	if m.Fallbacks == nil {
		m.Fallbacks = []string{}
	}
	for i := range m.Targets {
		if m.Targets[i].UpstreamModel == "" { // 缺席即与公开名相同
			m.Targets[i].UpstreamModel = m.Name
		}
	}
}

func (a *AppSpec) normalise() {
	if a.Models == nil {
		a.Models = []string{}
	}
	if a.Budget != nil && *a.Budget == (Budget{}) {
		a.Budget = nil
	}
}
