package dialect

import (
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// OpenAI 的错误 type；SDK 按 HTTP 状态分类，人按 type 与 code 读。
const (
	typeInvalid    = "invalid_request_error"
	typeAuth       = "authentication_error"
	typePermission = "permission_error"
	typeNotFound   = "not_found_error"
	typeRateLimit  = "rate_limit_error"
	typeQuota      = "insufficient_quota"
	typeServer     = "server_error"
	typeUpstream   = "upstream_error"
	typeTimeout    = "timeout_error"
)

type description struct {
	status int
	typ    string
}

// descriptions 是原因到状态与 type 的唯一一张表；后半是没有更细原因时的类别名（vegaerr.Code）。
var descriptions = map[string]description{
	"invalid_json":         {http.StatusBadRequest, typeInvalid},
	"invalid_request":      {http.StatusBadRequest, typeInvalid},
	"invalid_api_key":      {http.StatusUnauthorized, typeAuth},
	"app_disabled":         {http.StatusForbidden, typePermission},
	"model_not_allowed":    {http.StatusForbidden, typePermission},
	"model_not_found":      {http.StatusNotFound, typeNotFound},
	"request_too_large":    {http.StatusRequestEntityTooLarge, typeInvalid},
	"queue_full":           {http.StatusTooManyRequests, typeRateLimit},
	"queue_timeout":        {http.StatusTooManyRequests, typeRateLimit},
	"rate_limit_exceeded":  {http.StatusTooManyRequests, typeRateLimit},
	"insufficient_quota":   {http.StatusTooManyRequests, typeQuota},
	"upstream_error":       {http.StatusBadGateway, typeUpstream},
	"upstream_auth_failed": {http.StatusBadGateway, typeUpstream},
	"not_ready":            {http.StatusServiceUnavailable, typeServer},
	"no_server_available":  {http.StatusServiceUnavailable, typeServer},
	"upstream_timeout":     {http.StatusGatewayTimeout, typeTimeout},

	"invalid":             {http.StatusBadRequest, typeInvalid},
	"too_large":           {http.StatusRequestEntityTooLarge, typeInvalid},
	"unauthenticated":     {http.StatusUnauthorized, typeAuth},
	"denied":              {http.StatusForbidden, typePermission},
	"not_found":           {http.StatusNotFound, typeNotFound},
	"conflict":            {http.StatusConflict, typeInvalid},
	"precondition_failed": {http.StatusPreconditionFailed, typeInvalid},
	"exhausted":           {http.StatusTooManyRequests, typeRateLimit},
	"unavailable":         {http.StatusServiceUnavailable, typeServer},
	"timeout":             {http.StatusGatewayTimeout, typeTimeout},
	"canceled":            {statusClientClosed, typeInvalid},
	"internal":            {http.StatusInternalServerError, typeServer},
}

// statusClientClosed 是客户端先走了：没有人读到它，只进日志与指标。
const statusClientClosed = 499

// Describe 把原因（vegaerr 的 ReasonOrCode）变成 HTTP 状态与 OpenAI 的错误 type；不认识的原因是 500。
func Describe(reason string) (status int, typ string) {
	d, ok := descriptions[reason]
	if !ok {
		d = descriptions["internal"]
	}
	return d.status, d.typ
}

// AppendError 接上 OpenAI 形式的错误体，四个字段总在；param 与 code 为空串时是 null。
func AppendError(dst []byte, message, typ, param, code string) []byte {
	dst = appendString(append(dst, `{"error":{"message":`...), message)
	dst = appendString(append(dst, `,"type":`...), typ)
	dst = appendNullable(append(dst, `,"param":`...), param)
	dst = appendNullable(append(dst, `,"code":`...), code)
	return append(dst, '}', '}')
}

func appendNullable(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, s)
}

// appendString 接上 JSON 字符串；不合法的 UTF-8 变成 U+FFFD。
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r < 0x20 || r == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

// WrapError 让上游的错误体成为 OpenAI 的形式。已经是的（顶层 error 是对象且有字符串 message）原样返回，
// alreadyForm 为 true；别的（HTML 的 502、{"detail":…}、空体）包一层，附上一小段去掉标签与控制字符的原文。
func WrapError(status int, contentType string, body []byte) (out []byte, alreadyForm bool) {
	if ValidObject(body) && gjson.GetBytes(body, "error.message").Type == gjson.String {
		return body, true
	}
	message := "upstream answered " + strconv.Itoa(status)
	if media := mediaType(contentType); media != "" {
		message += " (" + clean(media, 60) + ")"
	}
	if text := excerpt(contentType, body); text != "" {
		message += ": " + text
	}
	return AppendError(nil, message, typeOfStatus(status), "", "upstream_error"), false
}

func typeOfStatus(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return typeAuth
	case http.StatusForbidden:
		return typePermission
	case http.StatusNotFound:
		return typeNotFound
	case http.StatusTooManyRequests:
		return typeRateLimit
	}
	if status < http.StatusInternalServerError {
		return typeInvalid
	}
	return typeServer
}

const (
	excerptInput = 4096 // 只看体的开头这么多字节
	excerptRunes = 200
)

// excerpt 从错误体里取一小段给人看的文字。
func excerpt(contentType string, body []byte) string {
	if ValidObject(body) {
		for _, path := range [...]string{"error", "message", "detail", "error_message"} {
			if v := gjson.GetBytes(body, path); v.Type == gjson.String && v.Str != "" {
				return clean(v.Str, excerptRunes)
			}
		}
	}
	text := string(body[:min(len(body), excerptInput)])
	if strings.Contains(mediaType(contentType), "html") {
		text = withoutTags(text)
	}
	return clean(text, excerptRunes)
}

// withoutTags 去掉标签；只为可读，不为安全：结果只作 JSON 字符串用。
func withoutTags(s string) string {
	var b strings.Builder
	for s != "" {
		text, rest, found := strings.Cut(s, "<")
		b.WriteString(text)
		if !found {
			break
		}
		b.WriteByte(' ')
		if _, s, found = strings.Cut(rest, ">"); !found {
			break
		}
	}
	return b.String()
}

// clean 把空白并成一个空格，丢掉不可打印与不合法的字符，最多留 limit 个字符。
func clean(s string, limit int) string {
	var b strings.Builder
	n, gap := 0, false
	for i, r := range s {
		if unicode.IsSpace(r) {
			gap = n > 0
			continue
		}
		if !unicode.IsPrint(r) || r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			continue
		}
		if gap {
			b.WriteByte(' ')
			n++
			gap = false
		}
		if n >= limit {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}
