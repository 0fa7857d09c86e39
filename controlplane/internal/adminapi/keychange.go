package adminapi

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
)

// rotatedKey 是轮换的应答：新的一把，与它所替的。
type rotatedKey struct {
	writtenKey
	Replaces catalog.KeyView `json:"replaces"`
}

// PutKey 实现 PUT /apps/{name}/keys/{key}。
func (a *api) PutKey(c echo.Context, app, key string, p openapi.PutKeyParams) error {
	if err := only(c, "wait", "note"); err != nil {
		return err
	}
	body, err := a.readBody(c)
	if err != nil {
		return err
	}
	at, err := catalog.ParseKeyExpiry(body)
	if err != nil {
		return err
	}
	out, err := a.commit(c, change{
		object: "key " + app + "/" + key, note: p.Note, wait: p.Wait,
		mutate: func(cur *catalog.Catalog) (*catalog.Catalog, error) { return catalog.SetKeyExpiry(cur, app, key, at) },
	})
	if err != nil {
		return err
	}
	v, err := a.writtenView(c, out.Catalog, app, key)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, v)
}

// RotateKey 实现 POST /apps/{name}/keys/{key}/rotate。
func (a *api) RotateKey(c echo.Context, app, key string, p openapi.RotateKeyParams) error {
	if err := only(c, "wait", "note"); err != nil {
		return err
	}
	body, err := a.readBody(c)
	if err != nil {
		return err
	}
	rotation, err := catalog.ParseRotation(app, body)
	if err != nil {
		return err
	}
	var issued []catalog.IssuedKey
	out, err := a.commit(c, change{
		object: "key " + app + "/" + key, note: p.Note, wait: p.Wait, doc: rotation.Doc,
		mutate: func(cur *catalog.Catalog) (next *catalog.Catalog, err error) {
			next, issued, err = catalog.RotateKey(cur, app, key, rotation, a.deps.Mint)
			return next, err
		},
	})
	if err != nil {
		return err
	}
	return a.answerRotation(c, out, app, key, rotation.Name(), issued)
}

func (a *api) answerRotation(c echo.Context, out outcome, app, old, fresh string, issued []catalog.IssuedKey) error {
	replaced, err := a.writtenView(c, out.Catalog, app, old)
	if err != nil {
		return err
	}
	v, err := a.writtenView(c, out.Catalog, app, fresh)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, basePath+"/apps/"+url.PathEscape(app)+"/keys/"+url.PathEscape(fresh))
	return writeJSON(c, http.StatusCreated, rotatedKey{writtenKey: withSecret(v, issued), Replaces: replaced})
}
