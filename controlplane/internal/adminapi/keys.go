package adminapi

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi/openapi"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// writtenKey 在服务端刚生成明文的那一次带着它。
type writtenKey struct {
	catalog.KeyView
	Secret string `json:"secret,omitempty"`
}

// writtenApp 以同名的一栏盖住 AppView 的 keys。
type writtenApp struct {
	catalog.AppView
	Keys []writtenKey `json:"keys"`
}

func withSecrets(v catalog.AppView, issued []catalog.IssuedKey) writtenApp {
	secrets := make(map[string]string, len(issued))
	for _, k := range issued {
		secrets[k.Name] = k.Secret.Reveal()
	}
	w := writtenApp{AppView: v, Keys: make([]writtenKey, 0, len(v.Keys))}
	for _, k := range v.Keys {
		w.Keys = append(w.Keys, writtenKey{KeyView: k, Secret: secrets[k.Name]})
	}
	return w
}

func withSecret(v catalog.KeyView, issued []catalog.IssuedKey) writtenKey {
	w := writtenKey{KeyView: v}
	if len(issued) > 0 {
		w.Secret = issued[0].Secret.Reveal()
	}
	return w
}

// ListKeys 实现 GET /apps/{name}/keys。
func (a *api) ListKeys(c echo.Context, app string) error {
	cat, err := a.load(c)
	if err != nil {
		return err
	}
	v, ok := cat.AppView(app)
	if !ok {
		return vegaerr.New(vegaerr.NotFound, "", "app %q does not exist", app)
	}
	if err := a.fillUse(c, v.Keys); err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, v.Keys)
}

// CreateKey 实现 POST /apps/{name}/keys。
func (a *api) CreateKey(c echo.Context, app string, p openapi.CreateKeyParams) error {
	if err := only(c, "wait", "note"); err != nil {
		return err
	}
	body, err := a.readBody(c)
	if err != nil {
		return err
	}
	doc, err := catalog.ParseKey(app, body)
	if err != nil {
		return err
	}
	name := (*doc.Apps[0].Keys)[0].Name
	var issued []catalog.IssuedKey
	out, err := a.commit(c, change{
		object: "key " + app + "/" + name, note: p.Note, wait: p.Wait, doc: doc,
		mutate: func(cur *catalog.Catalog) (next *catalog.Catalog, err error) {
			next, issued, err = catalog.CreateKey(cur, doc, a.deps.Mint)
			return next, err
		},
	})
	if err != nil {
		return err
	}
	v, err := a.writtenView(c, out.Catalog, app, name)
	if err != nil {
		return err
	}
	w := withSecret(v, issued)
	c.Response().Header().Set(echo.HeaderLocation, basePath+"/apps/"+url.PathEscape(app)+"/keys/"+url.PathEscape(name))
	return writeJSON(c, http.StatusCreated, w)
}

// DeleteKey 实现 DELETE /apps/{name}/keys/{key}。
func (a *api) DeleteKey(c echo.Context, app, key string, p openapi.DeleteKeyParams) error {
	if err := only(c, "wait", "note"); err != nil {
		return err
	}
	_, err := a.commit(c, change{
		object: "key " + app + "/" + key, note: p.Note, wait: p.Wait,
		mutate: func(cur *catalog.Catalog) (*catalog.Catalog, error) { return catalog.DeleteKey(cur, app, key) },
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
