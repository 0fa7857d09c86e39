package schedule

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

const (
	muteAfter = 1500 * time.Millisecond
	// ShareTTL 是失联的节点的份额再留多久；之后它若还独自跑着，超出至多它那一份。
	ShareTTL = time.Hour
	// tightFor 是一个池紧了之后至少紧多久，免得来回摆。
	tightFor  = time.Second
	planDelay = 300 * time.Millisecond
	// forfeitEvery 是放弃过了寿命的请求数单位至多拖多久。
	forfeitEvery = 50 * time.Millisecond
	// RecordWithin 是成员表里“听得见”的时刻至多落后多久：更旧的先写好才欢迎，宿主这么久记不下就结束任期。
	RecordWithin = 5 * time.Second
	// unrecorded 是一个节点最后一次说话至多比成员表里的晚多久：欢迎它时已经旧了的，加上两次记下之间的，加上记的工夫。
	unrecorded = 2*RecordWithin + 5*time.Second
)

// GrantorConfig 是一个任期的开始。
type GrantorConfig struct {
	Term    uint64
	Now     Time
	Members []Member // 成员表
	First   bool     // 从来没有过别的任期：没有谁拿着什么
	// Doubtful 说成员表可能是旧的（数据库回到过去）：不在表里的节点也可能拿着许可。
	Doubtful bool
}

// Grantor 是一个任期里的授予者：所有的池、所有节点在等的请求、谁持有多少。
//
// 不变量：每个在途池里，空闲 + 各节点持有的 + 隔离与预留的 = 限额；先记账再发出。节点自己认下的（Claims）例外：
// 限额刚设上时已经在跑，账随后才到，所以空闲可以是负的，到还清为止不授予。速率池里，授予者的桶与失联节点的份额合起来不超过限额。
// 新任期在成员表里的每个节点都报到、或它们的租期都过了之前不授予。
type Grantor struct {
	term    uint64
	core    *Core
	spec    *Spec
	servers map[string]*ServerSpec
	apps    map[string]*AppSpec
	pools   []Pool // 有限额的，有次序

	members map[string]*member
	order   []*member // 按名字
	conns   map[uint64]*member
	ghosts  []ghost

	learning   bool
	learnUntil Time
	strayUntil Time // 没有报过到就重新运行的节点，上一轮的许可至迟到此刻才一定没有了
	first      bool
	limbo      map[Pool]int64 // 没有报到的节点可能拿着的
	limboUntil Time
	doubted    *member // 要写下的、替不知道的节点占着的一行

	// settling 是新设了限额的在途池：各节点认下在途的之前不授予，至迟到 until。
	settling map[Pool]settling
	totals   map[string]oldTotal // 各 server 降低之前（或撤掉之前）的 Total
	tight    map[Pool]Time       // 紧的池与紧到至少何时
	dirty    map[Pool]bool       // 这一步动过的池
	arrive   []*Waiter           // 这一步新来的

	renewed renewals

	saves              map[uint64]func(now Time)
	saved              uint64
	planAt             Time           // 0 即不必重算份额
	planned, unplanned int            // 重算到了 order 的第几个，还有几个没有看
	quotas             []quota        // 与 pools 一一对应
	bounds             map[Pool]int64 // 各池里所有节点份额的上界之和

	wake    Time
	effects []GrantorEffect
	counts  Counts
}

// Counts 是本任期至今的数。
type Counts struct{ Grants, Refusals int64 }

// NewGrantor 开始一个任期。
func NewGrantor(cfg GrantorConfig) *Grantor {
	g := &Grantor{
		term: cfg.Term, core: NewCore(), members: map[string]*member{}, conns: map[uint64]*member{}, first: cfg.First,
		limbo: map[Pool]int64{}, settling: map[Pool]settling{}, totals: map[string]oldTotal{}, tight: map[Pool]Time{}, dirty: map[Pool]bool{},
		saves: map[uint64]func(Time){}, renewed: renewals{}, bounds: map[Pool]int64{},
		servers: map[string]*ServerSpec{}, apps: map[string]*AppSpec{},
	}
	for _, row := range cfg.Members {
		m := g.add(row.Node)
		m.epoch, m.instance, m.durable, m.cleared = row.Epoch, row.Instance, !row.Clear, row.Clear
		m.heardAt = cfg.Now.Add(-row.SilentFor)
		m.lostAt, m.recorded = m.heardAt, m.heardAt
		m.share.version, m.share.acked = row.ShareVersion, row.ShareVersion
		g.reshare(m, unitsMap(row.Shares), unitsMap(row.Shares))
		m.share.unknown = row.UnknownShares
		g.learning = g.learning || !row.Clear
	}
	if cfg.Doubtful {
		g.doubt(cfg.Now)
	}
	if broken(bugNoLearning) {
		g.learning = false
	}
	g.learnUntil = cfg.Now.Add(LeaseTTL + LeaseTTL*2*drift/100 + slack)
	g.planAt = cfg.Now.Add(planDelay)
	g.wake = cfg.Now
	return g
}

