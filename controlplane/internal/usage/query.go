package usage

import (
	"slices"
	"time"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// Interval 是一行覆盖多长的时间。零值等同 IntervalNone。
type Interval string

const (
	IntervalNone   Interval = "none"
	IntervalMinute Interval = "minute"
	IntervalHour   Interval = "hour"
	IntervalDay    Interval = "day"
)

// Dimension 是可以分组、也可以筛选的一栏。
type Dimension string

const (
	ByServer      Dimension = "server"
	ByApp         Dimension = "app"
	ByModel       Dimension = "model"
	ByServedModel Dimension = "served_model"
	BySource      Dimension = "source"
	ByCode        Dimension = "code"
)

// Dimensions 按它们在应答里出现的次序列出所有的维度。
func Dimensions() []Dimension {
	return []Dimension{ByServer, ByApp, ByModel, ByServedModel, BySource, ByCode}
}

// Order 是前几名以什么论大小。
type Order string

const (
	OrderRequests         Order = "requests"
	OrderAttempts         Order = "attempts"
	OrderRefused          Order = "refused"
	OrderErrors           Order = "errors"
	OrderAborted          Order = "aborted"
	OrderTokens           Order = "tokens"
	OrderPromptTokens     Order = "prompt_tokens"
	OrderCompletionTokens Order = "completion_tokens"
	OrderCost             Order = "cost"
)

// Orders 列出所有的 Order。
func Orders() []Order {
	return []Order{OrderRequests, OrderAttempts, OrderRefused, OrderErrors, OrderAborted,
		OrderTokens, OrderPromptTokens, OrderCompletionTokens, OrderCost}
}

// Query 问 [From, To) 之间的用量。
type Query struct {
	// From 零值是 To 之前 24 小时；向下取整到分钟。
	From time.Time
	// To 零值是现在；向上取整到分钟。不早于此刻即没有终点。
	To       time.Time
	Interval Interval
	// TimeZone 是 IANA 时区名，决定一小时与一天从哪里起；空为 UTC。
	TimeZone string
	// GroupBy 至多三个，不重复。
	GroupBy []Dimension
	// 下面各项空则不筛。拒绝没有 server、served_model 与 source，算作 ""；送到了服务器的请求没有 code，也算作 ""。
	Servers      []string
	Apps         []string
	Models       []string
	ServedModels []string
	// Sources 的值见 SourceName。
	Sources []string
	Codes   []string
	// Top 大于 0 时只分开整段里最大的 Top 组，其余并成一组。要有 GroupBy。
	Top int
	// OrderBy 空为 OrderRequests；只与 Top 一起用。
	OrderBy Order
	// Percentiles 是要的百分位，0 与 100 之间；空则不读直方图。
	Percentiles []float64

	// open 说 To 不早于此刻；由 normalize 定下。
	open bool
}

// Filter 是一个维度上要留下的值。
type Filter struct {
	By     Dimension
	Values []string
}

// Filters 按 Dimensions 的次序给出不空的筛选。
func (q Query) Filters() []Filter {
	all := []Filter{{ByServer, q.Servers}, {ByApp, q.Apps}, {ByModel, q.Models},
		{ByServedModel, q.ServedModels}, {BySource, q.Sources}, {ByCode, q.Codes}}
	return slices.DeleteFunc(all, func(f Filter) bool { return len(f.Values) == 0 })
}

// Groups 说 d 是不是分组的一栏。
func (q Query) Groups(d Dimension) bool { return slices.Contains(q.GroupBy, d) }

// SourceName 是来源在查询与应答里的名字；没有来源（拒绝）是 ""。
func SourceName(s usagev1.Source) string {
	names := SourceNames()
	if s < 0 || int(s) >= len(names) {
		return ""
	}
	return names[s]
}

// SourceNames 以 usagev1.Source 的数值为下标。
func SourceNames() []string { return []string{"", "reported", "counted", "partial", "unknown"} }
