package catalog

import (
	"errors"
	"strconv"

	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Trial 是试连一个 server 的输入：试哪个上游模型名，试哪一份草稿。
type Trial struct {
	// Model 为空即不试对话。
	Model string
	// Draft 为 nil 即试所存的那一份。
	Draft *Document
}

type trialDoc struct {
	Model  string     `json:"model"`
	Server *ServerDoc `json:"server"`
}

// ParseTrial 读试连的输入；name 是地址里的名字，草稿里写了名字就要与它相同。空的 data 是零值。错误同 Parse，路径以 server 开头的在草稿里。
func ParseTrial(name string, data []byte) (Trial, error) {
	if len(data) == 0 {
		return Trial{}, nil
	}
	dec := lenient()
	var in trialDoc
	if tree := readTree(data, &dec.problems); tree != nil && dec.is(tree, objectNode, "") {
		dec.into(tree, "", &in)
		in.check(name, &dec.problems)
	}
	if err := dec.err(); err != nil {
		return Trial{}, err
	}
	out := Trial{Model: in.Model}
	if in.Server != nil {
		out.Draft = &Document{Servers: []ServerDoc{*in.Server}, root: Ref{Kind: KindServer, Name: name}}
	}
	return out, nil
}

func (in *trialDoc) check(name string, p *problems) {
	if in.Model != "" && !ruleset.ValidModelName(in.Model) {
		p.add("model", "must be 1 to %d bytes of printable text without spaces around it", ruleset.MaxModelLen)
	}
	if in.Server == nil {
		return
	}
	if in.Server.Name = orElse(in.Server.Name, name); in.Server.Name != name {
		p.add("server.name", "must be %s, the name in the path, or left out", strconv.Quote(name))
	}
	in.Server.check("server", p)
}

// Place 说草稿放进 cur 之后的样子：没写的凭证与隐去的代理口令沿用所存的。没有草稿就是 cur 自己。什么也不保存。
func (t Trial) Place(cur *Catalog, m Mint) (*Catalog, error) {
	if t.Draft == nil {
		return cur, nil
	}
	next, _, err := Apply(cur, t.Draft, ApplyOptions{}, m)
	return next, err
}

// Relocate 把草稿的错处改写成输入里的路径；草稿与所存的对不上（隐去的口令没有原文）也是输入的错。别的错误与 nil 原样返回。
func (t Trial) Relocate(err error) error {
	var list findings
	if t.Draft == nil || !errors.As(err, &list) {
		return err
	}
	found := vegaerr.As(t.Draft.Relocate(err)).Problems
	moved := make([]vegaerr.Problem, len(found))
	for i, p := range found {
		moved[i] = vegaerr.Problem{Path: join("server", p.Path), Message: p.Message}
	}
	return vegaerr.New(vegaerr.Invalid, "", "the draft has %s", plural(len(moved), "error")).WithProblems(moved)
}
