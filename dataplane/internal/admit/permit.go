package admit

import (
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
	"github.com/vega-gateway/vega/proto/schedule"
)

// progressEvery 是流着的时候每多少个输出 token 才补记一次：再勤，公平也不会更准。
const progressEvery = 256

// Permit 准许去一个目标；零值没有许可。不可复制，一个协程独用。
type Permit struct {
	Target *state.Target
	// Position 是开始等时排在第几（从 1 数）；没有等过为 0。
	Position int64

	permit  schedule.Permit
	gate    *Gate // nil 即没有许可
	load    *load
	overdue schedule.Time // 到这时还没有还的，多半是漏了
	older   *Permit
	newer   *Permit

	reported int64 // 已经补记过的输出
	used     schedule.Cost
	known    bool
	aborted  bool
}

// StartBy 是请求的首个字节至迟何时写给上游：请求数的单位只活一秒。零值即不管。
func (p *Permit) StartBy() time.Time {
	if p.gate == nil || p.permit.StartBy == 0 {
		return time.Time{}
	}
	return p.gate.origin.Add(time.Duration(p.permit.StartBy))
}

// Progress 报告至今流出了多少输出 token；便宜，攒够了才真的补记。
func (p *Permit) Progress(output int64) {
	if p.gate == nil || output-p.reported < progressEvery {
		return
	}
	p.reported = output
	g := p.gate
	g.lock()
	defer g.mu.Unlock()
	p.permit.Used = schedule.Cost{Prompt: p.permit.Cost.Prompt, Output: output}
	g.step(schedule.Progressed{Permit: &p.permit})
}

// Settle 记下上游报告的用量，在 Release 之前；known 为假即没有报告（全），按预计的结算。
func (p *Permit) Settle(used schedule.Cost, known bool) { p.used, p.known = used, known }

// Unused 说上游没有被叫过：一个 token 也没有花，也不算做完了一个；在 Release 之前。
func (p *Permit) Unused() {
	p.used, p.known, p.permit.Unused = schedule.Cost{}, true, true
}

// Abort 说上游的调用是被我们切断的：名额再占 abort_grace_ms；在 Release 之前。
func (p *Permit) Abort() { p.aborted = true }

// Release 归还许可；没有许可或已归还时什么也不做。
func (p *Permit) Release() {
	g := p.gate
	if g == nil {
		return
	}
	g.lock()
	defer g.mu.Unlock()
	g.finish(p)
}

// open 记下一张刚发出的许可；须持锁。
func (g *Gate) open(p *Permit, l *load, total schedule.Time) {
	g.issued.Add(1)
	l.inFlight++
	p.gate, p.load = g, l
	p.overdue = total
	if p.older = g.newest; p.older != nil {
		p.older.newer = p
	}
	g.newest = p
}

// finish 结清一张许可；须持锁。
func (g *Gate) finish(p *Permit) {
	p.permit.Used, p.permit.Known, p.permit.Aborted = p.used, p.known, p.aborted
	if p.older != nil {
		p.older.newer = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		g.newest = p.older
	}
	p.load.inFlight--
	p.gate, p.load, p.older, p.newer = nil, nil, nil, nil
	g.released.Add(1)
	g.step(schedule.Finished{Permit: &p.permit})
}

// giveBack 还掉一张没有用过的许可；须持锁。
func (g *Gate) giveBack(p *Permit) {
	p.Unused()
	g.finish(p)
	p.Target = nil
}
