package catalog

import "time"

// ServerView 是 GET 一个 server 的样子；read-only 的几栏放回来时被忽略。
type ServerView struct {
	ServerSpec
	HasAPIKey  bool   `json:"has_api_key"`
	APIKeyHint string `json:"api_key_hint"`
	Version    uint64 `json:"version"`
}

// ModelView 是 GET 一个 model 的样子。
type ModelView struct {
	ModelSpec
	Version uint64 `json:"version"`
}

// AppView 是 GET 一个 app 的样子。
type AppView struct {
	AppSpec
	Keys    []KeyView `json:"keys"`
	Version uint64    `json:"version"`
}

// KeyView 是 GET 一把 key 的样子；secret 从不在其中。
type KeyView struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Hint      string     `json:"hint"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	// LastUsedAt 不属于配置：由知道用量的一方填上，nil 为没有用过。
	LastUsedAt *time.Time `json:"last_used_at"`
}

// ServerView 给出名为 name 的 server。
func (c *Catalog) ServerView(name string) (ServerView, bool) {
	s, ok := c.Servers[name]
	if !ok {
		return ServerView{}, false
	}
	v := ServerView{ServerSpec: s.public(), Version: s.Version}
	if cred, ok := c.Credentials[name]; ok {
		v.HasAPIKey, v.APIKeyHint = true, cred.Hint
	}
	return v, true
}

// ServerViews 按名字升序给出全部 server。
func (c *Catalog) ServerViews() []ServerView {
	list := make([]ServerView, 0, len(c.Servers))
	for _, s := range sorted(c.Servers) {
		v, _ := c.ServerView(s.Name)
		list = append(list, v)
	}
	return list
}

// ModelView 给出名为 name 的 model。
func (c *Catalog) ModelView(name string) (ModelView, bool) {
	m, ok := c.Models[name]
	if !ok {
		return ModelView{}, false
	}
	return ModelView{ModelSpec: m.ModelSpec, Version: m.Version}, true
}

// ModelViews 按名字升序给出全部 model。
func (c *Catalog) ModelViews() []ModelView {
	list := make([]ModelView, 0, len(c.Models))
	for _, m := range sorted(c.Models) {
		list = append(list, ModelView{ModelSpec: m.ModelSpec, Version: m.Version})
	}
	return list
}

// AppView 给出名为 name 的 app 与它活着的 key。
func (c *Catalog) AppView(name string) (AppView, bool) {
	a, ok := c.Apps[name]
	if !ok {
		return AppView{}, false
	}
	return appView(a, c.KeysOf(name)), true
}

// AppViews 按名字升序给出全部 app。
func (c *Catalog) AppViews() []AppView {
	list := make([]AppView, 0, len(c.Apps))
	keys := c.keysByApp()
	for _, a := range sorted(c.Apps) {
		list = append(list, appView(a, keys[a.Name]))
	}
	return list
}

// KeyView 给出一把 key。
func (c *Catalog) KeyView(app, name string) (KeyView, bool) {
	k, ok := c.Keys[KeyRef{App: app, Name: name}]
	if !ok {
		return KeyView{}, false
	}
	return k.view(), true
}

func appView(a *App, keys []*Key) AppView {
	v := AppView{AppSpec: a.AppSpec, Keys: make([]KeyView, 0, len(keys)), Version: a.Version}
	for _, k := range keys {
		v.Keys = append(v.Keys, k.view())
	}
	return v
}

func (k *Key) view() KeyView {
	return KeyView{ID: k.ID, Name: k.Name, Hint: k.Hint, CreatedAt: k.CreatedAt, ExpiresAt: timePointer(k.ExpiresAt)}
}
