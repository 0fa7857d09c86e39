package schedule

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/ruleset"
)

// simNode 是一个数据面进程与它的盘；做的正是 Holder 的宿主该做的事。
type simNode struct {
	w      *simWorld
	i      int
	name   string
	clock  simClock
	inc    int // 第几次运行；旧运行的事件不作数
	alive  bool
	frozen bool
	// leaving 说它在排空，不接新请求。
	leaving bool
	woke    Time // 上一次醒来的时刻，迟到从它算起
	backlog []func()
	cut     [2]bool

	h     *Holder
	cfg   *simConfig
	disk  simDisk
	armed int64
	timer uint64

	conn    *simConn
	dialing uint64
	tries   int

	ids     uint64
	waiting []*simReq
	calls   []*simCall
	busy    []int64   // 各 server 的在途，含善后的
	appBusy []int64   // 各 app 的
	waits   [][]int64 // [server][app] 在等的
}

// simDisk 活得比进程久。
type simDisk struct {
	instance string
	share    *admissionv1.Share
	cfg      *simConfig
	// writes 是还没落定的写：进程死时可能落定也可能没有。
	writes []*admissionv1.Share
}

func newSimNode(w *simWorld, i int) *simNode {
	n := &simNode{w: w, i: i, name: simNode_(i), clock: w.clock()}
	n.disk.cfg, n.disk.instance = w.configs[0], n.name
	return n
}

func (n *simNode) now() Time { return n.clock.at(n.w.now) }

// boot 起一次新的运行：从盘上的配置与份额开始。
func (n *simNode) boot() {
	if n.alive {
		return
	}
	n.inc++
	n.alive, n.frozen, n.leaving = true, false, false
	n.backlog, n.conn, n.armed, n.tries = nil, nil, 0, 0
	n.waiting, n.calls = nil, nil
	n.busy, n.appBusy, n.waits = make([]int64, n.w.plan.servers), make([]int64, n.w.plan.apps), nil
	for range n.w.plan.servers {
		n.waits = append(n.waits, make([]int64, n.w.plan.apps))
	}
	n.cfg = n.disk.cfg
	n.w.limitsChanged()
	n.w.tracef("%s boots (run %d) config %d share v%d", n.name, n.inc, n.cfg.spec.Revision, n.disk.share.GetVersion())
	n.h = NewHolder(HolderConfig{Node: n.name, Epoch: uint64(n.inc), Instance: n.disk.instance, Version: "sim", Now: n.now(), Stored: n.disk.share})
	n.h.items = n.w.plan.items
	n.step(Configured{n.cfg.spec})
	n.dial("", n.w.between(0, 50*simMs))
	n.fetch(n.w.between(0, simSec))
}

// do 把一件外来的事交给第 inc 次运行：死了就没有，冻住就攒着。
func (n *simNode) do(inc int, f func()) {
	switch {
	case !n.alive || n.inc != inc:
	case n.frozen:
		n.backlog = append(n.backlog, f)
	default:
		f()
	}
}

func (n *simNode) kill() {
	n.w.tracef("%s killed with %d calls", n.name, len(n.calls))
	for _, c := range n.calls { // 内核关掉连接，上游迟早停下
		n.w.truth.vanish(c, n.w.between(0, simSec))
	}
	n.gone()
}

// lost 是这台机器从别处都看不见了，它的调用还在跑；同名的一个在别的机器上从空的盘起来。
func (n *simNode) lost() {
	n.w.tracef("%s lost with %d calls, to be born elsewhere", n.name, len(n.calls))
	n.gone()
	n.disk = simDisk{instance: fmt.Sprintf("%s-%d", n.name, n.inc), cfg: n.disk.cfg}
}

// gone 是进程从此不再出声；没有落定的写可能落定也可能没有。
func (n *simNode) gone() {
	for range n.disk.writes {
		if n.w.chance(0.5) {
			n.disk.share, n.disk.writes = n.disk.writes[0], n.disk.writes[1:]
		}
	}
	n.disk.writes = nil
	n.alive = false
	n.inc++
	if c := n.conn; c != nil {
		n.conn = nil
		n.w.closeUp(c)
	}
	n.w.limitsChanged()
}

