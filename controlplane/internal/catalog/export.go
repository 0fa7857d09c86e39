package catalog

import (
	"reflect"
	"time"
)

// sameSpec 比较两份规格；两边都已经 normalise，nil 与空不会混。
func sameSpec[T any](a, b T) bool { return reflect.DeepEqual(a, b) }

// Export 给出能放回去的文档：没有秘密，缺省值写明，按名字排序。它可以直接编成 JSON。
func (c *Catalog) Export() *Document {
	d := &Document{Servers: []ServerDoc{}, Models: []ModelDoc{}, Apps: []AppDoc{}}
	for _, s := range sorted(c.Servers) {
		d.Servers = append(d.Servers, ServerDoc{ServerSpec: s.public()})
	}
	for _, m := range sorted(c.Models) {
		d.Models = append(d.Models, ModelDoc{ModelSpec: m.ModelSpec})
	}
	keys := c.keysByApp()
	for _, a := range sorted(c.Apps) {
		list := make([]KeyDoc, 0, len(keys[a.Name]))
		for _, k := range keys[a.Name] {
			list = append(list, KeyDoc{Name: k.Name, ExpiresAt: timePointer(k.ExpiresAt)})
		}
		d.Apps = append(d.Apps, AppDoc{AppSpec: a.AppSpec, Keys: &list})
	}
	return d
}

// keysByApp 一次走完所有 key：逐个 app 去找会是平方的。
func (c *Catalog) keysByApp() map[string][]*Key {
	by := make(map[string][]*Key, len(c.Apps))
	for ref, k := range c.Keys {
		by[ref.App] = append(by[ref.App], k)
	}
	for _, keys := range by {
		sortKeys(keys)
	}
	return by
}

func timePointer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
