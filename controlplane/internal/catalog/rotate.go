package catalog

import (
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	defaultOverlap = 24 * time.Hour
	maxOverlap     = 365 * 24 * time.Hour
)

// Rotation 是读好的一次轮换。
type Rotation struct {
	// Doc 里只有新的那一把 key。
	Doc *Document
	// Overlap 是旧的还能用多久。
	Overlap time.Duration
}

// Name 是新 key 的名字。
func (r Rotation) Name() string { return r.Doc.root.Key }

// rotationDoc 是输入里的一次轮换。
type rotationDoc struct {
	KeyDoc
	OverlapSeconds int64 `json:"overlap_seconds"`
}

func (r *rotationDoc) setDefaults() { r.OverlapSeconds = int64(defaultOverlap / time.Second) }

// keyUpdate 是输入里对一把已有的 key 的改动。
type keyUpdate struct {
	ExpiresAt *time.Time `json:"expires_at"`
	// written 说写了这一栏，哪怕写的是 null。
	written bool
}

func (u *keyUpdate) settle(n *node) { u.written = n.get("expires_at") != nil }

// ParseRotation 读 app 的一次轮换。错误同 Parse。
func ParseRotation(app string, data []byte) (Rotation, error) {
	dec := newDecoder()
	var in rotationDoc
	if tree := readTree(data, &dec.problems); tree != nil && dec.is(tree, objectNode, "") {
		dec.into(tree, "", &in)
		in.check("", &dec.problems)
		if most := int64(maxOverlap / time.Second); in.OverlapSeconds < 0 || in.OverlapSeconds > most {
			dec.add("overlap_seconds", "must be between 0 and %d", most)
		}
	}
	if err := dec.err(); err != nil {
		return Rotation{}, err
	}
	doc := &Document{
		Apps: []AppDoc{{AppSpec: AppSpec{Name: app}, Keys: &[]KeyDoc{in.KeyDoc}}},
		root: Ref{Kind: KindKey, Name: app, Key: in.Name},
	}
	return Rotation{Doc: doc, Overlap: time.Duration(in.OverlapSeconds) * time.Second}, nil
}

// ParseKeyExpiry 读一把 key 的新期限；零值为不过期。没写 expires_at 是错误：漏写一栏不该让一把 key 从此不过期。
func ParseKeyExpiry(data []byte) (time.Time, error) {
	dec := newDecoder()
	var in keyUpdate
	if tree := readTree(data, &dec.problems); tree != nil && dec.is(tree, objectNode, "") {
		dec.into(tree, "", &in)
		if !in.written {
			dec.add("expires_at", "is required; null means that the key does not expire")
		}
	}
	if err := dec.err(); err != nil {
		return time.Time{}, err
	}
	return expiryOf(KeyDoc{ExpiresAt: in.ExpiresAt}), nil
}

// SetKeyExpiry 改一把 key 的期限；at 为零值即不过期。错误：NotFound。
func SetKeyExpiry(cur *Catalog, app, name string, at time.Time) (*Catalog, error) {
	k, err := cur.key(app, name)
	if err != nil {
		return nil, err
	}
	e := newEditor(cur, Mint{})
	e.setExpiry(k, at)
	return e.next, nil
}

// RotateKey 加一把新的 key，并让名为 old 的至多再活 r.Overlap；旧的本来更早过期就不动。
// 错误：NotFound（没有这个 app 或这把 key）、Conflict（旧的已经过期、新名字已有、或 secret 不可用）。
func RotateKey(cur *Catalog, app, old string, r Rotation, m Mint) (*Catalog, []IssuedKey, error) {
	k, err := cur.key(app, old)
	if err != nil {
		return nil, nil, err
	}
	now := m.now()
	if !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now) {
		return nil, nil, vegaerr.New(vegaerr.Conflict, "", "key %q of app %q expired at %s, so there is nothing to overlap with; create a new key instead",
			old, app, k.ExpiresAt.Format(time.RFC3339))
	}
	if cur.Keys[KeyRef{App: app, Name: r.Name()}] != nil {
		return nil, nil, vegaerr.New(vegaerr.Conflict, "", "app %q already has a key named %q; the new key needs a name of its own", app, r.Name())
	}
	e := newEditor(cur, m)
	e.putKey(app, (*r.Doc.Apps[0].Keys)[0])
	if end := now.Add(r.Overlap).Truncate(time.Millisecond); k.ExpiresAt.IsZero() || end.Before(k.ExpiresAt) {
		e.setExpiry(k, end)
	}
	return e.done()
}

// key 找一把活着的 key；错误：NotFound。
func (c *Catalog) key(app, name string) (*Key, error) {
	if c.Apps[app] == nil {
		return nil, vegaerr.New(vegaerr.NotFound, "", "app %q does not exist", app)
	}
	k := c.Keys[KeyRef{App: app, Name: name}]
	if k == nil {
		return nil, vegaerr.New(vegaerr.NotFound, "", "app %q has no key named %q", app, name)
	}
	return k, nil
}
