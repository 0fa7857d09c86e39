package dialect

// Format 说请求体是按什么格式被看的。
type Format uint8

const (
	// Opaque 是没有看、也不改写的请求体：没有体，或者二进制。零值。
	Opaque Format = iota
	// JSON 是一个 JSON 对象。
	JSON
	// Multipart 是 multipart/form-data 一类的表单。
	Multipart
)

// Span 是请求体里的半开区间 [Start, End)，单位字节；零值表示不存在。
type Span struct{ Start, End int }

// Present 说这段存在。
func (s Span) Present() bool { return s.End > s.Start }

// Int 是一个可以缺席的整数；Set 为 false 时 Value 无意义。JSON 的 null 等于缺席。
type Int struct {
	Value int64
	Set   bool
}

// Envelope 是请求体里网关要看的东西。零值可用，Peek 与 PeekMultipart 会先清空它，可反复使用。
//
// Model 与 User 通常指进请求体本身（含转义时才另行分配）：请求体的缓冲一放回池里它们就失效，要留的先拷贝。
type Envelope struct {
	Format Format

	Model     []byte // 已解转义；nil 表示请求没有点名模型
	ModelSpan Span   // JSON 时含两侧引号，表单时只是值本身

	Stream     bool // 顶层 stream 为 true
	WantsUsage bool // 客户端自己要了 stream_options.include_usage

	MaxTokens           Int
	MaxCompletionTokens Int
	MaxOutputTokens     Int
	N                   Int

	User []byte // 已解转义；nil 表示没有

	options    Span // stream_options 的值
	usage      Span // stream_options.include_usage 的值
	optionsEnd int  // stream_options 对象里最后一个成员之后（空对象则是左括号之后）
	optionsAny bool // stream_options 是非空对象
	optionsObj bool // stream_options 是对象
	bodyEnd    int  // 顶层对象里最后一个成员之后（空对象则是左括号之后）
	bodyAny    bool // 顶层对象非空
}

// HasModel 说请求点名了模型。
func (e *Envelope) HasModel() bool { return e.Model != nil }

// OutputLimit 给出客户端自己定的输出上限（token，按每个候选答案）；没有定或不是正数时 ok 为 false。
// 几个键同时出现时，新名字（max_completion_tokens、max_output_tokens）优先于旧的 max_tokens。
func (e *Envelope) OutputLimit() (tokens int64, ok bool) {
	for _, v := range [...]Int{e.MaxCompletionTokens, e.MaxOutputTokens, e.MaxTokens} {
		if v.Set && v.Value > 0 {
			return v.Value, true
		}
	}
	return 0, false
}
