package catalog

import (
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Create 加入单个对象（由 ParseObject 得来）。已有同名的是 Conflict。
func Create(cur *Catalog, d *Document, m Mint) (*Catalog, []IssuedKey, error) {
	if _, ok := cur.version(d.root); ok {
		return nil, nil, vegaerr.New(vegaerr.Conflict, "", "%s %q already exists", d.root.Kind, d.root.Name)
	}
	return Apply(cur, d, ApplyOptions{}, m)
}

// Replace 整个替换名为 name 的对象；文档里的名字可以省去，不同就是改名，会被拒绝（用量以名字为键）。
// ifVersion 不为 0 时须等于对象的版本。错误：Invalid（改名）、NotFound、PreconditionFailed、Conflict。
func Replace(cur *Catalog, name string, d *Document, ifVersion uint64, m Mint) (*Catalog, []IssuedKey, error) {
	if d.root.Name != name {
		return nil, nil, vegaerr.New(vegaerr.Invalid, "", "a %s cannot be renamed", d.root.Kind).WithProblems([]vegaerr.Problem{{
			Path: "name", Message: "must be \"" + name + "\": usage is keyed by name; create a new " + string(d.root.Kind) + " instead"}})
	}
	if err := cur.expectObject(d.root, ifVersion); err != nil {
		return nil, nil, err
	}
	return Apply(cur, d, ApplyOptions{}, m)
}

// Delete 删掉一个 server、model 或 app。还被引用的是 Conflict，Problems 逐处列出引用者；app 的 key 随它脱落。
func Delete(cur *Catalog, kind Kind, name string, ifVersion uint64) (*Catalog, error) {
	ref := Ref{Kind: kind, Name: name}
	if err := cur.expectObject(ref, ifVersion); err != nil {
		return nil, err
	}
	if users := cur.references(ref); len(users) > 0 {
		return nil, Reject(vegaerr.Conflict, "", string(kind)+" \""+name+"\" is still in use; change what refers to it first", users)
	}
	e := newEditor(cur, Mint{})
	switch kind {
	case KindServer:
		delete(e.next.Servers, name) // 凭证留着，脱落
	case KindModel:
		delete(e.next.Models, name)
	case KindApp:
		e.dropApp(name, cur.KeysOf(name))
	}
	return e.next, nil
}

// version 给出对象的版本号；种类或名字不存在时 ok 为假。
func (c *Catalog) version(r Ref) (version uint64, ok bool) {
	switch r.Kind {
	case KindServer:
		if s := c.Servers[r.Name]; s != nil {
			return s.Version, true
		}
	case KindModel:
		if m := c.Models[r.Name]; m != nil {
			return m.Version, true
		}
	case KindApp:
		if a := c.Apps[r.Name]; a != nil {
			return a.Version, true
		}
	case KindKey:
		if k := c.Keys[KeyRef{App: r.Name, Name: r.Key}]; k != nil {
			return k.CreatedRevision, true
		}
	}
	return 0, false
}

func (c *Catalog) expectObject(r Ref, ifVersion uint64) error {
	have, ok := c.version(r)
	if !ok {
		return vegaerr.New(vegaerr.NotFound, "", "%s %q does not exist", r.Kind, r.Name)
	}
	return expect(have, ifVersion)
}
