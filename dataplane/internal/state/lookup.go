package state

import (
	"crypto/sha256"
	"iter"
	"maps"

	"github.com/vega-gateway/vega/proto/ruleset"
)

// Key 以客户端出示的秘密找钥匙。只认秘密：app 停用、钥匙过期由调用者判断。
// 查的是秘密的 HMAC，不知道 pepper 的人无从借响应时间试探。不分配。
func (s *State) Key(secret string) (*Key, bool) {
	if secret == "" || len(secret) > ruleset.MaxSecretLen {
		return nil, false
	}
	k, ok := s.keys[s.macs.sum(secret)]
	return k, ok
}

// MAC 是秘密在这一版 pepper 下的指纹，与 ruleset.KeyMAC 相同；日志里可以写它的前几个字节。
func (s *State) MAC(secret string) [sha256.Size]byte { return s.macs.sum(secret) }

// Model 以公开名找模型；查名不等于许可，许可看 App.Allows。
func (s *State) Model(name string) (*Model, bool) {
	m, ok := s.models[name]
	return m, ok
}

// App 以名字找 app。
func (s *State) App(name string) (*App, bool) {
	a, ok := s.apps[name]
	return a, ok
}

// Server 以名字找 server。
func (s *State) Server(name string) (*Server, bool) {
	v, ok := s.servers[name]
	return v, ok
}

// Servers 逐个给出所有 server，次序不定。
func (s *State) Servers() iter.Seq[*Server] { return maps.Values(s.servers) }

// Apps 逐个给出所有 app，次序不定。
func (s *State) Apps() iter.Seq[*App] { return maps.Values(s.apps) }

// ModelNames 是全部公开模型名，升序；调用者不得改它。
func (s *State) ModelNames() []string { return s.names }

// Allows 说这个 app 可不可以用名为 model 的模型；不分配。
func (a *App) Allows(model string) bool { return a.allow.Allows(model) }

// WithRevision 返回内容相同、版本号不同的一版：控制面说“内容没变”时用。
func (s *State) WithRevision(rev uint64) *State {
	c := *s
	c.Revision = rev
	return &c
}
