package adminapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
)

// ListServers 实现 GET /servers。
func (a *api) ListServers(c echo.Context) error {
	return list(a, c, (*catalog.Catalog).ServerViews)
}

// CreateServer 实现 POST /servers。
func (a *api) CreateServer(c echo.Context, p openapi.CreateServerParams) error {
	return a.createObject(c, catalog.KindServer, writing{Wait: p.Wait, Note: p.Note})
}

// GetServer 实现 GET /servers/{name}。
func (a *api) GetServer(c echo.Context, name string) error {
	return a.getObject(c, catalog.KindServer, name)
}

// PutServer 实现 PUT /servers/{name}。
func (a *api) PutServer(c echo.Context, name string, p openapi.PutServerParams) error {
	return a.putObject(c, catalog.KindServer, name, writing(p))
}

// DeleteServer 实现 DELETE /servers/{name}。
func (a *api) DeleteServer(c echo.Context, name string, p openapi.DeleteServerParams) error {
	return a.deleteObject(c, catalog.KindServer, name, writing(p))
}

// ListModels 实现 GET /models。
func (a *api) ListModels(c echo.Context) error {
	return list(a, c, (*catalog.Catalog).ModelViews)
}

// CreateModel 实现 POST /models。
func (a *api) CreateModel(c echo.Context, p openapi.CreateModelParams) error {
	return a.createObject(c, catalog.KindModel, writing{Wait: p.Wait, Note: p.Note})
}

// GetModel 实现 GET /models/{name}。
func (a *api) GetModel(c echo.Context, name string) error {
	return a.getObject(c, catalog.KindModel, name)
}

// PutModel 实现 PUT /models/{name}。
func (a *api) PutModel(c echo.Context, name string, p openapi.PutModelParams) error {
	return a.putObject(c, catalog.KindModel, name, writing(p))
}

// DeleteModel 实现 DELETE /models/{name}。
func (a *api) DeleteModel(c echo.Context, name string, p openapi.DeleteModelParams) error {
	return a.deleteObject(c, catalog.KindModel, name, writing(p))
}

// ListApps 实现 GET /apps。
func (a *api) ListApps(c echo.Context) error {
	return a.listApps(c)
}

// CreateApp 实现 POST /apps。
func (a *api) CreateApp(c echo.Context, p openapi.CreateAppParams) error {
	return a.createObject(c, catalog.KindApp, writing{Wait: p.Wait, Note: p.Note})
}

// GetApp 实现 GET /apps/{name}。
func (a *api) GetApp(c echo.Context, name string) error {
	return a.getObject(c, catalog.KindApp, name)
}

// PutApp 实现 PUT /apps/{name}。
func (a *api) PutApp(c echo.Context, name string, p openapi.PutAppParams) error {
	return a.putObject(c, catalog.KindApp, name, writing(p))
}

// DeleteApp 实现 DELETE /apps/{name}。
func (a *api) DeleteApp(c echo.Context, name string, p openapi.DeleteAppParams) error {
	return a.deleteObject(c, catalog.KindApp, name, writing(p))
}

func list[T any](a *api, c echo.Context, views func(*catalog.Catalog) []T) error {
	cat, err := a.load(c)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, views(cat))
}