// GrantorEvent 是发生在授予者那里的一件事。
type GrantorEvent interface{ grantorEvent() }

// Reconfigured 换上一版配置；任期里的第一件事须是它。
type Reconfigured struct{ Spec *Spec }

// Heard 是一条连接上收到的一帧。
type Heard struct {
	Conn    uint64
	Request *admissionv1.AdmitRequest
}

// Closed 说一条连接断了。
type Closed struct{ Conn uint64 }

// Saved 说一次 Save 已经落盘。
type Saved struct{ ID uint64 }

// Forgotten 说运维要忘掉一个不在了的节点；照办了即有 Delete，还不到时候就什么也没有，过后再说一遍。
type Forgotten struct{ Node string }

// Touched 说成员表记下了：在 At 这一刻 Nodes 都听得见。宿主每秒说一次；久说不成，任期就得结束。
type Touched struct {
	At      Time
	Nodes   []string
	Missing []string // 其中没有行的
}

// Tick 说到了 Next 的时刻。
type Tick struct{}

func (Reconfigured) grantorEvent() {}
func (Heard) grantorEvent()        {}
func (Closed) grantorEvent()       {}
func (Saved) grantorEvent()        {}
func (Forgotten) grantorEvent()    {}
func (Touched) grantorEvent()      {}
func (Tick) grantorEvent()         {}

// GrantorEffectKind 是宿主要做的事。
type GrantorEffectKind uint8

const (
	Reply  GrantorEffectKind = iota + 1 // 在 Conn 上依次发出 Response
	Drop                                // 关掉 Conn，缘由是 Reason
	Save                                // 把 Members 都写好（各自成立，不必在一个事务里；须核对任期），然后 Saved{ID}
	Delete                              // 删去 Node 那一行
	Resign                              // 有更大的任期：退位
)

// GrantorEffect 是一件要宿主做的事。
type GrantorEffect struct {
	Kind     GrantorEffectKind
	Conn     uint64
	Response *admissionv1.AdmitResponse
	Reason   string
	ID       uint64
	Members  []Member
	Node     string
}

// Step 走一步；返回的切片到下一次 Step 为止有效。
func (g *Grantor) Step(now Time, e GrantorEvent) []GrantorEffect {
	clear(g.effects)
	g.effects = g.effects[:0]
	g.advance(now)
	switch e := e.(type) {
	case Reconfigured:
		g.reconfigure(now, e.Spec)
	case Heard:
		g.heard(now, e.Conn, e.Request)
	case Closed:
		if m := g.conns[e.Conn]; m != nil {
			g.hangup(now, m)
		}
	case Saved:
		if done := g.saves[e.ID]; done != nil {
			delete(g.saves, e.ID)
			done(now)
		}
	case Forgotten:
		g.forget(now, e.Node)
	case Touched:
		g.touched(now, e)
	}
	g.settleDown(now)
	g.dispatch(now)
	g.regimes(now)
	if g.planAt != 0 && now >= g.planAt {
		g.planAt = 0
		g.plan(now)
	}
	g.flush(now)
	g.rest(now)
	return g.effects
}

// Next 是最早要 Tick 的时刻；0 即没有。
func (g *Grantor) Next() Time { return earliest(g.wake, g.core.Next()) }

// Counts 是本任期至今的数。
func (g *Grantor) Counts() Counts { return g.counts }

func (g *Grantor) emit(e GrantorEffect) { g.effects = append(g.effects, e) }

func (g *Grantor) add(name string) *member {
	m := newMember(name)
	g.insert(m)
	return m
}

func (g *Grantor) insert(m *member) {
	g.members[m.name] = m
	g.order = append(g.order, m)
	slices.SortFunc(g.order, func(a, b *member) int { return strings.Compare(a.name, b.name) })
}

func (g *Grantor) remove(m *member) {
	g.reshare(m, nil, nil)
	delete(g.members, m.name)
	g.order = slices.DeleteFunc(g.order, func(o *member) bool { return o == m })
	g.unplanned = len(g.order)
	g.planAt = earliest(g.planAt, 1)
}

// take 与 give 动一个池，并记下它动过。
func (g *Grantor) take(now Time, p Pool, n int64) {
	if n != 0 {
		g.core.Take(now, p, n)
		g.dirty[p] = true
	}
}

