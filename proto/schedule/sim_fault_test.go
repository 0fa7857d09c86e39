package schedule

import (
	"slices"
	"strings"
)

// planFaults 定下这一次有哪些故障、在何时。
func (w *simWorld) planFaults() {
	for range w.plan.faults {
		w.at(w.between(2*simSec, w.plan.length-2*simSec), w.strike)
	}
}

func (w *simWorld) strike() {
	if w.ended {
		return
	}
	n := w.nodes[w.pick(simNodes)]
	switch w.pick(13) {
	case 0, 1:
		w.partitionNode(n)
	case 2:
		w.partitionLeader()
	case 3, 4:
		w.killNode(n)
	case 5, 6:
		if n.alive && !n.frozen {
			w.meter.disturb("freeze")
			w.hits.freezes++
			n.freeze(w.span(500*simMs, 20*simSec))
		}
	case 7:
		w.strikeLeader()
	case 8:
		w.databaseAway(w.span(5*simSec, 40*simSec), w.chance(0.3))
	case 9:
		w.drain(n)
	default:
		w.changeLimits()
	}
}

// partitionNode 断开一个节点：两个方向，或只断一个。
func (w *simWorld) partitionNode(n *simNode) {
	w.meter.disturb("partition")
	w.hits.partitions++
	ways := [][2]bool{{true, true}, {true, false}, {false, true}}[w.pick(3)]
	n.cut = ways
	d := w.span(simSec, 30*simSec)
	w.tracef("partition %s down=%v up=%v for %.3fs", n.name, ways[0], ways[1], float64(d)/1e9)
	w.after(d, func() { n.cut = [2]bool{}; w.tracef("%s reachable again", n.name) })
}

// partitionLeader 断开当任者：与所有节点、与一个节点、或与数据库。
func (w *simWorld) partitionLeader() {
	r := w.leader()
	if r == nil {
		return
	}
	w.meter.disturb("partition leader")
	w.hits.partitions++
	d := w.span(simSec, 30*simSec)
	how := w.pick(4)
	w.tracef("partition cp%d kind %d for %.3fs", r.i, how, float64(d)/1e9)
	switch how {
	case 0:
		r.cut = [2]bool{true, true}
	case 1:
		r.island = w.pick(simNodes)
	case 2:
		r.noDB = true
	case 3:
		r.cut, r.noDB = [2]bool{true, true}, true
	}
	w.after(d, func() {
		r.cut, r.island, r.noDB = [2]bool{}, simUnknown, false
		w.tracef("cp%d reachable again", r.i)
	})
}

func (w *simWorld) killNode(n *simNode) {
	if !n.alive {
		return
	}
	w.meter.disturb("kill")
	w.hits.kills++
	if w.plan.moves {
		n.lost()
	} else {
		n.kill()
	}
	away := w.span(100*simMs, 20*simSec)
	if away > 6*simSec { // 久到隔离也过了
		away *= 6
	}
	w.after(away, n.boot)
}

func (w *simWorld) strikeLeader() {
	r := w.leader()
	if r == nil {
		return
	}
	w.meter.disturb("leader lost")
	switch w.pick(3) {
	case 0:
		r.kill()
		w.after(w.span(simSec, 10*simSec), r.boot)
	case 1:
		r.handOver()
	case 2:
		r.freeze(w.span(500*simMs, 15*simSec))
	}
}

// databaseAway 停掉 PostgreSQL；both 时控制面也一同不在。
func (w *simWorld) databaseAway(d int64, both bool) {
	if w.db.away {
		return
	}
	w.meter.disturb("database")
	w.hits.outages++
	w.tracef("database away for %.3fs both=%v", float64(d)/1e9, both)
	w.db.away = true
	w.after(d, func() { w.db.away = false; w.tracef("database back") })
	if both {
		for _, r := range w.reps {
			if r.alive {
				r.kill()
			}
			w.after(d+w.between(0, 2*simSec), r.boot)
		}
	}
}

// drain 是滚动重启：不再接新的，在等的离队，做完之后道别，再起一次新的运行。
func (w *simWorld) drain(n *simNode) {
	if !n.alive || n.frozen || n.leaving {
		return
	}
	w.meter.disturb("drain")
	w.hits.drains++
	w.tracef("%s drains", n.name)
	n.leaving = true
	for _, q := range slices.Clone(n.waiting) {
		if q.state == simWaiting {
			n.leave(q)
		}
	}
	w.parting(n, n.inc)
}

