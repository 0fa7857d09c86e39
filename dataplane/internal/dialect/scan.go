package dialect

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// MaxDepth 是 JSON 允许的嵌套层数，含最外层的对象。扫描器不递归，这个上限保护的是后面会递归的解析器。
const MaxDepth = 512

// scanner 逐字节检查 JSON 文法（RFC 8259），不分配。出错时返回 -1，位置与原因留在 at 与 what 里。
type scanner struct {
	b    []byte
	utf8 bool // 字符串须是合法的 UTF-8
	at   int
	what string
}

func (s *scanner) fail(at int, what string) int {
	s.at, s.what = at, what
	return -1
}

func (s *scanner) space(i int) int {
	for i < len(s.b) && (s.b[i] == ' ' || s.b[i] == '\n' || s.b[i] == '\r' || s.b[i] == '\t') {
		i++
	}
	return i
}

// kinds 是一摞「这一层是不是对象」的位。
type kinds [MaxDepth / 64]uint64

func (k *kinds) set(depth int, object bool) {
	word, bit := depth/64, uint64(1)<<(depth%64)
	k[word] &^= bit
	if object {
		k[word] |= bit
	}
}

func (k *kinds) object(depth int) bool { return k[depth/64]>>(depth%64)&1 == 1 }

// value 从 i 起（可有空白）越过一个值，返回它之后的位置。depth 是已经身处的层数。
func (s *scanner) value(i, depth int) int {
	var stack kinds
	base, inObject := depth, false
	for {
		if inObject {
			if i = s.key(s.space(i)); i < 0 {
				return -1
			}
		}
		i = s.space(i)
		if i < len(s.b) && (s.b[i] == '{' || s.b[i] == '[') {
			if depth == MaxDepth {
				return s.fail(i, "nested too deeply")
			}
			inObject = s.b[i] == '{'
			stack.set(depth, inObject)
			depth++
			if j := s.space(i + 1); j >= len(s.b) || s.b[j] != closer(inObject) {
				i = j
				continue
			} else {
				i, depth = j+1, depth-1
			}
		} else if i = s.scalar(i); i < 0 {
			return -1
		}
		if i, depth = s.closeAll(i, depth, base, &stack); i < 0 || depth == base {
			return i
		}
		inObject = stack.object(depth - 1)
	}
}

// closeAll 在一个值之后收掉所有到此为止的层；停在逗号之后，或者回到 base 层。
func (s *scanner) closeAll(i, depth, base int, stack *kinds) (int, int) {
	for depth > base {
		i = s.space(i)
		if i >= len(s.b) {
			return s.fail(i, "unexpected end"), depth
		}
		switch c := s.b[i]; {
		case c == ',':
			return i + 1, depth
		case c == closer(stack.object(depth-1)):
			i++
			depth--
		default:
			return s.fail(i, "expected a comma or a closing bracket"), depth
		}
	}
	return i, depth
}

func closer(object bool) byte {
	if object {
		return '}'
	}
	return ']'
}

// key 越过从 i 起的键与冒号。
func (s *scanner) key(i int) int {
	if i >= len(s.b) || s.b[i] != '"' {
		return s.fail(i, "expected a key in double quotes")
	}
	if i = s.str(i); i < 0 {
		return -1
	}
	return s.colon(i)
}

func (s *scanner) colon(i int) int {
	i = s.space(i)
	if i >= len(s.b) || s.b[i] != ':' {
		return s.fail(i, "expected a colon after the key")
	}
	return i + 1
}

// scalar 越过从 i 起的字符串、数字或 true、false、null。
func (s *scanner) scalar(i int) int {
	if i >= len(s.b) {
		return s.fail(i, "unexpected end")
	}
	switch c := s.b[i]; {
	case c == '"':
		return s.str(i)
	case c == 't':
		return s.literal(i, "true")
	case c == 'f':
		return s.literal(i, "false")
	case c == 'n':
		return s.literal(i, "null")
	case c == '-' || isDigit(c):
		return s.number(i)
	}
	return s.fail(i, "expected a value")
}

