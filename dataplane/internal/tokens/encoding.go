package tokens

import (
	"strings"
	"sync"
	"unicode"

	"github.com/tiktoken-go/tokenizer/codec"
)

// encoding 是一种词表；第一次用到时才装。
type encoding struct {
	name string
	load func() *codec.Codec
}

func lazily(name string, load func() *codec.Codec) encoding {
	return encoding{name, sync.OnceValue(load)}
}

// longestSpace 是交给分词的一段里至多连着多少字节的空白：它的正则在一段空白里走的步数是长度的平方，
// 不切开，几百 KB 的空白就占住一个核几分钟。从中切开，一处至多差几个 token。
const longestSpace = 256

func (e encoding) count(s string) (n int64) {
	for s != "" {
		end := spaceCut(s)
		n += e.countPart(s[:end])
		s = s[end:]
	}
	return n
}

func (e encoding) countPart(s string) int64 {
	n, err := e.load().Count(s)
	if err != nil { // 只会是分词的正则超时，而它没有期限
		return int64(len(s)) / bytesPerToken
	}
	return int64(n)
}

// spaceCut 是 s 里头一段过长的空白该切开的地方；没有就是末尾。
func spaceCut(s string) int {
	start := 0
	for i, r := range s {
		switch {
		case !unicode.IsSpace(r):
			start = i + 1
		case i-start >= longestSpace:
			return i
		}
	}
	return len(s)
}

// o200k 与 cl100k 各是哪些模型用的；前者在先，gpt-4o 不该落进 gpt-4。
var (
	o200kModels  = []string{"gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "chatgpt-", "o1", "o3", "o4"}
	cl100kModels = []string{"gpt-4", "gpt-3.5", "gpt-35", "text-embedding-3", "text-embedding-ada-002"}
)

// encodingOf 按上游模型名选编码；native 为假即不知道它用什么，以 o200k_base 代替。
func (c *Counter) encodingOf(model string) (e encoding, native bool) {
	name := strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
	name = strings.TrimPrefix(name, "ft:")
	if named(name, o200kModels) {
		return c.o200k, true
	}
	if named(name, cl100kModels) {
		return c.cl100k, true
	}
	return c.o200k, false
}

// named 说 name 是其中一个，或它的一个版本（后面接着的不是字母或数字，或者列出的就以 - 结尾）。
func named(name string, models []string) bool {
	for _, m := range models {
		rest, ok := strings.CutPrefix(name, m)
		if ok && (rest == "" || m[len(m)-1] == '-' || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789", rune(rest[0]))) {
			return true
		}
	}
	return false
}
