package admit

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/schedule"
)

// leader 是一个真的授予者（schedule.Grantor），接在 Gate 的另一头：在内存里（Dial），或者经 gRPC（leaderService）。成员表跨任期留着，如同数据库。用 newLeader 造。
type leader struct {
	origin time.Time

	mu      sync.Mutex
	grantor *schedule.Grantor
	term    uint64
	spec    *schedule.Spec
	members map[string]schedule.Member // 如同数据库里的成员表
	conns   map[uint64]*leaderConn
	last    uint64
	timer   *time.Timer
	away    bool
	moved   string // 非空即指路到这里
	drops   []string
}

// newLeader 造一个在第一个任期里、配置为 spec 的授予者。
func newLeader(spec *schedule.Spec) *leader {
	l := &leader{origin: time.Now().Add(-time.Second), spec: spec, members: map[string]schedule.Member{}, conns: map[uint64]*leaderConn{}}
	l.timer = time.AfterFunc(time.Hour, l.tick)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begin()
	return l
}

// begin 开始下一个任期；须持锁。
func (l *leader) begin() {
	first := l.term == 0
	l.term++
	members := slices.SortedFunc(maps.Values(l.members), func(a, b schedule.Member) int { return cmp.Compare(a.Node, b.Node) })
	l.grantor = schedule.NewGrantor(schedule.GrantorConfig{Term: l.term, Now: l.now(), Members: members, First: first})
	l.step(schedule.Reconfigured{Spec: l.spec})
}

func (l *leader) now() schedule.Time { return schedule.Time(time.Since(l.origin)) }

// Reconfigure 换上一版配置。
func (l *leader) Reconfigure(spec *schedule.Spec) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spec = spec
	l.step(schedule.Reconfigured{Spec: spec})
}

// Cut 断开全部的流；授予者还在。
func (l *leader) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut()
}

func (l *leader) cut() {
	for _, c := range l.conns {
		c.close()
	}
}

// Leave 使授予者走开：流都断，新的连不上。
func (l *leader) Leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = true
	l.cut()
	l.timer.Stop()
}

// Return 以新的任期回来。
func (l *leader) Return() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = false
	clear(l.conns)
	l.begin()
}

// Move 使它从此只指路到 addr。
func (l *leader) Move(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moved = addr
	l.cut()
}

// View 给出授予者此刻的账。
func (l *leader) View() *schedule.View {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grantor.View(l.now())
}

// Members 是成员表里的节点。
func (l *leader) Members() []schedule.Member {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Values(l.members), func(a, b schedule.Member) int { return cmp.Compare(a.Node, b.Node) })
}

// Drops 是授予者断开连接的缘由。
func (l *leader) Drops() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.drops)
}

func (l *leader) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.away {
		l.step(schedule.Tick{})
	}
}

// step 走一步，连同由此引出的；须持锁。
func (l *leader) step(e schedule.GrantorEvent) {
	for events := []schedule.GrantorEvent{e}; len(events) > 0; events = events[1:] {
		for _, f := range l.grantor.Step(l.now(), events[0]) {
			switch f.Kind {
			case schedule.Reply:
				if c := l.conns[f.Conn]; c != nil {
					c.push(f.Response)
				}
			case schedule.Drop:
				l.drops = append(l.drops, f.Reason)
				if c := l.conns[f.Conn]; c != nil {
					c.close()
				}
			case schedule.Save:
				for _, m := range f.Members {
					l.members[m.Node] = m
				}
				events = append(events, schedule.Saved{ID: f.ID})
			case schedule.Delete:
				delete(l.members, f.Node)
			}
		}
	}
	if next := l.grantor.Next(); next != 0 {
		l.timer.Reset(max(next.Sub(l.now()), 100*time.Microsecond))
	}
}

// open 开一条连接；走开了即 nil。
func (l *leader) open() *leaderConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away {
		return nil
	}
	l.last++
	c := &leaderConn{id: l.last, term: l.term, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if l.moved != "" {
		c.push(&admissionv1.AdmitResponse{NotLeader: &admissionv1.NotLeader{LeaderAddr: l.moved}})
	}
	l.conns[c.id] = c
	return c
}

func (l *leader) heard(c *leaderConn, m *admissionv1.AdmitRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns[c.id] == c && l.moved == "" {
		l.step(schedule.Heard{Conn: c.id, Request: m})
	}
}

func (l *leader) closed(c *leaderConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.close()
	if l.conns[c.id] == c {
		delete(l.conns, c.id)
		if !l.away && c.term == l.term {
			l.step(schedule.Closed{Conn: c.id})
		}
	}
}
