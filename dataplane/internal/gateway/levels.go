package gateway

import (
	"net/http"
	"strconv"
	"time"
)

// setLimitHeaders 写出 app 自己的速率限额此刻的样子（OpenAI 的名字与写法）；没有限额的不写。
func (x *exchange) setLimitHeaders(h http.Header) {
	app := x.app()
	if app == nil || x.ep.Local || app.Limits.RequestsPerMinute == 0 && app.Limits.TokensPerMinute == 0 {
		return
	}
	levels, ok := x.gw.gate.Levels(app.Name)
	if !ok {
		return
	}
	if l := levels.Requests; l.Set {
		setLevel(h, l.Limit, l.Remaining, l.Reset, "X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests")
	}
	if l := levels.Tokens; l.Set {
		setLevel(h, l.Limit, l.Remaining, l.Reset, "X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens")
	}
}

func setLevel(h http.Header, limit, remaining int64, reset time.Duration, limitName, remainingName, resetName string) {
	h[limitName] = []string{strconv.FormatInt(limit, 10)}
	h[remainingName] = []string{strconv.FormatInt(max(remaining, 0), 10)} // 欠着的也是一个不剩
	h[resetName] = []string{resetText(reset)}
}

// resetText 是 OpenAI 的时长写法，如 "12ms"、"1s"、"6m0s"；不足一毫秒的进到一毫秒。
func resetText(d time.Duration) string {
	if d <= 0 {
		return "0s"
	}
	return (d + time.Millisecond - 1).Truncate(time.Millisecond).String()
}
