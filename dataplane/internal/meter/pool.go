package meter

import (
	"sync"

	"github.com/vega-gateway/vega/dataplane/internal/dialect"
)

// Pool 是 Stream 的池，零值可用，可并发使用。
type Pool struct{ p sync.Pool }

// Get 取一个已 Reset 的 Stream。
func (p *Pool) Get(kind dialect.StreamKind, strip bool) *Stream {
	s, ok := p.p.Get().(*Stream)
	if !ok {
		s = new(Stream)
	}
	s.Reset(kind, strip)
	return s
}

// Put 放回；之后不可再用它，也不可再用它返回过的切片。
func (p *Pool) Put(s *Stream) {
	s.Reset(dialect.Untyped, false)
	p.p.Put(s)
}
