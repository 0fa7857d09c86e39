package adminapi

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
)

// adminToken 是应答里的令牌。
type adminToken struct {
	ID              string           `json:"id"`
	Name            string           `json:"name"`
	Hint            string           `json:"hint"`
	Role            identity.Role    `json:"role"`
	Scopes          []identity.Scope `json:"scopes"`
	Owner           string           `json:"owner"`
	CreatedBy       string           `json:"created_by"`
	CreatedAt       time.Time        `json:"created_at"`
	ExpiresAt       *time.Time       `json:"expires_at,omitempty"`
	LastUsedAt      *time.Time       `json:"last_used_at,omitempty"`
	LastUsedAddress string           `json:"last_used_address,omitempty"`
	// Secret 是明文，只在造出来的那一次应答里有。
	Secret string `json:"secret,omitempty"`
}

func tokenOf(t identity.Token) adminToken {
	return adminToken{ID: t.ID, Name: t.Name, Hint: t.Hint, Role: t.Role, Scopes: orEmpty(t.Scopes), Owner: t.Owner, CreatedBy: t.CreatedBy,
		CreatedAt: t.CreatedAt, ExpiresAt: orNull(t.ExpiresAt), LastUsedAt: orNull(t.LastUsedAt), LastUsedAddress: t.LastUsedAddress}
}

// ListTokens 实现 GET /tokens。
func (a *api) ListTokens(c echo.Context, p openapi.ListTokensParams) error {
	if err := only(c, "all"); err != nil {
		return err
	}
	list, err := a.deps.Identity.Tokens(c.Request().Context(), principal(c), isTrue(p.All))
	if err != nil {
		return err
	}
	rows := make([]adminToken, 0, len(list))
	for _, t := range list {
		rows = append(rows, tokenOf(t))
	}
	return writeJSON(c, http.StatusOK, rows)
}

// CreateToken 实现 POST /tokens。
func (a *api) CreateToken(c echo.Context) error {
	var body struct {
		Name      string           `json:"name"`
		Role      identity.Role    `json:"role"`
		Scopes    []identity.Scope `json:"scopes"`
		ExpiresAt time.Time        `json:"expires_at"`
		Service   bool             `json:"service"`
	}
	if err := a.readSmall(c, &body); err != nil {
		return err
	}
	made, secret, err := a.deps.Identity.CreateToken(c.Request().Context(), principal(c), identity.NewToken(body))
	if err != nil {
		return err
	}
	a.logIdentity(c, "token "+made.Name, "created as "+string(made.Role))
	c.Response().Header().Set(echo.HeaderLocation, basePath+"/tokens/"+made.ID)
	row := tokenOf(made)
	row.Secret = secret.Reveal()
	return writeJSON(c, http.StatusCreated, row)
}

// RevokeToken 实现 DELETE /tokens/{id}。
func (a *api) RevokeToken(c echo.Context, id string) error {
	if err := a.deps.Identity.RevokeToken(c.Request().Context(), principal(c), id); err != nil {
		return err
	}
	a.logIdentity(c, "token "+id, "revoked")
	return c.NoContent(http.StatusNoContent)
}
