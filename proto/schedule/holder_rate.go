package schedule

import (
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// rate 是节点在一个速率池（请求数或 token）里的账。
//
// 租期内用的是授予者给的单位：随一个请求来的当场用掉，闲置的放在 core 里，到 stockUntil 之前用不掉就还。
// 控制面不在时用自己的份额，从空桶起。
type rate struct {
	pool    Pool
	limited bool
	limit   int64
	burst   int64
	share   int64

	stockAt    Time // 闲置单位里最早授予的，授予者的钟
	stockUntil Time // 闲置单位留到何时；0 即没有
	keep       int64
	reserved   int64 // 在途请求预留而未结的
	settled    struct{ reserved, used int64 }
	dirty      bool

	spent   int64 // 从 since 起用掉的，供 demand
	since   Time
	before  int64 // 上一段里折成一拍用掉的
	typical int64 // 最近一个请求用的
	demand  int64
	usedAt  Time
}

// recent 是近来一拍用掉的：这一段与上一段折算的大者。
func (r *rate) recent(now Time) int64 {
	took := now.Sub(r.since)
	if took < heartbeat/5 {
		return max(r.before, r.spent)
	}
	here := int64(float64(r.spent) * float64(heartbeat) / float64(took))
	n := max(r.before, here)
	r.before, r.spent, r.since = here, 0, now
	return n
}

// interestFor 是用过之后多久还想知道余量。
const interestFor = 10 * time.Second

// interesting 说近来用过这个 app 的速率池，余量值得一直问着。
func (r *rate) interesting(now Time) bool {
	return r.limited && r.usedAt != 0 && now < r.usedAt.Add(interestFor)
}

func (h *Holder) rate(p Pool) *rate {
	r := h.rates[p]
	if r == nil {
		r = &rate{pool: p}
		h.rates[p] = r
		h.rated = append(h.rated, r)
	}
	return r
}

// configureRate 按配置定下一个速率池有没有限额。
func (h *Holder) configureRate(now Time, p Pool, limit, burst int64) {
	r := h.rates[p]
	if r == nil && limit == 0 {
		return
	}
	if r == nil {
		r = h.rate(p)
	}
	was, own := r.limited, r.share
	r.limited, r.limit, r.burst = limit > 0, limit, burst
	h.shareRate(r)
	switch {
	case was != r.limited || h.alone && (own == 0) != (r.share == 0):
		h.refill(now, r)
	case h.alone && r.limited && r.share > 0:
		h.core.SetCap(now, r.pool, h.ownCap(r))
	}
}

// shareRate 定下一个速率池的份额，道理同 shareStock。
func (h *Holder) shareRate(r *rate) {
	v := h.shares[r.pool]
	r.share = v.units
	if r.limited && v.of > r.limit {
		r.share = v.units * r.limit / v.of
	}
}

// refill 使 core 里的池与此刻的处境一致；从空的开始。
func (h *Holder) refill(now Time, r *rate) {
	r.stockUntil = 0
	switch {
	case !r.limited:
		h.core.SetCap(now, r.pool, Cap{})
		return
	case h.alone && r.share > 0:
		h.core.SetCap(now, r.pool, h.ownCap(r))
	default:
		h.core.SetCap(now, r.pool, Cap{Mode: Stock})
	}
	h.core.SetLevel(now, r.pool, 0)
}

// ownCap 是控制面不在时一个速率池的限额。它每 61 s 补的不多于份额，见 bucket.lend。
func (h *Holder) ownCap(r *rate) Cap {
	return Cap{Mode: Rate, N: r.share, BurstPercent: r.burst, Held: h.connected}
}

// noticedBy 是授予者一定已经看出它失联的时刻，它最晚在 heard 还听得见。
func noticedBy(heard Time) Time {
	if broken(bugRateShareEarly) {
		return heard
	}
	return heard.Add(noticed)
}

// goAlone 开始用速率份额，从空桶起：授予者此时已经不再给这一份。
func (h *Holder) goAlone(now Time) {
	if h.alone || !h.safe || h.connected || now < h.rateAt {
		return
	}
	h.alone = true
	for _, r := range h.rated {
		h.refill(now, r)
	}
}

// holdRates 在报到期间停手：对面一收下报到就不再让出这一份。没有人收下（原来不是授予者）则当没有停过。
func (h *Holder) holdRates(now Time) {
	for _, r := range h.rated {
		if h.alone && r.limited && r.share > 0 {
			h.core.SetCap(now, r.pool, h.ownCap(r))
		}
	}
}

// restartRates 说刚才那条流上或许有人收下了报到：等它再把这一份让出来。
func (h *Holder) restartRates(now Time) {
	h.rateAt = noticedBy(now)
	if h.alone {
		h.alone = false
		for _, r := range h.rated {
			h.refill(now, r)
		}
	}
}

// reserve 记下一个请求在 token 池里预留的，core 已经扣了。
func (h *Holder) reserve(p *Permit, leased bool) {
	n := p.Cost.Tokens()
	for i, pool := range [2]Pool{{Server: p.Server, Kind: Tokens}, {App: p.App, Kind: Tokens}} {
		p.reserved[i] = reservation{}
		if r := h.rates[pool]; r != nil && r.limited {
			h.book(p, i, r, n, leased)
		}
	}
}

func (h *Holder) book(p *Permit, i int, r *rate, n int64, leased bool) {
	p.reserved[i] = reservation{rate: r, n: n, leased: leased}
	r.spent += n
	r.typical = n
	if leased {
		r.reserved += n
	}
}

// spendRequest 记下一个请求用了请求数池：供 demand，也定下它至迟何时发出。
func (h *Holder) spendRequest(now Time, p *Permit) {
	for _, pool := range [2]Pool{{Server: p.Server, Kind: Requests}, {App: p.App, Kind: Requests}} {
		if r := h.rates[pool]; r != nil && r.limited {
			r.spent++
			r.typical = 1
			until := now.Add(unitLife)
			if r.stockUntil != 0 {
				until = r.stockUntil.Add(unitLife - returnAge)
			}
			p.StartBy = earliest(p.StartBy, until)
		}
	}
}

// settle 以实际的 used 结清预留。
func (h *Holder) settle(now Time, p *Permit, used int64) {
	for i := range p.reserved {
		v := &p.reserved[i]
		switch r := v.rate; {
		case r == nil:
		case v.leased:
			r.reserved -= v.n
			h.settled(r, v.n, used)
		case h.alone:
			h.core.Give(now, r.pool, v.n-used)
		}
		*v = reservation{}
	}
}

func (h *Holder) settled(r *rate, reserved, used int64) {
	if broken(bugRefundLost) {
		used = reserved
	}
	r.settled.reserved += reserved
	r.settled.used += used
	r.dirty = true
	if h.connected && r.keep == 0 {
		h.frame() // 紧的时候马上说
	}
}

// stockUp 收下授予者给的闲置单位；at 是授予的时刻，授予者的钟。
func (h *Holder) stockUp(now Time, r *rate, n int64, at Time) {
	until := h.clock.local(now, at).Add(returnAge)
	if n <= 0 {
		return
	}
	if !r.limited || h.safe || now >= until {
		h.unused(r, n, at, now)
		return
	}
	if r.stockUntil == 0 || until < r.stockUntil {
		r.stockUntil, r.stockAt = until, at
	}
	h.core.Give(now, r.pool, n)
	h.wake = earliest(h.wake, r.stockUntil)
}

// unused 还掉没有用的单位；请求数的过了寿命就不还。
func (h *Holder) unused(r *rate, n int64, at, now Time) {
	if r.pool.Kind == Tokens {
		h.settled(r, n, 0)
		if h.connected {
			h.frame() // 马上说：闲置的在授予者那里占着容量
		}
		return
	}
	if h.connected && now < h.clock.local(now, at).Add(unitLife) {
		f := h.frame()
		f.Returns = append(f.Returns, &admissionv1.Amount{Pool: poolMessage(r.pool), Units: n, GrantedUs: micros(at)})
	}
}

// destock 还掉一个池里全部闲置的单位。
func (h *Holder) destock(now Time, r *rate) {
	if r.stockUntil == 0 {
		return
	}
	r.stockUntil = 0
	if n, limited := h.core.Free(now, r.pool); limited && n > 0 && !h.safe {
		h.core.SetLevel(now, r.pool, 0)
		h.unused(r, n, r.stockAt, now)
	}
}

// expireUnits 还掉快到寿命的闲置单位。
func (h *Holder) expireUnits(now Time) {
	for _, r := range h.rated {
		if r.stockUntil != 0 && now >= r.stockUntil {
			h.destock(now, r)
		}
	}
}

// clockBound 把授予者的钟换成自己的，只会偏早：授予者在 leader 时刻发出的话里回显了我们在 echo 时刻发的，
// 所以那时我们的钟不早于 echo。
type clockBound struct {
	offset Time // 自己的钟 ≥ 授予者的钟 + offset
	at     Time
	set    bool
}

func (c *clockBound) learn(now, echo, leader Time) {
	o := echo - leader - Time(2*time.Microsecond)
	if c.set {
		o = max(o, c.offset-(now-c.at)*2*drift/100)
	}
	c.offset, c.at, c.set = o, now, true
}

func (c *clockBound) local(now, leader Time) Time {
	if !c.set {
		return 0
	}
	return min(now, leader+c.offset-(now-c.at)*2*drift/100)
}

func micros(t Time) int64      { return int64(t) / 1000 }
func fromMicros(us int64) Time { return Time(us * 1000) }
