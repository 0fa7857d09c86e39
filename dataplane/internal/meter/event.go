package meter

import (
	"bytes"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

const (
	done        = "[DONE]"
	probeEvents = 16 // 找首个 token 只看开头这么多个事件
)

var (
	bom        = []byte("\xef\xbb\xbf")
	keyUsage   = []byte(`"usage"`)
	keyFinish  = []byte(`"finish_reason"`)
	keyError   = []byte(`"error"`)
	keyChoices = []byte(`"choices"`)
	keyOutput  = []byte(`"output"`)
	keyDelta   = []byte(`"delta"`)
	openDelta  = []byte(`"delta":{"`)
	prefixType = []byte(`{"type":"`)

	suffixDelta = []byte(".delta")
)

// event 看一个事件，返回它是不是该剥掉的用量块。
func (s *Stream) event(b []byte) (remove bool) {
	size := s.size
	if size == len(b) {
		size = len(bytes.TrimRight(b, "\r\n"))
	}
	oversized := size > maxEvent
	if oversized {
		b = b[:min(len(b), headKept)]
	}
	name, data, ok := s.fields(b)
	if !ok {
		return false
	}
	s.verdict.Events++
	s.unsure = oversized
	if string(data) == done {
		s.verdict.Whole, s.terminal = true, true
		return false
	}
	if oversized {
		s.verdict.Oversized = true
		if s.kind == dialect.Typed {
			s.typed(name, data)
		}
		return false
	}
	before := s.verdict.TextBytes
	s.fresh = false
	switch s.kind {
	case dialect.Chunks:
		remove = s.chunk(name, data)
	case dialect.Typed:
		s.meter(data)
		s.typed(name, data)
	default:
		s.content = true
	}
	if s.fresh { // 用量与文字同在一个事件里：报告的数含这一段
		s.verdict.Unreported = 0
	} else {
		s.verdict.Unreported += s.verdict.TextBytes - before
	}
	return remove && s.strip && size <= maxStrip
}

// fields 取出事件的名字与 data；多行 data 以 LF 相连。没有 data 的不是事件，ok 为 false。
func (s *Stream) fields(b []byte) (name, data []byte, ok bool) {
	if !s.begun {
		b = bytes.TrimPrefix(b, bom)
	}
	multi := false
	for l := newLines(b, 0); ; {
		start, end, _, more := l.next()
		field, value := cutField(b[start:end])
		switch string(field) {
		case "event":
			name = value
		case "data":
			switch {
			case !ok:
				data, ok = value, true
			case !multi:
				s.joined = append(append(s.joined[:0], data...), '\n')
				s.joined = append(s.joined, value...)
				multi = true
			default:
				s.joined = append(append(s.joined, '\n'), value...)
			}
		}
		if !more {
			break
		}
	}
	if multi {
		data = s.joined
	}
	return name, data, ok && len(data) > 0
}

// cutField 切开「名: 值」；冒号后一个空格不属于值。注释（以冒号开头）的名字是空的。
func cutField(line []byte) (field, value []byte) {
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return line, nil
	}
	field, value = line[:i], line[i+1:]
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	return field, value
}

// chunk 看一个聊天式的块，返回它是不是用量块：choices 为空数组且 usage 是对象。
func (s *Stream) chunk(name, data []byte) (usageOnly bool) {
	if hasValue(data, keyUsage) && s.meter(data) {
		usageOnly = gjson.Get(text(data), "usage").IsObject() && emptyArray(gjson.Get(text(data), "choices"))
	}
	if !s.finish && hasValue(data, keyFinish) && dialect.ValidObject(data) && finished(data) {
		s.finish, s.verdict.Whole = true, true
	}
	delta := s.gather(data)
	if string(name) == "error" || !delta && hasValue(data, keyError) && indexKey(data, keyChoices) < 0 && isError(data) {
		s.verdict.Whole, s.verdict.ErrorEvent, s.terminal = true, true, true
	}
	if !s.content {
		s.content = s.verdict.Events > probeEvents || hasContent(data)
	}
	return usageOnly
}

