package catalog

import (
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// CreateKey 给 app 加一把 key（文档由 ParseKey 得来）。错误：NotFound（没有这个 app）、Conflict（同名、或 secret 不可用）。
func CreateKey(cur *Catalog, d *Document, m Mint) (*Catalog, []IssuedKey, error) {
	app := d.root.Name
	if cur.Apps[app] == nil {
		return nil, nil, vegaerr.New(vegaerr.NotFound, "", "app %q does not exist", app)
	}
	if cur.Keys[KeyRef{App: app, Name: d.root.Key}] != nil {
		return nil, nil, vegaerr.New(vegaerr.Conflict, "", "app %q already has a key named %q", app, d.root.Key)
	}
	e := newEditor(cur, m)
	e.putKey(app, (*d.Apps[0].Keys)[0])
	return e.done()
}

// DeleteKey 吊销一把 key；它的 secret 从此在这个安装里不能再用。
func DeleteKey(cur *Catalog, app, name string) (*Catalog, error) {
	k, err := cur.key(app, name)
	if err != nil {
		return nil, err
	}
	e := newEditor(cur, Mint{})
	e.revoke(k)
	return e.next, nil
}
