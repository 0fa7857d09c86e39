package dialect

import (
	"net/url"
	"strconv"
	"strings"
)

// Remainder 去掉转义路径（r.URL.EscapedPath()）开头的 /v1，结果形如 "/images/edits"，
// 调用者把它原样接在 base_url 之后，再接 "?" 与原来的查询串。
//
// 会爬出去的都是 invalid_request：点段（含 %2e、再次编码的 %252e、带 ; 参数的）、空段、编码的反斜杠、控制字符与坏的百分号。
// 解到不再变化为止，因为上游之前可能还有一层会解码的代理。
func Remainder(escapedPath string) (string, error) {
	rest, ok := strings.CutPrefix(escapedPath, "/v1")
	if !ok || !strings.HasPrefix(rest, "/") {
		return "", invalid("", "the path must start with /v1/")
	}
	if _, err := url.PathUnescape(rest); err != nil {
		return "", invalid("", "the path has a malformed percent escape")
	}
	plain := rest
	for range maxPathEncodings {
		if err := checkSegments(plain); err != nil {
			return "", err
		}
		next := decodePercent(plain)
		if next == plain {
			return rest, nil
		}
		plain = next
	}
	return "", invalid("", "the path is percent-encoded too many times")
}

// maxPathEncodings 是肯解的层数，再多的没有正当用途。
const maxPathEncodings = 4

// decodePercent 解一层百分号；坏的留作字面，因为解过一层之后百分号可以是名字的一部分。
func decodePercent(s string) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	out := []byte(s[:i])
	for ; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			v, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			out = append(out, byte(v))
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

func checkSegments(path string) error {
	for i := range len(path) {
		if c := path[i]; c < 0x20 || c == 0x7f || c == '\\' {
			return invalid("", "the path contains a character that is not allowed")
		}
	}
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return invalid("", "the path must not contain dot segments")
		}
		if segment == "" && i < len(segments)-1 {
			return invalid("", "the path must not contain empty segments")
		}
	}
	return nil
}
