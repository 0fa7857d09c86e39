package usage

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName   = 128
	maxModel  = 256
	maxReason = 512
)

// clean 让名字可以入库：PostgreSQL 的 text 不容 NUL，而索引不容太长的键。改名胜过整批被拒、记录永远送不出。
func clean(s string, limit int) string {
	if len(s) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	if strings.IndexFunc(s, unicode.IsControl) < 0 && utf8.ValidString(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