func (n *simNode) freeze(d int64) {
	inc := n.inc
	n.frozen = true
	n.w.tracef("%s frozen for %.3fs", n.name, float64(d)/1e9)
	n.w.after(d, func() {
		if n.inc == inc && n.frozen {
			n.wake()
		}
	})
}

// wake 先看钟，再做攒下的事；二者谁先由调度定，两种都试。
func (n *simNode) wake() {
	n.frozen = false
	n.woke = n.now()
	n.w.tracef("%s wakes with %d things to do", n.name, len(n.backlog))
	todo := n.backlog
	n.backlog = nil
	if n.w.chance(0.5) {
		n.step(Ticked{})
	}
	for _, f := range todo {
		if n.alive {
			f()
		}
	}
	if n.alive {
		n.step(Ticked{})
	}
}

// step 走一步并照办。
func (n *simNode) step(e HolderEvent) {
	now := n.now()
	if n.w.tracing {
		n.w.traceHolder(n, e)
	}
	var hang bool
	var redirect *HolderEffect
	effects := n.h.Step(now, e)
	for i := range effects {
		switch x := effects[i]; x.Kind {
		case Admit:
			n.admitted(now, x.Waiter)
		case Refuse:
			n.refused(now, x)
		case Expire:
			n.expired(now, x)
		case Send:
			if n.conn == nil {
				n.w.fail("%s sends a frame without a stream", n.name)
				return
			}
			n.w.tracef("  %s->cp%d#%d %s", n.name, n.conn.r.i, n.conn.id, n.w.show(x.Request))
			n.w.sendUp(n.conn, x.Request)
		case Hangup:
			n.w.tracef("  %s hangs up", n.name)
			hang = true
		case Store:
			n.store(x.Share)
		case Redirect:
			redirect = &x
		}
	}
	if (hang || redirect != nil) && n.conn != nil {
		c := n.conn
		n.conn = nil
		n.w.closeUp(c)
		to, wait := "", n.backoff()
		if redirect != nil {
			n.w.tracef("  %s redirected to %q after %v", n.name, redirect.Leader, redirect.Wait)
			to, wait = redirect.Leader, int64(redirect.Wait)
			if to != "" {
				wait = 0
			}
		}
		n.step(Broken{})
		n.dial(to, wait)
	}
	n.arm()
}

// broken 是对面关了流。
func (n *simNode) broken(c *simConn, unbooked bool) {
	if n.conn != c {
		return
	}
	n.conn = nil
	c.up = false
	n.w.tracef("%s#%d broken", n.name, c.id)
	n.step(Broken{Unbooked: unbooked})
	n.dial("", n.backoff())
}

// backoff 是重连前的等待：全抖动，逐次加倍，至多 2 s。
func (n *simNode) backoff() int64 {
	top := min(100*simMs<<min(n.tries, 5), 2*simSec)
	n.tries++
	return n.w.between(simMs, top)
}

// dial 在 wait 之后去连 to；to 为空即随便一个。
func (n *simNode) dial(to string, wait int64) {
	n.dialing++
	attempt, inc := n.dialing, n.inc
	n.w.after(wait, func() {
		n.do(inc, func() {
			if n.dialing != attempt || n.conn != nil || n.leaving && len(n.calls) == 0 {
				return
			}
			r := n.w.reps[n.w.pick(2)]
			if to != "" {
				r = n.w.reps[int(to[2]-'0')]
			}
			n.connect(r, attempt)
		})
	})
}

// connect 是一次握手：一来一回，不通则一秒后作罢。
func (n *simNode) connect(r *simReplica, attempt uint64) {
	inc := n.inc
	n.w.after(simSec, func() {
		n.do(inc, func() {
			if n.dialing == attempt && n.conn == nil {
				n.dial("", n.backoff())
			}
		})
	})
	if simCut(n, r, true) {
		return
	}
	n.w.after(n.w.latency(), func() {
		r.do(r.inc, func() {
			rinc := r.inc
			if simCut(n, r, false) {
				return
			}
			n.w.after(n.w.latency(), func() {
				n.do(inc, func() {
					if n.dialing != attempt || n.conn != nil || !r.alive || r.inc != rinc {
						return
					}
					n.w.conns++
					n.conn = &simConn{id: n.w.conns, n: n, ninc: inc, r: r, rinc: rinc, up: true, down: true}
					r.conns = append(r.conns, n.conn)
					n.w.tracef("%s connects to cp%d as #%d", n.name, r.i, n.conn.id)
					n.step(Connected{})
				})
			})
		})
	})
}

