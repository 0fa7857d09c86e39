package live

import "time"

// Overview 是此刻的总览；造好之后只读。
type Overview struct {
	// At 是算的那一刻，数据库的钟。
	At       time.Time
	Revision uint64
	Counts   Counts
	Rates    Rates
	// InFlight、Waiting 是各连着的节点之和。
	InFlight, Waiting int64
	// FirstByte 是最近 5 分钟的。
	FirstByte Percentiles
	// Series 是最近 60 分钟，从旧到新，每分钟一点。
	Series                []Point
	Apps, Servers, Models []Busy
	Problems              []Problem
}

// Counts 是有多少。
type Counts struct {
	Servers, ServersEnabled, Models, Apps int
	// Keys 不含过期的。
	Keys                  int
	Nodes, NodesConnected int
	// RequestsEver 说有没有过一个请求。
	RequestsEver bool
}

// Percentiles 的单位是毫秒；没有观察则为 nil。
type Percentiles struct{ P50, P95, P99 *float64 }

// Point 是一分钟；没有请求的分钟也有，数为零。
type Point struct {
	At                                time.Time
	Requests, Errors, Refused, Tokens int64
	// FirstByteP95 的单位是毫秒；没有观察则为 nil。
	FirstByteP95 *float64
}

// Busy 是一个最忙的；Tokens 是输入加输出。
type Busy struct {
	Name                               string
	Requests, Errors, Tokens, CostNano int64
}
