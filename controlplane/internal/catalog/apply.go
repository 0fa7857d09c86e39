package catalog

import (
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// ApplyOptions 的零值是：不 prune，不核对版本。
type ApplyOptions struct {
	// Prune 删掉文档没有提到的对象；app 的 key 只在写了 keys 列表时才删。
	Prune bool
	// IfRevision 不为 0 时，现在的版本必须等于它，否则 PreconditionFailed。
	IfRevision uint64
}

// Apply 把整份文档应用到 cur 上，给出下一版与新生成的 secret。提到的对象整个替换；没有变化时返回的内容与 cur 相同。
// 错误：PreconditionFailed；Conflict（secret 已被占用或属于被吊销的 key），逐处列出。
// 引用与范围由存储在提交前检查。
func Apply(cur *Catalog, d *Document, o ApplyOptions, m Mint) (*Catalog, []IssuedKey, error) {
	if err := expect(cur.Revision, o.IfRevision); err != nil {
		return nil, nil, err
	}
	e := newEditor(cur, m)
	if o.Prune {
		e.prune(d) // 先删后写：搬到新 app 下的固定 secret 才能认领刚脱落的那一行
	}
	for _, s := range d.Servers {
		e.putServer(s)
	}
	for _, mo := range d.Models {
		e.putModel(mo)
	}
	for _, a := range d.Apps {
		e.putApp(a)
	}
	return e.done()
}

func (e *editor) prune(d *Document) {
	servers, models := map[string]bool{}, map[string]bool{}
	for _, s := range d.Servers {
		servers[s.Name] = true
	}
	for _, m := range d.Models {
		models[m.Name] = true
	}
	for name := range e.cur.Servers {
		if !servers[name] {
			delete(e.next.Servers, name)
		}
	}
	for name := range e.cur.Models {
		if !models[name] {
			delete(e.next.Models, name)
		}
	}
	e.pruneApps(d)
}

func (e *editor) pruneApps(d *Document) {
	apps := map[string]bool{}     // 提到的 app
	listed := map[string]bool{}   // 写了 keys 列表的 app
	wanted := map[KeyRef]bool{}   // 列出的 key
	doomed := map[string][]*Key{} // 要删的 app 的 key
	for _, a := range d.Apps {
		apps[a.Name] = true
		if a.Keys == nil {
			continue
		}
		listed[a.Name] = true
		for _, k := range *a.Keys {
			wanted[KeyRef{App: a.Name, Name: k.Name}] = true
		}
	}
	for ref, k := range e.cur.Keys {
		switch {
		case !apps[ref.App]:
			doomed[ref.App] = append(doomed[ref.App], k)
		case listed[ref.App] && !wanted[ref]:
			e.revoke(k)
		}
	}
	for name := range e.cur.Apps {
		if !apps[name] {
			e.dropApp(name, doomed[name])
		}
	}
}

func expect(have, want uint64) error {
	if want != 0 && have != want {
		return vegaerr.New(vegaerr.PreconditionFailed, "",
			"the version is %d, not the %d that If-Match names; read it again and repeat the change", have, want)
	}
	return nil
}
