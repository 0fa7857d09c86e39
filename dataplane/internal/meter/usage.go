package meter

import (
	"strconv"
	"unsafe"

	"github.com/tidwall/gjson"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

// Count 是一个可以缺席的非负计数；明写的 0 是值，Set 为 true。
type Count struct {
	Value int64
	Set   bool
}

// Usage 是上游报告的 token 数。Cached 是 Prompt 中命中缓存的部分，Reasoning 是 Completion 中用于思考的部分。
type Usage struct{ Prompt, Completion, Cached, Reasoning Count }

// Any 说至少有一个数在。
func (u Usage) Any() bool {
	return u.Prompt.Set || u.Completion.Set || u.Cached.Set || u.Reasoning.Set
}

// replace 以后来的数逐项替换先来的；没有再报的留着。
func (u *Usage) replace(by Usage) {
	for _, c := range [...]struct{ to, from *Count }{
		{&u.Prompt, &by.Prompt}, {&u.Completion, &by.Completion}, {&u.Cached, &by.Cached}, {&u.Reasoning, &by.Reasoning},
	} {
		if c.from.Set {
			*c.to = *c.from
		}
	}
}

// maxCount 以上的数不可能是 token 数，等于没报。
const maxCount = 1_000_000_000_000

// usageOf 读 usage 对象。各家的写法按常见程度排列，先有的为准。
func usageOf(kind dialect.Kind, u gjson.Result) Usage {
	out := Usage{
		Prompt:     first(u, "prompt_tokens", "input_tokens"),
		Completion: first(u, "completion_tokens", "output_tokens"),
		Cached: first(u, "prompt_tokens_details.cached_tokens", "input_tokens_details.cached_tokens",
			"prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens"),
		Reasoning: first(u, "completion_tokens_details.reasoning_tokens", "output_tokens_details.reasoning_tokens",
			"reasoning_tokens"),
	}
	// 没有输出的端点，总数就是输入。
	if !out.Prompt.Set && !out.Completion.Set && (kind == dialect.Embeddings || kind == dialect.Rerank || kind == dialect.Moderations) {
		out.Prompt = first(u, "total_tokens")
	}
	return out
}

func first(u gjson.Result, paths ...string) Count {
	for _, p := range paths {
		if c := count(u.Get(p)); c.Set {
			return c
		}
	}
	return Count{}
}

// count 只认非负整数的写法；负数、小数、指数、字符串、null 都等于没有。
func count(r gjson.Result) Count {
	if r.Type != gjson.Number {
		return Count{}
	}
	v, err := strconv.ParseUint(r.Raw, 10, 63)
	if err != nil || v > maxCount {
		return Count{}
	}
	return Count{Value: int64(v), Set: true}
}

// text 把字节当字符串读，不拷贝：gjson 的结果只在调用者的栈上用，不比 b 活得久。
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