// arm 照 Next 上闹钟；提早响的再看一次。
func (n *simNode) arm() {
	next := n.h.Next()
	if next == 0 || !n.alive {
		return
	}
	t := max(n.clock.when(next), n.w.now)
	if n.armed != 0 && n.armed <= t {
		return
	}
	n.armed = t
	n.timer++
	id, inc := n.timer, n.inc
	n.w.at(t, func() {
		if n.timer == id && n.inc == inc {
			n.armed = 0
			n.do(inc, n.tick)
		}
	})
}

func (n *simNode) tick() {
	next := n.h.Next()
	if next == 0 || next > n.now() {
		n.arm()
		return
	}
	n.step(Ticked{})
	if next = n.h.Next(); n.alive && next != 0 && next <= n.now() {
		n.w.fail("%s: Next() is %d after a tick at %d: %s", n.name, next, n.now(), simWakesHolder(n.h))
	}
}

// store 写盘要一会儿，依次落定。
func (n *simNode) store(s *admissionv1.Share) {
	s = proto.Clone(s).(*admissionv1.Share)
	n.disk.writes = append(n.disk.writes, s)
	inc := n.inc
	n.w.after(n.w.between(simMs, 20*simMs), func() {
		n.do(inc, func() {
			// 先到的写都先落定：一个写者。
			for len(n.disk.writes) > 0 {
				first := n.disk.writes[0]
				n.disk.share, n.disk.writes = first, n.disk.writes[1:]
				n.step(Stored{first.GetVersion()})
				if first == s {
					return
				}
			}
		})
	})
}

// fetch 过一会儿去取最新的配置；取不到就再等。
func (n *simNode) fetch(wait int64) {
	inc := n.inc
	n.w.after(wait, func() {
		n.do(inc, func() {
			if n.cfg == n.w.config() {
				return
			}
			if !n.w.configReachable(n) {
				n.fetch(n.w.between(200*simMs, 800*simMs))
				return
			}
			n.apply(n.w.config())
		})
	})
}

func (n *simNode) apply(c *simConfig) {
	if !n.h.welcomed {
		n.w.truth.excuse(n, c)
	}
	n.cfg, n.disk.cfg = c, c
	n.w.limitsChanged()
	n.w.tracef("%s has config %d", n.name, c.spec.Revision)
	n.step(Configured{c.spec})
	for _, q := range append([]*simReq(nil), n.waiting...) {
		if q.state == simWaiting && n.w.chance(0.5) {
			n.rechoose(q)
		}
	}
	n.w.meter.configured()
}

// rechoose 以新配置重算一个在等的请求的候选。
func (n *simNode) rechoose(q *simReq) {
	list := n.cfg.models[q.model]
	if n.w.chance(0.05) {
		list = nil
	}
	if len(list) == 0 {
		n.leave(q)
		return
	}
	n.count(q, -1)
	q.candidates = list
	n.count(q, 1)
	n.step(Changed{q.w, list})
}

