package schedule

import (
	"slices"
	"time"
)

const (
	simTick  = 10 * simMs
	simAudit = 10 // 每这么多次采样核一次账
)

// simMeter 量效率：有人在等时闲着的单位，与一次扰动之后多久恢复。
type simMeter struct {
	w                                                             *simWorld
	arrivals, local, granted, finished, refused, expired, noShare int64
	late                                                          time.Duration

	usable, idle float64 // 单位 × 采样：可用的，与有人在等却闲着的
	since        []int64 // 各 server 从哪个扰动的尽头起还没恢复；0 即没有在量
	crowded      []bool  // 从那时起有没有过够格而在等的：没有就谈不上恢复
	cause        string  // 是什么的尽头
	// looked 是有当任者时看过的（server × 采样），judged 是其中有人在等、数进了利用率的。
	looked, judged int64
	ticks          int
	settled        []simSettled
	paused         []int64
	healthy        []*simNode
	wasHealthy     [simNodes]bool
}

// simSettled 是一个 server 在一次扰动之后多久恢复。
type simSettled struct {
	took, at int64
	seed     uint64
	server   int
	cause    string
}

func (m *simMeter) init(w *simWorld) {
	m.w = w
	m.since, m.paused, m.crowded = make([]int64, w.plan.servers), make([]int64, w.plan.servers), make([]bool, w.plan.servers)
}

func (m *simMeter) pause(server int, until int64) { m.paused[server] = max(m.paused[server], until) }

// disturb 是又一次扰动开始：没有量完的不作数。
func (m *simMeter) disturb(string) { clear(m.since) }

// healed 是一次扰动的尽头：从此刻起量。
func (m *simMeter) healed(cause string) {
	m.cause = cause
	m.w.tracef("healed: %s", cause)
	for i := range m.since {
		m.since[i], m.crowded[i] = max(m.w.now, 1), false
	}
}

// configured 在人人都有了新配置的那一刻起量。
func (m *simMeter) configured() {
	if m.agreed() {
		m.healed("limits")
	}
}

// agreed 说活着的各方是不是都用着最新的配置。
func (m *simMeter) agreed() bool {
	c := m.w.config()
	for _, n := range m.w.nodes {
		if n.alive && n.cfg != c {
			return false
		}
	}
	r := m.w.leader()
	return r != nil && r.cfg == c
}

func (m *simMeter) sample() {
	w := m.w
	if w.failure != "" {
		return
	}
	if m.ticks++; w.ended {
		w.after(simTick*simAudit, m.sample)
	} else {
		w.after(simTick, m.sample)
	}
	r := w.leader()
	if r == nil || simLearning(r.g) {
		clear(m.since)
		return
	}
	m.healthy = m.healthy[:0]
	for _, n := range w.nodes {
		ok := n.healthy(r)
		if ok && !m.wasHealthy[n.i] {
			m.healed("node")
		}
		m.wasHealthy[n.i] = ok
		if ok {
			m.healthy = append(m.healthy, n)
		}
	}
	if w.ended || m.ticks%simAudit == 0 {
		w.audit(r, m.healthy)
	}
	if !w.ended {
		m.looked += int64(w.plan.servers)
	}
	if r.cut != [2]bool{} || w.ended || !m.agreed() {
		for i := range m.since {
			m.postpone(i)
		}
		return
	}
	for i := range w.plan.servers {
		m.server(r, i)
	}
}

// healthy 说 n 与当任者 r 之间一切正常：许可可以流动。
func (n *simNode) healthy(r *simReplica) bool {
	return n.alive && !n.frozen && n.conn != nil && n.conn.r == r && n.conn.up && n.conn.down &&
		!simCut(n, r, true) && !simCut(n, r, false) && simWelcomed(n.h, r.term)
}

// server 量一个只有在途限额的 server。
func (m *simMeter) server(r *simReplica, i int) {
	w := m.w
	spec := r.cfg.server(i)
	if l := spec.Limits; l.MaxConcurrency == 0 || l.RequestsPerMinute > 0 || l.TokensPerMinute > 0 || m.paused[i] > w.now {
		m.postpone(i)
		return
	}
	book := simBook(r.g, Pool{Server: spec.Name, Kind: InFlight}, r.now())
	usable := spec.Limits.MaxConcurrency - book.quarantined - book.reserved
	var busy int64
	for _, n := range w.nodes {
		if slices.Contains(m.healthy, n) {
			busy += n.busy[i]
		} else {
			usable -= book.of(n.name)
		}
	}
	eligible := m.eligible(r, i)
	switch {
	case eligible == 0:
		m.back(i)
		return
	case usable <= 0: // 全在隔离里：从放出来的那一刻起量
		m.postpone(i)
		return
	}
	m.crowded[i] = true
	m.judged++
	missing := max(0, min(usable-busy, eligible))
	m.usable += float64(usable)
	m.idle += float64(missing)
	if w.tracing && missing > 0 {
		w.tracef("idle: s%d usable %d busy %d eligible %d book %+v", i, usable, busy, eligible, book)
	}
	if missing*20 <= usable {
		m.back(i)
	}
}

// postpone 说此刻没有什么可恢复的（暂停着，或没有可用的）：从有的那一刻起量。
func (m *simMeter) postpone(i int) {
	if m.since[i] > 0 {
		m.since[i] = m.w.now
	}
}

// back 是 server i 恢复了：有人在等而闲着的不到二十分之一。扰动之后没有人等过的不算，否则零会淹没真的那些。
func (m *simMeter) back(i int) {
	if m.since[i] > 0 && !m.crowded[i] {
		m.since[i] = 0
	}
	if m.since[i] > 0 {
		m.settled = append(m.settled, simSettled{m.w.now - m.since[i], m.w.now, m.w.seed, i, m.cause})
		m.since[i] = 0
	}
}

// eligible 是 server i 的队里此刻可以开始的：不被自己 app 的限额挡住。
func (m *simMeter) eligible(r *simReplica, i int) (sum int64) {
	for a := range m.w.plan.apps {
		l := r.cfg.app(a).Limits
		if l.RequestsPerMinute > 0 || l.TokensPerMinute > 0 {
			continue
		}
		var waiting, busy int64
		for _, n := range m.healthy {
			waiting += n.waits[i][a]
			busy += n.appBusy[a]
		}
		if waiting > 0 && l.MaxConcurrency > 0 {
			book := simBook(r.g, Pool{App: simApp(a), Kind: InFlight}, r.now())
			room := l.MaxConcurrency - book.quarantined - book.reserved - busy
			for _, n := range m.w.nodes {
				if !slices.Contains(m.healthy, n) {
					room -= book.of(n.name)
				}
			}
			waiting = min(waiting, max(0, room))
		}
		sum += waiting
	}
	return sum
}
