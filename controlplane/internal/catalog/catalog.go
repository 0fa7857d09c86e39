package catalog

import (
	"maps"
	"time"
)

// Kind 是对象的种类。
type Kind string

const (
	KindServer     Kind = "server"
	KindModel      Kind = "model"
	KindApp        Kind = "app"
	KindKey        Kind = "key"
	KindCredential Kind = "credential"
)

// Catalog 是某一版的整个配置；零版（Revision 0）是空的。只读：各种改法都返回新的一份。
type Catalog struct {
	Revision uint64
	Servers  map[string]*Server
	Models   map[string]*Model
	Apps     map[string]*App
	// Keys 是活着的 key（含过期未删的）。
	Keys map[KeyRef]*Key
	// Detached 是随 app 一起消失、没有被吊销的 key，以 ID 为键：回滚或同一个 secret 能让它们回来。
	Detached map[string]*Key
	// Credentials 以 server 名为键；名字不在 Servers 里的是脱落的。
	Credentials map[string]*Credential
}

// Server 是 server 与它最近一次变化的版本号（即 ETag；凭证的变化也算）。
type Server struct {
	ServerSpec
	Version uint64
}

// Model 是 model 与它最近一次变化的版本号。
type Model struct {
	ModelSpec
	Version uint64
}

// App 是 app 与它最近一次变化的版本号（它的 key 的变化也算）。
type App struct {
	AppSpec
	Version uint64
}

// KeyRef 指认一个活着的 key：名字只在 app 里唯一。
type KeyRef struct{ App, Name string }

// String 写成 "app/name"。
func (r KeyRef) String() string { return r.App + "/" + r.Name }

// Key 是一把钥匙。secret 不在其中，只有它的 MAC。
type Key struct {
	ID   string // UUID 文本，一生不变
	App  string
	Name string
	MAC  [32]byte
	// Hint 是 secret 的末四个字符。
	Hint      string
	CreatedAt time.Time
	// ExpiresAt 为零值表示不过期；精度毫秒，UTC。
	ExpiresAt       time.Time
	CreatedRevision uint64
	// DetachedRevision 是随 app 消失的那一版；活着时为 0。
	DetachedRevision uint64
}

// Ref 给出 key 的指认。
func (k *Key) Ref() KeyRef { return KeyRef{App: k.App, Name: k.Name} }

// Credential 是一份上游凭证；换一次就是新的 ID。历史里的版本没有 Secret，只有 Hint。
type Credential struct {
	ID     string
	Secret Secret
	Hint   string
}

// New 给出空的一版，供新装的数据库与测试起步。
func New() *Catalog {
	return &Catalog{
		Servers: map[string]*Server{}, Models: map[string]*Model{}, Apps: map[string]*App{},
		Keys: map[KeyRef]*Key{}, Detached: map[string]*Key{}, Credentials: map[string]*Credential{},
	}
}

// clone 抄表不抄对象：之后只许换指针，不许改指针所指。
func (c *Catalog) clone() *Catalog {
	return &Catalog{
		Revision: c.Revision, Servers: maps.Clone(c.Servers), Models: maps.Clone(c.Models), Apps: maps.Clone(c.Apps),
		Keys: maps.Clone(c.Keys), Detached: maps.Clone(c.Detached), Credentials: maps.Clone(c.Credentials),
	}
}

// KeysOf 给出一个 app 活着的 key，按名字升序。
func (c *Catalog) KeysOf(app string) []*Key {
	var keys []*Key
	for ref, k := range c.Keys {
		if ref.App == app {
			keys = append(keys, k)
		}
	}
	sortKeys(keys)
	return keys
}
