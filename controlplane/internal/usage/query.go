package usage

import (
	"slices"
	"time"
)

// Interval 是一行覆盖多长的时间。零值等同 IntervalNone。
type Interval string

const (
	IntervalNone   Interval = "none"
	IntervalMinute Interval = "minute"
	IntervalHour   Interval = "hour"
	IntervalDay    Interval = "day"
)

// Dimension 是可以分组的一栏。
type Dimension string

const (
	ByServer Dimension = "server"
	ByApp    Dimension = "app"
	ByModel  Dimension = "model"
)

// Query 问 [From, To) 之间的用量。
type Query struct {
	// From 零值是 To 之前 24 小时；向下取整到分钟。
	From time.Time
	// To 零值是现在；向上取整到分钟。
	To       time.Time
	Interval Interval
	// TimeZone 是 IANA 时区名，决定一小时与一天从哪里起；空为 UTC。
	TimeZone string
	GroupBy  []Dimension
	// Servers、Apps、Models 空则不筛；拒绝没有 server，算作 ""。
	Servers []string
	Apps    []string
	Models  []string
}

// Result 是一次查询的回答；Rows 按 bucket、server、app、model 升序，Totals 是各行之和。
type Result struct {
	Rows   []Row
	Totals Figures
}

// Row 是一组的数字；没有分组的栏为空，Interval 为 none 时 Bucket 为零值。
type Row struct {
	Bucket time.Time
	Server string
	App    string
	Model  string
	Figures
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

// Groups 说 d 是不是分组的一栏。
func (q Query) Groups(d Dimension) bool { return slices.Contains(q.GroupBy, d) }

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
	}
}
