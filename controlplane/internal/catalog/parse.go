package catalog

import (
	"slices"
	"strconv"
	"strings"
)

// Parse 严格地读整份声明式文档（JSON）。错误是 vegaerr.Invalid，Problems 列出每一处：语法、未知字段、类型、
// 重复的键与重名、secret 的形式。范围与引用不在这里查。
// 是对象而有错处时，读懂了的部分随错误一起返回，只供接着查，不可应用。
func Parse(data []byte) (*Document, error) {
	dec := newDecoder()
	var doc *Document
	if tree := readTree(data, &dec.problems); tree != nil && dec.is(tree, objectNode, "") {
		doc = &Document{}
		dec.into(tree, "", doc)
		doc.check(&dec.problems)
	}
	return doc, dec.err()
}

// ParseObject 读单个 server、model 或 app，路径没有前缀；GET 给出的只读字段可以原样放回，不理会。
// name 是地址里的名字，文档没写 name 时用它；POST 时给空。错误同 Parse。
func ParseObject(kind Kind, name string, data []byte) (*Document, error) {
	dec := lenient()
	doc := &Document{}
	if tree := readTree(data, &dec.problems); tree != nil {
		if dec.is(tree, objectNode, "") {
			doc.single(dec, kind, tree, name)
		}
	}
	if err := dec.err(); err != nil {
		return nil, err
	}
	return doc, nil
}

// ParseKey 读 app 的一把新 key。错误同 Parse。
func ParseKey(app string, data []byte) (*Document, error) {
	dec := lenient()
	doc := &Document{}
	if tree := readTree(data, &dec.problems); tree != nil {
		if dec.is(tree, objectNode, "") {
			var k KeyDoc
			dec.into(tree, "", &k)
			k.check("", &dec.problems)
			doc.Apps = []AppDoc{{AppSpec: AppSpec{Name: app}, Keys: &[]KeyDoc{k}}}
			doc.root = Ref{Kind: KindKey, Name: app, Key: k.Name}
		}
	}
	if err := dec.err(); err != nil {
		return nil, err
	}
	return doc, nil
}

func (d *Document) single(dec *decoder, kind Kind, tree *node, name string) {
	switch kind {
	case KindServer:
		s := ServerDoc{}
		dec.into(tree, "", &s)
		s.Name = orElse(s.Name, name)
		s.check("", &dec.problems)
		d.Servers, name = []ServerDoc{s}, s.Name
	case KindModel:
		m := ModelDoc{}
		dec.into(tree, "", &m)
		m.Name = orElse(m.Name, name)
		named(m.Name, "", &dec.problems)
		d.Models, name = []ModelDoc{m}, m.Name
	case KindApp:
		a := AppDoc{}
		dec.into(tree, "", &a)
		a.Name = orElse(a.Name, name)
		a.check("", &dec.problems)
		d.Apps, name = []AppDoc{a}, a.Name
	default:
		panic("catalog: " + string(kind) + " is not a collection")
	}
	d.root = Ref{Kind: kind, Name: name}
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// check 找结构之外、单看文档就知道的错：缺名、重名、secret 的形式。
func (d *Document) check(p *problems) {
	servers, models, apps := names{}, names{}, names{}
	for i, s := range d.Servers {
		servers.add(s.Name, index("servers", i), p)
		s.check(index("servers", i), p)
	}
	for i, m := range d.Models {
		models.add(m.Name, index("models", i), p)
		named(m.Name, index("models", i), p)
	}
	for i, a := range d.Apps {
		apps.add(a.Name, index("apps", i), p)
		a.check(index("apps", i), p)
	}
}

func (s *ServerDoc) check(path string, p *problems) {
	named(s.Name, path, p)
	if s.APIKey != nil && !s.APIKey.Empty() && !printable(s.APIKey.text, 1, 8192) {
		p.add(join(path, "api_key"), "must be at most 8192 printable ASCII characters without spaces")
	}
	oneOf(s.OnDisconnect, onDisconnect, join(path, "on_disconnect"), p)
	oneOf(s.StreamUsage, streamUsage, join(path, "stream_usage"), p)
}

func (a *AppDoc) check(path string, p *problems) {
	named(a.Name, path, p)
	oneOf(a.Class, classes, join(path, "class"), p)
	if a.Budget != nil && *a.Budget != (Budget{}) {
		oneOf(a.Budget.Period, periods, join(path, "budget.period"), p)
	}
	if a.Keys == nil {
		return
	}
	seen := names{}
	for i, k := range *a.Keys {
		at := join(path, index("keys", i))
		seen.add(k.Name, at, p)
		k.check(at, p)
	}
}

func (k *KeyDoc) check(path string, p *problems) {
	named(k.Name, path, p)
	if k.Secret != nil && !printable(k.Secret.text, 32, 256) {
		p.add(join(path, "secret"), "must be 32 to 256 printable ASCII characters without spaces; leave it out to have one generated")
	}
}

func oneOf(value string, known []string, path string, p *problems) {
	if !slices.Contains(known, value) {
		p.add(path, "must be one of %s", strings.Join(known, ", "))
	}
}

func named(name, path string, p *problems) {
	if name == "" && !p.at(path) && !p.at(join(path, "name")) {
		p.add(join(path, "name"), "is required")
	}
}

// printable 不许空格：头的两端会被修剪，中间的会被当作分隔。
func printable(s string, least, most int) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) >= least && len(s) <= most
}

// names 记着每个名字第一次出现在哪里。
type names map[string]string

func (n names) add(name, path string, p *problems) {
	if name == "" {
		return
	}
	if first, ok := n[name]; ok {
		p.add(join(path, "name"), "%s is already the name of %s", strconv.Quote(name), first)
		return
	}
	n[name] = path
}
