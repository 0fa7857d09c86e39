package budget

import (
	"context"
	"time"

	"go.uber.org/zap"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// Heard 收下控制面说的；subscribe 每收到一条调用一次。
func (g *Guard) Heard(m *configv1.Budgets) {
	cursors := make(map[uint64]uint64, len(m.GetCursors()))
	for _, c := range m.GetCursors() {
		cursors[c.GetEpoch()] = c.GetHighWater()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.heard = now
	for _, s := range m.GetApps() {
		a := g.account(s.GetApp())
		if !a.trusts(now, g.cfg.Fresh, g.cfg.Settle) {
			continue
		}
		told := status{
			start: time.UnixMilli(s.GetPeriodStartUnixMs()), end: time.UnixMilli(s.GetPeriodEndUnixMs()),
			spent: Spend{Nano: s.GetSpentNano(), Tokens: s.GetSpentTokens()}, nodes: max(m.GetNodes(), 1),
		}
		if a.told != told {
			g.unsaved = true
		}
		a.known, a.told, a.heard, a.claimed = true, told, now, Spend{}
		a.booked(cursors)
	}
	g.seal(now)
}

// place 是一份记录写到了哪里，何时到的；零值的时刻是本进程起来之前。
type place struct {
	seq uint64
	at  time.Time
}

// quiet 是一份记录多久不动，就不再等它的游标：控制面只说一天之内动过的，等一个它不再说的，
// 入了库的花费就一直算两遍。刚结的账不会在这么久不动的记录里。
const quiet = time.Hour

// lately 是近来动过的各份记录的位置；须持锁，每隔 SealEvery 调用。
func (g *Guard) lately(now time.Time) (marks []Mark) {
	for _, m := range g.reached() {
		p := g.places[m.Epoch]
		if p.seq != m.Seq {
			p = place{m.Seq, now}
			g.places[m.Epoch] = p
		}
		if now.Sub(p.at) < quiet {
			marks = append(marks, m)
		}
	}
	return marks
}

// seal 给各本账盖上记录此刻的位置；须持锁。
func (g *Guard) seal(now time.Time) {
	marks := g.lately(now)
	if !g.unsealed {
		return
	}
	g.unsealed = false
	for _, a := range g.accounts {
		a.seal(now, marks)
	}
}

// Run 按时盖章、存盘，直到 ctx 结束；返回 nil，那时最后的已经存下。
func (g *Guard) Run(ctx context.Context) error {
	seal, save := time.NewTicker(g.cfg.SealEvery), time.NewTicker(g.cfg.SaveEvery)
	defer seal.Stop()
	defer save.Stop()
	for {
		select {
		case <-ctx.Done():
			g.save()
			return nil
		case <-seal.C:
			g.mu.Lock()
			g.seal(g.now())
			g.mu.Unlock()
		case <-save.C:
			g.save()
		}
	}
}

// save 存下记得的；写不下隔一拍再来。不等落盘：断电丢的是不到一秒，而陈旧时花的另有预支。
func (g *Guard) save() {
	if g.file == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.unsaved {
		return
	}
	g.unsaved = false
	if err := g.file.save(g.keep(), unsynced); err != nil {
		g.unsaved = true
		g.log.Warn("what is known of the budgets cannot be kept", zap.Error(err))
	}
}

// keep 是要存的；须持锁。
func (g *Guard) keep() []kept {
	list := make([]kept, 0, len(g.accounts))
	for name, a := range g.accounts {
		if !a.known {
			continue
		}
		start, end := a.start, a.end
		if end.IsZero() {
			start, end = a.told.start, a.told.end
		}
		list = append(list, kept{
			App: name, Start: start, End: end, Claimed: a.mine().plus(a.flight).max(a.claimed),
			ToldStart: a.told.start, ToldEnd: a.told.end, Spent: a.told.spent, Nodes: a.told.nodes,
		})
	}
	return list
}