// arrive 是一个客户的请求到了：能开始就开始，不能就等。
func (n *simNode) arrive(q *simReq) {
	if n.leaving {
		return
	}
	now := n.now()
	q.n, q.inc = n, n.inc
	if q.arrived == 0 {
		q.arrived, q.deadline = now, now.Add(q.patience)
	}
	list := n.cfg.models[q.model]
	q.candidates = list
	if len(list) == 0 {
		return
	}
	n.w.meter.arrivals++
	i, ok := ruleset.Choose(len(list), func(i int) int64 { return list[i].Priority }, func(i int) int64 { return list[i].Weight },
		func(i int) ruleset.Verdict { return n.h.Judge(now, list[i].Server, list[i].UpstreamModel, &q.Request) }, n.w.rng.Uint64())
	if ok && !n.mustAsk(now, q, list[i].Priority) {
		q.state = simRunning
		p := &Permit{Request: q.Request, Server: list[i].Server, Upstream: list[i].UpstreamModel}
		n.w.meter.local++
		n.begin(now, q, p, "local")
		n.step(Started{p})
		n.send(now, q.call)
		return
	}
	none := true
	for i := range list {
		none = none && n.h.NoShare(now, list[i].Server, q.App)
	}
	if none {
		n.w.meter.noShare++
		return
	}
	n.ids++
	q.permit = &Permit{}
	q.w = &Waiter{Request: q.Request, ID: n.ids, Arrived: q.arrived, Deadline: q.deadline, Candidates: list, Permit: q.permit, Tag: q}
	q.state = simWaiting
	q.slot = len(n.waiting)
	n.waiting = append(n.waiting, q)
	n.count(q, 1)
	if q.leaves > 0 {
		inc := n.inc
		n.w.after(q.leaves, func() { n.do(inc, func() { n.hangup(q) }) })
	}
	n.step(Arrived{q.w})
}

// mustAsk 说更好的一层在本地满了，要先问授予者。
func (n *simNode) mustAsk(now Time, q *simReq, tier int64) bool {
	return n.h.AsksFirst() && slices.ContainsFunc(q.candidates, func(c Candidate) bool {
		return c.Priority < tier && n.h.Judge(now, c.Server, c.UpstreamModel, &q.Request) == ruleset.Full
	})
}

// count 记在等的请求，供量利用率。
func (n *simNode) count(q *simReq, by int64) {
	for i := range q.candidates {
		n.waits[simIndex(q.candidates[i].Server)][q.app] += by
	}
}

// leave 让 q 离队；恰在这一步有了结局的以那个为准。
func (n *simNode) leave(q *simReq) {
	n.step(Left{q.w})
	if q.state == simWaiting {
		q.finish(simCancelled)
	} else if q.state == simRunning && q.call.open {
		n.w.fail("%s: waiter %d admitted while it leaves", n.name, q.w.ID)
	}
}

// hangup 是客户挂断：在等就离队，在途就切断。
func (n *simNode) hangup(q *simReq) {
	switch q.state {
	case simWaiting:
		n.leave(q)
	case simRunning:
		if c := q.call; c != nil && c.open {
			n.abort(c)
		}
	}
}

func (n *simNode) refused(now Time, e HolderEffect) {
	q := e.Waiter.Tag.(*simReq)
	n.w.tracef("  %s refuses w%d %s", n.name, e.Waiter.ID, e.Refusal.Code)
	if e.Refusal.Code == "" {
		n.w.fail("%s refuses waiter %d without a code", n.name, e.Waiter.ID)
	}
	q.settle(simRefused)
	n.w.meter.refused++
}

func (n *simNode) expired(now Time, e HolderEffect) {
	q := e.Waiter.Tag.(*simReq)
	n.w.tracef("  %s expires w%d", n.name, e.Waiter.ID)
	q.settle(simExpired)
	n.w.meter.expired++
	late := now.Sub(max(q.deadline, n.woke))
	if now < q.deadline {
		n.w.fail("%s: waiter %d expired %v early", n.name, e.Waiter.ID, q.deadline.Sub(now))
	}
	if late > 10*time.Millisecond {
		n.w.fail("%s: waiter %d expired %v late", n.name, e.Waiter.ID, late)
	}
	n.w.meter.late = max(n.w.meter.late, late)
}

func (n *simNode) admitted(now Time, x *Waiter) {
	q := x.Tag.(*simReq)
	n.w.meter.granted++
	if late := now.Sub(q.deadline); late > 10*time.Millisecond {
		n.w.fail("%s: waiter %d admitted %v after its deadline", n.name, x.ID, late)
	}
	if q.settle(simRunning) {
		n.begin(now, q, q.permit, "granted")
		n.send(now, q.call)
	}
}
