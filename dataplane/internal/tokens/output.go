package tokens

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/vega-gateway/vega/dataplane/internal/meter"
)

// maxOutput 是一次计数至多看多少字节的文字；再多的按比例推算。
const maxOutput = 256 << 10

// Output 数模型生成的文字（形式见 meter.Passed）。total 是一共多少字节，多于留着的部分按比例推算。
func (c *Counter) Output(model string, text []byte, total int64) int64 {
	enc, native := c.encodingOf(model)
	if !native {
		if n, ok := c.byBytes(model, total); ok {
			return n
		}
	}
	counted, size := countEscaped(enc, text)
	if size == 0 {
		return c.GuessOutput(model, total)
	}
	n := float64(counted) * max(1, float64(total)/float64(size))
	if !native {
		n *= c.correction(model)
	}
	return round(n)
}

// countEscaped 数以 Separator 隔开的几段转义文字，返回 token 数与数过的字节。
func countEscaped(enc encoding, text []byte) (tokens, size int64) {
	for len(text) > 0 && size < maxOutput {
		segment, rest, _ := bytes.Cut(text, []byte{meter.Separator})
		text = rest
		if left := int(maxOutput - size); len(segment) > left {
			segment = segment[:left]
		}
		tokens += enc.count(unescape(segment))
		size += int64(len(segment))
	}
	return tokens, size
}

// unescape 解开 JSON 字符串的内容。
func unescape(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	quoted := make([]byte, 0, len(b)+2)
	quoted = append(append(append(quoted, '"'), b...), '"')
	return gjson.ParseBytes(quoted).String()
}
