package upstreamtest

import (
	"sync"
	"sync/atomic"
	"time"
)

// Limits 是上游自己的限额；0 为只计数、不拒绝。
type Limits struct {
	MaxConcurrency    int           `json:"max_concurrency"`
	RequestsPerMinute int           `json:"requests_per_minute"`
	TokensPerMinute   int           `json:"tokens_per_minute"` // 窗口里已报告的记号达到它之后拒绝
	Window            time.Duration `json:"window_ns"`         // "一分钟" 的长度；0 为 60 秒，测试可缩短
}

func (l Limits) window() time.Duration {
	if l.Window == 0 {
		return time.Minute
	}
	return l.Window
}

// gauge 是带最大值与时间积分的计数。
type gauge struct {
	mu     sync.Mutex
	n, max int64
	area   time.Duration // n 对时间的积分，到 at 为止
	at     time.Time
}

func (g *gauge) enter(now func() time.Time) { g.add(now, 1) }

func (g *gauge) leave(now func() time.Time) { g.add(now, -1) }

func (g *gauge) add(now func() time.Time, d int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.advanceLocked(now())
	g.n += d
	g.max = max(g.max, g.n)
}

// advanceLocked 把积分推到 now；第一次只定起点。
func (g *gauge) advanceLocked(now time.Time) {
	if !g.at.IsZero() {
		g.area += time.Duration(g.n) * now.Sub(g.at)
	}
	g.at = now
}

// read 给出此刻的数、最大值与积分；时刻在锁内取，三者相符。
func (g *gauge) read(now func() time.Time) (n, most int64, area time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.advanceLocked(now())
	return g.n, g.max, g.area
}

// reset 让最大值与积分从此刻的数重新算起。
func (g *gauge) reset(now func() time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at, g.max, g.area = now(), g.n, 0
}

// limiter 判断到达的请求是否超过限额。窗口是精确的滑动日志：任何一段 Window 里的准入都不超过限额。
type limiter struct {
	inFlight gauge // 到达而未结束的全部，含被拒绝的
	admitted atomic.Int64

	mu       sync.Mutex
	limits   Limits
	requests window
	tokens   window
}

// refusal 说为什么拒绝，以及多久之后再来。
type refusal struct {
	message    string
	retryAfter time.Duration
}

// admit 记一次到达。ok 为真时必须恰好调用一次 release。
func (l *limiter) admit(now time.Time) (*refusal, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	span := l.limits.window()
	if r := l.limits.RequestsPerMinute; r > 0 {
		if sum := l.requests.expire(now, span); sum >= r {
			return &refusal{"Rate limit reached for requests per min.", l.requests.wait(now, span)}, false
		}
	}
	if t := l.limits.TokensPerMinute; t > 0 {
		if sum := l.tokens.expire(now, span); sum >= t {
			return &refusal{"Rate limit reached for tokens per min.", l.tokens.wait(now, span)}, false
		}
	}
	n := l.admitted.Add(1)
	if c := l.limits.MaxConcurrency; c > 0 && n > int64(c) {
		l.admitted.Add(-1)
		return &refusal{"Too many concurrent requests.", time.Second}, false
	}
	if l.limits.RequestsPerMinute > 0 {
		l.requests.add(now, 1)
	}
	return nil, true
}

func (l *limiter) release() { l.admitted.Add(-1) }

// spend 把报告过的记号记进窗口。
func (l *limiter) spend(now time.Time, tokens int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limits.TokensPerMinute > 0 && tokens > 0 {
		l.tokens.add(now, tokens)
	}
}

func (l *limiter) set(limits Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits = limits
	l.requests, l.tokens = window{}, window{}
}

// window 是按时间排好的 (时刻, 分量) 队列。
type window struct {
	marks []mark
	sum   int
}

type mark struct {
	at     time.Time
	weight int
}

func (w *window) add(at time.Time, weight int) {
	w.marks = append(w.marks, mark{at, weight})
	w.sum += weight
}

// expire 丢掉 span 之前的，返回余下的和。
func (w *window) expire(now time.Time, span time.Duration) int {
	n := 0
	for n < len(w.marks) && now.Sub(w.marks[n].at) >= span {
		w.sum -= w.marks[n].weight
		n++
	}
	w.marks = w.marks[n:]
	return w.sum
}

// wait 是最早一项离开窗口还要多久。
func (w *window) wait(now time.Time, span time.Duration) time.Duration {
	if len(w.marks) == 0 {
		return 0
	}
	return span - now.Sub(w.marks[0].at)
}
