package adminapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
)

func pending(c echo.Context) error { return c.NoContent(http.StatusNotImplemented) }

// GetAbout 实现 GET /about。
func (a *api) GetAbout(c echo.Context) error { return pending(c) }

// GetOverview 实现 GET /overview。
func (a *api) GetOverview(c echo.Context) error { return pending(c) }

// StreamEvents 实现 GET /events。
func (a *api) StreamEvents(c echo.Context, _ openapi.StreamEventsParams) error { return pending(c) }

// Explain 实现 GET /explain。
func (a *api) Explain(c echo.Context, _ openapi.ExplainParams) error { return pending(c) }
