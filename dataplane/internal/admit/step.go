package admit

import (
	"time"

	"github.com/vega-gateway/vega/proto/schedule"
)

// soonest 是两次走表之间至少隔多久：状态机说“就在此刻”时也不空转。
const soonest = 100 * time.Microsecond

// lock 拿锁并看钟。
func (g *Gate) lock() {
	g.mu.Lock()
	g.now = g.clock()
}

// clock 是状态机的钟：单调，从不为 0。
func (g *Gate) clock() schedule.Time { return schedule.Time(time.Since(g.origin)) }

// at 把墙上的一刻换成状态机的；零值仍是 0。
func (g *Gate) at(t time.Time) schedule.Time {
	if t.IsZero() {
		return 0
	}
	return max(1, schedule.Time(t.Sub(g.origin)))
}

// stopped 造一个停着的定时器；到时在自己的协程里调用 f。
func stopped(f func()) *time.Timer {
	t := time.AfterFunc(time.Hour, f)
	t.Stop()
	return t
}

// step 走一步并做它要的；须持锁。做的都是内存里的事：叫醒人、排进要发的队、定时器。
func (g *Gate) step(e schedule.HolderEvent) {
	effects := g.holder.Step(g.now, e)
	for i := range effects {
		g.do(&effects[i])
	}
	g.arm()
}

func (g *Gate) do(e *schedule.HolderEffect) {
	switch e.Kind {
	case schedule.Admit:
		g.granted(waiterOf(e.Waiter))
	case schedule.Refuse:
		g.turnedAway(waiterOf(e.Waiter), e.Refusal, false)
	case schedule.Expire:
		g.turnedAway(waiterOf(e.Waiter), e.Refusal, true)
	case schedule.Send:
		g.link.push(e.Request)
	case schedule.Hangup:
		g.link.hangUp(errHangup)
	case schedule.Redirect:
		g.link.redirect(e.Leader, e.Wait)
	case schedule.Store:
		g.queueSave(e.Share)
	}
}

// arm 让定时器不晚于下一次要走表的时刻；定得早了无害，到时再看。
func (g *Gate) arm() {
	next := g.holder.Next()
	if next == 0 || g.armed != 0 && g.armed <= next {
		return
	}
	g.armed = next
	g.timer.Reset(max(next.Sub(g.now), soonest))
}

func (g *Gate) tick() {
	g.lock()
	defer g.mu.Unlock()
	g.armed = 0
	g.step(schedule.Ticked{})
}
