package schedule

// simDark 是一次长久的没有授予者，久得人人都用到了自己的份额。
type simDark uint8

const (
	simLit        simDark = iota
	simDead               // 控制面全不在
	simNobody             // 副本都在，数据库不在：个个说自己不是
	simTurnedAway         // 副本都在，流一开就被回绝
)

const (
	simDusk = 30 * simSec
	simDawn = 110 * simSec
)

// planDark 使几个节点先道别再从盘上起来，然后天黑：道别时交出的份额与别人的加在一起，仍不超过限额。
func (w *simWorld) planDark() {
	if w.plan.dark == simLit {
		return
	}
	for k := range 3 {
		w.at(simDusk-24*simSec, func() { w.drain(w.nodes[k]) })
	}
	w.at(simDusk, func() { w.darken(true) })
	w.at(simDawn-simSec, w.checkAlone)
	w.at(simDawn, func() { w.darken(false) })
}

// nightfall 是天黑之前道别的节点再起来的时刻：那时没有谁能告诉它份额已经归了别人。
func (w *simWorld) nightfall() int64 {
	if w.plan.dark == simLit || w.now >= simDusk {
		return 0
	}
	return simDusk + simSec
}

func (w *simWorld) darken(dark bool) {
	w.meter.disturb("dark")
	w.tracef("dark %d: %v", w.plan.dark, dark)
	w.db.away = dark
	for _, r := range w.reps {
		switch {
		case !dark:
			r.refuses = false
			r.boot()
		case w.plan.dark == simDead:
			r.kill()
		case r.g != nil:
			r.stepDown("dark")
		}
		r.refuses = dark && w.plan.dark == simTurnedAway
	}
}

// checkAlone 在天黑得够久之后查：人人用足自己的份额，没有份额的当场说没有。
func (w *simWorld) checkAlone() {
	for _, n := range w.nodes {
		if !n.alive || n.leaving {
			continue
		}
		for _, s := range n.h.order {
			if !s.limited || s.pool.Server == "" {
				continue
			}
			if s.cap != s.share {
				w.fail("alone: %s may start %d at %s long after the last grantor, its share is %d", n.name, s.cap, s.pool.Server, s.share)
			}
			if s.cap == 0 && !n.h.NoShare(n.now(), s.pool.Server, simApp(0)) {
				w.fail("alone: %s lets requests wait at %s though it has no share", n.name, s.pool.Server)
			}
		}
	}
}
