package adminapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
)

func pending(c echo.Context) error { return c.NoContent(http.StatusNotImplemented) }

// PutKey 实现 PUT /apps/{name}/keys/{key}。
func (a *api) PutKey(c echo.Context, _, _ string, _ openapi.PutKeyParams) error { return pending(c) }

// RotateKey 实现 POST /apps/{name}/keys/{key}/rotate。
func (a *api) RotateKey(c echo.Context, _, _ string, _ openapi.RotateKeyParams) error {
	return pending(c)
}
