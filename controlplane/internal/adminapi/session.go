package adminapi

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// whoami 是 GET /session 的应答。
type whoami struct {
	Kind               identity.Kind    `json:"kind"`
	Name               string           `json:"name"`
	Role               identity.Role    `json:"role"`
	Scopes             []identity.Scope `json:"scopes"`
	MustChangePassword bool             `json:"must_change_password"`
	SessionID          string           `json:"session_id,omitempty"`
	Method             identity.Method  `json:"method,omitempty"`
	ExpiresAt          *time.Time       `json:"expires_at,omitempty"`
	IdleSeconds        int64            `json:"idle_seconds,omitempty"`
}

func (a *api) whoami(p identity.Principal) whoami {
	w := whoami{Kind: p.Kind, Name: p.Name, Role: p.Role, Scopes: orEmpty(p.Scopes), MustChangePassword: p.MustChangePassword}
	if p.SessionID != "" {
		w.SessionID, w.Method, w.ExpiresAt, w.IdleSeconds = p.SessionID, p.Method, &p.ExpiresAt, int64(a.deps.Identity.Idle().Seconds())
	}
	return w
}

// maxSmallBody 给登录、令牌这些小的请求体：没有登录的人也发得来，不能让他占内存。
const maxSmallBody = 64 << 10

// readSmall 严格地读一个小的 JSON 对象。
func (a *api) readSmall(c echo.Context, target any) error {
	body, err := a.readAs(c, echo.MIMEApplicationJSON, "send the document as JSON with: Content-Type: application/json", min(maxSmallBody, a.cfg.MaxBodyBytes))
	if err != nil {
		return err
	}
	return catalog.Decode(body, target)
}

// GetSession 实现 GET /session。
func (a *api) GetSession(c echo.Context) error {
	return writeJSON(c, http.StatusOK, a.whoami(principal(c)))
}

// OpenSession 实现 POST /session。
func (a *api) OpenSession(c echo.Context) error {
	if err := transport(c).Refusal(); err != nil {
		return err
	}
	var body struct {
		Name     string         `json:"name"`
		Password catalog.Secret `json:"password"`
	}
	if err := a.readSmall(c, &body); err != nil {
		return err
	}
	opened, err := a.deps.Identity.Login(c.Request().Context(), body.Name, body.Password, client(c))
	if err != nil {
		return err
	}
	c.Set(principalKey, opened.Principal)
	return a.welcome(c, http.StatusCreated, opened)
}

// client 是登录的那一头。
func client(c echo.Context) identity.Client {
	return identity.Client{Address: transport(c).Address, UserAgent: c.Request().UserAgent(), Replaces: sessionCookie(c)}
}

func (a *api) welcome(c echo.Context, status int, o identity.Opened) error {
	setSession(c, o.Token.Reveal())
	a.logIdentity(c, "operator "+o.Principal.Name, "signed in")
	return writeJSON(c, status, a.whoami(o.Principal))
}

// CloseSession 实现 DELETE /session。
func (a *api) CloseSession(c echo.Context) error {
	p := principal(c)
	if p.SessionID == "" {
		return vegaerr.New(vegaerr.Conflict, "", "there is no session to end; a token is revoked with DELETE /api/v1/tokens/{id}")
	}
	if err := a.deps.Identity.EndSession(c.Request().Context(), p, p.SessionID); err != nil && vegaerr.CodeOf(err) != vegaerr.NotFound {
		return err
	}
	setSession(c, "")
	a.logIdentity(c, "operator "+p.Name, "signed out")
	return c.NoContent(http.StatusNoContent)
}

// PutPassword 实现 PUT /session/password。
func (a *api) PutPassword(c echo.Context) error {
	var body struct {
		Current catalog.Secret `json:"current_password"`
		New     catalog.Secret `json:"new_password"`
	}
	if err := a.readSmall(c, &body); err != nil {
		return err
	}
	opened, err := a.deps.Identity.ChangePassword(c.Request().Context(), principal(c), body.Current, body.New, client(c))
	if err != nil {
		return err
	}
	return a.welcome(c, http.StatusOK, opened)
}

// session 是 GET /sessions 的一行。
type session struct {
	ID         string          `json:"id"`
	Operator   string          `json:"operator"`
	Method     identity.Method `json:"method"`
	Address    string          `json:"address"`
	UserAgent  string          `json:"user_agent"`
	CreatedAt  time.Time       `json:"created_at"`
	LastSeenAt time.Time       `json:"last_seen_at"`
	ExpiresAt  time.Time       `json:"expires_at"`
	Current    bool            `json:"current"`
}

// ListSessions 实现 GET /sessions。
func (a *api) ListSessions(c echo.Context, p openapi.ListSessionsParams) error {
	if err := only(c, "all"); err != nil {
		return err
	}
	who := principal(c)
	list, err := a.deps.Identity.Sessions(c.Request().Context(), who, isTrue(p.All))
	if err != nil {
		return err
	}
	rows := make([]session, 0, len(list))
	for _, s := range list {
		rows = append(rows, session{ID: s.ID, Operator: s.Operator, Method: s.Method, Address: s.Address, UserAgent: s.UserAgent,
			CreatedAt: s.CreatedAt, LastSeenAt: s.LastSeenAt, ExpiresAt: s.ExpiresAt, Current: s.ID == who.SessionID})
	}
	return writeJSON(c, http.StatusOK, rows)
}

// EndSession 实现 DELETE /sessions/{id}。
func (a *api) EndSession(c echo.Context, id string) error {
	if err := a.deps.Identity.EndSession(c.Request().Context(), principal(c), id); err != nil {
		return err
	}
	a.logIdentity(c, "session "+id, "ended")
	return c.NoContent(http.StatusNoContent)
}

// EndOtherSessions 实现 DELETE /sessions。
func (a *api) EndOtherSessions(c echo.Context) error {
	n, err := a.deps.Identity.EndOtherSessions(c.Request().Context(), principal(c))
	if err != nil {
		return err
	}
	a.deps.Log.Info("admin write", zap.String("actor", actor(c)), zap.String("method", c.Request().Method),
		zap.String("object", "sessions"), zap.Int("ended", n), zap.String("request_id", requestID(c)))
	return c.NoContent(http.StatusNoContent)
}

func (a *api) logIdentity(c echo.Context, object, what string) {
	a.deps.Log.Info("admin write", zap.String("actor", actor(c)), zap.String("method", c.Request().Method),
		zap.String("object", object), zap.String("changes", what), zap.String("request_id", requestID(c)))
}
