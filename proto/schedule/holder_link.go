package schedule

import (
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// frame 是正在攒的一帧；只在流开着时用。
func (h *Holder) frame() *admissionv1.AdmitRequest {
	if h.pending == nil {
		h.pending = &admissionv1.AdmitRequest{}
	}
	return h.pending
}

// connect 报到：手上的一切，然后是服务过的与在等的，一帧装不下的由 flush 接着说。
func (h *Holder) connect(now Time) {
	h.disconnect(now, true)
	h.stream++
	h.wire.reset()
	h.inbox.reset()
	h.connected, h.heardAt, h.ackDue = true, now, 0
	h.beatAt = now.Add(heartbeat)
	h.clock = clockBound{}
	h.oldBase = h.growBase
	if h.safe {
		// 对面可能把报的数记了账：从此刻起它按这个数为我们留着，要用足份额得重新等。
		h.growBase = now
		h.holdRates(now)
	}
	hello := &admissionv1.Hello{Version: h.cfg.Version, Instance: h.cfg.Instance}
	for _, s := range h.order {
		s.keep = 0
		if s.held > 0 {
			hello.Holdings = append(hello.Holdings, &admissionv1.Amount{Pool: poolMessage(s.pool), Units: s.held})
		}
	}
	for _, r := range h.rated {
		r.keep, r.dirty, r.demand = 0, true, -1
		if r.stockUntil != 0 { // 闲置的不报，授予者当它们没有用
			r.stockUntil = 0
			if r.limited && !h.safe {
				h.core.SetLevel(now, r.pool, 0)
			}
		}
		if r.reserved > 0 {
			hello.Holdings = append(hello.Holdings, &admissionv1.Amount{Pool: poolMessage(r.pool), Units: r.reserved})
		}
	}
	for _, v := range h.serves {
		v.dirty = true
	}
	f := h.frame()
	f.Hello, f.ShareVersion = hello, h.stored
	f.Demands, f.Busy = h.demands(true), h.busy()
	if !broken(bugPausesForgotten) {
		f.Pauses = pauseMessages(now, h.core)
	}
	h.telling = true
	h.refresh()
	h.rest()
}

// refresh 使在等的都重新递一遍，先到的在前。
func (h *Holder) refresh() {
	h.fresh = h.fresh[:0]
	for _, w := range h.waiters {
		h.fresh = append(h.fresh, w)
	}
	sortWaiters(h.fresh)
}

// askFresh 把一帧装得下的递出去；余下的仍在 fresh 里，次序不变。
func (h *Holder) askFresh(now Time) {
	n := 0
	for room := h.items; n < len(h.fresh) && room > 0; n++ {
		if w := h.fresh[n]; h.waiters[w.ID] == w && !w.held.asked {
			h.ask(now, w)
			room -= 1 + len(w.Candidates)
		}
	}
	left := copy(h.fresh, h.fresh[n:])
	clear(h.fresh[left:])
	h.fresh = h.fresh[:left]
}

// disconnect 说流不在了：手上的留着自己用，租期照走。booked 为假即确知没有人为这次报到记账，如同没有报过；
// 说不清的当作记了，而且直到此刻都听得见我们。
func (h *Holder) disconnect(now Time, booked bool) {
	if !h.connected {
		return
	}
	unheard := !booked && !h.welcomed
	switch {
	case unheard:
		h.growBase = h.oldBase
	case h.safe:
		h.growBase = now
		for _, s := range h.order {
			s.grown = false
			h.resize(now, s)
		}
	}
	if h.welcomed { // 没有被认的流什么也不是：一再被指路的节点早就没有授予者了
		h.cutAt = now
	}
	h.connected, h.welcomed, h.pending = false, false, nil
	if unheard {
		h.holdRates(now)
	} else {
		h.restartRates(now)
	}
	for _, w := range h.waiters {
		w.held.asked = false
	}
	clear(h.levels)
	h.rest()
}

func (h *Holder) hangup(now Time) {
	if h.connected {
		h.disconnect(now, true)
		h.emit(HolderEffect{Kind: Hangup})
	}
}

// receive 收下一帧。
func (h *Holder) receive(now Time, r *admissionv1.AdmitResponse) {
	if !h.connected {
		return
	}
	if n := r.GetNotLeader(); n != nil {
		h.disconnect(now, n.GetBooked())
		h.emit(HolderEffect{Kind: Redirect, Leader: n.GetLeaderAddr(), Wait: time.Duration(n.GetRetryAfterUs()) * time.Microsecond})
		return
	}
	if r.GetEpoch() != h.cfg.Epoch || r.GetStream() != h.stream {
		return
	}
	if r.GetTerm() < h.term && !broken(bugOldTermTrusted) {
		h.hangup(now)
		return
	}
	h.term, h.heardAt = max(h.term, r.GetTerm()), now
	h.wire.acked(now, r.GetAck())
	h.lease(now, r)
	if r.GetSeq() == 0 {
		return
	}
	h.ackDue = earliest(h.ackDue, now.Add(ackDelay))
	if !h.inOrder(now, r) {
		h.hangup(now)
	}
}

// lease 从自己发出的时刻起算租期，因此与两边的时钟对不对无关，只与快慢有关。
func (h *Holder) lease(now Time, r *admissionv1.AdmitResponse) {
	if r.GetTtlUs() <= 0 {
		return
	}
	echo := fromMicros(r.GetEchoUs())
	h.clock.learn(now, echo, fromMicros(r.GetNowUs()))
	end := echo.Add(time.Duration(r.GetTtlUs()) * time.Microsecond)
	if broken(bugLeaseFromReceipt) {
		end = now.Add(time.Duration(r.GetTtlUs()) * time.Microsecond)
	}
	if end <= h.leaseEnd || end <= now {
		return
	}
	h.leaseEnd = end
	if h.safe {
		h.leaveSafe(now)
	}
	h.rest()
}

// leaveSafe 又有了租期：授予者已经把报到的数记了账。
func (h *Holder) leaveSafe(now Time) {
	h.safe, h.alone = false, false
	for _, s := range h.order {
		s.grown = false
		h.resize(now, s)
	}
	for _, r := range h.rated {
		h.refill(now, r)
	}
}

// lapse 租期过了：只靠份额，从缩起。流若还开着，一定是死的。
func (h *Holder) lapse(now Time) {
	h.safe, h.growBase = true, h.leaseEnd
	if broken(bugGrowFromNow) {
		h.growBase = 0
	}
	h.hangup(now)
	for _, s := range h.order {
		s.grown = false
		h.resize(now, s)
	}
	for _, r := range h.rated {
		h.refill(now, r)
	}
}

// growAt 是可以用足份额的时刻：到那时任何节点在各自租期内开始的请求都已经结束，授予者也收齐了这一份。
func (h *Holder) growAt(s *stock) Time {
	total := s.total
	if h.growBase < s.longUntil {
		total = max(total, s.longTotal)
	}
	wait := total + LeaseTTL + 2*slack
	return h.growBase.Add(wait + wait*2*drift/100)
}

func (h *Holder) grow(now Time) {
	if !h.safe || h.connected {
		return // 报到还没有回音：数已经报出去了，不能再变
	}
	for _, s := range h.order {
		if s.limited && !s.grown && now >= h.growAt(s) {
			s.grown = true
			s.held = max(s.carried(), s.share)
			h.resize(now, s)
		}
	}
}

// inOrder 把一帧按次序交给 take。
func (h *Holder) inOrder(now Time, r *admissionv1.AdmitResponse) bool {
	return h.inbox.arrived(r.GetSeq(), r, func(r *admissionv1.AdmitResponse) { h.take(now, r) })
}

func (h *Holder) take(now Time, r *admissionv1.AdmitResponse) {
	h.welcomed = h.welcomed || r.GetWelcome()
	for _, p := range r.GetPauses() {
		if r.GetRevision() >= h.renewed[p.GetServer()] {
			h.core.Pause(now, p.GetServer(), p.GetUpstreamModel(), now.Add(time.Duration(p.GetForUs())*time.Microsecond))
		}
	}
	for _, g := range r.GetGrants() {
		h.granted(now, r.GetRevision(), g)
	}
	for _, k := range r.GetKeeps() {
		h.kept(now, r.GetRevision(), k)
	}
	if r.GetWelcome() {
		for _, s := range h.order {
			h.surplus(now, s)
		}
	}
	for _, v := range r.GetRefusals() {
		h.refused(now, v)
	}
	for _, e := range r.GetEstimates() {
		if w := h.waiters[e.GetWaiterId()]; w != nil {
			w.held.place = Place{Position: e.GetPosition(), Wait: time.Duration(e.GetWaitUs()) * time.Microsecond}
			w.held.appLimited = e.GetAppLimited()
			if w.held.entered == 0 {
				w.held.entered = e.GetPosition()
			}
		}
	}
	for _, l := range r.GetLevels() {
		h.levels[poolOf(l.GetPool())] = levelSeen{at: now, remaining: l.GetRemaining(), full: time.Duration(l.GetFullUs()) * time.Microsecond}
	}
	if s := r.GetShare(); s != nil && !h.parting {
		h.adoptShare(s)
		h.emit(HolderEffect{Kind: Store, Share: s})
	}
}

// kept 收下授予者定的持有量与随手给的闲置单位。
func (h *Holder) kept(now Time, revision uint64, k *admissionv1.Keep) {
	p := poolOf(k.GetPool())
	if p.Kind != InFlight {
		r := h.rate(p)
		r.keep = k.GetKeep()
		h.stockUp(now, r, k.GetUnits(), fromMicros(k.GetAtUs()))
		if r.keep == 0 {
			h.destock(now, r)
		}
		return
	}
	s := h.stock(p)
	s.keep = k.GetKeep()
	s.held += k.GetUnits()
	h.resize(now, s)
	h.received(now, s, k.GetUnits(), revision)
}

func (h *Holder) refused(now Time, v *admissionv1.Refusal) {
	w := h.waiters[v.GetWaiterId()]
	if w == nil || !w.held.asked {
		return
	}
	w.held.asked = false
	h.core.Remove(now, w)
	h.forget(w)
	h.emit(HolderEffect{Kind: Refuse, Waiter: w, Refusal: Refusal{
		Code: v.GetCode(), RetryAfter: time.Duration(v.GetRetryAfterUs()) * time.Microsecond}})
}

// flush 发出攒下的一帧；没有可说的就只在该心跳、该确认时发空帧。
func (h *Holder) flush(now Time) {
	if !h.connected {
		clear(h.fresh)
		h.fresh = h.fresh[:0]
		return
	}
	if now >= h.heardAt.Add(deafAfter) {
		h.hangup(now)
		return
	}
	h.askFresh(now)
	if h.hungry && now >= h.fedAt.Add(demandGap) {
		h.fedAt = now
		h.frame().Demands = h.demands(true)
	}
	h.hungry = false
	beat := now >= h.beatAt
	if beat {
		h.beatAt, h.fedAt = now.Add(heartbeat), now
		h.beat(now)
	}
	switch {
	case h.pending != nil:
		h.post(now)
	case beat || h.ackDue != 0 && now >= h.ackDue:
		h.send(now, &admissionv1.AdmitRequest{})
	}
	for (h.telling || len(h.fresh) > 0) && len(h.wire.unacked) < tellAhead { // 对面收下一帧，才再说一帧
		h.frame()
		h.askFresh(now)
		h.post(now)
	}
	if !h.wire.overdue(now, func(f *admissionv1.AdmitRequest) { h.emit(HolderEffect{Kind: Send, Request: f}) }) {
		h.hangup(now)
	}
}

// post 给攒着的一帧编号发出，捎上脏了的累计值。
func (h *Holder) post(now Time) {
	f := h.pending
	h.pending = nil
	for _, r := range h.rated {
		if r.dirty {
			r.dirty = false
			f.Settled = append(f.Settled, &admissionv1.Settled{Pool: poolMessage(r.pool), Reserved: r.settled.reserved, Used: r.settled.used})
		}
	}
	untold := false
	for _, v := range h.serves {
		if v.dirty && len(f.Served) == h.items {
			untold = true
			break
		}
		if v.dirty {
			v.dirty = false
			f.Served = append(f.Served, &admissionv1.Served{Server: v.key.server, App: v.key.app, Class: int32(v.key.class), Weight: v.weight,
				Cost: v.cost, Requests: v.requests, BusyUs: v.busy.Microseconds()})
		}
	}
	h.telling = h.telling && (untold || len(h.fresh) > 0)
	f.More = h.telling
	f.Seq = h.wire.push(now, f)
	h.send(now, f)
}

func (h *Holder) send(now Time, f *admissionv1.AdmitRequest) {
	f.NodeId, f.Epoch, f.Term, f.Stream = h.cfg.Node, h.cfg.Epoch, h.term, h.stream
	f.Ack, f.Revision, f.SentUs = h.inbox.received, h.spec.Revision, micros(now)
	h.ackDue = 0
	h.emit(HolderEffect{Kind: Send, Request: f})
}

// part 先抹去盘上的份额：告别一到，别的节点就会分走它，而下一次启动若捡起旧的，同一份就有两个人用。
func (h *Holder) part() {
	if !h.connected || h.parting {
		return
	}
	h.parting = true
	none := &admissionv1.Share{}
	h.adoptShare(none)
	h.emit(HolderEffect{Kind: Store, Share: none})
}

// bye 在抹去了份额之后道别；先前的份额此刻才落盘的不算（授予者给的版本从不为 0）。
func (h *Holder) bye(version uint64) {
	if version != 0 {
		return
	}
	h.stored = 0
	if h.connected {
		h.frame().Bye = true
	}
}
