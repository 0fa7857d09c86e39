package proxy

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
)

// watch 用一个定时器看着一次尝试的几个期限；到期即以原因取消。0 的期限不看。
//
// 读的一方只写一个原子数，不碰定时器；定时器响时若还没有到期，自己续上。
type watch struct {
	firstByte, idle, total time.Duration

	bound   bool          // 连接须在 startBy 之前到手
	startBy time.Duration // 从 start 起
	conn    atomic.Int32  // 见 awaited 等

	start   time.Time
	reading atomic.Int64 // 这次读从 start 起的纳秒数，0 即没有在读
	begun   atomic.Bool  // 已有首个应答字节
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	stopped atomic.Bool
}

// 连接到手没有；到手与太晚恰有一个先发生。
const (
	awaited int32 = iota
	obtained
	missed
)

// begin 开始计时；期限须在第一次 next 之前定好。
func (w *watch) begin(s *state.Server, startBy time.Time, cancel context.CancelCauseFunc) {
	w.firstByte, w.idle, w.total = s.FirstByte, s.Idle, s.Total
	w.start, w.cancel = time.Now(), cancel
	w.bound, w.startBy = !startBy.IsZero(), startBy.Sub(w.start)
	left, _ := w.next(0)
	w.timer = time.AfterFunc(never, w.fire)
	w.timer.Reset(left)
}

// never 是没有期限时定时器多久醒一次。
const never = time.Hour

// next 给出离最近的期限还有多久；不大于零时 cause 是到期的那一个。没有期限时返回 never。
func (w *watch) next(now time.Duration) (left time.Duration, cause error) {
	left = never
	consider := func(at time.Duration, why error) {
		if d := at - now; d < left {
			left, cause = d, why
		}
	}
	if w.total > 0 {
		consider(w.total, errTotal)
	}
	if w.bound && w.conn.Load() == awaited {
		consider(w.startBy, errLate)
	}
	switch since := time.Duration(w.reading.Load()); {
	case !w.begun.Load():
		if w.firstByte > 0 {
			consider(w.firstByte, errFirstByte)
		}
	case w.idle > 0 && since > 0:
		consider(since+w.idle, errIdle)
	case w.idle > 0:
		consider(now+w.idle, nil)
	}
	return left, cause
}

func (w *watch) fire() {
	left, cause := w.next(time.Since(w.start))
	if cause == errLate && left <= 0 && !w.conn.CompareAndSwap(awaited, missed) { //nolint:errorlint // 就是这个值
		left, cause = w.next(time.Since(w.start)) // 擦肩而过：连接刚好到手
	}
	if left <= 0 {
		w.cancel(cause)
		return
	}
	w.timer.Reset(left)
	if w.stopped.Load() { // 与 stop 擦肩而过：不停掉它，整个尝试要被定时器留到期限
		w.timer.Stop()
	}
}

// inTime 记下连接到手了；晚于 startBy 则为假，那时不可再写。
func (w *watch) inTime() bool {
	if !w.bound {
		return true
	}
	if time.Since(w.start) >= w.startBy {
		return false
	}
	return w.conn.CompareAndSwap(awaited, obtained) || w.conn.Load() == obtained
}

// firstByteSeen 让 first_byte 不再作数。定时器定在 first_byte，idle 更短时才要提前。
func (w *watch) firstByteSeen() {
	if !w.begun.Swap(true) && w.idle > 0 && w.idle < w.firstByte {
		w.timer.Reset(w.idle)
	}
}

// readBegins 与 readEnds 夹住一次读；两次读之间的时间是客户端慢，不怪上游。
func (w *watch) readBegins() { w.reading.Store(max(1, int64(time.Since(w.start)))) }
func (w *watch) readEnds()   { w.reading.Store(0) }

// stop 之后定时器至多再白响一次：取消一个已经结束的尝试没有后果。
func (w *watch) stop() {
	w.stopped.Store(true)
	w.timer.Stop()
}
