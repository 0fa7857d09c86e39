package adminapi

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// Settings 读写设置，由 postgres.Store 实现。
type Settings interface {
	// LoadSettings 给出设置与它的版本。
	LoadSettings(ctx context.Context) (usage.Settings, uint64, error)
	// SaveSettings 整个换掉设置，返回新的版本；check 以此刻的版本决定写不写，它的错误原样返回。
	SaveSettings(ctx context.Context, s usage.Settings, check func(version uint64) error) (uint64, error)
}

// GetSettings 实现 GET /settings。
func (a *api) GetSettings(c echo.Context) error {
	s, version, err := a.deps.Settings.LoadSettings(c.Request().Context())
	if err != nil {
		return err
	}
	setETag(c, version)
	return writeJSON(c, http.StatusOK, s)
}

// PutSettings 实现 PUT /settings。
func (a *api) PutSettings(c echo.Context, p openapi.PutSettingsParams) error {
	if err := only(c); err != nil {
		return err
	}
	body, err := a.readBody(c)
	if err != nil {
		return err
	}
	s, err := usage.ParseSettings(body)
	if err != nil {
		return err
	}
	version, err := a.deps.Settings.SaveSettings(c.Request().Context(), s, ifMatch(p.IfMatch).check)
	if err != nil {
		return err
	}
	setETag(c, version)
	return writeJSON(c, http.StatusOK, s)
}

// zoneOr 是 named，没有写则是设置里的时区。
func (a *api) zoneOr(c echo.Context, named string) (string, error) {
	if named != "" {
		return named, nil
	}
	s, _, err := a.deps.Settings.LoadSettings(c.Request().Context())
	return s.TimeZone, err
}
