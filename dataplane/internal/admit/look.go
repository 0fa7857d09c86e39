package admit

import (
	"time"

	"github.com/vega-gateway/vega/proto/schedule"
)

// 候选也会随时间变：摘出的目标回来了，控制面走了。每个在等的人大约每 lookRound 看一眼，轮着来，免得一齐拥上；
// 一次叫醒的人少，正到期限的才不被他们耽搁。
const (
	lookEvery = 10 * time.Millisecond
	lookRound = 2 * time.Second
)

// look 叫这一轮的人看一眼。
func (g *Gate) look() {
	g.lock()
	defer g.mu.Unlock()
	g.step(schedule.Ticked{}) // 控制面走了多久、还有没有份额，要状态机的时间也走到此刻
	const turns = int64(lookRound / lookEvery)
	for range (g.waiting + turns - 1) / turns {
		g.nudge()
	}
	g.lookAgain()
}

// lookAgain 定下何时再叫；没有人在等即不叫。须持锁。
func (g *Gate) lookAgain() {
	if g.waiting > 0 {
		g.looker.Reset(max(lookEvery, lookRound/time.Duration(g.waiting)))
	}
}

// nudge 叫下一个人看一眼；须持锁。
func (g *Gate) nudge() {
	w := g.first
	w.look = true
	w.signal()
	g.first = w.after
}
