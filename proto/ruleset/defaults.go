package ruleset

import configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"

// 声明文件里没写时的值，与外部契约的例子一致。
const (
	DefaultQueueTimeoutMs = 30_000
	DefaultMaxWaiting     = 4_096
	DefaultConnectMs      = 5_000
	DefaultFirstByteMs    = 120_000
	DefaultIdleMs         = 120_000
	DefaultTotalMs        = 600_000
	DefaultAbortGraceMs   = 250
	DefaultBurstPercent   = 10
	DefaultSoftPercent    = 80 // 花到预算的百分之几就警告
	DefaultWeight         = 1  // 目标与 app 都是

	DefaultDrainTimeoutMs      = 20_000
	DefaultDrainMaxTokens      = 4_096
	DefaultDrainMaxConcurrency = 64

	DefaultProvider     = ProviderOpenAI
	DefaultOnDisconnect = configv1.OnDisconnect_ON_DISCONNECT_CANCEL
	DefaultStreamUsage  = configv1.StreamUsage_STREAM_USAGE_AUTO
	DefaultClass        = configv1.AppClass_APP_CLASS_STANDARD
)

// ProviderOpenAI 是任何与 OpenAI 兼容的上游。
const ProviderOpenAI = "openai"

// Providers 是认得的线上方言，升序。
func Providers() []string { return []string{ProviderOpenAI} }

// DefaultQueue 是没写 queue 时的等待规矩。
func DefaultQueue() *configv1.Queue {
	return &configv1.Queue{TimeoutMs: DefaultQueueTimeoutMs, MaxWaiting: DefaultMaxWaiting}
}

// DefaultTimeouts 是没写 timeouts 时的各项期限；totalMs 为 0 即取默认的总期限。
// 各项都不超过总期限，因此只写了 total_ms 的人不会因为别项的默认值被拒。
func DefaultTimeouts(totalMs int64) *configv1.Timeouts {
	if totalMs <= 0 {
		totalMs = DefaultTotalMs
	}
	return &configv1.Timeouts{
		ConnectMs:   min(DefaultConnectMs, totalMs),
		FirstByteMs: min(DefaultFirstByteMs, totalMs),
		IdleMs:      min(DefaultIdleMs, totalMs),
		TotalMs:     totalMs,
	}
}

// DefaultDrainLimits 是没写 drain 时，客户端走后至多收到哪里。
func DefaultDrainLimits() *configv1.DrainLimits {
	return &configv1.DrainLimits{
		TimeoutMs: DefaultDrainTimeoutMs, MaxTokens: DefaultDrainMaxTokens, MaxConcurrency: DefaultDrainMaxConcurrency,
	}
}

// NewServer 是只给了名字与地址的 server，其余都是默认值。
func NewServer(name, baseURL string) *configv1.Server {
	return &configv1.Server{
		Name: name, Provider: DefaultProvider, BaseUrl: baseURL, Enabled: true,
		Limits: &configv1.Limits{}, Queue: DefaultQueue(), Timeouts: DefaultTimeouts(0),
		AbortGraceMs: DefaultAbortGraceMs, BurstPercent: DefaultBurstPercent,
		OnDisconnect: DefaultOnDisconnect, DrainLimits: DefaultDrainLimits(), StreamUsage: DefaultStreamUsage,
	}
}

// NewTarget 是权重 1、优先级 0 的目标。
func NewTarget(server, upstreamModel string) *configv1.Target {
	return &configv1.Target{Server: server, UpstreamModel: upstreamModel, Weight: DefaultWeight}
}

// NewApp 是只给了名字的 app，其余都是默认值；它可以用一切模型。
func NewApp(name string) *configv1.App {
	return &configv1.App{
		Name: name, Enabled: true, Weight: DefaultWeight, Class: DefaultClass,
		Limits: &configv1.Limits{}, Models: []string{"*"},
	}
}
