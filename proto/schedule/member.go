package schedule

import (
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// Member 是成员表里的一行：新授予者由此知道可能有谁拿着许可。
type Member struct {
	Node  string
	Epoch uint64
	// Instance 是它的数据目录的编号，见 Hello；空即不知道。
	Instance string
	// Clear 说它一定没有许可在手，只有份额。
	Clear bool
	// SilentFor 是记下的最后一次听见它到现在，以数据库的钟算；它真正最后说话至多再晚 unrecorded。
	SilentFor    time.Duration
	ShareVersion uint64
	// Shares 是它可能在用的份额的上界，有次序。
	Shares []Units
	// UnknownShares 说 Shares 读不出来：当它可能用到各池的整个限额。
	UnknownShares bool
}

// member 是授予者眼里的一个节点。
type member struct {
	name  string
	epoch uint64
	// instance 是这一次运行独占着的数据目录的编号。
	instance string
	version  string
	// revision 是它在用的配置；见 Grantor.settling。
	revision uint64

	conn    uint64 // 0 即没有连着
	stream  uint64
	in      link[*admissionv1.AdmitRequest]
	out     link[*admissionv1.AdmitResponse]
	pending *admissionv1.AdmitResponse
	ackDue  Time
	echo    int64 // 收到过的最大 sent_us
	heardAt Time  // 收到它的时刻；本任期里还没有报到的是从前最后听见它的时刻
	// recorded 是成员表里它最后一次听得见的时刻。
	recorded  Time
	recording bool // 正等成员表写好

	durable bool // 成员表里有它，且不是 Clear
	seen    bool // 本任期里报到过
	joined  bool // 报到入了账，可以授予
	telling bool // 连着，报到还没有说完
	untold  bool // 本任期里还没有把报到说完过一次：没有听说过的累计值只是起点
	muted   bool // 有一阵没有声音：不授予，也不回收
	lost    bool // 租期过了
	lostAt  Time // 租期结束的时刻
	cleared bool // 隔离也过了，手上一定没有许可

	held    map[Pool]int64 // 在途池里它持有的
	reserve map[Pool]int64 // 失联之后在 held 之外替它留的
	owed    map[Pool]int64 // token 池里它预留而未结的
	settled map[Pool]settledSeen
	served  map[servedKey]servedSeen
	demand  []Units
	keep    map[Pool]int64
	busy    map[Pool]int64
	spares  []spare // 放在它那里、还会退回来的速率单位
	waiters map[uint64]*Waiter
	placed  Time // 上次告诉它各位置的时刻

	share shareState
}

// spare 是放在一个节点那里的闲置的速率单位：寿命过了就不会再退回来。token 的随结算退回，分不出是不是它们，只以时间计。
type spare struct {
	pool  Pool
	n     int64
	until Time
}

type settledSeen struct{ reserved, used int64 }

type servedSeen struct {
	cost, requests int64
	busy           time.Duration
}

// ghost 是一个节点上一轮运行的许可，占到 until。
type ghost struct {
	until Time
	units map[Pool]int64
}

func newMember(name string) *member {
	m := &member{name: name, waiters: map[uint64]*Waiter{}}
	m.clearRun()
	return m
}

// clearRun 忘掉这一轮运行的账。
func (m *member) clearRun() {
	m.held, m.reserve, m.owed = map[Pool]int64{}, map[Pool]int64{}, map[Pool]int64{}
	m.settled, m.served = map[Pool]settledSeen{}, map[servedKey]servedSeen{}
	m.keep, m.busy, m.demand, m.untold = map[Pool]int64{}, map[Pool]int64{}, nil, false
}

// onRecord 说成员表里有它，而且记得够新：可以欢迎。
func (m *member) onRecord(now Time) bool { return m.durable && now.Sub(m.recorded) < RecordWithin }

// hold 给在途池里它持有的加上 n；到零即没有这一项，清点才看得出它空了。
func (m *member) hold(p Pool, n int64) {
	if m.held[p] += n; m.held[p] == 0 {
		delete(m.held, p)
	}
}

// leaseUntil 是授予者的钟上，它的租期一定已经结束的时刻：它的租期从它发出 echo 起算，而我们收到 echo 只会更晚。
func (m *member) leaseUntil() Time {
	return m.heardAt.Add(LeaseTTL + LeaseTTL*2*drift/100 + slack)
}

// noticed 盖过从节点最后一次说话到授予者不再当它连着：以节点的钟，连同那句话在路上的。
const noticed = (LeaseTTL + LeaseTTL*2*drift/100 + 2*slack) * (100 + 2*drift) / 100

// open 说此刻可以授予它。
func (m *member) open() bool { return m.conn != 0 && m.joined && !m.muted && !m.lost }

func (m *member) frame() *admissionv1.AdmitResponse {
	if m.pending == nil {
		m.pending = &admissionv1.AdmitResponse{}
	}
	return m.pending
}

// shareState 是一个节点的安全份额：先缩后增，一次只有一版在路上。
type shareState struct {
	version uint64
	acked   uint64
	current map[Pool]int64 // 它一定在用的
	issued  map[Pool]int64 // 最近发的（或正要发的）；与 current 相同即没有在路上的
	saving  bool           // 等成员表写好才能发
	unknown bool           // 它在用什么说不清
}

func (s *shareState) pendingAck() bool { return s.saving || s.acked < s.version }

// bound 是它可能在用的上界。
func (s *shareState) bound(p Pool) int64 { return max(s.current[p], s.issued[p]) }

func (s *shareState) bounds() []Units { return sortedUnits(s.pools()) }

// pools 是各池的上界。
func (s *shareState) pools() map[Pool]int64 {
	all := make(map[Pool]int64, len(s.issued))
	for p, n := range s.current {
		all[p] = n
	}
	for p, n := range s.issued {
		all[p] = max(all[p], n)
	}
	return all
}
