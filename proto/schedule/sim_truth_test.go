package schedule

import (
	"math"
	"time"
)

type simState uint8

const (
	simNew simState = iota
	simWaiting
	simRunning
	simRefused
	simExpired
	simCancelled
)

// simReq 是一个客户的请求。
type simReq struct {
	Request
	app, model int
	n          *simNode
	inc        int
	state      simState
	slot       int // 在 waiting 里的位置
	arrived    Time
	deadline   Time
	patience   time.Duration
	leaves     int64 // 客户多久之后挂断；0 即不挂断
	service    int64
	actual     Cost
	retried    bool
	candidates []Candidate
	w          *Waiter
	permit     *Permit
	call       *simCall
}

// settle 记下结局；有过结局的再来一个就是违反。
func (q *simReq) settle(to simState) bool {
	if q.state != simWaiting {
		q.n.w.fail("%s: waiter %d has outcome %d and now also %d", q.n.name, q.w.ID, q.state, to)
		return false
	}
	q.finish(to)
	return true
}

// finish 把它移出在等的。
func (q *simReq) finish(to simState) {
	n := q.n
	last := len(n.waiting) - 1
	n.waiting[q.slot] = n.waiting[last]
	n.waiting[q.slot].slot = q.slot
	n.waiting[last] = nil
	n.waiting = n.waiting[:last]
	n.count(q, -1)
	q.state = to
}

// simCall 是一次上游调用。
type simCall struct {
	q        *simReq
	n        *simNode
	inc      int
	permit   *Permit
	slot     int
	server   int
	open     bool // 节点还没有结束它
	upstream bool // 上游还在做
	admitted int64
	excused  [2]bool
}

// simTruth 是上游自己数的：真正的在途、任意 60 秒里的请求与 token。
type simTruth struct {
	w       *simWorld
	servers []simPool
	apps    []simPool
}

// simPool 是一个 server 或一个 app 的实数与此刻谁都还可以依据的最大限额。
type simPool struct {
	name     string
	inflight int64
	limit    int64 // MaxInt64 即不限
	recent   []simLimitAt
	// excused 是不计的：节点与授予者断开时还没有限额，它独自跑着的，新设的限额管不着，也没有别人能知道。
	excused  int64
	requests simWindow
	tokens   simWindow
	largest  int64 // 最大的一次 token 需求
	over     int64
}

// simWindow 是一个速率的滑动窗口。
type simWindow struct {
	limits []simLimitAt // 限额的变化
	log    []simSpent
	head   int
	sum    int64
}

type simLimitAt struct{ at, limit int64 }
type simSpent struct{ at, n int64 }

func (t *simTruth) init(w *simWorld) {
	t.w = w
	for i := range w.plan.servers {
		t.servers = append(t.servers, simPool{name: simServer(i)})
	}
	for i := range w.plan.apps {
		t.apps = append(t.apps, simPool{name: simApp(i)})
	}
	w.limitsChanged()
}

// limitsChanged 重算每个池的上限：只要还有一个活着的人可以依据旧配置，旧的限额就还算数。
func (w *simWorld) limitsChanged() {
	for i := range w.truth.servers {
		w.truth.servers[i].reset(w, func(c *simConfig) Limits { return c.server(i).Limits })
	}
	for i := range w.truth.apps {
		w.truth.apps[i].reset(w, func(c *simConfig) Limits { return c.app(i).Limits })
	}
}

func (p *simPool) reset(w *simWorld, of func(*simConfig) Limits) {
	var inflight, requests, tokens int64
	see := func(c *simConfig) {
		l := of(c)
		inflight = max(inflight, orUnlimited(l.MaxConcurrency))
		requests = max(requests, orUnlimited(l.RequestsPerMinute))
		tokens = max(tokens, orUnlimited(l.TokensPerMinute))
	}
	for _, n := range w.nodes {
		if n.alive {
			see(n.cfg)
		}
	}
	for _, r := range w.reps {
		if r.alive && r.g != nil {
			see(r.cfg)
		}
	}
	if inflight == 0 { // 谁都不在
		return
	}
	p.limit = inflight
	p.recent = append(p.recent, simLimitAt{w.now, inflight})
	p.requests.set(w.now, requests)
	p.tokens.set(w.now, tokens)
}

// before 是 from 以来最大的限额。
func (p *simPool) before(from int64) (most int64) {
	for i, l := range p.recent {
		if i+1 == len(p.recent) || p.recent[i+1].at > from {
			most = max(most, l.limit)
		}
	}
	return most
}

func orUnlimited(n int64) int64 {
	if n == 0 {
		return math.MaxInt64
	}
	return n
}

func (v *simWindow) set(now, limit int64) {
	if n := len(v.limits); n == 0 || v.limits[n-1].limit != limit {
		v.limits = append(v.limits, simLimitAt{now, limit})
	}
}

