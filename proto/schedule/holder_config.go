package schedule

import (
	"cmp"
	"slices"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// configure 换上一版配置。新设了限额的池，在途的当场认下；撤了限额的，闲置的交回。
func (h *Holder) configure(now Time, spec *Spec) {
	old, before := h.spec, h.servers
	h.spec = spec
	h.servers, h.apps = make(map[string]*ServerSpec, len(spec.Servers)), make(map[string]*AppSpec, len(spec.Apps))
	for i := range spec.Servers {
		s := &spec.Servers[i]
		h.servers[s.Name] = s
		h.core.SetServer(s.Name, s.MaxWaiting)
		h.serverStock(s.Name)
		h.configureRates(now, Pool{Server: s.Name}, s.Limits, s.BurstPercent)
	}
	for i := range spec.Apps {
		a := &spec.Apps[i]
		h.apps[a.Name] = a
		h.appStock(a.Name)
		h.configureRates(now, Pool{App: a.Name}, a.Limits, AppBurstPercent)
	}
	h.renewed.learn(now, h.core, before, h.servers, spec.Revision)
	for i := range old.Servers {
		if s := &old.Servers[i]; h.servers[s.Name] == nil {
			h.configureRates(now, Pool{Server: s.Name}, Limits{}, 0)
			h.core.SetServer(s.Name, 0)
		}
	}
	for i := range old.Apps {
		if a := &old.Apps[i]; h.apps[a.Name] == nil {
			h.configureRates(now, Pool{App: a.Name}, Limits{}, 0)
		}
	}
	for _, s := range h.order {
		was := s.limit
		h.limitStock(s)
		h.resize(now, s)
		h.claim(now, s)
		h.surplus(now, s)
		if s.limited && (was == 0 || s.limit < was) {
			h.shed(now, s)
		}
	}
	h.sweep()
	h.rest()
	if h.connected {
		h.frame() // 让授予者知道：新设了限额的，该认的都认过了
	}
}

func (h *Holder) configureRates(now Time, p Pool, l Limits, burst int64) {
	p.Kind = Requests
	h.configureRate(now, p, l.RequestsPerMinute, burst)
	p.Kind = Tokens
	h.configureRate(now, p, l.TokensPerMinute, burst)
}

// sweep 忘掉配置里不再有、账上也空了的。
func (h *Holder) sweep() {
	gone := func(p Pool) bool {
		return p.Server != "" && h.servers[p.Server] == nil || p.App != "" && h.apps[p.App] == nil
	}
	h.order = slices.DeleteFunc(h.order, func(s *stock) bool {
		if dead := gone(s.pool) && s.held == 0 && s.open == 0 && h.now >= s.longUntil; dead {
			delete(h.stocks, s.pool)
			return true
		}
		return false
	})
	h.rated = slices.DeleteFunc(h.rated, func(r *rate) bool {
		if dead := gone(r.pool) && !r.limited && r.reserved == 0 && !r.dirty; dead {
			delete(h.rates, r.pool)
			return true
		}
		return false
	})
	h.serves = slices.DeleteFunc(h.serves, func(v *served) bool {
		if dead := !v.dirty && (h.servers[v.key.server] == nil || h.apps[v.key.app] == nil); dead {
			delete(h.served, v.key)
			return true
		}
		return false
	})
}

// adoptShare 换上一份安全份额；租期内只是记着。
func (h *Holder) adoptShare(s *admissionv1.Share) {
	h.share = s
	h.shares = make(map[Pool]shareUnits, len(s.GetAmounts()))
	for _, a := range s.GetAmounts() {
		h.shares[poolOf(a.GetPool())] = shareUnits{a.GetUnits(), a.GetLimit()}
	}
	for _, s := range h.order {
		h.shareStock(s)
	}
	for _, r := range h.rated {
		h.shareRate(r)
	}
}

// shareStored 说份额已经落盘，可以告诉授予者了。
func (h *Holder) shareStored(version uint64) {
	if h.parting {
		h.bye(version)
		return
	}
	h.stored = max(h.stored, version)
	if h.connected {
		h.frame().ShareVersion = h.stored
	}
}

// beat 随心跳说：想留多少，在途多少，还没有说的累计值。
func (h *Holder) beat(now Time) {
	for _, s := range h.order {
		h.surplus(now, s)
	}
	if d := h.demands(false); d != nil {
		h.frame().Demands = d
	}
	if b := h.busy(); b != nil {
		h.frame().Busy = b
	}
	for _, r := range h.rated {
		if r.dirty {
			h.frame()
		}
	}
	for _, v := range h.serves {
		if v.dirty {
			h.frame()
		}
	}
}

// demands 是各池想持有的量：在途池是近来的峰值加一，速率池是近来一拍用的一倍半加一个请求；没有变化返回 nil。
func (h *Holder) demands(force bool) *admissionv1.Demands {
	changed := force
	for _, s := range h.order {
		want := int64(0)
		if peak := max(s.peak[0], s.peak[1]); s.limited && peak > 0 {
			want = peak + 1
		}
		changed = changed || want != s.demand
		s.demand = want
	}
	for _, r := range h.rated {
		want := int64(0)
		if recent := r.recent(h.now); r.limited && recent > 0 {
			want = recent + recent/2 + r.typical
			r.usedAt = h.now
		}
		changed = changed || want != r.demand || r.interesting(h.now)
		r.demand = want
	}
	h.rotatePeaks()
	if !changed {
		return nil
	}
	d := &admissionv1.Demands{}
	for _, s := range h.order {
		if s.demand > 0 {
			d.Amounts = append(d.Amounts, &admissionv1.Amount{Pool: poolMessage(s.pool), Units: s.demand})
		}
	}
	for _, r := range h.rated {
		if r.demand > 0 || r.interesting(h.now) {
			d.Amounts = append(d.Amounts, &admissionv1.Amount{Pool: poolMessage(r.pool), Units: r.demand})
		}
	}
	return d
}

func (h *Holder) rotatePeaks() {
	if h.now < h.peaksAt {
		return
	}
	h.peaksAt = h.now.Add(peakWindow)
	for _, s := range h.order {
		s.peak[1], s.peak[0] = s.peak[0], s.open
	}
}

// busy 是各 server 与 app 在途的请求数；与上次说的一样返回 nil。
func (h *Holder) busy() *admissionv1.Busy {
	changed := false
	for _, s := range h.order {
		changed = changed || s.open != s.told
		s.told = s.open
	}
	if !changed {
		return nil
	}
	b := &admissionv1.Busy{}
	for _, s := range h.order {
		if s.open > 0 {
			b.Amounts = append(b.Amounts, &admissionv1.Amount{Pool: poolMessage(s.pool), Units: s.open})
		}
	}
	return b
}

func sortWaiters(ws []*Waiter) {
	slices.SortFunc(ws, func(a, b *Waiter) int { return cmp.Or(cmp.Compare(a.Arrived, b.Arrived), cmp.Compare(a.ID, b.ID)) })
}

// RateLevel 是一个速率限额此刻的余量；Set 为假即没有限额（或还不知道）。
type RateLevel struct {
	Set              bool
	Limit, Remaining int64
	Reset            time.Duration // 回满还要多久
}

// RateLevels 是一个 app 自己的两种速率限额。
type RateLevels struct{ Requests, Tokens RateLevel }

// Levels 给出一个 app 的余量，连着授予者时不旧于一秒。
func (h *Holder) Levels(app string) (RateLevels, bool) {
	spec := h.apps[app]
	if spec == nil || spec.Limits.RequestsPerMinute == 0 && spec.Limits.TokensPerMinute == 0 {
		return RateLevels{}, false
	}
	return RateLevels{
		Requests: h.level(Pool{App: app, Kind: Requests}, spec.Limits.RequestsPerMinute),
		Tokens:   h.level(Pool{App: app, Kind: Tokens}, spec.Limits.TokensPerMinute),
	}, true
}

func (h *Holder) level(p Pool, limit int64) RateLevel {
	if limit == 0 {
		return RateLevel{}
	}
	if h.safe {
		free, _ := h.core.Free(h.now, p)
		return RateLevel{Set: true, Limit: limit, Remaining: max(free, 0), Reset: h.core.Full(h.now, p)}
	}
	l, known := h.levels[p]
	burst := Burst(limit, AppBurstPercent)
	if !known { // 近来没有用过它
		return RateLevel{Set: true, Limit: limit, Remaining: burst}
	}
	// 久不用就不再有新的数：它照着说好的时刻回满。
	reset := max(l.full-h.now.Sub(l.at), 0)
	refilled := int64(0)
	if l.full > 0 {
		refilled = int64(float64(burst-l.remaining) * float64(l.full-reset) / float64(l.full))
	}
	own, _ := h.core.Free(h.now, p) // 闲置在这里的，授予者的余量里没有
	return RateLevel{Set: true, Limit: limit, Remaining: min(max(l.remaining+refilled, 0)+max(own, 0), burst), Reset: reset}
}

// levelSeen 是授予者说的一个速率池的余量。
type levelSeen struct {
	at        Time
	remaining int64
	full      time.Duration
}

// Place 是一个在等的请求的位置；递出去了的听授予者的。
func (h *Holder) Place(now Time, w *Waiter) Place {
	if w.held.asked {
		return w.held.place
	}
	return h.core.Place(now, w)
}

// Entered 是授予者收下它时说的位置：所有节点的队合起来数。没有递出去、或还没有回音是 0。
func (h *Holder) Entered(w *Waiter) int64 { return w.held.entered }

// noShareAfter 是断开多久之后，手上没有份额的请求不再等授予者回来。
const noShareAfter = 3 * time.Second

// NoShare 说没有授予者，而这个节点在这个 server 或 app 上一个单位也用不了。连着而没有被认不算有：那也许只是别的副本在说不是它。
func (h *Holder) NoShare(now Time, server, app string) bool {
	if h.wake != 0 && now >= h.wake {
		h.advance(now)
	}
	if !h.safe || h.welcomed || now < h.cutAt.Add(noShareAfter) {
		return false
	}
	for _, s := range [2]*stock{h.serverStock(server), h.appStock(app)} {
		if s.limited && s.cap <= 0 {
			return true
		}
	}
	for _, p := range [...]Pool{{Server: server, Kind: Requests}, {Server: server, Kind: Tokens}, {App: app, Kind: Requests}, {App: app, Kind: Tokens}} {
		if r := h.rates[p]; r != nil && r.limited && r.share == 0 {
			return true
		}
	}
	return false
}

// PoolState 是一个在途池在节点这边的账。
type PoolState struct {
	Pool                            Pool
	Idle, Busy, Aborting, Held, Cap int64
	Limited                         bool
}

// HolderState 供指标与审计。
type HolderState struct {
	Connected bool
	Term      uint64
	LeaseLeft time.Duration
	Safe      bool
	Waiting   int64
	Pools     []PoolState
}

// State 给出此刻的账。
func (h *Holder) State() HolderState {
	v := HolderState{Connected: h.welcomed, Term: h.term, LeaseLeft: max(h.leaseEnd.Sub(h.now), 0), Safe: h.safe, Waiting: int64(len(h.waiters))}
	for _, s := range h.order {
		v.Pools = append(v.Pools, PoolState{Pool: s.pool, Idle: s.idle(), Busy: s.open - s.aborting, Aborting: s.aborting, Held: s.held, Cap: s.cap, Limited: s.limited})
	}
	return v
}

// Share 是手上的安全份额；nil 即没有。
func (h *Holder) Share() *admissionv1.Share { return h.share }
