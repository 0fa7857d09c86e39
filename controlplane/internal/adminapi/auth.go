package adminapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// bootstrapActor 是引导令牌在日志与配置版本里的名字。
const bootstrapActor = "bootstrap"

const actorKey = "vega.actor"

// tokenHash 让比较的两边等长，时间与内容、长度都无关。
type tokenHash [sha256.Size]byte

func hashToken(token string) tokenHash { return sha256.Sum256([]byte(token)) }

func (t tokenHash) matches(token string) bool {
	other := hashToken(token)
	return subtle.ConstantTimeCompare(t[:], other[:]) == 1
}

// authenticate 在路由之前，因此没有令牌的人连哪些路径存在都问不出来。
func (a *api) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		challenge := `Bearer realm="vega"`
		values := c.Request().Header.Values(echo.HeaderAuthorization)
		if len(values) > 0 {
			challenge += `, error="invalid_token"`
		}
		if len(values) != 1 || !a.token.matches(bearer(values[0])) {
			c.Response().Header().Set(echo.HeaderWWWAuthenticate, challenge)
			return vegaerr.New(vegaerr.Unauthenticated, "", "send the admin token as: Authorization: Bearer <token>")
		}
		c.Set(actorKey, bootstrapActor)
		return next(c)
	}
}

// bearer 取出令牌；不是 Bearer 则空，而空永远不相等。
func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// actor 是发出这个请求的人；鉴权之前为空。
func actor(c echo.Context) string {
	name, _ := c.Get(actorKey).(string)
	return name
}
