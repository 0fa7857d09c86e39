package upstreamtest

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const poem = "床前明月光，疑是地上霜。举头望明月，低头思故乡。\n" +
	"白日依山尽，黄河入海流。欲穷千里目，更上一层楼。\n"

// text 是一段回答切成的块：转义后的 JSON 字符串内容（不带引号）。建成后不再改变，所有流共用。
type text struct {
	pieces [][]byte
	whole  []byte // 各块相接
	plain  string // 没有转义的全文
	runes  int
}

type textKey struct {
	text               string
	chunks, chunkBytes int
}

// texts 记住切好的文字，使九千多个同样的流共用一份。
type texts struct {
	seen sync.Map // textKey → *text
	n    atomic.Int64
}

const maxRememberedTexts = 256

func (ts *texts) get(b *Behavior) *text {
	key := textKey{text: b.Text, chunks: b.chunks(), chunkBytes: b.ChunkBytes}
	if t, ok := ts.seen.Load(key); ok {
		return t.(*text)
	}
	t := newText(key)
	if len(t.whole) < 1<<20 && ts.n.Add(1) <= maxRememberedTexts {
		ts.seen.Store(key, t)
	}
	return t
}

func newText(key textKey) *text {
	source := key.text
	if source == "" {
		source = poem
	}
	t := &text{}
	var plain strings.Builder
	for _, piece := range cutText(source, key.chunks, key.chunkBytes) {
		plain.WriteString(piece)
		t.pieces = append(t.pieces, escape(piece))
	}
	t.plain = plain.String()
	t.runes = utf8.RuneCountInString(t.plain)
	t.whole = bytes.Join(t.pieces, nil)
	return t
}

// cutText 把 source 切成 n 块，从不切断字符。size 为 0 时均分（文字不够则重复）；否则循环取字，每块不超过 size 字节。
func cutText(source string, n, size int) []string {
	pieces := make([]string, 0, n)
	if size > 0 {
		at := 0
		for range n {
			var piece strings.Builder
			for {
				_, width := utf8.DecodeRuneInString(source[at:])
				if piece.Len() > 0 && piece.Len()+width > size {
					break
				}
				piece.WriteString(source[at : at+width])
				at = (at + width) % len(source)
			}
			pieces = append(pieces, piece.String())
		}
		return pieces
	}
	runes := []rune(source)
	for len(runes) < n {
		runes = append(runes, []rune(source)...)
	}
	for i := range n {
		pieces = append(pieces, string(runes[i*len(runes)/n:(i+1)*len(runes)/n]))
	}
	return pieces
}

// escape 给出 JSON 字符串的内容，不带引号。
func escape(s string) []byte {
	quoted := gjson.AppendJSONString(nil, s)
	return quoted[1 : len(quoted)-1]
}
