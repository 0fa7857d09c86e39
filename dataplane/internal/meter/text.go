package meter

import (
	"bytes"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

// Separator 隔开不相连的文字；JSON 字符串里不会有它。
const Separator = 0

// Passed 是到此为止经过的、由模型生成的文字：上游不报用量时由它数出 token。
type Passed struct {
	Text     []byte // 留着的，JSON 的转义形式，不相连的几段以 Separator 隔开；到下一次 Feed 或 Reset 为止有效
	Kept     int64  // Text 里的文字字节数，不含隔开的；等于 Bytes 就是全部，小于则是均匀抽出的几段
	Bytes    int64  // 一共多少字节，含没有留下的
	Reasoned bool   // 其中有思考的文字
}

// Passed 给出到此为止的文字，可随时调用。
func (s *Stream) Passed() Passed {
	return Passed{Text: s.sample.text, Kept: s.sample.kept, Bytes: s.verdict.TextBytes, Reasoned: s.reasoned}
}

// DropText 说留着的文字已经数过，从空的再留起；Bytes 不变。
func (s *Stream) DropText() { s.sample.reset(s.verdict.TextBytes) }

// Parallel 说这条流里交错着几个候选答案：每个事件的文字各自成段。在第一次 Feed 之前调用。
func (s *Stream) Parallel() { s.parallel = true }

// gather 收下一个聊天式事件里的文字；认出了最常见的样子返回 true，那就不会是错误事件。
func (s *Stream) gather(data []byte) (delta bool) {
	if kind, value, ok := soleDelta(data); ok {
		s.took(kind, value)
		return true
	}
	i := indexKey(data, keyChoices)
	if i < 0 {
		return false
	}
	for t := newTexts(data[i+len(keyChoices):], true); ; {
		kind, value, ok := t.next()
		if !ok {
			return false
		}
		s.took(kind, value)
	}
}

// soleDelta 认出最常见的样子：一个候选答案，delta 里只有一段文字。别的样子由 texts 细看。
func soleDelta(data []byte) (kind textKind, value []byte, ok bool) {
	i := indexKey(data, openDelta)
	if i < 0 {
		return noText, nil, false
	}
	key, rest := stringAt(data, i+len(openDelta))
	if len(rest) < 2 || rest[0] != ':' || rest[1] != '"' {
		return noText, nil, false
	}
	if kind = textKindOf(key, false); kind == noText {
		return noText, nil, false
	}
	value, rest = stringAt(rest, 2)
	return kind, value, len(rest) > 0 && rest[0] == '}' && indexKey(rest, openDelta) < 0
}

// gatherTyped 收下一个带类型的事件里的文字；声音不是文字。
func (s *Stream) gatherTyped(name, data []byte) {
	if !bytes.HasSuffix(name, suffixDelta) || bytes.Contains(name, []byte("audio")) && !bytes.Contains(name, []byte("transcript")) {
		return
	}
	i := indexKey(data, keyDelta)
	if i < 0 {
		return
	}
	if i = skipSpace(data, i+len(keyDelta)); i >= len(data) || data[i] != ':' {
		return
	}
	if i = skipSpace(data, i+1); i >= len(data) || data[i] != '"' {
		return
	}
	value, _ := stringAt(data, i+1)
	kind := saidText
	switch {
	case bytes.Contains(name, []byte("reasoning")):
		kind = thoughtText
	case bytes.Contains(name, []byte("arguments")):
		kind = argumentsText
	}
	s.took(kind, value)
}

func (s *Stream) took(kind textKind, value []byte) {
	if len(value) == 0 {
		return
	}
	apart := s.parallel || kind != s.lastText || kind == nameText
	s.reasoned, s.lastText = s.reasoned || kind == thoughtText, kind
	s.sample.add(value, s.verdict.TextBytes, apart)
	s.verdict.TextBytes += int64(len(value))
}

// Text 把一个非流式应答里由模型生成的文字接在 dst 之后，形式同 Passed.Text。body 不必完整：断在半路的，有多少算多少。
func Text(dst []byte, kind dialect.Kind, body []byte) []byte {
	var key []byte
	switch kind {
	case dialect.Chat, dialect.Completions:
		key = keyChoices
	case dialect.Responses:
		key = keyOutput
	default:
		return dst
	}
	i := indexKey(body, key)
	if i < 0 {
		return dst
	}
	for t := newTexts(body[i+len(key):], kind == dialect.Chat); ; {
		_, value, ok := t.next()
		if !ok {
			return dst
		}
		if len(value) > 0 {
			if len(dst) > 0 {
				dst = append(dst, Separator)
			}
			dst = append(dst, value...)
		}
	}
}

// textKind 说一段文字是什么；不同的不相连。
type textKind uint8

const (
	noText textKind = iota
	saidText
	thoughtText
	argumentsText
	nameText
)

func textKindOf(key []byte, names bool) textKind {
	switch string(key) {
	case "content", "text", "refusal":
		return saidText
	case "reasoning_content", "reasoning":
		return thoughtText
	case "arguments":
		return argumentsText
	case "name":
		if names {
			return nameText
		}
	}
	return noText
}

// texts 从 JSON 里依次取出文字：只看键与字符串，不看层次。转义过的引号不会被认成键，值是对象或数组的键自然略过。
type texts struct {
	b     []byte
	names bool   // 函数名也算
	dup   []byte // 上一段思考：有的上游以两个键各送一遍
}

func newTexts(b []byte, names bool) texts { return texts{b: b, names: names} }

func (t *texts) next() (kind textKind, value []byte, ok bool) {
	for {
		i := bytes.IndexByte(t.b, '"')
		if i < 0 {
			return noText, nil, false
		}
		key, rest := stringAt(t.b, i+1)
		t.b = rest
		j := skipSpace(rest, 0)
		if j == len(rest) || rest[j] != ':' {
			continue
		}
		j = skipSpace(rest, j+1)
		t.b = rest[min(j, len(rest)):]
		if len(t.b) == 0 || t.b[0] != '"' {
			continue
		}
		value, t.b = stringAt(t.b, 1)
		kind = textKindOf(key, t.names)
		if kind == noText || t.repeats(kind, value) {
			continue
		}
		return kind, value, true
	}
}

func (t *texts) repeats(kind textKind, value []byte) bool {
	if len(t.dup) > 0 && bytes.Equal(t.dup, value) {
		return true
	}
	if kind == thoughtText {
		t.dup = value
	}
	return false
}

// stringAt 取出从 i 起的字符串内容（转义形式）与其后的字节；没有结尾的到头为止，去掉断在半路的转义。
func stringAt(b []byte, i int) (value, rest []byte) {
	for j := i; ; {
		n := bytes.IndexByte(b[j:], '"')
		if n < 0 {
			return whole(b[i:]), nil
		}
		j += n
		if !escaped(b[i:j]) {
			return b[i:j], b[j+1:]
		}
		j++
	}
}

// escaped 说 b 之后的那个字符被 b 末尾的反斜杠转义了。
func escaped(b []byte) bool {
	odd := false
	for i := len(b); i > 0 && b[i-1] == '\\'; i-- {
		odd = !odd
	}
	return odd
}

// whole 去掉 b 末尾断在半路的转义（\ 或 \uXXX）。
func whole(b []byte) []byte {
	const longest = 5
	for n := 1; n <= min(longest, len(b)); n++ {
		if i := len(b) - n; b[i] == '\\' && !escaped(b[:i]) {
			if n == 1 || b[i+1] == 'u' {
				return b[:i]
			}
			return b
		}
	}
	return b
}
