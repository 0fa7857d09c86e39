package schedule

import "time"

// Time 是宿主单调钟上的一刻，单位纳秒，起点任意；0 只用来表示“没有”。
type Time int64

// Add 是 d 之后。
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub 是从 u 到 t 的时长。
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Kind 是池里数的是什么。
type Kind uint8

const (
	InFlight Kind = iota + 1 // 同时在途的请求
	Requests                 // 每分钟的请求
	Tokens                   // 每分钟的 token
)

// Pool 指一个池；Server 与 App 恰有一个非空。
type Pool struct {
	Server, App string
	Kind        Kind
}

// Units 是一个池里的若干单位。
type Units struct {
	Pool Pool
	N    int64
}

// Class 是 app 的类别；数值越大越先，见 Weight。
type Class int32

const (
	Batch       Class = 1
	Standard    Class = 2
	Interactive Class = 3
)

// Weight 是类别之间的比例 16:4:1；认不得的算 Standard。
func (c Class) Weight() int64 {
	switch c {
	case Interactive:
		return 16
	case Batch:
		return 1
	}
	return 4
}

// Limits 的零值字段表示不限。
type Limits struct {
	MaxConcurrency    int64
	RequestsPerMinute int64
	TokensPerMinute   int64
}

// ServerSpec 是配置里一个 server 与准入有关的部分。
type ServerSpec struct {
	Name string
	// Identity 变了即是另一个上游（地址或凭证换了）：从前的暂停不作数。内容归宿主，只比相等；不可是凭证本身。
	Identity     string
	Limits       Limits
	BurstPercent int64
	MaxWaiting   int64         // 这个 server 的队里至多几个，0 即不限
	Total        time.Duration // 一次调用至多多久：失联节点的许可隔离这么久
	AbortGrace   time.Duration // 被切断的调用再占名额多久
}

// AppSpec 是配置里一个 app 与准入有关的部分。
type AppSpec struct {
	Name   string
	Limits Limits
}

// Spec 是一版配置与准入有关的部分；给出之后不再改。
type Spec struct {
	Revision uint64
	Servers  []ServerSpec
	Apps     []AppSpec
}

// AppBurstPercent 是 app 的速率限额的突发比例；server 的在 ServerSpec 里。
const AppBurstPercent = 10

// Candidate 是请求可以去的一个目标；Priority 小的层先用，同层按 Weight。
type Candidate struct {
	Server, UpstreamModel string
	Weight, Priority      int64
}

// Cost 是一个请求预计或实际的 token。
type Cost struct{ Prompt, Output int64 }

// Tokens 是从 token 池里扣的数。
func (c Cost) Tokens() int64 { return c.Prompt + c.Output }

// Charge 是记在公平账上的代价：输入 1、输出 2（Sheng 等，VTC，arXiv 2401.00588 用的也是这个比例）。
func (c Cost) Charge() int64 { return c.Prompt + 2*c.Output }

// Refusal 是提前拒绝。
type Refusal struct {
	Code       string // queue_full 或 rate_limit_exceeded（挡住它的是 app 自己的限额）
	RetryAfter time.Duration
}

// Place 是一个在等的请求排在第几（从 1 数）与预计还要等多久；Wait 为负即还说不出。
type Place struct {
	Position int64
	Wait     time.Duration
}
