package httpapi

import (
	"errors"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
)

// 预检答的头；浏览器里的 SDK 会带各种 X-Stainless-*，所以来者要什么头就许什么头，没有 cookie 就没有可偷的。
const (
	allowedMethods = "GET, POST, DELETE, OPTIONS"
	allowedHeaders = "Authorization, Content-Type, Api-Key, X-Api-Key, X-Request-Id, Idempotency-Key, OpenAI-Organization, OpenAI-Project"
	exposedHeaders = "X-Request-Id, X-Vega-Server, X-Vega-Queue-Wait-Ms, X-Vega-Queue-Position, X-Vega-Budget-Warning, X-Should-Retry, Retry-After, Retry-After-Ms, " +
		"X-Ratelimit-Limit-Requests, X-Ratelimit-Remaining-Requests, X-Ratelimit-Reset-Requests, " +
		"X-Ratelimit-Limit-Tokens, X-Ratelimit-Remaining-Tokens, X-Ratelimit-Reset-Tokens"
	preflightAge = "86400"
)

type cors struct {
	any     bool
	origins []string
}

func newCORS(origins []string) *cors {
	return &cors{any: len(origins) == 0 || slices.Contains(origins, "*"), origins: origins}
}

// wrap 给带 Origin 的请求加上跨域的头，并答预检；没有 Origin 的原样过去。
func (c *cors) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.any {
			w.Header().Set("Vary", "Origin") // 没有 Origin 的应答也要说：共用的缓存不得拿它去答跨域的
		}
		origin := r.Header.Get("Origin")
		if origin == "" {
			next.ServeHTTP(w, r)
			return
		}
		allowed := c.allow(w.Header(), origin)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			if allowed {
				preflight(w.Header(), r)
			}
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (c *cors) allow(h http.Header, origin string) bool {
	switch {
	case c.any:
		h.Set("Access-Control-Allow-Origin", "*")
	case slices.Contains(c.origins, origin):
		h.Set("Access-Control-Allow-Origin", origin)
	default:
		return false
	}
	h.Set("Access-Control-Expose-Headers", exposedHeaders)
	return true
}

func preflight(h http.Header, r *http.Request) {
	h.Set("Access-Control-Allow-Methods", allowedMethods)
	h.Set("Access-Control-Max-Age", preflightAge)
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
		h.Add("Vary", "Access-Control-Request-Headers")
		return
	}
	h.Set("Access-Control-Allow-Headers", allowedHeaders)
}

func asHTTPError(err error, target **echo.HTTPError) bool { return errors.As(err, target) }
