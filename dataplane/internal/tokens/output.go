package tokens

import (
	"bytes"

	"github.com/tidwall/gjson"
)

// separator 隔开不相连的文字，与 meter 给出的一致；JSON 字符串里不会有它。
const separator = 0

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
	n := countEscaped(enc, text)
	if n.size == 0 {
		return c.GuessOutput(model, total)
	}
	all := float64(n.tokens) * max(1, float64(total)/float64(n.size))
	if !native {
		all *= c.correction(model, n)
	}
	return round(all)
}

// count 是数过的一些文字。
type count struct {
	tokens int64
	size   int64 // 给来的字节
	wide   int64 // 其中（解开转义之后）不是 ASCII 的
}

// add 数一段文字。
func (n *count) add(enc encoding, s string) {
	n.tokens += enc.count(s)
	for i := range len(s) {
		if s[i] >= 0x80 {
			n.wide++
		}
	}
}

// foreignness 是每 token 有多少非 ASCII 字节。
func (n count) foreignness() float64 { return float64(n.wide) / float64(max(n.tokens, 1)) }

// countEscaped 数以 separator 隔开的几段转义文字。
func countEscaped(enc encoding, text []byte) (n count) {
	for len(text) > 0 && n.size < maxOutput {
		segment, rest, _ := bytes.Cut(text, []byte{separator})
		text = rest
		if left := int(maxOutput - n.size); len(segment) > left {
			segment = segment[:left]
		}
		n.add(enc, unescape(segment))
		n.size += int64(len(segment))
	}
	return n
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
