package route

import (
	"crypto/sha256"
	"iter"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/state"
)

// health 是一个失败过的目标的病历；由 Router.mu 守着。
type health struct {
	consecutive int
	window      window
	touched     time.Time

	ejected bool
	probing bool
	since   time.Time // 这一轮第一次被摘出的时刻，探测失败不改它
	until   time.Time
	times   int // 这一轮连续摘出了几次
	healed  time.Time
	reason  string
}

// window 是两格的滑动计数：现在这一格与上一格。
type window struct {
	start     time.Time
	good, bad [2]int
}

func (w *window) advance(now time.Time, span time.Duration) {
	half := span / 2
	switch gone := now.Sub(w.start); {
	case gone >= span:
		*w = window{start: now}
	case gone >= half:
		w.good[1], w.bad[1] = w.good[0], w.bad[0]
		w.good[0], w.bad[0] = 0, 0
		w.start = w.start.Add(half)
	}
}

func (w *window) totals() (good, bad int) { return w.good[0] + w.good[1], w.bad[0] + w.bad[1] }

// Result 是一次调用对目标健康的说法。
type Result uint8

const (
	Neutral Result = iota // 什么也没证明：客户端先走了，或没有用上
	Healthy               // 完整地答了（4xx 也算：它活着）
	Failing               // 连不上、5xx、断流、没有首字节
	Denied                // 401：我们的凭证它不认，立即摘出
)

// Alive 说探测的目标给了首字节：够了，不必等流走完。
func (r *Router) Alive(p *Pass) {
	if !p.trial {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.sick[p.key]; h != nil {
		r.heal(h)
	}
	p.trial, p.probe = false, false
}

// Settle 了结一张 Pass；reason 在失败时给运维看。重复调用无害。
func (r *Router) Settle(p *Pass, res Result, reason string) {
	if p.done || p.key == (key{}) {
		return
	}
	p.done = true
	if (res == Healthy || res == Neutral) && r.tracked.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.sick[p.key]
	if h == nil {
		if res == Healthy || res == Neutral {
			return
		}
		h = r.admitPatient(p.key)
	}
	r.record(h, p, res, reason)
}

func (r *Router) record(h *health, p *Pass, res Result, reason string) {
	now := r.now()
	h.touched = now
	h.window.advance(now, r.cfg.Window)
	if p.probe {
		h.probing = false
	}
	switch res {
	case Healthy:
		h.consecutive = 0
		h.window.good[0]++
		if p.trial {
			r.heal(h)
		}
		if r.recovered(h, now) {
			r.forget(p.key)
		}
	case Failing:
		h.consecutive++
		h.window.bad[0]++
		if p.probe || !h.ejected && r.tooSick(h) {
			r.eject(h, now, reason)
		}
	case Denied:
		if p.probe || !h.ejected {
			r.eject(h, now, reason)
		}
	}
}

func (r *Router) tooSick(h *health) bool {
	good, bad := h.window.totals()
	return h.consecutive >= r.cfg.Consecutive || good+bad >= r.cfg.MinSamples && bad >= good
}

func (r *Router) eject(h *health, now time.Time, reason string) {
	if !h.ejected {
		h.ejected, h.since = true, now
		if now.Sub(h.healed) > r.cfg.MaxEject {
			h.times = 0
		}
	}
	h.times++
	h.until = now.Add(min(r.cfg.MaxEject, r.cfg.BaseEject<<min(h.times-1, 10)))
	h.reason = reason
}

// heal 让目标复原；times 留着：不久又病则摘出更久。
func (r *Router) heal(h *health) {
	h.ejected, h.probing, h.consecutive = false, false, 0
	h.window = window{start: r.now()}
	h.healed = r.now()
}

// Retain 只留下这些服务器（名字与 Identity 都对得上）的病历。换上新配置之后调用。
func (r *Router) Retain(servers iter.Seq[*state.Server]) {
	known := map[string][sha256.Size]byte{}
	for s := range servers {
		known[s.Name] = s.Identity
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range r.sick {
		if identity, ok := known[k.id.Server]; !ok || identity != k.identity {
			r.forget(k)
		}
	}
}

func (r *Router) forget(k key) {
	delete(r.sick, k)
	r.tracked.Store(int64(len(r.sick)))
}

// recovered 说病历已经没有用处：窗口里没有坏的，上一次摘出也久得不再加倍。丢掉它，热路径才重新不必拿锁。
func (r *Router) recovered(h *health, now time.Time) bool {
	_, bad := h.window.totals()
	return !h.ejected && bad == 0 && h.consecutive == 0 && now.Sub(h.healed) > r.cfg.MaxEject
}

// forgetAfter 是没有动静多久的病历可以丢掉。
const forgetAfter = 10 * time.Minute

func (r *Router) admitPatient(k key) *health {
	now := r.now()
	for old, h := range r.sick {
		if now.Sub(h.touched) > forgetAfter {
			delete(r.sick, old)
		}
	}
	h := &health{touched: now, window: window{start: now}}
	r.sick[k] = h
	r.tracked.Store(int64(len(r.sick)))
	return h
}
