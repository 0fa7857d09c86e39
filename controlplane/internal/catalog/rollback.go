package catalog

// Rollback 把 server、model、app 与限额恢复成 past 的样子。
//
// key 与凭证各有规矩：现在活着的 key 只要 app 还在就不动；past 里活着、后来只是随 app 脱落的 key 回来
// （名字已被占用的除外）；吊销过的永不回来；上游凭证保持现在的样子，脱落的随 server 一起回来。
func Rollback(cur, past *Catalog) *Catalog {
	e := newEditor(cur, Mint{})
	doomed := map[string][]*Key{}
	for ref, k := range cur.Keys {
		if past.Apps[ref.App] == nil {
			doomed[ref.App] = append(doomed[ref.App], k)
		}
	}
	for name := range cur.Apps {
		if past.Apps[name] == nil {
			e.dropApp(name, doomed[name])
		}
	}
	e.restoreObjects(past)
	for ref, then := range past.Keys {
		lost, ok := e.next.Detached[then.ID]
		if !ok || e.next.Keys[ref] != nil {
			continue
		}
		k := *lost
		k.App, k.Name, k.DetachedRevision = ref.App, ref.Name, 0
		delete(e.next.Detached, k.ID)
		e.next.Keys[ref] = &k
	}
	return e.next
}

func (e *editor) restoreObjects(past *Catalog) {
	clear(e.next.Servers)
	for name, s := range past.Servers {
		spec, now := s.ServerSpec, e.cur.Servers[name]
		if now != nil && sameProxy(now.ProxyURL, spec.ProxyURL) {
			spec.ProxyURL = now.ProxyURL // 代理的口令也是凭证：保持现在的
		}
		e.next.Servers[name] = &Server{ServerSpec: spec}
		if now != nil && sameSpec(now.ServerSpec, spec) {
			e.next.Servers[name] = now
		}
	}
	clear(e.next.Models)
	for name, m := range past.Models {
		e.next.Models[name] = &Model{ModelSpec: m.ModelSpec}
		if now := e.cur.Models[name]; now != nil && sameSpec(now.ModelSpec, m.ModelSpec) {
			e.next.Models[name] = now
		}
	}
	clear(e.next.Apps)
	for name, a := range past.Apps {
		e.next.Apps[name] = &App{AppSpec: a.AppSpec}
		if now := e.cur.Apps[name]; now != nil && sameSpec(now.AppSpec, a.AppSpec) {
			e.next.Apps[name] = now
		}
	}
}
