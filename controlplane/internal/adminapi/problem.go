package adminapi

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// codeMethodNotAllowed 只有 HTTP 层知道，不在 vegaerr 的集合里。
const codeMethodNotAllowed = "method_not_allowed"

// problem 是 RFC 9457 的问题文档。
type problem struct {
	Type      string            `json:"type"`
	Title     string            `json:"title"`
	Status    int               `json:"status"`
	Code      string            `json:"code"`
	Reason    string            `json:"reason,omitempty"`
	Detail    string            `json:"detail"`
	RequestID string            `json:"request_id"`
	Errors    []vegaerr.Problem `json:"errors,omitempty"`
}

// status 是错误类别到 HTTP 状态码的唯一一张表。
func status(code vegaerr.Code) int {
	switch code {
	case vegaerr.Invalid:
		return http.StatusBadRequest
	case vegaerr.TooLarge:
		return http.StatusRequestEntityTooLarge
	case vegaerr.Unauthenticated:
		return http.StatusUnauthorized
	case vegaerr.Denied:
		return http.StatusForbidden
	case vegaerr.NotFound:
		return http.StatusNotFound
	case vegaerr.Conflict:
		return http.StatusConflict
	case vegaerr.PreconditionFailed:
		return http.StatusPreconditionFailed
	case vegaerr.Exhausted:
		return http.StatusTooManyRequests
	case vegaerr.Unavailable:
		return http.StatusServiceUnavailable
	case vegaerr.Timeout:
		return http.StatusGatewayTimeout
	case vegaerr.Canceled:
		return 499 // 对方先走了，没人会看到；只为日志与指标
	}
	return http.StatusInternalServerError
}

// handleError 是错误变成应答的唯一一处，也是记下它的唯一一处。
func (a *api) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	e, p := a.describe(err, c)
	p = p.titled(requestID(c))
	a.logRefusal(c, e, p)
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "application/problem+json")
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	} else if e.Code == vegaerr.Unavailable {
		h.Set("Retry-After", "1")
	}
	// 写不出去说明对方已走，没有别的事可做。
	_ = writeJSON(c, p.Status, p)
}

// titled 补上不随错误变的几项。
func (p problem) titled(requestID string) problem {
	p.Type, p.Title, p.RequestID = "about:blank", http.StatusText(p.Status), requestID
	return p
}

// describe 认出错误：自己的、Echo 的（没有路由、方法不对、参数不成形）、以及对方先走了。
func (a *api) describe(err error, c echo.Context) (*vegaerr.Error, problem) {
	var he *echo.HTTPError
	var e *vegaerr.Error
	switch {
	case errors.Is(c.Request().Context().Err(), context.Canceled):
		e = vegaerr.Wrap(err, vegaerr.Canceled, "", "the client went away")
	case errors.As(err, &e):
	case errors.As(err, &he):
		return explainEcho(he, c)
	case errors.Is(err, context.DeadlineExceeded):
		e = vegaerr.Wrap(err, vegaerr.Unavailable, "", "the answer took too long; try again")
	default:
		e = vegaerr.As(err)
	}
	return e, problem{Status: status(e.Code), Code: e.Code.String(), Reason: e.Reason, Detail: e.Message, Errors: e.Problems}
}

func explainEcho(he *echo.HTTPError, c echo.Context) (*vegaerr.Error, problem) {
	path := c.Request().URL.EscapedPath()
	switch he.Code {
	case http.StatusNotFound:
		e := vegaerr.New(vegaerr.NotFound, "", "there is nothing at %s; a slash inside a name is written %%2F", path)
		return e, problem{Status: he.Code, Code: e.Code.String(), Detail: e.Message}
	case http.StatusMethodNotAllowed:
		e := vegaerr.New(vegaerr.Invalid, codeMethodNotAllowed, "%s is not offered at %s; see the Allow header", c.Request().Method, path)
		return e, problem{Status: he.Code, Code: codeMethodNotAllowed, Detail: e.Message}
	}
	text, _ := he.Message.(string)
	e := vegaerr.Wrap(he, vegaerr.Invalid, "", "%s", text)
	if he.Code >= http.StatusInternalServerError {
		e = vegaerr.Wrap(he, vegaerr.Internal, "", "internal error")
	}
	return e, problem{Status: status(e.Code), Code: e.Code.String(), Detail: e.Message, Errors: malformed(text)}
}

// malformed 由生成的绑定代码的话认出是哪个参数不成形。
func malformed(text string) []vegaerr.Problem {
	rest, ok := strings.CutPrefix(text, "Invalid format for parameter ")
	name, why, found := strings.Cut(rest, ": ")
	if !ok || !found {
		return nil
	}
	if strings.Contains(why, " as RFC3339 ") {
		why = "must be an RFC 3339 time such as 2026-11-01T00:00:00+08:00; in a URL the + is written %2B"
	}
	return []vegaerr.Problem{{Path: name, Message: why}}
}

// logRefusal 记下我们的缺陷、够不着的存储与被拒的写；读错了名字不值得一行。
func (a *api) logRefusal(c echo.Context, e *vegaerr.Error, p problem) {
	r := c.Request()
	fields := []zap.Field{
		zap.String("actor", actor(c)), zap.String("method", r.Method), zap.String("path", r.URL.EscapedPath()),
		zap.Int("status", p.Status), zap.String("code", p.Code), zap.String("request_id", p.RequestID),
	}
	switch {
	case e.Code == vegaerr.Internal:
		a.deps.Log.Error("admin request failed", append(fields, zap.Error(e))...)
	case e.Code == vegaerr.Unavailable:
		a.deps.Log.Warn("admin request failed", append(fields, zap.Error(e))...)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		a.deps.Log.Info("admin write refused", append(fields, zap.String("detail", e.Message), zap.Int("errors", len(e.Problems)))...)
	}
}
