package usage

import (
	"time"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// Request 是请求表里的一行：只有元数据，没有任何正文。
type Request struct {
	ID              string
	ClientRequestID string
	NodeID          string
	KeyID           string
	// KeyName 在读的时候由 key 的表查出；key 从来没有存过则为空。
	KeyName     string
	App         string
	Model       string
	ServedModel string
	// Server 与 Source 是最后一次调用的，即这个请求在总数里计入的那一行。
	Server   string
	Source   usagev1.Source
	Endpoint string
	Outcome  usagev1.Outcome
	// Status 是给客户端的 HTTP 状态；没有写出头部时为 0。
	Status       int
	Stream       bool
	Replayed     bool
	Unjournalled bool
	// StartedAt 与 EndedAt 是校正过钟的 UTC，精度毫秒。
	StartedAt time.Time
	EndedAt   time.Time
	QueueUS   int64
	// FirstByteUS 为 0 即没有首字节。
	FirstByteUS int64
	DurationUS  int64
	// Tokens 与 CostNano 是各次调用之和。
	Tokens   Tokens
	CostNano int64
	// Revision 是计价所用的配置版本。
	Revision uint64
	Attempts []Attempt
}

// Tokens 的各栏可缺席：缺席不是零。
type Tokens struct {
	Prompt     *int64 `json:"prompt_tokens,omitempty"`
	Completion *int64 `json:"completion_tokens,omitempty"`
	Cached     *int64 `json:"cached_tokens,omitempty"`
	Reasoning  *int64 `json:"reasoning_tokens,omitempty"`
}

// Attempt 是一次上游调用；也是请求表 attempts 一栏里的形状。
type Attempt struct {
	Number        int             `json:"number"`
	Server        string          `json:"server"`
	UpstreamModel string          `json:"upstream_model"`
	ServedModel   string          `json:"served_model"`
	Outcome       usagev1.Outcome `json:"outcome"`
	// Status 是上游的 HTTP 状态；没有收到头部时为 0。
	Status     int            `json:"status"`
	DurationUS int64          `json:"duration_us"`
	Source     usagev1.Source `json:"source"`
	Tokens
	CostNano int64 `json:"cost_nano"`
}

// OutcomeNames 按值给出下场的公开名；"unknown" 是说不出的，属于我们的缺陷。
func OutcomeNames() []string {
	return []string{"unknown", "ok", "client_error", "upstream_error", "gateway_error", "aborted", "limited"}
}

// OutcomeName 是 o 的公开名；更新的节点可能写出我们不认识的值，那时是 "unknown"。
func OutcomeName(o usagev1.Outcome) string {
	names := OutcomeNames()
	if o < 0 || int(o) >= len(names) {
		return names[0]
	}
	return names[o]
}
