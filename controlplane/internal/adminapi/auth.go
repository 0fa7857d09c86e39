package adminapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// context 里的键：行事者、连接的样子、有没有哪条路由的守卫接住了请求、没有期限的 ctx、应答是不是一条流。
const (
	principalKey = "vega.principal"
	transportKey = "vega.transport"
	guardedKey   = "vega.guarded"
	wholeKey     = "vega.whole"
	streamKey    = "vega.stream"
)

// tokenHash 让比较的两边等长，时间与内容、长度都无关。
type tokenHash [sha256.Size]byte

func hashToken(token string) tokenHash { return sha256.Sum256([]byte(token)) }

func (t tokenHash) matches(token string) bool {
	other := hashToken(token)
	return subtle.ConstantTimeCompare(t[:], other[:]) == 1
}

// look 看清连接的样子，别的都要用。
func (a *api) look(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Set(transportKey, a.cfg.Proxies.Transport(c.Request(), a.cfg.InsecureHTTP))
		return next(c)
	}
}

func transport(c echo.Context) identity.Transport {
	t, _ := c.Get(transportKey).(identity.Transport)
	return t
}

// conceal 让没有被认出来的人连哪些路径存在都问不出来：没有路由接住的，也先认人。
func (a *api) conceal(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if c.Get(guardedKey) != nil {
			return err
		}
		if _, unknown := a.recognise(c, false); unknown != nil {
			c.Response().Header().Del(echo.HeaderAllow)
			return unknown
		}
		return err
	}
}

// guard 是一个操作的守卫：认人，看够不够，挡住跨站的写，把来源放进 context。
func (a *api) guard(rule access) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Set(guardedKey, true)
			p, err := a.admit(c, rule)
			if err != nil {
				return err
			}
			c.Set(principalKey, p)
			o := identity.Origin{Kind: p.Kind, Actor: p.Name, RequestID: requestID(c), Action: rule.action}
			if addr := transport(c).Address; addr.IsValid() {
				o.Address = addr.String()
			}
			c.SetRequest(c.Request().WithContext(identity.WithOrigin(c.Request().Context(), o)))
			return next(c)
		}
	}
}

func (a *api) admit(c echo.Context, rule access) (identity.Principal, error) {
	if rule.public {
		anonymous := identity.Principal{Kind: identity.KindAnonymous, Name: string(identity.KindAnonymous)}
		return anonymous, a.sameOrigin(c)
	}
	p, err := a.recognise(c, rule.passive)
	if err != nil {
		return p, err
	}
	// 拒绝也要说得出是谁。
	c.Set(principalKey, p)
	if p.SessionID != "" {
		if err := a.sameOrigin(c); err != nil {
			return p, err
		}
	}
	return p, p.May(rule.need)
}

// recognise 认出行事者。带着 Authorization 的只看它，不退回去看 cookie：写错了令牌的人该知道。
// passive 的不算会话的活动。
func (a *api) recognise(c echo.Context, passive bool) (identity.Principal, error) {
	r := c.Request()
	values := r.Header.Values(echo.HeaderAuthorization)
	if len(values) == 0 {
		if cookie := sessionCookie(c); cookie != "" {
			known := a.deps.Identity.BySession
			if passive {
				known = a.deps.Identity.PeekSession
			}
			p, err := known(r.Context(), cookie)
			return p, challenge(c, err, "")
		}
	}
	if len(values) == 1 {
		token := bearer(values[0])
		if a.token.matches(token) {
			return identity.Bootstrap(), nil
		}
		p, err := a.deps.Identity.ByToken(r.Context(), token, transport(c).Address.String())
		return p, challenge(c, err, "invalid_token")
	}
	err := vegaerr.New(vegaerr.Unauthenticated, "", "sign in, or send an admin token as: Authorization: Bearer <token>")
	if len(values) > 1 {
		return identity.Principal{}, challenge(c, err, "invalid_token")
	}
	return identity.Principal{}, challenge(c, err, "")
}

// challenge 在 401 里说用什么鉴权。
func challenge(c echo.Context, err error, problem string) error {
	if vegaerr.CodeOf(err) == vegaerr.Unauthenticated {
		value := `Bearer realm="vega"`
		if problem != "" {
			value += `, error="` + problem + `"`
		}
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, value)
	}
	return err
}

// sameOrigin 挡住别的站点借浏览器发来的写。
func (a *api) sameOrigin(c echo.Context) error {
	if err := a.cross.Check(c.Request()); err != nil {
		return vegaerr.Wrap(err, vegaerr.Denied, identity.ReasonCrossOrigin,
			"another site sent this request; if the console is behind a proxy that changes the Host header, set VEGA_CONSOLE_URL")
	}
	return nil
}

// sessionCookie 是带来的会话；这条连接上不许走的名字不看，别人在明文里种下的因此不认。
func sessionCookie(c echo.Context) string {
	name := transport(c).CookieName()
	if name == "" {
		return ""
	}
	cookies := c.Request().CookiesNamed(name)
	if len(cookies) != 1 {
		return ""
	}
	return cookies[0].Value
}

// setSession 种下会话的 cookie；token 为空则收回。没有期限：关了浏览器就没有了，绝对期限由服务端说。
func setSession(c echo.Context, token string) {
	t := transport(c)
	cookie := &http.Cookie{Name: t.CookieName(), Value: token, Path: "/", Secure: t.Secure, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if token == "" {
		cookie.MaxAge = -1
	}
	c.SetCookie(cookie)
}

// bearer 取出令牌；不是 Bearer 则空，而空永远不相等。
func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// principal 是发出这个请求的人；没有认出来之前是零值。
func principal(c echo.Context) identity.Principal {
	p, _ := c.Get(principalKey).(identity.Principal)
	return p
}

// actor 是 principal 的名字；没有认出来之前为空。
func actor(c echo.Context) string { return principal(c).Name }
