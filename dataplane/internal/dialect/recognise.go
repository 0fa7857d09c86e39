package dialect

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// NamesStreamOptions 说一个 400 的体点名了 stream_options 或 include_usage：上游不认识它，可以不带着它重来。
func NamesStreamOptions(body []byte) bool {
	return bytes.Contains(body, []byte("stream_options")) || bytes.Contains(body, []byte("include_usage"))
}

// IsInsufficientQuota 说一个 429 的体是额度用尽：等待没有用，不是暂时太快。
func IsInsufficientQuota(body []byte) bool {
	const name = "insufficient_quota"
	if !bytes.Contains(body, []byte(name)) || !ValidObject(body) {
		return false
	}
	for _, path := range [...]string{"error.code", "error.type", "code", "type"} {
		if v := gjson.GetBytes(body, path); v.Type == gjson.String && v.Str == name {
			return true
		}
	}
	return false
}

// maxRetryAfter 是信得过的最长间隔；再长的按它算，调用者另有自己的上限。
const maxRetryAfter = 24 * time.Hour

// RetryAfter 读上游要我们等多久：先看 retry-after-ms（毫秒），再看 Retry-After（秒，或 HTTP 日期）。
// 过去的日期是 0；负数、非数与读不懂的等于没有。
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	if d, ok := duration(h.Get("retry-after-ms"), time.Millisecond); ok {
		return d, true
	}
	v := h.Get("Retry-After")
	if d, ok := duration(v, time.Second); ok {
		return d, true
	}
	at, err := http.ParseTime(strings.TrimSpace(v))
	if err != nil {
		return 0, false
	}
	return min(max(at.Sub(now), 0), maxRetryAfter), true
}

func duration(s string, unit time.Duration) (time.Duration, bool) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(v >= 0) {
		return 0, false
	}
	if v >= float64(maxRetryAfter/unit) {
		return maxRetryAfter, true
	}
	return time.Duration(v * float64(unit)), true
}
