package upstreamtest

import (
	"fmt"
	"slices"
	"time"
)

// UsageMode 说应答怎样报告用量；空串等于 UsageNormal。
type UsageMode string

const (
	UsageNormal     UsageMode = "normal"     // JSON 总带；流只在被要求时以空 choices 的事件收尾
	UsageMissing    UsageMode = "missing"    // 从不报告
	UsageWrong      UsageMode = "wrong"      // 与 normal 同，但数字各加 UsageOffset
	UsageCumulative UsageMode = "cumulative" // 每一块都带累计到此刻的用量（不论是否被要求），被要求时另有收尾事件
	UsageNull       UsageMode = "null"       // 被要求时每一块都带 "usage":null（OpenAI 的样子），再收尾；JSON 为 null
	UsageFinish     UsageMode = "finish"     // 用量附在带 finish_reason 的那一块上，不论是否被要求
	UsageAlways     UsageMode = "always"     // 没有被要求也发收尾的用量事件
)

// Drop 与 Half 的取值。
const (
	CutReset = "reset" // TCP RST
	CutFIN   = "fin"   // 关闭连接：分块编码缺最后一块
	CutClean = "clean" // HTTP 层面完整结束，但没有 finish_reason、用量与 [DONE]；JSON 则只有前半截
	CutShort = "short" // Content-Length 大于实际写出的字节，随后关闭
)

// Behavior 是一次请求的剧本；零值是一个立即作答、听话的上游。
// 标签 fake 是它在 URL 查询形式与控制接口里的名字；没有标签的字段只能由 Go 代码设置。
type Behavior struct {
	// HoldHead 非 nil 时，应答头一直等到它关闭或对方离开；给确定性的测试用。
	HoldHead <-chan struct{}
	// HoldLast 非 nil 时，最后一块一直等到它关闭；此时请求仍计在 in-flight 里。
	HoldLast <-chan struct{}

	Latency    time.Duration `fake:"latency"`     // 应答头之前的等待；0 不等
	FirstByte  time.Duration `fake:"first_byte"`  // 头已发出、体的第一个字节之前的等待；0 不等
	ChunkDelay time.Duration `fake:"chunk_delay"` // 相邻两块之间的等待；0 不等

	Chunks       int    `fake:"chunks"`        // 内容块数；0 为 12
	ChunkBytes   int    `fake:"chunk_bytes"`   // 每块内容的字节数（不切断字符，故可能略少）；0 为把 Text 均分
	Text         string `fake:"text"`          // 回答的文字；空为一首短诗
	HugeEvent    int    `fake:"huge_event"`    // 大于 0 时第一块内容有这么多字节（流）
	FinishReason string `fake:"finish_reason"` // 空为 stop、length 或 tool_calls 中合适的一个

	PromptTokens     int       `fake:"prompt_tokens"`     // 0 由提示的长度算出；负数报告 0
	CompletionTokens int       `fake:"completion_tokens"` // 0 由回答的长度算出；负数报告 0
	CachedTokens     int       `fake:"cached_tokens"`
	ReasoningTokens  int       `fake:"reasoning_tokens"`
	Usage            UsageMode `fake:"usage"`
	UsageOffset      int       `fake:"usage_offset"` // usage=wrong 时加在输入与输出上；0 为 1000

	Status       int      `fake:"status"`         // 0 或 200 为正常作答；其余直接以此状态结束
	Body         string   `fake:"body"`           // 非空：原样作为应答体（任何状态）
	ContentType  string   `fake:"content_type"`   // 配合 Body；空为 application/json
	EmptyBody    bool     `fake:"empty_body"`     // 应答体为空
	HTML         bool     `fake:"html"`           // 应答体是一页 HTML
	ErrorMessage string   `fake:"error_message"`  // 错误体的 message；空为状态的名字
	ErrorType    string   `fake:"error_type"`     // 空按状态取
	ErrorCode    string   `fake:"error_code"`     // 空为 null
	RetryAfter   string   `fake:"retry_after"`    // Retry-After 原文（秒或 HTTP 日期）；空不发
	RetryAfterMS string   `fake:"retry_after_ms"` // retry-after-ms 原文；空不发
	Headers      []string `fake:"header"`         // 附加的应答头，每个形如 "Name: value"
	Redirect     string   `fake:"redirect"`       // 非空：转向此处（Status 为 3xx 时用它，否则 307）
	EarlyHints   int      `fake:"early_hints"`    // 头之前先发几个 103
	Encoding     string   `fake:"encoding"`       // gzip、deflate、zstd、br：不论 Accept-Encoding 都如此编码

	NoDone           bool          `fake:"no_done"`            // 不发 data: [DONE]
	CRLF             bool          `fake:"crlf"`               // 事件用 CRLF 换行
	Comments         bool          `fake:"comments"`           // 每个事件之前有一行注释
	Burst            int           `fake:"burst"`              // 每几块内容合为一次写；0 为一块一写
	SplitBytes       int           `fake:"split_bytes"`        // 每次写最多几个字节；0 不切
	SplitRunes       bool          `fake:"split_runes"`        // 每个事件从一个多字节字符的中间切成两次写（没有则从事件中间）
	SplitDelay       time.Duration `fake:"split_delay"`        // 切开的两次写之间的等待
	StreamErrorAfter int           `fake:"stream_error_after"` // 大于 0：这么多块之后发一个 error 事件并正常结束

	Drop      string `fake:"drop"`       // reset、fin：连一个应答字节都不发就断开
	Half      string `fake:"half"`       // reset、fin、clean、short：应答到一半断开
	HalfAfter int    `fake:"half_after"` // Half 发生在几块内容之后（JSON 按 HalfAfter/Chunks 的比例截断）；0 只有应答头

	RefuseStreamOptions bool   `fake:"refuse_stream_options"` // 请求带 stream_options 时答 400 并指名该字段
	Authorization       string `fake:"authorization"`         // 非空：Authorization 必须等于它，否则 401
}

// validate 检查枚举与范围，错误文本指名出错的键。
func (b *Behavior) validate() error {
	enums := []struct {
		key, value string
		allowed    []string
	}{
		{"usage", string(b.Usage), []string{"", "normal", "missing", "wrong", "cumulative", "null", "finish", "always"}},
		{"drop", b.Drop, []string{"", CutReset, CutFIN}},
		{"half", b.Half, []string{"", CutReset, CutFIN, CutClean, CutShort}},
		{"encoding", b.Encoding, []string{"", "gzip", "deflate", "zstd", "br"}},
	}
	for _, e := range enums {
		if !slices.Contains(e.allowed, e.value) {
			return fmt.Errorf("%s: %q is not one of %q", e.key, e.value, e.allowed[1:])
		}
	}
	if b.Status != 0 && (b.Status < 200 || b.Status > 599) {
		return fmt.Errorf("status: %d is not within 200..599", b.Status)
	}
	for _, n := range []int{b.Chunks, b.ChunkBytes, b.HugeEvent, b.EarlyHints, b.Burst, b.SplitBytes, b.StreamErrorAfter, b.HalfAfter} {
		if n < 0 || n > 64<<20 {
			return fmt.Errorf("a count is out of range: %d", n)
		}
	}
	return nil
}

func (b *Behavior) chunks() int {
	if b.Chunks == 0 {
		return 12
	}
	return b.Chunks
}
