package catalog

import (
	"crypto/subtle"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// editor 是一次改法的工作台：next 在它手里还可写，交出去之后就只读了。
type editor struct {
	cur, next *Catalog
	mint      Mint
	issued    []IssuedKey
	// live 与 detached 以 MAC 查 key；revoked 是这一次改法里刚吊销的。
	live, detached map[[32]byte]*Key
	revoked        map[[32]byte]bool
	// conflicts 是与现状的冲突，边走边攒，一次列全。
	conflicts []Finding
}

func newEditor(cur *Catalog, mint Mint) *editor {
	e := &editor{
		cur: cur, next: cur.clone(), mint: mint, revoked: map[[32]byte]bool{},
		live: make(map[[32]byte]*Key, len(cur.Keys)), detached: make(map[[32]byte]*Key, len(cur.Detached)),
	}
	for _, k := range cur.Keys {
		e.live[k.MAC] = k
	}
	for _, k := range cur.Detached {
		e.detached[k.MAC] = k
	}
	return e
}

func (e *editor) done() (*Catalog, []IssuedKey, error) {
	if len(e.conflicts) > 0 {
		return nil, nil, Reject(vegaerr.Conflict, "", "the change conflicts with the current configuration", e.conflicts)
	}
	return e.next, e.issued, nil
}

func (e *editor) putServer(d ServerDoc) {
	old, exists := e.next.Servers[d.Name]
	d.normalise()
	if !exists {
		// 同名的旧 server 留下的凭证不归这个新来的：只有回滚能认领它。
		delete(e.next.Credentials, d.Name)
	}
	if hidesPassword(d.ProxyURL) {
		if !exists || !sameProxy(old.ProxyURL, d.ProxyURL) {
			e.conflicts = append(e.conflicts, Finding{Ref: Ref{Kind: KindServer, Name: d.Name}, Field: "proxy_url",
				Message: "the password " + hiddenPassword + " stands for a stored one, and none is stored for this proxy and user; write the password"})
			return
		}
		d.ProxyURL = old.ProxyURL
	}
	if !exists || !sameSpec(old.ServerSpec, d.ServerSpec) {
		e.next.Servers[d.Name] = &Server{ServerSpec: d.ServerSpec}
	}
	if d.APIKey != nil {
		e.setCredential(d.Name, *d.APIKey)
	}
}

func (e *editor) setCredential(server string, secret Secret) {
	if secret.Empty() {
		delete(e.next.Credentials, server)
		return
	}
	if old, ok := e.next.Credentials[server]; ok && sameSecret(old.Secret, secret) {
		return
	}
	e.next.Credentials[server] = &Credential{ID: e.mint.newID(), Secret: secret, Hint: hintOf(secret.Reveal())}
}

func sameSecret(a, b Secret) bool {
	return subtle.ConstantTimeCompare([]byte(a.text), []byte(b.text)) == 1
}

func (e *editor) putModel(d ModelDoc) {
	d.normalise()
	if old, ok := e.next.Models[d.Name]; !ok || !sameSpec(old.ModelSpec, d.ModelSpec) {
		e.next.Models[d.Name] = &Model{ModelSpec: d.ModelSpec}
	}
}

// putApp 写下 app 与文档列出的 key；没有列出的 key 不动（prune 另行处理）。
func (e *editor) putApp(d AppDoc) {
	d.normalise()
	if old, ok := e.next.Apps[d.Name]; !ok || !sameSpec(old.AppSpec, d.AppSpec) {
		e.next.Apps[d.Name] = &App{AppSpec: d.AppSpec}
	}
	if d.Keys == nil {
		return
	}
	for _, k := range *d.Keys {
		e.putKey(d.Name, k)
	}
}

func (e *editor) putKey(app string, d KeyDoc) {
	ref := KeyRef{App: app, Name: d.Name}
	old := e.next.Keys[ref]
	if d.Secret == nil && old == nil {
		secret := e.mint.newSecret()
		e.issued = append(e.issued, IssuedKey{App: app, Name: d.Name, Secret: NewSecret(secret)})
		e.addKey(ref, secret, d)
		return
	}
	if d.Secret == nil || e.mint.MAC(d.Secret.Reveal()) == old.macOrZero() {
		e.setExpiry(old, expiryOf(d))
		return
	}
	secret := d.Secret.Reveal()
	if message := e.refusal(e.mint.MAC(secret)); message != "" {
		e.conflicts = append(e.conflicts, Finding{Ref: Ref{Kind: KindKey, Name: app, Key: d.Name}, Field: "secret", Message: message})
		return
	}
	if old != nil {
		e.revoke(old)
	}
	e.addKey(ref, secret, d)
}

func (e *editor) refusal(mac [32]byte) string {
	if holder, ok := e.live[mac]; ok {
		return "is already the secret of key " + holder.Ref().String() + "; every key needs its own"
	}
	if e.revoked[mac] {
		return MessageRevokedSecret
	}
	return ""
}

// MessageRevokedSecret 是用了被吊销的 secret 时的说法；存储查到更早的吊销时也这样说。
const MessageRevokedSecret = "belonged to a revoked key and can never be used again; choose another secret or leave it out to have one generated"

// addKey 造一把新的；secret 若属于一把脱落的，就认领那一行。
func (e *editor) addKey(ref KeyRef, secret string, d KeyDoc) {
	mac := e.mint.MAC(secret)
	k := &Key{ID: e.mint.newID(), MAC: mac, Hint: hintOf(secret), CreatedAt: e.mint.now()}
	if lost, ok := e.detached[mac]; ok {
		adopted := *lost
		k = &adopted
		delete(e.detached, mac)
		delete(e.next.Detached, lost.ID)
	}
	k.App, k.Name, k.ExpiresAt, k.DetachedRevision = ref.App, ref.Name, expiryOf(d), 0
	e.next.Keys[ref], e.live[mac] = k, k
}

func (e *editor) setExpiry(old *Key, at time.Time) {
	if old.ExpiresAt.Equal(at) {
		return
	}
	k := *old
	k.ExpiresAt = at
	e.next.Keys[k.Ref()], e.live[k.MAC] = &k, &k
}

func (e *editor) revoke(k *Key) {
	delete(e.next.Keys, k.Ref())
	delete(e.live, k.MAC)
	e.revoked[k.MAC] = true
}

// dropApp 删掉 app；它的 key 脱落而不是吊销。
func (e *editor) dropApp(name string, keys []*Key) {
	delete(e.next.Apps, name)
	for _, k := range keys {
		delete(e.next.Keys, k.Ref())
		delete(e.live, k.MAC)
		e.next.Detached[k.ID], e.detached[k.MAC] = k, k
	}
}

func (k *Key) macOrZero() [32]byte {
	if k == nil {
		return [32]byte{}
	}
	return k.MAC
}

func expiryOf(d KeyDoc) time.Time {
	if d.ExpiresAt == nil {
		return time.Time{}
	}
	return d.ExpiresAt.UTC().Truncate(time.Millisecond)
}