func (w *simWorld) parting(n *simNode, inc int) {
	w.after(100*simMs, func() {
		n.do(inc, func() {
			var busy int64
			for _, b := range n.busy {
				busy += b
			}
			if busy > 0 {
				w.parting(n, inc)
				return
			}
			w.tracef("%s parts", n.name)
			n.step(Parting{})
			w.after(w.between(50*simMs, simSec), func() {
				if n.inc == inc && n.alive {
					n.kill()
					w.at(max(w.now+w.span(100*simMs, 5*simSec), w.nightfall()), n.boot)
				}
			})
		})
	})
}

// changeLimits 发布新的一版配置：抬高、降低、撤掉、又设上，或换了模型的目标。
func (w *simWorld) changeLimits() {
	if w.db.away { // 没有数据库就发布不了
		return
	}
	old := w.config()
	spec := &Spec{Revision: old.spec.Revision + 1, Servers: slices.Clone(old.spec.Servers), Apps: slices.Clone(old.spec.Apps)}
	next := &simConfig{spec: spec, models: slices.Clone(old.models)}
	for range 1 + w.pick(2) {
		if w.chance(0.6) {
			i := w.pick(len(spec.Servers))
			w.changeLimit(&spec.Servers[i].Limits, i > 0)
		} else {
			w.changeLimit(&spec.Apps[1+w.pick(len(spec.Apps)-1)].Limits, true)
		}
	}
	if w.chance(0.2) {
		next.models[w.pick(4)] = w.candidates()
	}
	w.configs = append(w.configs, next)
	w.tracef("publish config %d: %s", spec.Revision, simSpec(spec))
	w.meter.disturb("limits")
	w.hits.limits++
	w.publish()
}

func (w *simWorld) changeLimit(l *Limits, rates bool) {
	switch v := &l.MaxConcurrency; {
	case *v == 0:
		*v = w.span(1, 24)
	case rates && w.chance(0.25):
		*v = 0
	default:
		*v = max(1, w.span(max(1, *v/4), *v*4))
	}
	if rates && w.chance(0.3) {
		if l.RequestsPerMinute > 0 && w.chance(0.4) {
			l.RequestsPerMinute = 0
		} else {
			l.RequestsPerMinute = w.span(5, 1500)
		}
	}
	if rates && w.chance(0.1) {
		if l.TokensPerMinute > 0 && w.chance(0.4) {
			l.TokensPerMinute = 0
		} else {
			l.TokensPerMinute = w.span(20_000, 1_000_000)
		}
	}
}

// publish 让各方各在各的时候得到它。
func (w *simWorld) publish() {
	top := w.span(20*simMs, 2*simSec)
	for _, n := range w.nodes {
		n.fetch(w.between(simMs, top))
	}
	for _, r := range w.reps {
		if r.g != nil {
			r.fetch(w.between(simMs, top))
		}
	}
}

// forgetMoved 是运维说被接替的前几次运行不会回来了：否则它们的份额还要占上一个小时。
func (w *simWorld) forgetMoved() {
	r := w.leader()
	if r == nil || w.failure != "" {
		return
	}
	for _, m := range slices.Clone(r.g.order) {
		if strings.Contains(m.name, "@") {
			r.step(Forgotten{m.name})
		}
	}
	w.until(w.now + 3*simSec)
}

// heal 是负载停下的时刻：不再有新故障，从前的一律痊愈。
func (w *simWorld) heal() {
	w.ended = true
	w.db.away = false
	w.tracef("load ends, everything heals")
	for _, r := range w.reps {
		r.cut, r.island, r.noDB = [2]bool{}, simUnknown, false
		if r.alive && r.frozen {
			r.wake()
		}
		r.boot()
	}
	for _, n := range w.nodes {
		n.cut = [2]bool{}
		if n.alive && n.frozen {
			n.wake()
		}
		n.boot()
		n.fetch(w.between(simMs, simSec))
	}
	for _, r := range w.reps {
		if r.g != nil {
			r.fetch(w.between(simMs, simSec))
		}
	}
}
