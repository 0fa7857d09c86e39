package adminapi

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// writing 是单个对象的写共有的参数。
type writing struct {
	Wait    *bool
	Note    *string
	IfMatch *string
}

// view 给出对象的样子与版本。
func view(cat *catalog.Catalog, kind catalog.Kind, name string) (v any, version uint64, err error) {
	var ok bool
	switch kind {
	case catalog.KindServer:
		var s catalog.ServerView
		s, ok = cat.ServerView(name)
		v, version = s, s.Version
	case catalog.KindModel:
		var m catalog.ModelView
		m, ok = cat.ModelView(name)
		v, version = m, m.Version
	case catalog.KindApp:
		var x catalog.AppView
		x, ok = cat.AppView(name)
		v, version = x, x.Version
	}
	if !ok {
		return nil, 0, vegaerr.New(vegaerr.NotFound, "", "%s %q does not exist", kind, name)
	}
	return v, version, nil
}

func (a *api) getObject(c echo.Context, kind catalog.Kind, name string) error {
	cat, err := a.load(c)
	if err != nil {
		return err
	}
	v, version, err := view(cat, kind, name)
	if err != nil {
		return err
	}
	if app, ok := v.(catalog.AppView); ok {
		if err := a.fillUse(c, app.Keys); err != nil {
			return err
		}
	}
	setETag(c, version)
	return writeJSON(c, http.StatusOK, v)
}

func (a *api) createObject(c echo.Context, kind catalog.Kind, w writing) error {
	doc, err := a.readObject(c, kind, "", w)
	if err != nil {
		return err
	}
	name := nameIn(doc)
	var issued []catalog.IssuedKey
	out, err := a.commit(c, change{
		object: string(kind) + " " + name, note: w.Note, wait: w.Wait, doc: doc,
		mutate: func(cur *catalog.Catalog) (next *catalog.Catalog, err error) {
			next, issued, err = catalog.Create(cur, doc, a.deps.Mint)
			return next, err
		},
	})
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, basePath+"/"+string(kind)+"s/"+url.PathEscape(name))
	return a.answerObject(c, http.StatusCreated, out, kind, name, issued)
}

// putObject 只替换：写错的名字得到 404，而不是一个多出来的对象。
func (a *api) putObject(c echo.Context, kind catalog.Kind, name string, w writing) error {
	doc, err := a.readObject(c, kind, name, w)
	if err != nil {
		return err
	}
	match := ifMatch(w.IfMatch)
	var issued []catalog.IssuedKey
	out, err := a.commit(c, change{
		object: string(kind) + " " + name, note: w.Note, wait: w.Wait, doc: doc,
		mutate: func(cur *catalog.Catalog) (next *catalog.Catalog, err error) {
			if err := expectVersion(cur, kind, name, match); err != nil {
				return nil, err
			}
			next, issued, err = catalog.Replace(cur, name, doc, 0, a.deps.Mint)
			return next, err
		},
	})
	if err != nil {
		return err
	}
	return a.answerObject(c, http.StatusOK, out, kind, name, issued)
}

func (a *api) deleteObject(c echo.Context, kind catalog.Kind, name string, w writing) error {
	if err := only(c, "wait", "note"); err != nil {
		return err
	}
	match := ifMatch(w.IfMatch)
	_, err := a.commit(c, change{
		object: string(kind) + " " + name, note: w.Note, wait: w.Wait,
		mutate: func(cur *catalog.Catalog) (*catalog.Catalog, error) {
			if err := expectVersion(cur, kind, name, match); err != nil {
				return nil, err
			}
			return catalog.Delete(cur, kind, name, 0)
		},
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// expectVersion 自己核对而不交给目录：版本 0 在那里表示不核对。
func expectVersion(cur *catalog.Catalog, kind catalog.Kind, name string, match condition) error {
	_, version, err := view(cur, kind, name)
	if err != nil {
		return err
	}
	return match.check(version)
}

func (a *api) readObject(c echo.Context, kind catalog.Kind, name string, w writing) (*catalog.Document, error) {
	if err := only(c, "wait", "note"); err != nil {
		return nil, err
	}
	body, err := a.readBody(c)
	if err != nil {
		return nil, err
	}
	return catalog.ParseObject(kind, name, body)
}

// nameIn 是单个对象的文档里那个对象的名字。
func nameIn(d *catalog.Document) string {
	switch {
	case len(d.Servers) > 0:
		return d.Servers[0].Name
	case len(d.Models) > 0:
		return d.Models[0].Name
	}
	return d.Apps[0].Name
}

func (a *api) answerObject(c echo.Context, code int, out outcome, kind catalog.Kind, name string, issued []catalog.IssuedKey) error {
	v, version, err := view(out.Catalog, kind, name)
	if err != nil {
		return vegaerr.Wrap(err, vegaerr.Internal, "", "internal error")
	}
	if app, ok := v.(catalog.AppView); ok {
		a.fillWritten(c, app.Keys)
		v = withSecrets(app, issued)
	}
	setETag(c, version)
	return writeJSON(c, code, v)
}