func (s *scanner) literal(i int, word string) int {
	if len(s.b)-i < len(word) || string(s.b[i:i+len(word)]) != word {
		return s.fail(i, "expected "+word)
	}
	return i + len(word)
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func (s *scanner) number(i int) int {
	if s.b[i] == '-' {
		i++
	}
	switch {
	case i < len(s.b) && s.b[i] == '0':
		i++
	default:
		if i = s.digits(i); i < 0 {
			return -1
		}
	}
	if i < len(s.b) && s.b[i] == '.' {
		if i = s.digits(i + 1); i < 0 {
			return -1
		}
	}
	if i < len(s.b) && s.b[i]|0x20 == 'e' {
		i++
		if i < len(s.b) && (s.b[i] == '+' || s.b[i] == '-') {
			i++
		}
		return s.digits(i)
	}
	return i
}

// digits 越过一个或多个数字。
func (s *scanner) digits(i int) int {
	start := i
	for i < len(s.b) && isDigit(s.b[i]) {
		i++
	}
	if i == start {
		return s.fail(i, "expected a digit")
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special 标出八个字节里要停下来看的：引号、反斜杠、控制字符与非 ASCII。最低的标记总是准的。
func special(x uint64) uint64 {
	quote, slash := x^(ones*'"'), x^(ones*'\\')
	return ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*0x20)&^x | x) & highs
}

// str 越过从 i 起（引号处）的字符串，返回右引号之后。
func (s *scanner) str(i int) int {
	i++
	for {
		for i+8 <= len(s.b) {
			if m := special(binary.LittleEndian.Uint64(s.b[i:])); m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		if i >= len(s.b) {
			return s.fail(len(s.b), "unterminated string")
		}
		switch c := s.b[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = s.escape(i); i < 0 {
				return -1
			}
		case c < 0x20:
			return s.fail(i, "control character in a string")
		case c < utf8.RuneSelf:
			i++
		default:
			if i = s.runes(i); i < 0 {
				return -1
			}
		}
	}
}

// runes 越过一串非 ASCII 字符。
func (s *scanner) runes(i int) int {
	for i < len(s.b) && s.b[i] >= utf8.RuneSelf {
		r, n := utf8.DecodeRune(s.b[i:])
		if r == utf8.RuneError && n == 1 && s.utf8 {
			return s.fail(i, "invalid UTF-8")
		}
		i += n
	}
	return i
}

// escape 越过从反斜杠起的一个转义。落单的代理对不算错：字节照原样过去。
func (s *scanner) escape(i int) int {
	if i+1 >= len(s.b) {
		return s.fail(len(s.b), "unterminated string")
	}
	switch s.b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		for j := i + 2; j < i+6; j++ {
			if j >= len(s.b) || !isHex(s.b[j]) {
				return s.fail(min(j, len(s.b)), "expected four hexadecimal digits")
			}
		}
		return i + 6
	}
	return s.fail(i, "unknown escape")
}

func isHex(c byte) bool { return isDigit(c) || (c|0x20)-'a' <= 5 }

// member 是对象里的一个成员：键的原文（不含引号）与值的位置。
type member struct {
	at  int // 键的左引号
	key []byte
	val Span
}

// members 依次走过对象的成员；用法同 bufio.Scanner：next 返回 false 后看 end，-1 是出错，否则是右括号之后。
type members struct {
	s     *scanner
	depth int
	i     int  // 下一个要看的位置
	last  int  // 最后一个成员之后；空对象则是左括号之后
	any   bool // 至少有一个成员
	end   int
}

// open 从 i（左括号处）开始走；depth 是对象自己所在的层数（最外层为 1）。
func (s *scanner) open(i, depth int) members {
	return members{s: s, depth: depth, i: i + 1, last: i + 1}
}

func (m *members) next() (mem member, ok bool) {
	s, i := m.s, m.s.space(m.i)
	if i < len(s.b) && s.b[i] == '}' {
		m.end = i + 1
		return mem, false
	}
	if m.any {
		if i >= len(s.b) || s.b[i] != ',' {
			m.end = s.fail(i, "expected a comma or a closing bracket")
			return mem, false
		}
		i = s.space(i + 1)
	}
	mem.at = i
	if i >= len(s.b) || s.b[i] != '"' {
		m.end = s.fail(i, "expected a key in double quotes")
		return mem, false
	}
	if m.end = s.str(i); m.end < 0 {
		return mem, false
	}
	mem.key = s.b[i+1 : m.end-1]
	if m.end = s.colon(m.end); m.end < 0 {
		return mem, false
	}
	start := s.space(m.end)
	if m.end = s.value(start, m.depth); m.end < 0 {
		return mem, false
	}
	mem.val = Span{start, m.end}
	m.i, m.last, m.any = m.end, m.end, true
	return mem, true
}

// ValidObject 说 body 恰好是一个 JSON 对象：前后可有空白，嵌套不超过 MaxDepth 层。
// 它不查 UTF-8：上游的答案坏在一个字符上，不值得整个扣下。
func ValidObject(body []byte) bool {
	s := scanner{b: body}
	i := s.space(0)
	if i >= len(body) || body[i] != '{' {
		return false
	}
	i = s.value(i, 0)
	return i >= 0 && s.space(i) == len(body)
}
