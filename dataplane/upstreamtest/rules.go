package upstreamtest

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
)

// Rule 是控制接口下发的剧本：适用于某个上游模型名（空串是全部），至多 Count 次（0 为不限）。
type Rule struct {
	Model    string `json:"model"`
	Count    int    `json:"count"`
	Behavior Patch  `json:"behavior"`
}

// rules 保管控制接口的规则；同一个模型名只有一条，后来的替换先前的。
type rules struct {
	some atomic.Bool // 没有规则时不必取锁
	mu   sync.Mutex
	list []Rule
}

func (rs *rules) put(rule Rule) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.removeLocked(rule.Model)
	rs.list = append(rs.list, rule)
	rs.some.Store(true)
}

func (rs *rules) clear() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.list = nil
	rs.some.Store(false)
}

func (rs *rules) snapshot() []Rule {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return append([]Rule{}, rs.list...)
}

// apply 先用全体规则、再用该模型的规则，并各扣一次次数。
func (rs *rules) apply(b *Behavior, model string) {
	if !rs.some.Load() {
		return
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.useLocked(b, "")
	if model != "" {
		rs.useLocked(b, model)
	}
}

func (rs *rules) useLocked(b *Behavior, model string) {
	for i := range rs.list {
		if rs.list[i].Model != model {
			continue
		}
		rs.list[i].Behavior.Apply(b)
		if rs.list[i].Count == 1 {
			rs.removeLocked(model)
		} else if rs.list[i].Count > 1 {
			rs.list[i].Count--
		}
		return
	}
}

func (rs *rules) removeLocked(model string) {
	for i := range rs.list {
		if rs.list[i].Model == model {
			rs.list = append(rs.list[:i], rs.list[i+1:]...)
			break
		}
	}
	rs.some.Store(len(rs.list) > 0)
}

// directives 记住解析过的指令文本；压测里同一个模型名会来很多次。
type directives struct {
	seen sync.Map // 原文 → Patch
	n    atomic.Int64
}

const maxRememberedDirectives = 1024

func (d *directives) parse(query string) (Patch, error) {
	if p, ok := d.seen.Load(query); ok {
		return p.(Patch), nil
	}
	p, err := ParsePatch(query)
	if err != nil {
		return Patch{}, err
	}
	if d.n.Add(1) <= maxRememberedDirectives {
		d.seen.Store(strings.Clone(query), p)
	}
	return p, nil
}

// splitModel 把 "name?latency=1s" 拆成名字与指令。
func splitModel(model string) (name, query string) {
	name, query, _ = strings.Cut(model, "?")
	return name, query
}

// promptDirective 找出请求体里第一个 [[fake?…]] 的内容；没有则为空串。
// JSON 编码器可能把 & 写成 \u0026，这里还原。
func promptDirective(body []byte) string {
	_, rest, ok := bytes.Cut(body, []byte("[[fake?"))
	if !ok {
		return ""
	}
	inside, _, ok := bytes.Cut(rest, []byte("]]"))
	if !ok {
		return ""
	}
	return strings.ReplaceAll(string(inside), `\u0026`, "&")
}

// behave 决定一次请求的剧本：默认 → Script → 控制规则 → 模型名里的指令 → 提示里的指令，后者压过前者。
func (s *Server) behave(req *Request) (Behavior, error) {
	b := *s.base.Load()
	req.Default = b
	if script := s.script.Load(); script != nil {
		b = (*script)(req)
		if err := b.validate(); err != nil {
			return b, fmt.Errorf("script: %w", err)
		}
	}
	s.rules.apply(&b, req.Model)
	for _, query := range []string{req.modelQuery, req.promptQuery} {
		if query == "" {
			continue
		}
		patch, err := s.directives.parse(query)
		if err != nil {
			return b, err
		}
		patch.Apply(&b)
	}
	return b, nil
}
