package catalog

import (
	"cmp"
	"slices"
)

// Delta 是两版之间要落到存储里的差别；只含变了的行。各列表按种类与名字排序。
type Delta struct {
	// Put 是新的与变了的规格。
	Put []ObjectSpec
	// Drop 是没有了的对象。
	Drop []Ref
	// Touch 是规格没变、但凭证或 key 变了的对象：只换版本号。
	Touch []Ref
	// KeysPut 是新的、改了期限的、以及回来的 key。
	KeysPut []*Key
	// KeysDetached 与 KeysRevoked 是没有了的 key：前者随 app 脱落，后者永远死了。
	KeysDetached, KeysRevoked []*Key
	CredentialsPut            []CredentialOf
	CredentialsDropped        []string
}

// ObjectSpec 是一个对象的规格，Spec 是 *ServerSpec、*ModelSpec 或 *AppSpec。
type ObjectSpec struct {
	Ref  Ref
	Spec any
}

// CredentialOf 是某个 server 的凭证。
type CredentialOf struct {
	Server string
	*Credential
}

// Compare 给出从 a 到 b 的差别。共用指针的对象不再细看，因此代价取决于变了多少。
func Compare(a, b *Catalog) Delta {
	var d Delta
	compareObjects(&d, KindServer, a.Servers, b.Servers, func(s *Server) *ServerSpec { return &s.ServerSpec })
	compareObjects(&d, KindModel, a.Models, b.Models, func(m *Model) *ModelSpec { return &m.ModelSpec })
	compareObjects(&d, KindApp, a.Apps, b.Apps, func(x *App) *AppSpec { return &x.AppSpec })
	d.compareKeys(a, b)
	d.compareCredentials(a, b)
	d.touch(b)
	return d
}

// Empty 说两版没有差别。
func (d *Delta) Empty() bool {
	return len(d.Put)+len(d.Drop)+len(d.KeysPut)+len(d.KeysDetached)+len(d.KeysRevoked)+
		len(d.CredentialsPut)+len(d.CredentialsDropped) == 0
}

func compareObjects[T any, S any](d *Delta, kind Kind, a, b map[string]*T, spec func(*T) *S) {
	for _, name := range changedNames(a, b) {
		was, is := a[name], b[name]
		ref := Ref{Kind: kind, Name: name}
		switch {
		case is == nil:
			d.Drop = append(d.Drop, ref)
		case was == nil || !sameSpec(spec(was), spec(is)):
			d.Put = append(d.Put, ObjectSpec{Ref: ref, Spec: spec(is)})
		}
	}
}

// changedNames 给出两张表里指针不同的名字，升序。
func changedNames[T any](a, b map[string]*T) []string {
	var names []string
	for name, was := range a {
		if b[name] != was {
			names = append(names, name)
		}
	}
	for name := range b {
		if a[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (d *Delta) compareKeys(a, b *Catalog) {
	alive := map[string]bool{} // 变了的 key 里，仍然活着的 ID
	for ref, k := range b.Keys {
		if was := a.Keys[ref]; was == nil || was != k && *was != *k {
			alive[k.ID] = true
			d.KeysPut = append(d.KeysPut, k)
		}
	}
	for ref, was := range a.Keys {
		if is := b.Keys[ref]; is != nil && is.ID == was.ID || alive[was.ID] {
			continue
		}
		if b.Detached[was.ID] != nil {
			d.KeysDetached = append(d.KeysDetached, was)
		} else {
			d.KeysRevoked = append(d.KeysRevoked, was)
		}
	}
	sortKeys(d.KeysPut)
	sortKeys(d.KeysDetached)
	sortKeys(d.KeysRevoked)
}

func (d *Delta) compareCredentials(a, b *Catalog) {
	for server, is := range b.Credentials {
		if was := a.Credentials[server]; was == nil || was.ID != is.ID {
			d.CredentialsPut = append(d.CredentialsPut, CredentialOf{Server: server, Credential: is})
		}
	}
	for server := range a.Credentials {
		if b.Credentials[server] == nil {
			d.CredentialsDropped = append(d.CredentialsDropped, server)
		}
	}
	slices.SortFunc(d.CredentialsPut, func(x, y CredentialOf) int { return cmp.Compare(x.Server, y.Server) })
	slices.Sort(d.CredentialsDropped)
}

// touch 找出因凭证或 key 而换版本、自己的规格却没变的对象。
func (d *Delta) touch(b *Catalog) {
	seen := map[Ref]bool{}
	for _, o := range d.Put {
		seen[o.Ref] = true
	}
	mark := func(r Ref) {
		if _, exists := b.version(r); exists && !seen[r] {
			seen[r] = true
			d.Touch = append(d.Touch, r)
		}
	}
	for _, c := range d.CredentialsPut {
		mark(Ref{Kind: KindServer, Name: c.Server})
	}
	for _, s := range d.CredentialsDropped {
		mark(Ref{Kind: KindServer, Name: s})
	}
	for _, keys := range [][]*Key{d.KeysPut, d.KeysDetached, d.KeysRevoked} {
		for _, k := range keys {
			mark(Ref{Kind: KindApp, Name: k.App})
		}
	}
}

// Stamp 给出写成 revision 之后的 next：变了的对象得到新的版本号，新的 key 记下生于哪一版。
func Stamp(next *Catalog, d Delta, revision uint64) *Catalog {
	c := next.clone()
	c.Revision = revision
	for _, o := range d.Put {
		c.setVersion(o.Ref, revision)
	}
	for _, r := range d.Touch {
		c.setVersion(r, revision)
	}
	for _, k := range d.KeysPut {
		if k.CreatedRevision == 0 {
			born := *k
			born.CreatedRevision = revision
			c.Keys[k.Ref()] = &born
		}
	}
	for _, k := range d.KeysDetached {
		lost := *k
		lost.DetachedRevision = revision
		c.Detached[k.ID] = &lost
	}
	return c
}

func (c *Catalog) setVersion(r Ref, v uint64) {
	switch r.Kind {
	case KindServer:
		c.Servers[r.Name] = &Server{ServerSpec: c.Servers[r.Name].ServerSpec, Version: v}
	case KindModel:
		c.Models[r.Name] = &Model{ModelSpec: c.Models[r.Name].ModelSpec, Version: v}
	case KindApp:
		c.Apps[r.Name] = &App{AppSpec: c.Apps[r.Name].AppSpec, Version: v}
	}
}