func (g *Grantor) give(now Time, p Pool, n int64) {
	if n != 0 {
		g.core.Give(now, p, n)
		g.dirty[p] = true
	}
}

// save 写成员表，写好了才做 done。
func (g *Grantor) save(rows []Member, done func(now Time)) {
	g.saved++
	if done != nil {
		g.saves[g.saved] = done
	}
	g.emit(GrantorEffect{Kind: Save, ID: g.saved, Members: rows})
}

// advance 让时间走到 now。
func (g *Grantor) advance(now Time) {
	for w := g.core.Expire(now); w != nil; w = g.core.Expire(now) {
		if m := g.members[w.Node]; m != nil {
			delete(m.waiters, w.ID)
		}
	}
	if g.wake != 0 && now < g.wake {
		return
	}
	g.exorcise(now)
	if g.learning && g.spec != nil && now >= g.strayUntil && (now >= g.learnUntil || g.accounted() && !g.hearing()) {
		g.endLearning(now)
	}
	for _, m := range slices.Clone(g.order) {
		g.watch(now, m)
	}
	if len(g.limbo) > 0 && now >= g.limboUntil {
		g.endLimbo(now)
	}
}

// exorcise 放掉占满了时间的上一轮许可。
func (g *Grantor) exorcise(now Time) {
	g.ghosts = slices.DeleteFunc(g.ghosts, func(v ghost) bool {
		if now < v.until {
			return false
		}
		for _, u := range sortedUnits(v.units) {
			g.give(now, u.Pool, u.N)
		}
		return true
	})
}

// watch 看一个节点是不是静了、失联了、该放掉了。
func (g *Grantor) watch(now Time, m *member) {
	g.forfeit(now, m, false)
	if m.conn != 0 && !m.out.overdue(now, func(f *admissionv1.AdmitResponse) {
		g.emit(GrantorEffect{Kind: Reply, Conn: m.conn, Response: f})
	}) {
		g.drop(now, m, "frames are not acknowledged")
	}
	if m.conn != 0 && !m.muted && now >= m.heardAt.Add(muteAfter) {
		m.muted = true
		g.shelve(now, m)
	}
	if m.seen && !m.lost && now >= m.leaseUntil() {
		g.drop(now, m, "lease expired")
		g.lose(now, m)
	}
	if m.lost {
		g.fade(now, m)
	}
}

// rest 定下下一次要看的时刻。
func (g *Grantor) rest(now Time) {
	g.wake = g.planAt
	for _, m := range g.order {
		if m.conn != 0 {
			g.wake = earliest(g.wake, m.out.next())
			g.wake = earliest(g.wake, m.ackDue)
			if !m.muted {
				g.wake = earliest(g.wake, m.heardAt.Add(muteAfter))
			}
		}
		if m.seen && !m.lost {
			g.wake = earliest(g.wake, m.leaseUntil())
		}
		if m.lost {
			g.wake = earliest(g.wake, g.fadeAt(m))
		}
		if len(m.spares) > 0 { // 不必准时，攒一会儿一起放
			g.wake = earliest(g.wake, m.spares[0].until.Add(forfeitEvery))
		}
	}
	for i := range g.ghosts {
		g.wake = earliest(g.wake, g.ghosts[i].until)
	}
	if g.learning && g.spec != nil {
		g.wake = earliest(g.wake, max(g.learnUntil, g.strayUntil))
		if g.strayUntil > now {
			g.wake = earliest(g.wake, g.strayUntil)
		}
	}
	if len(g.limbo) > 0 {
		g.wake = earliest(g.wake, g.limboUntil)
	}
	for _, v := range g.settling {
		g.wake = earliest(g.wake, max(v.until, v.atLeast))
		if v.atLeast > now {
			g.wake = earliest(g.wake, v.atLeast)
		}
	}
	for p, at := range g.tight {
		if !g.core.Blocked(p) && at > now {
			g.wake = earliest(g.wake, at)
		}
	}
}

func comparePools(a, b Pool) int {
	return cmp.Or(strings.Compare(a.Server, b.Server), strings.Compare(a.App, b.App), cmp.Compare(a.Kind, b.Kind))
}

// sortedUnits 把一张表排成固定的次序。
func sortedUnits(m map[Pool]int64) []Units {
	out := make([]Units, 0, len(m))
	for _, p := range slices.SortedFunc(maps.Keys(m), comparePools) {
		if m[p] != 0 {
			out = append(out, Units{p, m[p]})
		}
	}
	return out
}

func unitsMap(list []Units) map[Pool]int64 {
	m := make(map[Pool]int64, len(list))
	for _, u := range list {
		m[u.Pool] = u.N
	}
	return m
}
