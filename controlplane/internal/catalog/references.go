package catalog

import (
	"cmp"
	"maps"
	"slices"
)

// references 列出提到 r 的地方，按对象的名字排序。允许列表里的名字不算：它是规则，不是引用。
func (c *Catalog) references(r Ref) []Finding {
	var found []Finding
	add := func(user Ref, field string) {
		found = append(found, Finding{Ref: user, Field: field, Message: "refers to " + string(r.Kind) + " \"" + r.Name + "\""})
	}
	for _, m := range c.Models {
		user := Ref{Kind: KindModel, Name: m.Name}
		for i, t := range m.Targets {
			if r.Kind == KindServer && t.Server == r.Name {
				add(user, index("targets", i)+".server")
			}
		}
		for i, f := range m.Fallbacks {
			if r.Kind == KindModel && f == r.Name && m.Name != r.Name {
				add(user, index("fallbacks", i))
			}
		}
	}
	for _, a := range c.Apps {
		if r.Kind == KindServer && a.DefaultServer == r.Name {
			add(Ref{Kind: KindApp, Name: a.Name}, "default_server")
		}
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Compare(a.Ref.path(), b.Ref.path()) })
	return found
}

// sorted 给出表里的对象，按名字升序：同样的内容总得同样的次序。
func sorted[T any](m map[string]T) []T {
	list := make([]T, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[name])
	}
	return list
}
