package usage

import (
	"time"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// Result 是一次查询的回答。
type Result struct {
	// From 与 To 是真正算进来的时间段；与所问的不同时 Notes 说为什么。
	From, To time.Time
	// Rows 按 Bucket、名次（有 Top 时）、各维度升序；其余并成的一组在同一 Bucket 的最后。
	Rows []Row
	// Totals 是各行之和。
	Totals   Row
	Accuracy Accuracy
	// Percentiles 是问了哪些百分位，各行的 Latency 照这个次序。
	Percentiles []float64
	// Notes 是这份回答有什么与所问不同，英文，一条一句。
	Notes []string
}

// Row 是一组的数字；没有分组的栏为空，Interval 为 none 时 Bucket 为零值。
type Row struct {
	Bucket      time.Time
	Server      string
	App         string
	Model       string
	ServedModel string
	Source      string
	Code        string
	// Rank 是这一组在整段里的名次，从 1 起；没有 Top 为 0。
	Rank int
	// Other 说这是前几名之外的各组之和，各维度为空。
	Other bool
	Figures
	// BySource 把数字按 token 数从哪里来分开。
	BySource BySourceFigures
	// Latency 只在问了百分位时非 nil。
	Latency *Latency
}

// Dimension 指向 d 那一栏。
func (r *Row) Dimension(d Dimension) *string {
	switch d {
	case ByServer:
		return &r.Server
	case ByApp:
		return &r.App
	case ByModel:
		return &r.Model
	case ByServedModel:
		return &r.ServedModel
	case BySource:
		return &r.Source
	default:
		return &r.Code
	}
}

// Figures 是可相加的数字。
type Figures struct {
	Requests int64
	Attempts int64
	Refused  int64
	// Errors 是下面四类之和；Aborted 不算错误。
	Errors         int64
	ErrorsClient   int64
	ErrorsUpstream int64
	ErrorsGateway  int64
	ErrorsLimit    int64
	Aborted        int64
	// AttemptErrors 是以错误告终的上游调用，含后来重试成功的。
	AttemptErrors int64

	PromptTokens     int64
	CompletionTokens int64
	CachedTokens     int64
	ReasoningTokens  int64
	// AttemptsWithUsage 是知道 token 数的上游调用；少于 Attempts 时 token 数是下界。
	AttemptsWithUsage int64
	// CostNano 的单位是 10⁻⁹ 货币单位；FormatNano 写成小数。
	CostNano int64

	QueueUS        int64
	FirstByteUS    int64
	FirstByteCount int64
	DurationUS     int64
	UpstreamUS     int64

	// Replayed 是节点死去之后由重放补上的请求，Unjournalled 是没有进过磁盘的请求；都已在 Requests 里。
	Replayed     int64
	Unjournalled int64
}

// AvgQueueMS 是每个请求平均排队的毫秒数；没有请求为 0。
func (f Figures) AvgQueueMS() float64 { return averageMS(f.QueueUS, f.Requests) }

// AvgFirstByteMS 是从到达至首个上游字节的平均毫秒数，只算有首字节的请求。
func (f Figures) AvgFirstByteMS() float64 { return averageMS(f.FirstByteUS, f.FirstByteCount) }

// AvgDurationMS 是每个请求从到达至结束的平均毫秒数。
func (f Figures) AvgDurationMS() float64 { return averageMS(f.DurationUS, f.Requests) }

func averageMS(us, n int64) float64 {
	if n == 0 {
		return 0
	}
	return float64(us) / float64(n) / 1000
}

// Plus 是两者各栏之和。
func (f Figures) Plus(o Figures) Figures {
	return Figures{
		Requests: f.Requests + o.Requests, Attempts: f.Attempts + o.Attempts, Refused: f.Refused + o.Refused,
		Errors: f.Errors + o.Errors, ErrorsClient: f.ErrorsClient + o.ErrorsClient, ErrorsUpstream: f.ErrorsUpstream + o.ErrorsUpstream,
		ErrorsGateway: f.ErrorsGateway + o.ErrorsGateway, ErrorsLimit: f.ErrorsLimit + o.ErrorsLimit,
		Aborted: f.Aborted + o.Aborted, AttemptErrors: f.AttemptErrors + o.AttemptErrors,
		PromptTokens: f.PromptTokens + o.PromptTokens, CompletionTokens: f.CompletionTokens + o.CompletionTokens,
		CachedTokens: f.CachedTokens + o.CachedTokens, ReasoningTokens: f.ReasoningTokens + o.ReasoningTokens,
		AttemptsWithUsage: f.AttemptsWithUsage + o.AttemptsWithUsage, CostNano: f.CostNano + o.CostNano,
		QueueUS: f.QueueUS + o.QueueUS, FirstByteUS: f.FirstByteUS + o.FirstByteUS, FirstByteCount: f.FirstByteCount + o.FirstByteCount,
		DurationUS: f.DurationUS + o.DurationUS, UpstreamUS: f.UpstreamUS + o.UpstreamUS,
		Replayed: f.Replayed + o.Replayed, Unjournalled: f.Unjournalled + o.Unjournalled,
	}
}

// Minus 是 f 减 o。
func (f Figures) Minus(o Figures) Figures {
	return f.Plus(Figures{
		Requests: -o.Requests, Attempts: -o.Attempts, Refused: -o.Refused, Errors: -o.Errors,
		ErrorsClient: -o.ErrorsClient, ErrorsUpstream: -o.ErrorsUpstream, ErrorsGateway: -o.ErrorsGateway, ErrorsLimit: -o.ErrorsLimit,
		Aborted: -o.Aborted, AttemptErrors: -o.AttemptErrors, PromptTokens: -o.PromptTokens, CompletionTokens: -o.CompletionTokens,
		CachedTokens: -o.CachedTokens, ReasoningTokens: -o.ReasoningTokens, AttemptsWithUsage: -o.AttemptsWithUsage, CostNano: -o.CostNano,
		QueueUS: -o.QueueUS, FirstByteUS: -o.FirstByteUS, FirstByteCount: -o.FirstByteCount, DurationUS: -o.DurationUS,
		UpstreamUS: -o.UpstreamUS, Replayed: -o.Replayed, Unjournalled: -o.Unjournalled,
	})
}

// SourceFigures 是出自同一个来源的几栏；Tokens 是输入加输出。
type SourceFigures struct {
	Requests int64
	Attempts int64
	Tokens   int64
	CostNano int64
}

// BySourceFigures 以 usagev1.Source 的数值为下标；没有说来源的请求算在 SOURCE_UNKNOWN，下标 0 恒为零。
type BySourceFigures [usagev1.Source_SOURCE_UNKNOWN + 1]SourceFigures

// Plus 是两者各栏之和。
func (b BySourceFigures) Plus(o BySourceFigures) BySourceFigures {
	for i := range b {
		b[i].Requests += o[i].Requests
		b[i].Attempts += o[i].Attempts
		b[i].Tokens += o[i].Tokens
		b[i].CostNano += o[i].CostNano
	}
	return b
}

// Minus 是 b 减 o。
func (b BySourceFigures) Minus(o BySourceFigures) BySourceFigures {
	for i, s := range o {
		o[i] = SourceFigures{Requests: -s.Requests, Attempts: -s.Attempts, Tokens: -s.Tokens, CostNano: -s.CostNano}
	}
	return b.Plus(o)
}

// Latency 是百分位，毫秒，次序同 Query.Percentiles；没有一次观察的为 nil。
type Latency struct {
	QueueMS     []float64
	FirstByteMS []float64
	DurationMS  []float64
}

// Accuracy 说这份回答有多全、多新。
type Accuracy struct {
	// AsOf 是读数的那一刻（数据库的钟）。
	AsOf time.Time
	// CompleteUntil：在这之前结束、且其节点已经说过话的请求都已在内。
	CompleteUntil time.Time
	// Pending 是还没有并入各级的增量行；它们已经算进回答。
	Pending int64
	// BehindNodes 是有记录还没有交来的节点数，BehindRecords 是它们一共有多少条，以节点最近一次心跳为准。
	BehindNodes   int64
	BehindRecords int64
	// SilentNodes 是此刻没有连着的节点数；它们的磁盘上也许还有没交来的记录。
	SilentNodes int64
	// Lost 是在 [From, To) 里记下的洞，LostLater 是在 To 之后记下的：洞里的请求在记下之前结束，因此也可能属于这一段。
	// 洞不知道属于哪个 server、app、model，两者都不受筛选影响。
	Lost      Totals
	LostLater Totals
}
