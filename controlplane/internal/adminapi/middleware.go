package adminapi

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

const headerRequestID = "x-request-id"

// identify 给请求编号，并写下每个应答都要有的安全头。
func identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set(headerRequestID, rand.Text())
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		return next(c)
	}
}

// limitTime 给请求一个期限；没有期限的那一份留给事件流，它自己知道何时结束。
func (a *api) limitTime(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		whole := c.Request().Context()
		ctx, cancel := context.WithTimeout(whole, a.cfg.TimeLimit)
		defer cancel()
		c.Set(wholeKey, whole)
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

func requestID(c echo.Context) string { return c.Response().Header().Get(headerRequestID) }

// recoverPanic 把 panic 变成带栈的内部错误；栈只进日志。
func recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				err = vegaerr.Wrap(fmt.Errorf("panic: %v\n%s", p, debug.Stack()), vegaerr.Internal, "", "internal error")
			}
		}()
		return next(c)
	}
}
