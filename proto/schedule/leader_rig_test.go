package schedule

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// leaderRig 是一个授予者与几个节点，线路不丢不慢，成员表写了就算；时间由测试走。
type leaderRig struct {
	t        *testing.T
	now      Time
	g        *Grantor
	spec     *Spec
	nodes    map[string]*rigNode
	byID     map[uint64]*rigNode
	conns    uint64
	ids      uint64
	table    map[string]Member
	seen     map[string]Time // 成员表里各行的 seen_at
	steps    int
	ended    bool // 授予者要退位
	slowSave bool
}

type rigNode struct {
	name string
	h    *Holder
	conn uint64
	last *admissionv1.Share
	slow bool // 盘慢：份额写不下来
}

var rigPool = Pool{Server: "s", Kind: InFlight}

// rigSpec 是一个限额为 limit 的 server，一次调用至多 total。
func rigSpec(revision uint64, limit int64, total time.Duration) *Spec {
	return &Spec{Revision: revision, Servers: []ServerSpec{{Name: "s", Limits: Limits{MaxConcurrency: limit}, Total: total}}}
}

func newLeaderRig(t *testing.T, spec *Spec, cfg GrantorConfig) *leaderRig {
	r := &leaderRig{t: t, now: Time(10_000 * time.Second), spec: spec, nodes: map[string]*rigNode{}, byID: map[uint64]*rigNode{},
		table: map[string]Member{}, seen: map[string]Time{}}
	for _, m := range cfg.Members {
		r.table[m.Node], r.seen[m.Node] = m, r.now.Add(-m.SilentFor)
	}
	r.lead(cfg)
	return r
}

// lead 换上一个新的任期。
func (r *leaderRig) lead(cfg GrantorConfig) {
	for _, n := range r.nodes {
		r.cut(n)
	}
	cfg.Now = r.now
	r.ended = false
	r.g = NewGrantor(cfg)
	r.tell(Reconfigured{r.spec})
}

// members 是此刻的成员表。
func (r *leaderRig) members() (list []Member) {
	for name, m := range r.table {
		m.SilentFor = r.now.Sub(r.seen[name])
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Member) int { return strings.Compare(a.Node, b.Node) })
	return list
}

// tell 交给授予者一件事，并照办。
func (r *leaderRig) tell(e GrantorEvent) {
	r.steps++
	for _, f := range slices.Clone(r.g.Step(r.now, e)) {
		switch f.Kind {
		case Reply:
			if n := r.byID[f.Conn]; n != nil && n.conn == f.Conn {
				r.do(n, Received{proto.Clone(f.Response).(*admissionv1.AdmitResponse)})
			}
		case Save:
			for _, m := range f.Members {
				r.table[m.Node], r.seen[m.Node] = m, r.now.Add(-m.SilentFor)
			}
			if !r.slowSave {
				r.tell(Saved{f.ID})
			}
		case Delete:
			delete(r.table, f.Node)
		case Drop:
			if n := r.byID[f.Conn]; n != nil {
				r.cut(n)
			}
		case Resign:
			r.ended = true
		}
	}
}

// do 交给节点一件事，并照办。
func (r *leaderRig) do(n *rigNode, e HolderEvent) {
	for _, f := range slices.Clone(n.h.Step(r.now, e)) {
		switch f.Kind {
		case Send:
			if n.conn != 0 {
				r.tell(Heard{n.conn, proto.Clone(f.Request).(*admissionv1.AdmitRequest)})
			}
		case Store:
			n.last = f.Share
			if !n.slow {
				r.do(n, Stored{f.Share.GetVersion()})
			}
		case Hangup:
			r.cut(n)
		}
	}
}

// boot 起一个节点，不连。
func (r *leaderRig) boot(name string, epoch uint64, stored *admissionv1.Share) *rigNode {
	n := &rigNode{name: name, last: stored, h: NewHolder(HolderConfig{Node: name, Epoch: epoch, Instance: name, Version: "test", Now: r.now, Stored: stored})}
	r.nodes[name] = n
	r.do(n, Configured{r.spec})
	return n
}

func (r *leaderRig) connect(n *rigNode) {
	r.conns++
	n.conn = r.conns
	r.byID[n.conn] = n
	r.do(n, Connected{})
}

// join 起一个节点并连上。
func (r *leaderRig) join(name string) *rigNode {
	n := r.boot(name, 1, nil)
	r.connect(n)
	return n
}

// cut 断开一个节点的流，两边都知道。
func (r *leaderRig) cut(n *rigNode) {
	c := n.conn
	if c == 0 {
		return
	}
	n.conn = 0
	r.tell(Closed{c})
	r.do(n, Broken{})
}

// kill 是 kill -9。
func (r *leaderRig) kill(n *rigNode) {
	c := n.conn
	n.conn = 0
	delete(r.nodes, n.name)
	r.tell(Closed{c})
}

// run 走 d 那么久，到点的都叫到。
func (r *leaderRig) run(d time.Duration) {
	end := r.now.Add(d)
	for r.now < end {
		next := end
		if at := r.g.Next(); at != 0 {
			next = min(next, at)
		}
		for _, n := range r.nodes {
			if at := n.h.Next(); at != 0 {
				next = min(next, at)
			}
		}
		r.now = max(next, r.now+Time(200*time.Microsecond))
		if at := r.g.Next(); at != 0 && at <= r.now {
			r.tell(Tick{})
		}
		for _, n := range r.nodes {
			if at := n.h.Next(); at != 0 && at <= r.now {
				r.do(n, Ticked{})
			}
		}
	}
}

// ask 让 k 个请求在 n 上等。
func (r *leaderRig) ask(n *rigNode, k int) []*Permit { return r.askFor(n, k, 20*time.Second) }

// askFor 同上，至多等 patience。
func (r *leaderRig) askFor(n *rigNode, k int, patience time.Duration) (permits []*Permit) {
	for range k {
		r.ids++
		w := &Waiter{Request: Request{App: "x", Class: Standard, Weight: 1}, ID: r.ids, Arrived: r.now, Deadline: r.now.Add(patience),
			Candidates: []Candidate{{Server: "s", Weight: 1}}, Permit: &Permit{}}
		r.do(n, Arrived{w})
		permits = append(permits, w.Permit)
	}
	return permits
}

// live 是开始了而没有做完的。
func live(permits []*Permit) (n int64) {
	for _, p := range permits {
		if p.live {
			n++
		}
	}
	return n
}

// lease 是节点以为的租期还有多久。
func (r *leaderRig) lease(n *rigNode) time.Duration { return n.h.leaseEnd.Sub(r.now) }
