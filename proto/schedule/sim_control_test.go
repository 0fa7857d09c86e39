package schedule

import (
	"slices"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

const (
	simTTL     = 6 * simSec   // 任期行的寿命，以数据库的钟
	simRenew   = 1500 * simMs // 多久续一次
	simMargin  = 1500 * simMs // 以自己的钟提早这么久停手
	simUnknown = -1
)

// simDB 是 PostgreSQL：任期行与成员表；时间是它自己的，即真实时间。
type simDB struct {
	away    bool
	term    uint64
	holder  int
	run     int // 当任者的第几次运行
	expires int64
	members []simRow
}

type simRow struct {
	Member
	seen int64
}

// simReplica 是一个控制面副本；至多一个握有任期。
type simReplica struct {
	w       *simWorld
	i       int
	clock   simClock
	inc     int
	alive   bool
	frozen  bool
	backlog []func()
	cut     [2]bool // 与所有节点的两个方向
	island  int     // 只与这个节点不通；-1 即没有
	noDB    bool
	refuses bool // 开得了流，随即以一个状态回绝

	g        *Grantor
	cfg      *simConfig
	term     uint64
	deadline Time
	armed    int64
	timer    uint64
	conns    []*simConn
	saves    []simSave
	saving   bool
	known    int // 它所知的当任者
	learned  bool
	touched  Time // 上一次记下听得见谁
}

type simSave struct {
	id      uint64
	members []Member
	remove  string
}

func newSimReplica(w *simWorld, i int) *simReplica {
	// 副本与数据库的钟由 NTP 看着：快慢之差算在节点一边。
	return &simReplica{w: w, i: i, clock: simClock{off: w.between(simSec, 1000*simSec), rate: 1}, island: simUnknown, known: simUnknown}
}

func (r *simReplica) now() Time { return r.clock.at(r.w.now) }

func (r *simReplica) boot() {
	if r.alive {
		return
	}
	r.inc++
	r.alive, r.frozen = true, false
	r.backlog, r.conns, r.known = nil, nil, simUnknown
	r.w.tracef("cp%d boots", r.i)
	r.campaign(r.w.between(0, 100*simMs))
}

func (r *simReplica) do(inc int, f func()) {
	switch {
	case !r.alive || r.inc != inc:
	case r.frozen:
		r.backlog = append(r.backlog, f)
	default:
		r.sober()
		f()
	}
}

// sober 先看钟：过了自己的停手时刻就不再是当任者。
func (r *simReplica) sober() {
	if r.g != nil && r.now() >= r.deadline {
		r.stepDown("deadline")
	}
}

func (r *simReplica) kill() {
	r.w.tracef("cp%d killed", r.i)
	r.alive = false
	r.inc++
	r.drop()
	for _, c := range r.conns {
		if c.down {
			r.w.closeDown(c)
		}
	}
	r.conns = nil
	r.w.limitsChanged()
}

func (r *simReplica) freeze(d int64) {
	inc := r.inc
	r.frozen = true
	r.w.tracef("cp%d frozen for %.3fs", r.i, float64(d)/1e9)
	r.w.after(d, func() {
		if r.inc == inc && r.frozen {
			r.wake()
		}
	})
}

func (r *simReplica) wake() {
	r.frozen = false
	r.w.tracef("cp%d wakes with %d things to do", r.i, len(r.backlog))
	todo := r.backlog
	r.backlog = nil
	for _, f := range todo {
		if r.alive {
			r.do(r.inc, f)
		}
	}
}

// query 在数据库上做一件事：一半时间在路上；回程断了就不知道做没做成。
func (w *simWorld) query(r *simReplica, run func(), reply func(ok bool)) {
	inc, half := r.inc, w.between(simMs/2, 10*simMs)
	lost := func() { w.after(w.between(simMs, simSec), func() { r.do(inc, func() { reply(false) }) }) }
	w.after(half, func() {
		if w.db.away || r.noDB {
			lost()
			return
		}
		run()
		w.after(half, func() {
			if w.db.away || r.noDB {
				lost()
				return
			}
			r.do(inc, func() { reply(true) })
		})
	})
}

// campaign 每隔一会儿续任或竞选。
func (r *simReplica) campaign(wait int64) {
	inc := r.inc
	r.w.after(wait, func() {
		r.do(inc, func() {
			r.elect()
			r.campaign(simRenew + r.w.between(-50*simMs, 50*simMs))
		})
	})
}

func (r *simReplica) elect() {
	w, db := r.w, &r.w.db
	sent, mine, run := r.now(), r.term, r.inc
	leading := r.g != nil
	var won, first bool
	var term uint64
	holder := simUnknown
	w.query(r, func() {
		switch {
		case leading && db.term == mine:
			db.expires, won, term = w.now+simTTL, true, mine
		case !leading && db.expires <= w.now:
			first = db.term == 0
			db.term++
			db.holder, db.run, db.expires, won, term = r.i, run, w.now+simTTL, true, db.term
		}
		if db.expires > w.now {
			holder = db.holder
		}
	}, func(ok bool) {
		if !ok {
			return
		}
		r.known = holder
		switch {
		case leading && (r.g == nil || r.term != mine):
		case leading && won:
			r.deadline = max(r.deadline, sent.Add(time.Duration(simTTL-simMargin)))
		case leading:
			r.stepDown("lost the term")
		case won && r.g == nil:
			r.load(term, first, sent.Add(time.Duration(simTTL-simMargin)))
		}
	})
}

// load 读成员表与配置，就任。
func (r *simReplica) load(term uint64, first bool, deadline Time) {
	w := r.w
	var members []Member
	var cfg *simConfig
	w.query(r, func() {
		for _, row := range w.db.members {
			m := row.Member
			m.SilentFor = time.Duration(w.now - row.seen)
			members = append(members, m)
		}
		cfg = w.config()
	}, func(ok bool) {
		if !ok || r.g != nil || r.now() >= deadline {
			return
		}
		r.term, r.deadline, r.cfg, r.learned = term, deadline, cfg, false
		w.tracef("cp%d leads term %d members %s", r.i, term, simMembers(members))
		r.g = NewGrantor(GrantorConfig{Term: term, Now: r.now(), Members: members, First: first})
		r.armed = 0
		w.limitsChanged()
		w.meter.disturb("leader")
		if !first {
			w.hits.leaders++
		}
		r.step(Reconfigured{cfg.spec})
		inc := r.inc
		w.at(r.clock.when(deadline), func() { r.watch(inc, term) })
		r.touched = r.now()
		r.touch(r.inc, term)
		r.fetch(w.between(0, simSec))
	})
}

// touch 每秒记下听得见谁；久记不下就停手。
func (r *simReplica) touch(inc int, term uint64) {
	w := r.w
	w.after(simSec, func() {
		r.do(inc, func() {
			if r.g == nil || r.term != term {
				return
			}
			if r.now().Sub(r.touched) >= RecordWithin {
				r.stepDown("could not record the members")
				return
			}
			at, lost := r.now(), false
			var names []string
			for _, m := range r.g.order {
				if m.conn != 0 && at.Sub(m.heardAt) < 5*time.Second {
					names = append(names, m.name)
				}
			}
			w.query(r, func() {
				if lost = w.db.term != term; lost {
					return
				}
				for i := range w.db.members {
					if slices.Contains(names, w.db.members[i].Node) {
						w.db.members[i].seen = w.now
					}
				}
			}, func(ok bool) {
				switch {
				case r.g == nil || r.term != term:
				case lost:
					r.stepDown("lost the term at a touch")
				case ok:
					r.touched = r.now()
					r.step(Touched{At: at, Nodes: names})
				}
			})
			r.touch(inc, term)
		})
	})
}

// watch 到停手时刻看一次。
func (r *simReplica) watch(inc int, term uint64) {
	r.do(inc, func() {
		if r.g != nil && r.term == term {
			r.w.at(r.clock.when(r.deadline), func() { r.watch(inc, term) })
		}
	})
}

func (r *simReplica) drop() {
	r.g, r.saves, r.saving = nil, nil, false
	r.timer++
	r.armed = 0
}

// stepDown 停手：不再是授予者，各流告一声（未必说得出口）即断。
func (r *simReplica) stepDown(why string) {
	w := r.w
	w.tracef("cp%d steps down: %s", r.i, why)
	r.drop()
	for _, c := range r.conns {
		if c.down {
			if w.chance(0.5) {
				w.sendDown(c, r.notLeader(true))
			}
			w.closeDown(c)
		}
	}
	r.conns = nil
	w.limitsChanged()
	w.meter.disturb("step down")
}

// handOver 是停得体面：任期行当场作废。
func (r *simReplica) handOver() {
	term := r.term
	r.stepDown("hand over")
	r.known = simUnknown
	r.w.query(r, func() {
		if r.w.db.term == term {
			r.w.db.expires = r.w.now
		}
	}, func(bool) {})
	other := r.w.reps[1-r.i]
	inc := other.inc
	r.w.after(r.w.between(20*simMs, 200*simMs), func() { other.do(inc, other.elect) })
}

func (r *simReplica) notLeader(booked bool) *admissionv1.AdmitResponse {
	addr := ""
	if r.known >= 0 && r.known != r.i {
		addr = simReplica_(r.known)
	}
	return &admissionv1.AdmitResponse{NotLeader: &admissionv1.NotLeader{LeaderAddr: addr, RetryAfterUs: r.w.between(100_000, 600_000), Booked: booked}}
}

// heard 是节点的一帧到了。
func (r *simReplica) heard(c *simConn, f *admissionv1.AdmitRequest) {
	if r.refuses {
		r.forget(c)
		r.w.shut(c, true)
		return
	}
	if r.g == nil {
		r.w.sendDown(c, r.notLeader(false))
		r.forget(c)
		r.w.closeDown(c)
		return
	}
	r.step(Heard{c.id, f})
}

func (r *simReplica) forget(c *simConn) {
	if i := slices.Index(r.conns, c); i >= 0 {
		r.conns = slices.Delete(r.conns, i, i+1)
	}
}

// closed 是节点关了流。
func (r *simReplica) closed(c *simConn) {
	if !c.down {
		return
	}
	c.down = false
	r.forget(c)
	if r.g != nil {
		r.step(Closed{c.id})
	}
}

func (r *simReplica) step(e GrantorEvent) {
	w, now := r.w, r.now()
	if w.tracing {
		w.traceGrantor(r, e)
	}
	var dropped []*simConn
	resign := false
	effects := r.g.Step(now, e)
	for i := range effects {
		switch x := effects[i]; x.Kind {
		case Reply:
			c := r.conn(x.Conn)
			if c == nil {
				continue
			}
			w.tracef("  cp%d->%s#%d %s", r.i, c.n.name, c.id, w.show(x.Response))
			w.sendDown(c, x.Response)
		case Drop:
			if c := r.conn(x.Conn); c != nil {
				w.tracef("  cp%d drops %s#%d: %s", r.i, c.n.name, c.id, x.Reason)
				dropped = append(dropped, c)
			}
		case Save:
			w.tracef("  cp%d saves %d %s", r.i, x.ID, simMembers(x.Members))
			r.saves = append(r.saves, simSave{id: x.ID, members: copyMembers(x.Members)})
		case Delete:
			w.tracef("  cp%d deletes %s", r.i, x.Node)
			r.saves = append(r.saves, simSave{remove: x.Node})
		case Resign:
			resign = true
		}
	}
	if resign {
		r.stepDown("resign")
		return
	}
	for _, c := range dropped {
		if c.down {
			w.closeDown(c)
			r.forget(c)
			r.step(Closed{c.id})
			if r.g == nil {
				return
			}
		}
	}
	r.save()
	if l := simLearning(r.g); !l && !r.learned {
		r.learned = true
		w.tracef("cp%d has learned", r.i)
		w.meter.healed("learned")
	}
	r.arm()
}

func (r *simReplica) conn(id uint64) *simConn {
	for _, c := range r.conns {
		if c.id == id && c.down {
			return c
		}
	}
	return nil
}

func copyMembers(list []Member) []Member {
	out := slices.Clone(list)
	for i := range out {
		out[i].Shares = slices.Clone(out[i].Shares)
	}
	return out
}

// save 一次一笔，依次；不知成没成的再来一遍；任期没了就停手。
func (r *simReplica) save() {
	if r.saving || len(r.saves) == 0 {
		return
	}
	r.saving = true
	s, term, w := r.saves[0], r.term, r.w
	lost := false
	w.query(r, func() {
		if lost = w.db.term != term; lost {
			return
		}
		w.db.write(s, w.now)
	}, func(ok bool) {
		if r.g == nil || r.term != term {
			return
		}
		r.saving = false
		switch {
		case !ok:
			inc := r.inc
			w.after(100*simMs, func() {
				r.do(inc, func() {
					if r.g != nil && r.term == term {
						r.save()
					}
				})
			})
		case lost:
			r.stepDown("lost the term at a save")
		default:
			r.saves = r.saves[1:]
			if s.remove == "" {
				r.step(Saved{s.id})
			} else {
				r.save()
			}
		}
	})
}

func (db *simDB) write(s simSave, now int64) {
	if s.remove != "" {
		db.members = slices.DeleteFunc(db.members, func(r simRow) bool { return r.Node == s.remove })
		return
	}
	for _, m := range s.members {
		i := slices.IndexFunc(db.members, func(r simRow) bool { return r.Node == m.Node })
		if i < 0 {
			db.members = append(db.members, simRow{})
			i = len(db.members) - 1
		}
		seen := now - int64(m.SilentFor)
		m.SilentFor = 0
		db.members[i] = simRow{m, seen}
	}
}

func (r *simReplica) arm() {
	if r.g == nil {
		return
	}
	next := r.g.Next()
	if next == 0 {
		return
	}
	t := max(r.clock.when(next), r.w.now)
	if r.armed != 0 && r.armed <= t {
		return
	}
	r.armed = t
	r.timer++
	id, inc := r.timer, r.inc
	r.w.at(t, func() {
		if r.timer == id && r.inc == inc {
			r.armed = 0
			r.do(inc, r.tick)
		}
	})
}

func (r *simReplica) tick() {
	if r.g == nil {
		return
	}
	next := r.g.Next()
	if next == 0 || next > r.now() {
		r.arm()
		return
	}
	r.step(Tick{})
	if r.g == nil {
		return
	}
	if next = r.g.Next(); next != 0 && next <= r.now() { // 到点的事一次 Tick 就该做完，否则事件循环空转
		r.w.fail("cp%d: Next() is %d after a tick at %d: %s", r.i, next, r.now(), simWakes(r.g))
	}
}

// fetch 过一会儿去取最新的配置。
func (r *simReplica) fetch(wait int64) {
	inc, term := r.inc, r.term
	r.w.after(wait, func() {
		r.do(inc, func() {
			if r.g == nil || r.term != term || r.cfg == r.w.config() {
				return
			}
			var cfg *simConfig
			r.w.query(r, func() { cfg = r.w.config() }, func(ok bool) {
				switch {
				case r.g == nil || r.term != term:
				case !ok:
					r.fetch(r.w.between(200*simMs, 800*simMs))
				case r.cfg != cfg:
					r.cfg = cfg
					r.w.limitsChanged()
					r.w.tracef("cp%d has config %d", r.i, cfg.spec.Revision)
					r.step(Reconfigured{cfg.spec})
					r.w.meter.configured()
				}
			})
		})
	})
}

// leader 是此刻握着任期、醒着的副本；没有则 nil。
func (w *simWorld) leader() *simReplica {
	for _, r := range w.reps {
		if r.alive && !r.frozen && r.g != nil && r.now() < r.deadline {
			return r
		}
	}
	return nil
}

// configReachable 说 n 此刻能不能取到配置：任一副本通着，数据库也在。
func (w *simWorld) configReachable(n *simNode) bool {
	if w.db.away {
		return false
	}
	for _, r := range w.reps {
		if r.alive && !r.frozen && !simCut(n, r, true) && !simCut(n, r, false) {
			return true
		}
	}
	return false
}
