package catalog

import (
	"errors"
	"strconv"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Ref 指认配置里的一个对象。Kind 为 KindKey 时 Name 是 app 名，Key 是 key 名；别的种类 Key 为空。
type Ref struct {
	Kind Kind
	Name string
	Key  string
}

// path 以名字为下标，例如 servers[gpu-1]、apps[team-a].keys[default]。
func (r Ref) path() string {
	if r.Kind == KindKey {
		return Ref{Kind: KindApp, Name: r.Name}.path() + ".keys[" + r.Key + "]"
	}
	return string(r.Kind) + "s[" + r.Name + "]"
}

// Finding 是对象上的一处错误；Field 是对象之内的路径，空表示整个对象。
type Finding struct {
	Ref     Ref
	Field   string
	Message string
}

// findings 作为 vegaerr.Error 的隐藏原因同行，让 Document.Relocate 能把路径改写成调用者文档里的下标。
type findings []Finding

// Error 不给人看；人看的是外面那层。
func (f findings) Error() string { return strconv.Itoa(len(f)) + " findings" }

// Reject 把逐处的错误合成一个；路径以名字为下标，Relocate 可再改写。
func Reject(code vegaerr.Code, reason, message string, list []Finding) error {
	return vegaerr.Wrap(findings(list), code, reason, "%s", message).WithProblems(problemsAt(list, Ref.path))
}

// Relocate 把 Reject 造的错误改写成本文档里的路径（servers[0].…，单个对象时没有前缀）；
// 文档里没有的对象仍以名字为下标。别的错误与 nil 原样返回。
func (d *Document) Relocate(err error) error {
	var list findings
	if !errors.As(err, &list) {
		return err
	}
	return vegaerr.As(err).WithProblems(problemsAt(list, d.locator()))
}

func problemsAt(list []Finding, at func(Ref) string) []vegaerr.Problem {
	problems := make([]vegaerr.Problem, 0, len(list))
	for _, f := range list {
		problems = append(problems, vegaerr.Problem{Path: join(at(f.Ref), f.Field), Message: f.Message})
	}
	return problems
}

// locator 先建一张对象到下标的表：错误可能有成千上万处。
func (d *Document) locator() func(Ref) string {
	places := map[Ref]string{}
	for i, s := range d.Servers {
		places[Ref{Kind: KindServer, Name: s.Name}] = index("servers", i)
	}
	for i, m := range d.Models {
		places[Ref{Kind: KindModel, Name: m.Name}] = index("models", i)
	}
	for i, a := range d.Apps {
		prefix := index("apps", i)
		if d.root.Kind == KindApp {
			prefix = ""
		}
		places[Ref{Kind: KindApp, Name: a.Name}] = prefix
		if a.Keys == nil {
			continue
		}
		for j, k := range *a.Keys {
			places[Ref{Kind: KindKey, Name: a.Name, Key: k.Name}] = join(prefix, index("keys", j))
		}
	}
	if d.root != (Ref{}) {
		places[d.root] = ""
	}
	return func(r Ref) string {
		if p, ok := places[r]; ok {
			return p
		}
		return r.path()
	}
}

func index(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

func join(prefix, field string) string {
	switch {
	case prefix == "":
		return field
	case field == "" || field[0] == '[':
		return prefix + field
	}
	return prefix + "." + field
}
