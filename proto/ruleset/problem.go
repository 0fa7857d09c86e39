package ruleset

import (
	"fmt"
	"strconv"
)

// Kind 是毛病所在的那一类东西。
type Kind string

const (
	KindServer Kind = "server"
	KindModel  Kind = "model"
	KindApp    Kind = "app"
	KindKey    Kind = "key"
)

// Problem 是快照里的一处毛病：Kind 与 Index 指出是哪一项（Index 从 0 起，是它在快照里该列表的位置），
// Field 是项内的路径，如 "limits.max_concurrency" 或 "targets[1].server"；Message 是给人看的英文，不含秘密。
type Problem struct {
	Kind    Kind
	Index   int
	Field   string
	Message string
}

// Path 给出整份文档里的路径，如 "servers[0].limits.max_concurrency"。
func (p Problem) Path() string {
	return string(p.Kind) + "s[" + strconv.Itoa(p.Index) + "]." + p.Field
}

// String 是 "路径: 文本"。
func (p Problem) String() string { return p.Path() + ": " + p.Message }

// item 收集一项的毛病。
type item struct {
	all   *[]Problem
	kind  Kind
	index int
}

func (it item) bad(field, format string, args ...any) {
	*it.all = append(*it.all, Problem{Kind: it.kind, Index: it.index, Field: field, Message: fmt.Sprintf(format, args...)})
}

// between 要求 lo ≤ v ≤ hi。
func (it item) between(field string, v, lo, hi int64) {
	if v < lo || v > hi {
		it.bad(field, "must be between %d and %d, got %d", lo, hi, v)
	}
}
