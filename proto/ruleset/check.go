package ruleset

import (
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// Check 列出 s 的每一处毛病，按 server、model、app、key 及各自的次序；空即合格。s 为 nil 等同空快照，空快照合格。
func Check(s *configv1.Snapshot) []Problem {
	c := &checker{
		servers: make(map[string]int, len(s.GetServers())),
		models:  make(map[string]int, len(s.GetModels())),
		apps:    make(map[string]int, len(s.GetApps())),
	}
	// 名字先全部记下，引用才不受次序影响；重名时先到者占住。
	index(c.servers, s.GetServers(), (*configv1.Server).GetName)
	index(c.models, s.GetModels(), (*configv1.Model).GetName)
	index(c.apps, s.GetApps(), (*configv1.App).GetName)

	for i, v := range s.GetServers() {
		c.server(c.at(KindServer, i), v)
	}
	c.allModels(s.GetModels())
	for i, v := range s.GetApps() {
		c.app(c.at(KindApp, i), v)
	}
	c.keys(s.GetKeys())
	return c.problems
}

// checker 是一次检查的账：名字到位置的索引，与查出的毛病。
type checker struct {
	servers, models, apps map[string]int
	problems              []Problem
}

func (c *checker) at(kind Kind, i int) item { return item{all: &c.problems, kind: kind, index: i} }

func index[T any](m map[string]int, list []T, name func(T) string) {
	for i, v := range list {
		if _, taken := m[name(v)]; !taken {
			m[name(v)] = i
		}
	}
}

// unique 要求这一项是头一个用这个名字的。
func (it item) unique(m map[string]int, name string) {
	if first, ok := m[name]; ok && first != it.index {
		it.bad("name", "%q is already the name of %ss[%d]", name, it.kind, first)
	}
}

const nameRule = "must be 1-63 characters of a-z, 0-9, '.' and '-', starting and ending with a letter or digit"

func (it item) name(name string) {
	if !ValidName(name) {
		it.bad("name", nameRule)
	}
}

func (it item) modelName(field, name string) {
	if !ValidModelName(name) {
		it.bad(field, "must be 1-%d bytes of printable UTF-8 without leading or trailing space", MaxModelLen)
	}
}

// 限额的上限：再大就是笔误，也免得乘法溢出。
const (
	maxConcurrency = 1_000_000
	maxRequests    = 1_000_000_000
	maxTokens      = 1_000_000_000_000
)

func (it item) limits(l *configv1.Limits) {
	it.between("limits.max_concurrency", l.GetMaxConcurrency(), 0, maxConcurrency)
	it.between("limits.requests_per_minute", l.GetRequestsPerMinute(), 0, maxRequests)
	it.between("limits.tokens_per_minute", l.GetTokensPerMinute(), 0, maxTokens)
}

// enum 要求枚举值是认得的；UNSPECIFIED 即默认值。
func enum[E ~int32](it item, field string, v E, names map[int32]string) {
	if _, ok := names[int32(v)]; !ok {
		it.bad(field, "unknown value %d", int32(v))
	}
}
