package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Action 是一处变化的种类。
type Action string

const (
	Created Action = "created"
	Updated Action = "updated"
	Deleted Action = "deleted"
)

// ChangeItem 是一个对象的变化。key 的 Name 是 "app/key"。秘密只见末四个字符。
type ChangeItem struct {
	Kind   Kind   `json:"kind"`
	Name   string `json:"name"`
	Action Action `json:"action"`
	// Fields 只在 Updated 时有。
	Fields []FieldChange `json:"fields,omitempty"`
}

// FieldChange 是一栏的变化；From、To 是 JSON 值，nil 表示没有。
type FieldChange struct {
	Path string `json:"path"`
	From any    `json:"from"`
	To   any    `json:"to"`
}

// String 写成给人看的一行。
func (c ChangeItem) String() string {
	s := fmt.Sprintf("%s %s %s", c.Kind, c.Name, c.Action)
	if len(c.Fields) == 0 {
		return s
	}
	parts := make([]string, 0, len(c.Fields))
	for _, f := range c.Fields {
		parts = append(parts, fmt.Sprintf("%s: %s → %s", f.Path, plain(f.From), plain(f.To)))
	}
	return s + " (" + strings.Join(parts, ", ") + ")"
}

func plain(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return string(b)
}

// Diff 给出从 a 到 b 人能看懂的变化：server、model、app、key 的次序，各自按名字升序。脱落的东西不在其列。
func Diff(a, b *Catalog) []ChangeItem {
	items := []ChangeItem{}
	for _, name := range slices.Sorted(maps.Keys(union(a.Servers, b.Servers, a.Credentials, b.Credentials))) {
		items = appendChange(items, KindServer, name, serverFace(a, name), serverFace(b, name))
	}
	for _, name := range changedNames(a.Models, b.Models) {
		items = appendChange(items, KindModel, name, face(a.Models[name]), face(b.Models[name]))
	}
	for _, name := range changedNames(a.Apps, b.Apps) {
		items = appendChange(items, KindApp, name, face(a.Apps[name]), face(b.Apps[name]))
	}
	return appendKeyChanges(items, a, b)
}

// union 只收指针不同的名字。
func union(a, b map[string]*Server, ca, cb map[string]*Credential) map[string]bool {
	names := map[string]bool{}
	for _, n := range changedNames(a, b) {
		names[n] = true
	}
	for _, n := range changedNames(ca, cb) {
		names[n] = true
	}
	return names
}

// face 把一个对象变成可比的 JSON 树；nil 指针给出 nil。
func face(v any) map[string]any {
	if reflect.ValueOf(v).IsNil() {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	tree := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if d.Decode(&tree) != nil {
		return nil
	}
	delete(tree, "Version")
	return tree
}

func serverFace(c *Catalog, name string) map[string]any {
	s := c.Servers[name]
	if s == nil {
		return nil
	}
	tree := face(s)
	if p, ok := tree["proxy_url"].(string); ok {
		tree["proxy_url"] = proxyFace{p, hideProxyPassword(p)}
	}
	if cred := c.Credentials[name]; cred != nil {
		tree["api_key"] = credentialFace{cred.ID, "…" + cred.Hint}
	}
	return tree
}

// credentialFace 比的是身份，显示的是末四个字符。
type credentialFace struct{ id, shown string }

func (f credentialFace) MarshalJSON() ([]byte, error) { return json.Marshal(f.shown) }

func appendChange(items []ChangeItem, kind Kind, name string, from, to map[string]any) []ChangeItem {
	item := ChangeItem{Kind: kind, Name: name}
	switch {
	case from == nil && to == nil:
		return items
	case from == nil:
		item.Action = Created
	case to == nil:
		item.Action = Deleted
	default:
		item.Action = Updated
		item.Fields = diffTree(nil, "", from, to)
		if len(item.Fields) == 0 {
			return items
		}
	}
	return append(items, item)
}

// diffTree 走进对象与等长的列表，在叶子上比较；长短不一的列表整个列出。
func diffTree(out []FieldChange, path string, from, to any) []FieldChange {
	if reflect.DeepEqual(from, to) {
		return out
	}
	f, fok := from.(map[string]any)
	t, tok := to.(map[string]any)
	if fok && tok {
		keys := map[string]bool{}
		for k := range f {
			keys[k] = true
		}
		for k := range t {
			keys[k] = true
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			out = diffTree(out, join(path, k), f[k], t[k])
		}
		return out
	}
	fl, fok := from.([]any)
	tl, tok := to.([]any)
	if fok && tok && len(fl) == len(tl) {
		for i := range fl {
			out = diffTree(out, index(path, i), fl[i], tl[i])
		}
		return out
	}
	return append(out, FieldChange{Path: path, From: from, To: to})
}

func appendKeyChanges(items []ChangeItem, a, b *Catalog) []ChangeItem {
	changed := map[KeyRef]bool{}
	for ref, k := range a.Keys {
		if b.Keys[ref] != k {
			changed[ref] = true
		}
	}
	for ref := range b.Keys {
		if a.Keys[ref] == nil {
			changed[ref] = true
		}
	}
	refs := slices.SortedFunc(maps.Keys(changed), func(x, y KeyRef) int { return strings.Compare(x.String(), y.String()) })
	for _, ref := range refs {
		items = appendChange(items, KindKey, ref.String(), keyFace(a.Keys[ref]), keyFace(b.Keys[ref]))
	}
	return items
}

func keyFace(k *Key) map[string]any {
	if k == nil {
		return nil
	}
	tree := map[string]any{"secret": credentialFace{k.ID, "…" + k.Hint}, "expires_at": nil}
	if !k.ExpiresAt.IsZero() {
		tree["expires_at"] = k.ExpiresAt.Format(time.RFC3339Nano)
	}
	return tree
}

// Summarise 用一行说出一组变化，例如 "2 created, 1 deleted: server gpu-1, app team-a, …"；最多点十个名字。
func Summarise(items []ChangeItem) string {
	counts := map[Action]int{}
	names := make([]string, 0, 10)
	for _, i := range items {
		counts[i.Action]++
		if len(names) < 10 {
			names = append(names, string(i.Kind)+" "+i.Name)
		}
	}
	var parts []string
	for _, a := range []Action{Created, Updated, Deleted} {
		if counts[a] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[a], a))
		}
	}
	if len(items) > len(names) {
		names = append(names, "…")
	}
	return strings.Join(parts, ", ") + ": " + strings.Join(names, ", ")
}