// meter 读事件里的用量；是合法的对象时返回 true。报告的是累计值，后来的逐项替换先来的，没有再报的留着。
func (s *Stream) meter(data []byte) bool {
	if !hasValue(data, keyUsage) || !dialect.ValidObject(data) {
		return false
	}
	if u, found := bodyUsage(dialect.Chat, data); found {
		s.verdict.Usage.replace(u)
		s.verdict.HasUsage, s.fresh = true, true
	}
	return true
}

// hasValue 说 data 里有这个键且值不是 null。每块都带 "usage":null 是常态，不值得解析。
// 命中不等于真有：键可能在更深处，由解析来定。
func hasValue(data, key []byte) bool {
	for {
		i := indexKey(data, key)
		if i < 0 {
			return false
		}
		data = data[i+len(key):]
		j := skipSpace(data, 0)
		if j == len(data) || data[j] != ':' {
			continue
		}
		if j = skipSpace(data, j+1); j < len(data) && data[j] != 'n' {
			return true
		}
	}
}

// indexKey 是 bytes.Index，key 以引号开头。引号在 JSON 里到处都是，从它找起每次都要停；从下一个字节找起快得多。
func indexKey(data, key []byte) int {
	for from := 1; from <= len(data); {
		i := bytes.Index(data[from:], key[1:])
		if i < 0 {
			return -1
		}
		if i += from; data[i-1] == '"' {
			return i - 1
		}
		from = i + 1
	}
	return -1
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

func emptyArray(r gjson.Result) bool {
	return r.IsArray() && strings.TrimSpace(r.Raw[1:len(r.Raw)-1]) == ""
}

func finished(data []byte) (yes bool) {
	gjson.Get(text(data), "choices").ForEach(func(_, choice gjson.Result) bool {
		yes = choice.Get("finish_reason").Type == gjson.String
		return !yes
	})
	return yes
}

func isError(data []byte) bool {
	return dialect.ValidObject(data) && gjson.Get(text(data), "error").Type != gjson.Null
}

// contentPaths 是块里第一份内容可能在的地方。
var contentPaths = [...]string{"delta.content", "delta.reasoning_content", "delta.reasoning", "delta.refusal", "text"}

func hasContent(data []byte) (yes bool) {
	gjson.Get(text(data), "choices").ForEach(func(_, choice gjson.Result) bool {
		for _, path := range contentPaths {
			yes = yes || choice.Get(path).Str != ""
		}
		yes = yes || choice.Get("delta.tool_calls").IsArray() || choice.Get("delta.function_call").IsObject() || choice.Get("delta.audio").IsObject()
		return !yes
	})
	return yes
}

// typed 看带类型的事件；名字在 event 行里，没有则在 type 里。
func (s *Stream) typed(name, data []byte) {
	if len(name) == 0 {
		name = typeOf(data)
	}
	s.gatherTyped(name, data)
	switch string(name) {
	case "error", "response.failed":
		s.verdict.ErrorEvent = true
		fallthrough
	case "response.completed", "response.incomplete", "response.cancelled",
		"transcript.text.done", "speech.audio.done",
		"image_generation.completed", "image_edit.completed":
		s.verdict.Whole, s.terminal, s.content = true, true, true
	case "":
		if hasValue(data, keyError) && isError(data) {
			s.verdict.Whole, s.verdict.ErrorEvent, s.terminal = true, true, true
		}
	default:
		s.content = s.content || bytes.HasSuffix(name, suffixDelta) || bytes.HasSuffix(name, []byte(".partial_image"))
	}
}

// typeOf 读 type；它通常是第一个键，不必解析。
func typeOf(data []byte) []byte {
	if rest, ok := bytes.CutPrefix(data, prefixType); ok {
		name, _, _ := bytes.Cut(rest, []byte{'"'})
		return name
	}
	return []byte(gjson.Get(text(data), "type").Str)
}