// spend 记一笔在 admitted 准许的，答窗口里的和与窗口里最大的限额；不限的时候准许的不算，哪怕到得晚些。
func (v *simWindow) spend(now, admitted, n int64) (sum, limit int64) {
	from, free := now-60*simSec, int64(-1)
	for i, l := range v.limits {
		end := now
		if i+1 < len(v.limits) {
			end = v.limits[i+1].at
		}
		if end <= from && i+1 < len(v.limits) {
			continue
		}
		if l.limit == math.MaxInt64 {
			from, limit, free = max(from, end), 0, end
			continue
		}
		limit = max(limit, l.limit)
	}
	if admitted > free {
		v.log = append(v.log, simSpent{now, n})
		v.sum += n
	}
	for v.head < len(v.log) && v.log[v.head].at <= from {
		v.sum -= v.log[v.head].n
		v.head++
	}
	return v.sum, limit
}

// start 记一次真正的开始，并查三种限额。
func (t *simTruth) start(c *simCall) {
	c.upstream, c.admitted = true, t.w.now
	t.servers[c.server].start(t.w, c)
	t.apps[c.q.app].start(t.w, c)
}

// requested 记一个请求到了上游：准许的那一刻之后，至迟到它的 StartBy。
func (t *simTruth) requested(c *simCall) {
	t.servers[c.server].requested(t.w, c)
	t.apps[c.q.app].requested(t.w, c)
}

func (p *simPool) requested(w *simWorld, c *simCall) {
	if sum, limit := p.requests.spend(w.now, c.admitted, 1); limit > 0 && sum > limit {
		p.over = max(p.over, sum-limit)
		w.fail("overshoot: %s starts %s/%s: %d requests at %s in 60 s, limit %d", c.n.name, c.permit.Server, c.q.App, sum, p.name, limit)
	}
}

func (p *simPool) start(w *simWorld, c *simCall) {
	p.inflight++
	if p.inflight-p.excused > p.limit {
		p.over = max(p.over, p.inflight-p.excused-p.limit)
		kind := "overshoot"
		if p.inflight <= p.before(w.now-60*simSec) {
			kind = "overshoot after lowering" // 旧的限额够：是依据旧限额的单位在新限额人人皆知之后用掉了
		}
		w.fail("%s: %s starts %s/%s: %d in flight at %s, limit %d", kind, c.n.name, c.permit.Server, c.q.App, p.inflight, p.name, p.limit)
	}
	need := c.q.Cost.Tokens()
	p.largest = max(p.largest, need)
	// 一个比余量大的请求在满额时也放行，欠着：因此至多超出最大的一个。
	if sum, limit := p.tokens.spend(w.now, c.admitted, need); limit > 0 && sum > limit+p.largest {
		p.over = max(p.over, sum-limit-p.largest)
		w.fail("overshoot: %s starts %s/%s: %d tokens at %s in 60 s, limit %d", c.n.name, c.permit.Server, c.q.App, sum, p.name, limit)
	}
}

// end 是上游做完了或停下了。
func (t *simTruth) end(c *simCall) {
	if c.upstream {
		c.upstream = false
		t.servers[c.server].inflight--
		t.apps[c.q.app].inflight--
		if c.excused[0] {
			t.servers[c.server].excused--
		}
		if c.excused[1] {
			t.apps[c.q.app].excused--
		}
	}
}

// excuse 在一个与授予者断着的节点得知新设的限额时，把它早先跑着的记为不计。
func (t *simTruth) excuse(n *simNode, next *simConfig) {
	for _, c := range n.calls {
		if !c.upstream {
			continue
		}
		if !c.excused[0] && n.cfg.server(c.server).Limits.MaxConcurrency == 0 && next.server(c.server).Limits.MaxConcurrency > 0 {
			c.excused[0] = true
			t.servers[c.server].excused++
		}
		if !c.excused[1] && n.cfg.app(c.q.app).Limits.MaxConcurrency == 0 && next.app(c.q.app).Limits.MaxConcurrency > 0 {
			c.excused[1] = true
			t.apps[c.q.app].excused++
		}
	}
}

// vanish 让一次调用在 d 之后从上游消失；先自己做完的就算做完。
func (t *simTruth) vanish(c *simCall, d int64) {
	t.w.after(d, func() { t.end(c) })
}

// refund 是多预留的退回。
func (t *simTruth) refund(c *simCall, used Cost) {
	if back := c.q.Cost.Tokens() - used.Tokens(); back > 0 {
		t.servers[c.server].tokens.refund(t.w.now, back)
		t.apps[c.q.app].tokens.refund(t.w.now, back)
	}
}

func (v *simWindow) refund(now, n int64) {
	v.log = append(v.log, simSpent{now, -n})
	v.sum -= n
}

