package ruleset

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// 名字的长度上限，按字节。
const (
	MaxNameLen    = 63  // server 与 app
	MaxKeyNameLen = 64  // 钥匙
	MaxModelLen   = 256 // 公开与上游的模型名、模型通配
)

// ValidName 说 s 是不是 server 与 app 的合法名字：^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$ 。
func ValidName(s string) bool {
	return validWord(s, MaxNameLen, func(c byte) bool { return c == '.' || c == '-' }, false)
}

// ValidKeyName 说 s 是不是合法的钥匙名：同 ValidName，另许大写与下划线，至多 64 字节。
func ValidKeyName(s string) bool {
	return validWord(s, MaxKeyNameLen, func(c byte) bool { return c == '.' || c == '-' || c == '_' }, true)
}

func validWord(s string, maxLen int, inner func(byte) bool, upper bool) bool {
	if len(s) == 0 || len(s) > maxLen {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', upper && 'A' <= c && c <= 'Z':
		case inner(c) && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return true
}

// ValidModelName 说 s 是不是合法的模型名：1–256 字节的合法 UTF-8，全部可打印，首尾无空白。
func ValidModelName(s string) bool {
	if len(s) == 0 || len(s) > MaxModelLen || !utf8.ValidString(s) || strings.TrimSpace(s) != s {
		return false
	}
	// IsPrint 只认 U+0020 这一种空白，因此不可见的分隔符与方向控制符也被挡住。
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
