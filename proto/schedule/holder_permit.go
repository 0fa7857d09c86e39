package schedule

import (
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

type servedKey struct {
	server, app string
	class       Class
}

// served 是本轮运行至今在一个 server 上为一个 app 服务的；只增的累计值，丢一帧、重一帧都无害。
type served struct {
	key      servedKey
	weight   int64
	cost     int64
	requests int64
	busy     time.Duration
	dirty    bool
}

func (h *Holder) servedOf(p *Permit) *served {
	k := servedKey{p.Server, p.App, p.Class}
	v := h.served[k]
	if v == nil {
		v = &served{key: k}
		h.served[k] = v
		h.serves = append(h.serves, v)
	}
	v.weight, v.dirty = p.Weight, true
	return v
}

// start 开始一个宿主自己挑好目标的请求。
func (h *Holder) start(now Time, p *Permit) {
	h.core.Start(now, p.Server, p.Upstream, &p.Request)
	h.begun(now, p)
}

// begun 记下一个在本地开始的请求；core 已经扣了它要的。
func (h *Holder) begun(now Time, p *Permit) {
	h.fill(now, p)
	h.occupy(p.server)
	h.occupy(p.app)
	h.reserve(p, !h.safe)
	h.spendRequest(now, p)
	if h.metered(p) {
		h.servedOf(p).cost += p.charged
	}
}

func (h *Holder) fill(now Time, p *Permit) {
	p.server, p.app = h.serverStock(p.Server), h.appStock(p.App)
	p.Began, p.StartBy, p.charged, p.live = now, 0, p.Cost.Charge(), true
	p.Used, p.Known, p.Aborted, p.Unused = Cost{}, false, false, false
}

func (h *Holder) metered(p *Permit) bool { return p.server.metered || p.app.metered }

// progress 让公平账跟上一个流已经用掉的。
func (h *Holder) progress(now Time, p *Permit) {
	if p.live && h.metered(p) {
		if more := p.Used.Charge() - p.charged; more > 0 {
			h.charge(now, p, more)
		}
	}
}

func (h *Holder) charge(now Time, p *Permit, cost int64) {
	p.charged += cost
	h.servedOf(p).cost += cost
	h.core.Charge(now, p.Server, p.App, p.Class, p.Weight, cost)
}

// finish 了结一个请求：结清 token，更正公平账，让出名额。
func (h *Holder) finish(now Time, p *Permit) {
	if !p.live {
		return
	}
	p.live = false
	actual := p.Cost
	if p.Known {
		actual = p.Used
	}
	h.settle(now, p, actual.Tokens())
	if h.metered(p) {
		h.charge(now, p, actual.Charge()-p.charged)
		if v, took := h.servedOf(p), now.Sub(p.Began); !p.Unused {
			v.requests++
			v.busy += took
			h.core.Served(now, p.Server, p.App, 1, took)
		}
	}
	if p.Aborted && p.server.grace > 0 && !broken(bugNoGrace) {
		p.server.aborting++
		p.app.aborting++
		if h.connected && p.server.keep == 0 {
			h.frame() // 更正马上说：授予者下一次挑谁要看它
		}
		at := now.Add(p.server.grace)
		h.aborts.push(abort{at: at, server: p.server, app: p.app})
		h.wake = earliest(h.wake, at)
		return
	}
	h.release(now, p.server)
	h.release(now, p.app)
}

// arrive 让一个请求排队。连着授予者时，等不等得到由它说。
func (h *Holder) arrive(now Time, w *Waiter) {
	w.Node, w.held = h.cfg.Node, waiterState{place: Place{Wait: -1}}
	w.spot.prefer = h.prefer(now, w)
	if r, refused := h.core.Arrive(now, w, !h.connected); refused {
		h.emit(HolderEffect{Kind: Refuse, Waiter: w, Refusal: r})
		return
	}
	h.waiters[w.ID] = w
	h.fresh = append(h.fresh, w)
	h.hungry = true
}

// tierPatience 是先问授予者更好的一层至多多久；远大于一个来回。
const tierPatience = 50 * time.Millisecond

// prefer 是一个新来的请求到何时为止只去最好的一层；等不了多久的，一半时间用来问。
func (h *Holder) prefer(now Time, w *Waiter) Time {
	if !h.AsksFirst() || broken(bugLowerTierFirst) {
		return 0
	}
	d := tierPatience
	if w.Deadline != 0 {
		d = min(d, max(w.Deadline.Sub(now)/2, 0))
	}
	return now.Add(d)
}

// AsksFirst 说连着授予者：更好的一层在本地满了，宿主不可直接用较低的一层，要先 Arrived 问它。暂停着的一层不算。
func (h *Holder) AsksFirst() bool { return h.welcomed }

func (h *Holder) leave(now Time, w *Waiter) {
	if h.waiters[w.ID] == w {
		h.core.Remove(now, w)
		h.forget(w)
	}
}

// forget 忘掉一个不再等的；递出去过的要撤回。
func (h *Holder) forget(w *Waiter) {
	delete(h.waiters, w.ID)
	if w.held.asked && h.connected {
		f := h.frame()
		f.Cancels = append(f.Cancels, w.ID)
	}
	w.held.asked = false
}

func (h *Holder) change(now Time, w *Waiter, candidates []Candidate) {
	if h.waiters[w.ID] != w {
		return
	}
	h.core.Change(now, w, candidates)
	if w.held.asked {
		h.ask(now, w)
	}
}

// dispatch 用本地闲置的单位让在等的开始。
func (h *Holder) dispatch(now Time) {
	for {
		w, i, ok := h.core.Dispatch(now)
		if !ok {
			return
		}
		h.forget(w)
		p := w.Permit
		p.Request, p.Server, p.Upstream = w.Request, w.Candidates[i].Server, w.Candidates[i].UpstreamModel
		h.begun(now, p)
		h.emit(HolderEffect{Kind: Admit, Waiter: w})
	}
}

// expire 答复到了期限的。
func (h *Holder) expire(now Time) {
	for w := h.core.Expire(now); w != nil; w = h.core.Expire(now) {
		r := Refusal{Code: "queue_timeout", RetryAfter: max(h.Place(now, w).Wait, time.Second)}
		if h.appLimits(w) {
			r.Code = "rate_limit_exceeded"
		}
		h.forget(w)
		h.emit(HolderEffect{Kind: Expire, Waiter: w, Refusal: r})
	}
}

// appLimits 说挡住一个请求的是不是它的 app 自己的限额。
func (h *Holder) appLimits(w *Waiter) bool {
	if w.held.asked {
		return w.held.appLimited
	}
	for _, k := range [...]Kind{InFlight, Requests, Tokens} {
		if h.core.Blocked(Pool{App: w.App, Kind: k}) {
			return true
		}
	}
	return false
}

// ask 把一个在等的请求递给授予者。
func (h *Holder) ask(now Time, w *Waiter) {
	w.held.asked = true
	d := &admissionv1.Descriptor{
		Id: w.ID, App: w.App, AgeUs: micros(now - w.Arrived), PromptTokens: w.Cost.Prompt, OutputTokens: w.Cost.Output,
		Class: int32(w.Class), Weight: w.Weight, Candidates: make([]*admissionv1.Candidate, len(w.Candidates)),
	}
	if w.Deadline != 0 {
		d.WaitUs = max(micros(w.Deadline-now), 1)
	}
	for i, c := range w.Candidates {
		d.Candidates[i] = &admissionv1.Candidate{Server: c.Server, UpstreamModel: c.UpstreamModel, Weight: c.Weight, Priority: c.Priority}
	}
	f := h.frame()
	f.Waiters = append(f.Waiters, d)
}

// granted 收下授予者以 revision 那一版配置给一个请求的一组单位。迟到的、限额降低之前的原样归还。
func (h *Holder) granted(now Time, revision uint64, g *admissionv1.Grant) {
	w := h.waiters[g.GetWaiterId()]
	if w == nil && broken(bugLateGrantDropped) {
		return
	}
	at := fromMicros(g.GetAtUs())
	dead := now >= h.clock.local(now, at).Add(unitLife) && !broken(bugDeadUnitUsed)
	var server, app, timed bool
	for _, a := range g.GetAmounts() {
		switch p := poolOf(a.GetPool()); p.Kind {
		case InFlight:
			s := h.stock(p)
			s.held += a.GetUnits()
			h.resize(now, s)
			server, app = server || p.Server != "", app || p.App != ""
		case Requests:
			timed = true
		}
	}
	if w == nil || h.safe || h.stillPaused(now, revision, g.GetTarget()) || timed && dead || !w.accepts(g.GetTarget()) || h.outdated(revision, w.App, g.GetTarget().GetServer()) {
		h.refuseGrant(now, revision, w, g)
		return
	}
	t := g.GetTarget()
	h.core.Remove(now, w)
	w.held.asked = false
	h.forget(w)
	p := w.Permit
	p.Request, p.Server, p.Upstream = w.Request, t.GetServer(), t.GetUpstreamModel()
	h.fill(now, p)
	h.bind(now, p.server, server)
	h.bind(now, p.app, app)
	p.reserved = [2]reservation{}
	for _, a := range g.GetAmounts() {
		if pool := poolOf(a.GetPool()); pool.Kind == Tokens {
			i := 0
			if pool.App != "" {
				i = 1
			}
			h.book(p, i, h.rate(pool), a.GetUnits(), true)
		}
	}
	h.spendRequest(now, p)
	if timed {
		p.StartBy = h.clock.local(now, at).Add(unitLife)
	}
	if h.metered(p) {
		h.core.Charge(now, p.Server, p.App, p.Class, p.Weight, p.charged)
	}
	h.emit(HolderEffect{Kind: Admit, Waiter: w})
}

// outdated 说一次授予是不是限额降低或设上之前的。
func (h *Holder) outdated(revision uint64, app, server string) bool {
	return revision < h.appStock(app).lowered || revision < h.serverStock(server).lowered
}

// stillPaused 说一次授予去的目标在这里还暂停着：授予的时候授予者还不知道，或者它的钟快些。再说一遍，免得原样又给一次。
// 它的配置比这里的新，就听它的：那或许已经是另一个上游。
func (h *Holder) stillPaused(now Time, revision uint64, t *admissionv1.Candidate) bool {
	until := h.core.pausedUntil(now, t.GetServer(), t.GetUpstreamModel())
	if until == 0 || revision > h.spec.Revision {
		return false
	}
	f := h.frame()
	f.Pauses = append(f.Pauses, pauseMessage(now, t.GetServer(), t.GetUpstreamModel(), until))
	return true
}

// accepts 说一个目标还在不在候选里：配置可能刚换过。
func (w *Waiter) accepts(t *admissionv1.Candidate) bool {
	for i := range w.Candidates {
		if w.Candidates[i].Server == t.GetServer() && w.Candidates[i].UpstreamModel == t.GetUpstreamModel() {
			return true
		}
	}
	return false
}

// bind 让一个请求占住随授予来的那个单位；授予里没有而我们这里有限额，就当场认下一个。
func (h *Holder) bind(now Time, s *stock, included bool) {
	s.open++
	s.peak[0] = max(s.peak[0], s.open)
	if included {
		h.core.Take(now, s.pool, 1)
		return
	}
	s.unbacked++
	h.claim(now, s)
}

// refuseGrant 归还一次用不上的授予；请求还在等就再递一次。
func (h *Holder) refuseGrant(now Time, revision uint64, w *Waiter, g *admissionv1.Grant) {
	for _, a := range g.GetAmounts() {
		p := poolOf(a.GetPool())
		if p.Kind == InFlight {
			h.received(now, h.stock(p), a.GetUnits(), revision)
			continue
		}
		// 请求数的不还：授予者补它的桶时没有把它算在容量里，还回去就可能在 60 s 里多出一个。
		if p.Kind == Tokens {
			h.settled(h.rate(p), a.GetUnits(), 0)
		}
	}
	if w != nil {
		w.held.asked = false
		h.fresh = append(h.fresh, w)
	}
}

func (h *Holder) pause(now Time, e TargetPaused) {
	h.core.Pause(now, e.Server, e.Upstream, now.Add(e.For))
	if h.connected {
		f := h.frame()
		f.Pauses = append(f.Pauses, pauseMessage(now, e.Server, e.Upstream, now.Add(e.For)))
	}
}
