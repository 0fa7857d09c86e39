package push

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

const (
	maxText      = 1024
	maxEjections = 1000
)

// oneLine 把节点给的文字变成可入库、可显示的一行：控制字符成空格，最多 1024 字节。
func oneLine(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s))
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

func ejections(in []*configv1.Ejection) []Ejection {
	out := make([]Ejection, 0, min(len(in), maxEjections))
	for _, e := range in[:min(len(in), maxEjections)] {
		x := Ejection{
			Server: oneLine(e.GetServer()), UpstreamModel: oneLine(e.GetUpstreamModel()),
			Reason: oneLine(e.GetReason()), Until: time.UnixMilli(e.GetUntilUnixMs()).UTC(),
		}
		if ms := e.GetSinceUnixMs(); ms > 0 {
			x.Since = time.UnixMilli(ms).UTC()
		}
		out = append(out, x)
	}
	return out
}
