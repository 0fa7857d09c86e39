package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// node 是一棵 JSON 树：与 any 不同，它记得字段的次序与重复，数保持原文。
type node struct {
	kind   nodeKind
	text   string // 字符串的内容，或数的原文
	truth  bool
	items  []*node
	fields []field
}

type field struct {
	name  string
	value *node
}

type nodeKind uint8

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	stringNode
	arrayNode
	objectNode
)

// String 是写进错误文本的种类名。
func (k nodeKind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "a list", "an object"}[k]
}

// maxDepth 远深于任何合法的文档，只为不让恶意的嵌套耗尽栈。
const maxDepth = 64

// problems 攒着一次输入的全部错误。
type problems []vegaerr.Problem

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, vegaerr.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

// at 说 path 处是否已有一处错误：同一个毛病不说两遍。
func (p problems) at(path string) bool {
	return slices.ContainsFunc(p, func(v vegaerr.Problem) bool { return v.Path == path })
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return vegaerr.New(vegaerr.Invalid, "", "the document has %s", plural(len(p), "error")).WithProblems(p)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// readTree 把 JSON 读成树。语法错误只有一处（之后的内容无从谈起），重复的键则全部列出。
func readTree(data []byte, p *problems) *node {
	if !utf8.Valid(data) {
		p.add("", "the document is not valid UTF-8")
		return nil
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		p.add("", "malformed JSON: %s", syntaxText(data, err))
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	r := reader{d: d, problems: p}
	return r.value("", 0)
}

func syntaxText(data []byte, err error) string {
	var s *json.SyntaxError
	if !errors.As(err, &s) {
		return err.Error()
	}
	before := data[:min(int(s.Offset), len(data))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n') - 1
	return fmt.Sprintf("line %d, column %d: %s", line, column, s.Error())
}

type reader struct {
	d        *json.Decoder
	problems *problems
	tooDeep  bool
}

// value 读一个值；语法已经验过，记号流不会再出错。
func (r *reader) value(path string, depth int) *node {
	t, err := r.d.Token()
	if err != nil {
		r.problems.add(path, "malformed JSON: %v", err)
		return &node{}
	}
	switch t := t.(type) {
	case json.Delim:
		if depth >= maxDepth {
			if !r.tooDeep {
				r.problems.add(path, "is nested too deeply")
			}
			r.tooDeep = true
			r.skip()
			return &node{}
		}
		if t == '[' {
			return r.array(path, depth)
		}
		return r.object(path, depth)
	case json.Number:
		return &node{kind: numberNode, text: t.String()}
	case string:
		if strings.ContainsRune(t, 0) {
			r.problems.add(path, "must not contain the character U+0000")
		}
		return &node{kind: stringNode, text: t}
	case bool:
		return &node{kind: boolNode, truth: t}
	}
	return &node{}
}

// skip 读到刚打开的那一层关上为止。
func (r *reader) skip() {
	for open := 1; open > 0; {
		t, err := r.d.Token()
		if err != nil {
			return
		}
		switch t {
		case json.Delim('['), json.Delim('{'):
			open++
		case json.Delim(']'), json.Delim('}'):
			open--
		}
	}
}

func (r *reader) array(path string, depth int) *node {
	n := &node{kind: arrayNode}
	for r.d.More() {
		n.items = append(n.items, r.value(index(path, len(n.items)), depth+1))
	}
	r.close()
	return n
}

func (r *reader) object(path string, depth int) *node {
	n := &node{kind: objectNode}
	seen := map[string]bool{}
	for r.d.More() {
		t, err := r.d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return n
		}
		at := join(path, name)
		if seen[name] {
			r.problems.add(at, "appears more than once")
		}
		seen[name] = true
		n.fields = append(n.fields, field{name, r.value(at, depth+1)})
	}
	r.close()
	return n
}

func (r *reader) close() { _, _ = r.d.Token() }

// get 给出字段的值；没有则 nil。
func (n *node) get(name string) *node {
	for _, f := range n.fields {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// encode 把树写回 JSON，数保持原文。
func (n *node) encode(b *bytes.Buffer) {
	switch n.kind {
	case nullNode:
		b.WriteString("null")
	case boolNode:
		fmt.Fprint(b, n.truth)
	case numberNode:
		b.WriteString(n.text)
	case stringNode:
		quote(b, n.text)
	case arrayNode:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteByte(',')
			}
			item.encode(b)
		}
		b.WriteByte(']')
	case objectNode:
		b.WriteByte('{')
		for i, f := range n.fields {
			if i > 0 {
				b.WriteByte(',')
			}
			quote(b, f.name)
			b.WriteByte(':')
			f.value.encode(b)
		}
		b.WriteByte('}')
	}
}

func quote(b *bytes.Buffer, s string) {
	q, _ := json.Marshal(s) // 字符串总能编码
	b.Write(q)
}
