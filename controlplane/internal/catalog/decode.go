package catalog

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decoder 把 JSON 树填进结构，沿途收集每一处错误而不停下。字段名取自 json 标签，匿名结构摊平；
// null 等于没写，目标保持缺省值。
type decoder struct {
	problems
	// readOnly 是各结构里可以出现、但不理会的字段名（GET 会给出它们）；nil 即没有。
	readOnly map[reflect.Type][]string
	layouts  map[reflect.Type]layout
}

// layout 是一个结构的字段名到下标路径。
type layout struct {
	names []string
	at    map[string][]int
}

// 自己知道缺省值的、填完之后还要收尾的、自己认得 JSON 值的目标。
type (
	defaulter interface{ setDefaults() }
	settler   interface{ settle(n *node) }
	texted    interface {
		decodeNode(n *node) (message string)
	}
)

func newDecoder() *decoder { return &decoder{layouts: map[reflect.Type]layout{}} }

// lenient 造一个放过只读字段的 decoder：读了单个对象、改过再放回去的人不必先删掉它们。
func lenient() *decoder {
	d := newDecoder()
	d.readOnly = map[reflect.Type][]string{
		reflect.TypeFor[ServerDoc](): {"version", "has_api_key", "api_key_hint"},
		reflect.TypeFor[ModelDoc]():  {"version"},
		reflect.TypeFor[AppDoc]():    {"version"},
		reflect.TypeFor[KeyDoc]():    {"id", "hint", "created_at", "last_used_at"},
	}
	return d
}

// into 填好 target（非 nil 的结构指针）。
func (d *decoder) into(n *node, path string, target any) {
	d.value(n, path, reflect.ValueOf(target).Elem())
}

func (d *decoder) value(n *node, path string, v reflect.Value) {
	if n.kind == nullNode {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if v.CanAddr() {
		if def, ok := v.Addr().Interface().(defaulter); ok {
			def.setDefaults()
		}
		if t, ok := v.Addr().Interface().(texted); ok {
			if message := t.decodeNode(n); message != "" {
				d.add(path, "%s", message)
			}
			return
		}
	}
	d.plain(n, path, v)
}

func (d *decoder) plain(n *node, path string, v reflect.Value) {
	if t, ok := v.Addr().Interface().(*time.Time); ok {
		d.time(n, path, t)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, path, v)
	case reflect.Slice:
		d.slice(n, path, v)
	case reflect.Map:
		d.texts(n, path, v)
	case reflect.String:
		if d.is(n, stringNode, path) {
			v.SetString(n.text)
		}
	case reflect.Bool:
		if d.is(n, boolNode, path) {
			v.SetBool(n.truth)
		}
	case reflect.Int64:
		d.integer(n, path, v)
	default:
		panic("catalog: cannot decode into " + v.Type().String())
	}
}

func (d *decoder) is(n *node, want nodeKind, path string) bool {
	if n.kind != want {
		d.add(path, "must be %s, not %s", want, n.kind)
	}
	return n.kind == want
}

func (d *decoder) structure(n *node, path string, v reflect.Value) {
	if !d.is(n, objectNode, path) {
		return
	}
	l := d.layout(v.Type())
	seen := make(map[string]bool, len(n.fields))
	for _, f := range n.fields {
		at := join(path, f.name)
		if seen[f.name] {
			continue // 重复已经报过；第一次写的仍要查完
		}
		seen[f.name] = true
		if where, ok := l.at[f.name]; ok {
			d.value(f.value, at, v.FieldByIndex(where))
			continue
		}
		if slices.Contains(d.readOnly[v.Type()], f.name) {
			continue
		}
		if near := nearest(f.name, l.names); near != "" {
			d.add(at, "unknown field; did you mean %q?", near)
		} else {
			d.add(at, "unknown field")
		}
	}
	if s, ok := v.Addr().Interface().(settler); ok {
		s.settle(n)
	}
}

func (d *decoder) slice(n *node, path string, v reflect.Value) {
	if !d.is(n, arrayNode, path) {
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		if item.kind == nullNode {
			d.add(index(path, i), "must not be null")
			continue
		}
		d.value(item, index(path, i), list.Index(i))
	}
	v.Set(list)
}

func (d *decoder) texts(n *node, path string, v reflect.Value) {
	if !d.is(n, objectNode, path) {
		return
	}
	m := make(map[string]string, len(n.fields))
	for _, f := range n.fields {
		if f.value.kind != nullNode && d.is(f.value, stringNode, join(path, f.name)) {
			m[f.name] = f.value.text
		}
	}
	v.Set(reflect.ValueOf(m))
}

func (d *decoder) integer(n *node, path string, v reflect.Value) {
	if !d.is(n, numberNode, path) {
		return
	}
	i, err := strconv.ParseInt(n.text, 10, 64)
	switch {
	case err == nil:
		v.SetInt(i)
	case strings.ContainsAny(n.text, ".eE"):
		d.add(path, "must be a whole number")
	default:
		d.add(path, "is out of range")
	}
}

func (d *decoder) time(n *node, path string, t *time.Time) {
	if !d.is(n, stringNode, path) {
		return
	}
	at, err := time.Parse(time.RFC3339, n.text)
	if err != nil || at.Year() < 2000 || at.Year() > 9999 {
		d.add(path, "must be an RFC 3339 time such as 2030-01-31T00:00:00Z")
		return
	}
	*t = at.UTC().Truncate(time.Millisecond)
}

func (d *decoder) layout(t reflect.Type) layout {
	if l, ok := d.layouts[t]; ok {
		return l
	}
	l := layout{at: map[string][]int{}}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "" || name == "-" {
			continue
		}
		l.names, l.at[name] = append(l.names, name), f.Index
	}
	d.layouts[t] = l
	return l
}

// decodeNode 收下明文；是否合规由用它的那一栏检查。
func (s *Secret) decodeNode(n *node) string {
	if n.kind != stringNode {
		return "must be a string, not " + n.kind.String()
	}
	s.text = n.text
	return ""
}

func (p *Price) decodeNode(n *node) string {
	if n.kind != numberNode {
		return "must be a number, not " + n.kind.String()
	}
	v, err := ParsePrice(n.text)
	if err != nil {
		return err.Error()
	}
	*p = v
	return ""
}

// nearest 找最像的名字：编辑距离不超过二、且不超过名字长度的一半；没有则空。
func nearest(name string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if n := editDistance(strings.ToLower(name), k); n < distance && n*2 <= len(k) {
			best, distance = k, n
		}
	}
	return best
}

// editDistance 是 Levenshtein 距离；太长的名字不值得算。
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			corner, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, corner+cost)
		}
	}
	return row[len(b)]
}
