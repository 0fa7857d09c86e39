package adminapi

import (
	"context"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/identity/oidc"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// OIDC 是 OpenID Connect 的提供方，由 oidc.Provider 实现。
type OIDC interface {
	Label() string
	Begin(ctx context.Context, returnTo string) (location string, f oidc.Flow, err error)
	Finish(ctx context.Context, f oidc.Flow, state, code string) (identity.Person, error)
}

// loginPage 是控制台的登录页；浏览器的导航出了错，人要看得见。
const loginPage = "/login"

type authMethods struct {
	Password  bool          `json:"password"`
	OIDC      *oidcMethod   `json:"oidc,omitempty"`
	Transport authTransport `json:"transport"`
}

type oidcMethod struct {
	Label    string `json:"label"`
	LoginURL string `json:"login_url"`
}

type authTransport struct {
	OK     bool   `json:"ok"`
	Secure bool   `json:"secure"`
	Detail string `json:"detail,omitempty"`
}

// GetAuthMethods 实现 GET /auth/methods。
func (a *api) GetAuthMethods(c echo.Context) error {
	t := transport(c)
	m := authMethods{Password: true, Transport: authTransport{OK: true, Secure: t.Secure}}
	if a.deps.OIDC != nil {
		m.OIDC = &oidcMethod{Label: a.deps.OIDC.Label(), LoginURL: basePath + "/auth/oidc/login"}
	}
	if err := t.Refusal(); err != nil {
		m.Transport.OK, m.Transport.Detail = false, vegaerr.As(err).Message
	}
	return writeJSON(c, http.StatusOK, m)
}

// flowCookie 是 Flow 的 cookie。提供方送回来是跨站的导航，所以只能 Lax；它不是凭证，只证明是同一个浏览器。
func flowCookie(c echo.Context, value string, seconds int) *http.Cookie {
	t := transport(c)
	return &http.Cookie{Name: t.CookieName() + "-oidc", Value: value, Path: "/", MaxAge: seconds, Secure: t.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// BeginOidc 实现 GET /auth/oidc/login。
func (a *api) BeginOidc(c echo.Context, p openapi.BeginOidcParams) error {
	if a.deps.OIDC == nil {
		return vegaerr.New(vegaerr.NotFound, "", "no OpenID Connect provider is set up")
	}
	next := deref(p.ReturnTo)
	if err := transport(c).Refusal(); err != nil {
		return a.backToLogin(c, next, err)
	}
	location, flow, err := a.deps.OIDC.Begin(c.Request().Context(), next)
	if err != nil {
		return a.backToLogin(c, next, err)
	}
	c.SetCookie(flowCookie(c, flow.Encode(), int(oidc.Lifetime.Seconds())))
	return c.Redirect(http.StatusSeeOther, location)
}

// FinishOidc 实现 GET /auth/oidc/callback。
func (a *api) FinishOidc(c echo.Context, p openapi.FinishOidcParams) error {
	if a.deps.OIDC == nil {
		return vegaerr.New(vegaerr.NotFound, "", "no OpenID Connect provider is set up")
	}
	if err := transport(c).Refusal(); err != nil {
		return a.backToLogin(c, "", err)
	}
	flow := takeFlow(c)
	c.SetCookie(flowCookie(c, "", -1))
	if p.Error != nil {
		return a.backToLogin(c, flow.ReturnTo, vegaerr.New(vegaerr.Denied, identity.ReasonOIDCRefused, "the provider said no"))
	}
	ctx := c.Request().Context()
	person, err := a.deps.OIDC.Finish(ctx, flow, deref(p.State), deref(p.Code))
	if err != nil {
		return a.backToLogin(c, flow.ReturnTo, err)
	}
	opened, err := a.deps.Identity.LoginPerson(ctx, person, client(c))
	if err != nil {
		return a.backToLogin(c, flow.ReturnTo, err)
	}
	c.Set(principalKey, opened.Principal)
	setSession(c, opened.Token.Reveal())
	a.logIdentity(c, "operator "+opened.Principal.Name, "signed in through OIDC")
	return c.Redirect(http.StatusSeeOther, flow.ReturnTo)
}

// takeFlow 取出浏览器留着的 Flow；没有或读不懂是零值，它与什么也对不上。
func takeFlow(c echo.Context) oidc.Flow {
	cookies := c.Request().CookiesNamed(transport(c).CookieName() + "-oidc")
	if len(cookies) != 1 {
		return oidc.Flow{}
	}
	flow, ok := oidc.DecodeFlow(cookies[0].Value)
	if !ok {
		return oidc.Flow{}
	}
	return flow
}

// backToLogin 记下缘由，把人送回登录页；页面只得到 reason 与原来要去的 next，再登录一次仍到得了那里。
// next 由登录页自己查：不是本站的路径，它不认。
func (a *api) backToLogin(c echo.Context, next string, err error) error {
	e := vegaerr.As(err)
	a.deps.Log.Warn("sign-in through OIDC failed", zap.String("reason", e.ReasonOrCode()), zap.Error(e), zap.String("request_id", requestID(c)))
	page := loginPage + "?error=" + url.QueryEscape(e.ReasonOrCode())
	if next != "" && next != "/" {
		page += "&next=" + url.QueryEscape(next)
	}
	return c.Redirect(http.StatusSeeOther, page)
}
