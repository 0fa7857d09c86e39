package live

import (
	"sync"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// defaultStreams 是一个副本同时至多几条事件流：一条占一个连接与两个协程，不让谁开个没完。
const defaultStreams = 200

// defaultStreamsEach 是其中一个人的：开着一排标签页也够，而谁也占不完别人的。
const defaultStreamsEach = 20

// seats 数着开着的事件流，每个人几条。
type seats struct {
	most, each int

	mu    sync.Mutex
	taken int
	by    map[string]int
}

// take 占一个；满了是 vegaerr.Unavailable，他自己的满了是 vegaerr.Exhausted，都说过多久再来。
func (s *seats) take(who string) error {
	const later = 10 * time.Second
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.by[who] >= s.each:
		return vegaerr.New(vegaerr.Exhausted, "too_many_streams", "you have %d event streams open on this replica already; close one (a browser tab, a script) first", s.each).WithRetryAfter(later)
	case s.taken >= s.most:
		return vegaerr.New(vegaerr.Unavailable, "", "this replica serves %d event streams already; close one or come back later", s.most).WithRetryAfter(later)
	}
	s.by[who]++
	s.taken++
	return nil
}

func (s *seats) free(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.by[who]--; s.by[who] == 0 {
		delete(s.by, who) // 来过的人不都留着
	}
}

func (s *seats) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}
