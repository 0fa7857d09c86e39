package meter

import "bytes"

// lines 把字节切成行；行尾是 LF、CRLF 或 CR（SSE 的文法）。下一个 LF 的位置记着，只有 CR 的流也是线性的。
type lines struct {
	b  []byte
	i  int // 下一行的开头
	lf int // 不小于 i 的第一个 LF，没有则是 len(b)；小于 i 时要重找
}

func newLines(b []byte, i int) lines { return lines{b: b, i: i, lf: -1} }

// next 给出下一行：内容是 b[start:end]，行尾止于 after。剩下的没有行尾时 ok 为 false，i 停在它的开头。
func (l *lines) next() (start, end, after int, ok bool) {
	if l.lf < l.i {
		if n := bytes.IndexByte(l.b[l.i:], '\n'); n >= 0 {
			l.lf = l.i + n
		} else {
			l.lf = len(l.b)
		}
	}
	start, end = l.i, l.lf
	if n := bytes.IndexByte(l.b[start:end], '\r'); n >= 0 {
		end = start + n
	}
	if end == len(l.b) {
		return start, end, end, false
	}
	after = end + 1
	if l.b[end] == '\r' && after < len(l.b) && l.b[after] == '\n' {
		after++
	}
	l.i = after
	return start, end, after, true
}