// begin 开始一次上游调用。
func (n *simNode) begin(now Time, q *simReq, p *Permit, how string) {
	s := simIndex(p.Server)
	n.w.tracef("  %s starts %s/%s (%s)", n.name, p.Server, q.App, how)
	known := false
	for i := range q.candidates {
		known = known || q.candidates[i].Server == p.Server && q.candidates[i].UpstreamModel == p.Upstream
	}
	if !known {
		n.w.fail("%s: admitted to %s/%s which is no candidate", n.name, p.Server, p.Upstream)
		return
	}
	c := &simCall{q: q, n: n, inc: n.inc, permit: p, slot: len(n.calls), server: s, open: true}
	n.calls = append(n.calls, c)
	q.call = c
	n.busy[s]++
	n.appBusy[q.app]++
	n.w.truth.start(c)

	inc := n.inc
	if q.retried || !n.w.chance(n.w.load.throttled) {
		n.serve(c)
	} else { // 上游说 429：歇一会儿，回到原来的位置
		n.w.after(n.w.between(2*simMs, 20*simMs), func() {
			n.w.truth.end(c)
			n.do(inc, func() { n.throttled(c) })
		})
	}
	if q.leaves > 0 && q.w == nil {
		n.w.after(q.leaves, func() { n.do(inc, func() { n.hangup(q) }) })
	}
}

// send 是请求真正到上游的时刻：准许之后宿主可能耽搁，但不过 StartBy；过了就是违反，因为单位那时已经当作没有用。
func (n *simNode) send(now Time, c *simCall) {
	if c == nil { // 去了不该去的地方，已经记为违反
		return
	}
	by := c.permit.StartBy
	if by == 0 || by >= now && !n.w.chance(0.3) {
		n.w.truth.requested(c)
		return
	}
	if by < now {
		n.w.fail("%s admits to %s/%s %v after its unit died", n.name, c.permit.Server, c.q.App, now.Sub(by))
		return
	}
	n.w.hits.late++
	n.w.at(n.clock.when(now.Add(time.Duration(n.w.rng.Int64N(int64(by-now)+1)))), func() { n.w.truth.requested(c) })
}

// serve 让上游做这么久；到了 Total 节点就切断它，上游再过一会儿才停。
func (n *simNode) serve(c *simCall) {
	q, inc := c.q, n.inc
	total := int64(float64(n.cfg.server(c.server).Total) / n.clock.rate)
	if q.service < total {
		n.w.after(q.service, func() {
			n.w.truth.end(c)
			n.do(inc, func() { n.finish(c, q.actual, false) })
		})
	} else {
		n.w.after(total, func() {
			if n.frozen || !n.alive || n.inc != inc { // 切断它的进程动不了：当作上游自己也在这时停下
				n.w.truth.end(c)
			}
			n.do(inc, func() { n.abort(c) })
		})
	}
	if n.w.chance(0.02) && q.service > 100*simMs {
		n.w.after(q.service/2, func() {
			n.do(inc, func() {
				if c.open {
					c.permit.Used = Cost{Prompt: q.actual.Prompt, Output: q.actual.Output / 2}
					n.step(Progressed{c.permit})
				}
			})
		})
	}
}

// abort 切断一次调用：上游在善后期内的某一刻停下。
func (n *simNode) abort(c *simCall) {
	if !c.open {
		return
	}
	grace := float64(n.cfg.server(c.server).AbortGrace)
	n.w.truth.vanish(c, int64(grace*0.95*n.w.rng.Float64()))
	n.finish(c, Cost{Prompt: c.q.actual.Prompt, Output: c.q.actual.Output / 3}, true)
}

// finish 结束一次调用，告诉 Holder。
func (n *simNode) finish(c *simCall, used Cost, aborted bool) {
	if !c.open {
		return
	}
	c.open = false
	last := len(n.calls) - 1
	n.calls[c.slot] = n.calls[last]
	n.calls[c.slot].slot = c.slot
	n.calls = n.calls[:last]
	p := c.permit
	p.Aborted = aborted
	if p.Known = n.w.chance(0.95); p.Known {
		p.Used = used
		n.w.truth.refund(c, used)
	}
	n.w.meter.finished++
	free := func() { n.busy[c.server]--; n.appBusy[c.q.app]-- }
	if aborted {
		inc := n.inc
		n.w.at(n.clock.when(n.now().Add(n.cfg.server(c.server).AbortGrace)), func() {
			if n.inc == inc {
				free()
			}
		})
	} else {
		free()
	}
	n.step(Finished{p})
}

// throttled 是上游回了 429。
func (n *simNode) throttled(c *simCall) {
	if !c.open {
		return
	}
	q := c.q
	pause := n.w.span(100*simMs, 3*simSec)
	n.w.meter.pause(c.server, n.w.now+pause+500*simMs)
	n.finish(c, Cost{}, false)
	n.step(TargetPaused{Server: c.permit.Server, Upstream: c.permit.Upstream, For: time.Duration(pause)})
	if q.deadline > n.now() {
		again := *q
		again.retried, again.call, again.w, again.permit, again.state = true, nil, nil, nil, simNew
		n.arrive(&again)
	}
}
