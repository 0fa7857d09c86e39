package dialect

import (
	"bytes"
	"net/textproto"
	"strings"
)

// partHeader 是表单一个部分的头里要紧的东西。
type partHeader struct {
	name    string
	file    bool
	encoded bool
}

// parsePartHeader 读一个部分的头；没有名字的部分 name 为空。
func parsePartHeader(head []byte) (partHeader, error) {
	var h partHeader
	disposed := false
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, []byte("\r\n"))
		head = rest
		key, value, ok := strings.Cut(string(line), ":")
		if !ok || !token(key) || strings.ContainsAny(value, "\r\n\x00") {
			return h, malformedForm("a part has an invalid header line")
		}
		switch textproto.CanonicalMIMEHeaderKey(key) {
		case "Content-Disposition":
			if disposed {
				return h, malformedForm("a part has two Content-Disposition headers")
			}
			disposed = true
			if err := h.disposition(value); err != nil {
				return h, err
			}
		case "Content-Transfer-Encoding":
			switch strings.ToLower(strings.TrimSpace(value)) {
			case "7bit", "8bit", "binary":
			default:
				h.encoded = true
			}
		}
	}
	return h, nil
}

// disposition 读 Content-Disposition。自己读而不用 mime 包：各家对反斜杠、name*、重复参数的读法不同，
// 名字若能被读成两样，model 就可能从准许名单旁边溜过去，所以名字只认一种写法。
func (h *partHeader) disposition(value string) error {
	kind, rest, _ := strings.Cut(value, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "form-data") {
		return malformedForm("every part must be Content-Disposition: form-data")
	}
	named, escaped, split := false, false, false
	for {
		if rest = strings.TrimLeft(rest, " \t"); rest == "" {
			return nil
		}
		key, after, ok := strings.Cut(rest, "=")
		val, tail, ok2 := parameter(after)
		// 不把反斜杠当转义的解析器会在别处收引号；值里没有分号，它就读不出另一个参数来。
		escaped = escaped || strings.Contains(val, "\\")
		split = split || strings.Contains(val, ";")
		if !ok || !ok2 || !token(key) || escaped && split {
			return malformedForm("a Content-Disposition header cannot be parsed")
		}
		rest = tail
		switch key = strings.ToLower(key); {
		case key == "name" && !named && !strings.Contains(val, "\\"):
			h.name, named = val, true
		case key == "name" || strings.HasPrefix(key, "name*"):
			return malformedForm(`a part name is written in a way that parsers read differently; write name="…" once and plainly`)
		case key == "filename" || strings.HasPrefix(key, "filename*"):
			h.file = true
		}
	}
}

// parameter 读一个参数值与其后的分号；引号里反斜杠加引号、反斜杠加反斜杠各是一个字符，值里原样保留。
func parameter(s string) (val, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		val, rest, _ = strings.Cut(s, ";")
		val = strings.TrimRight(val, " \t")
		return val, rest, token(val)
	}
	end := 1
	for ; end < len(s) && s[end] != '"'; end++ {
		if s[end] == '\\' && end+1 < len(s) && (s[end+1] == '"' || s[end+1] == '\\') {
			end++
		}
	}
	if end >= len(s) {
		return "", "", false
	}
	val = s[1:end]
	rest = strings.TrimLeft(s[end+1:], " \t")
	if rest == "" {
		return val, "", true
	}
	return val, rest[1:], rest[0] == ';'
}
