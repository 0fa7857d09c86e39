package adminapi

import (
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
)

// operator 是应答里的操作员，没有口令的散列。
type operator struct {
	Name               string        `json:"name"`
	Role               identity.Role `json:"role"`
	Enabled            bool          `json:"enabled"`
	Source             string        `json:"source"`
	MustChangePassword bool          `json:"must_change_password"`
	Version            uint64        `json:"version"`
	CreatedAt          time.Time     `json:"created_at"`
	LastLoginAt        *time.Time    `json:"last_login_at,omitempty"`
	// OneTimePassword 只在造出来的那一次应答里有。
	OneTimePassword string `json:"one_time_password,omitempty"`
}

func operatorOf(a identity.Account) operator {
	return operator{Name: a.Name, Role: a.Role, Enabled: a.Enabled, Source: a.Source(), MustChangePassword: a.MustChangePassword,
		Version: a.Version, CreatedAt: a.CreatedAt, LastLoginAt: orNull(a.LastLoginAt)}
}

// orNull 让没有的时刻缺席。
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// ListOperators 实现 GET /operators。
func (a *api) ListOperators(c echo.Context) error {
	list, err := a.deps.Identity.Operators(c.Request().Context())
	if err != nil {
		return err
	}
	rows := make([]operator, 0, len(list))
	for _, o := range list {
		rows = append(rows, operatorOf(o))
	}
	return writeJSON(c, http.StatusOK, rows)
}

// CreateOperator 实现 POST /operators。
func (a *api) CreateOperator(c echo.Context) error {
	var body struct {
		Name string        `json:"name"`
		Role identity.Role `json:"role"`
	}
	if err := a.readSmall(c, &body); err != nil {
		return err
	}
	made, password, err := a.deps.Identity.CreateOperator(c.Request().Context(), body.Name, body.Role)
	if err != nil {
		return err
	}
	a.logIdentity(c, "operator "+made.Name, "created as "+string(made.Role))
	c.Response().Header().Set(echo.HeaderLocation, basePath+"/operators/"+url.PathEscape(made.Name))
	setETag(c, made.Version)
	row := operatorOf(made)
	row.OneTimePassword = password.Reveal()
	return writeJSON(c, http.StatusCreated, row)
}

// GetOperator 实现 GET /operators/{name}。
func (a *api) GetOperator(c echo.Context, name string) error {
	o, err := a.deps.Identity.OperatorNamed(c.Request().Context(), name)
	if err != nil {
		return err
	}
	setETag(c, o.Version)
	return writeJSON(c, http.StatusOK, operatorOf(o))
}

// PutOperator 实现 PUT /operators/{name}。
func (a *api) PutOperator(c echo.Context, name string, p openapi.PutOperatorParams) error {
	var body struct {
		Role    identity.Role `json:"role"`
		Enabled *bool         `json:"enabled"`
	}
	if err := a.readSmall(c, &body); err != nil {
		return err
	}
	if body.Enabled == nil {
		return badParam("enabled", "must be true or false")
	}
	o, err := a.deps.Identity.UpdateOperator(c.Request().Context(), name, body.Role, *body.Enabled, ifMatch(p.IfMatch).check)
	if err != nil {
		return err
	}
	a.logIdentity(c, "operator "+name, "updated")
	setETag(c, o.Version)
	return writeJSON(c, http.StatusOK, operatorOf(o))
}

// DeleteOperator 实现 DELETE /operators/{name}。
func (a *api) DeleteOperator(c echo.Context, name string, p openapi.DeleteOperatorParams) error {
	if err := a.deps.Identity.DeleteOperator(c.Request().Context(), name, ifMatch(p.IfMatch).check); err != nil {
		return err
	}
	a.logIdentity(c, "operator "+name, "deleted")
	return c.NoContent(http.StatusNoContent)
}

// ResetPassword 实现 POST /operators/{name}/reset-password。
func (a *api) ResetPassword(c echo.Context, name string) error {
	password, err := a.deps.Identity.ResetPassword(c.Request().Context(), name)
	if err != nil {
		return err
	}
	a.logIdentity(c, "operator "+name, "given a one-time password")
	return writeJSON(c, http.StatusOK, map[string]string{"one_time_password": password.Reveal()})
}
