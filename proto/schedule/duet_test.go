package schedule

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

const duetSecond = Time(time.Second)

// duetPool 是 duetSpec 里唯一的在途池。
var duetPool = Pool{Server: "s", Kind: InFlight}

// duetSpec 是一个在途至多 limit 的 server；一次调用至多一分钟。
func duetSpec(limit int64) *Spec {
	return &Spec{Revision: 1, Servers: []ServerSpec{{Name: "s", Limits: Limits{MaxConcurrency: limit}, Total: time.Minute}}}
}

// duet 是一个授予者与几个节点，近在咫尺、从不丢帧：看协议里的一来一回，不看网络。用 newDuet 造。
type duet struct {
	t     *testing.T
	now   Time
	spec  *Spec
	g     *Grantor // nil 即没有人当任
	rows  map[string]Member
	nodes []*duetNode
	conns uint64
	// stuck 说盘写不下：Store 从此没有 Stored。
	stuck bool
}

type duetNode struct {
	h    *Holder
	conn uint64
	disk *admissionv1.Share
	sent []*admissionv1.AdmitRequest // 这条流上发过的
	ids  uint64
}

func newDuet(t *testing.T, spec *Spec, cfg GrantorConfig) *duet {
	d := &duet{t: t, now: 1000 * duetSecond, spec: spec, rows: map[string]Member{}}
	for _, m := range cfg.Members {
		d.rows[m.Node] = m
	}
	d.lead(cfg)
	return d
}

// lead 换一个授予者；从前的流都断了。
func (d *duet) lead(cfg GrantorConfig) {
	d.leave()
	cfg.Now = d.now
	d.g = NewGrantor(cfg)
	d.grant(Reconfigured{d.spec})
}

// leave 使授予者不在。
func (d *duet) leave() {
	d.g = nil
	for _, n := range d.nodes {
		d.cut(n)
	}
}

// members 是成员表，按名字。
func (d *duet) members() (list []Member) {
	for _, m := range d.rows {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Member) int { return compareStrings(a.Node, b.Node) })
	return list
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// boot 起一个节点，还没有连上。
func (d *duet) boot(cfg HolderConfig) *duetNode {
	cfg.Now, cfg.Version = d.now, "duet"
	n := &duetNode{h: NewHolder(cfg), disk: cfg.Stored}
	d.nodes = append(d.nodes, n)
	d.step(n, Configured{d.spec})
	return n
}

// kill 使一个节点的进程不在；盘还在。
func (d *duet) kill(n *duetNode) {
	d.nodes = slices.DeleteFunc(d.nodes, func(o *duetNode) bool { return o == n })
	if c := n.conn; c != 0 && d.g != nil {
		n.conn = 0
		d.grant(Closed{c})
	}
}

func (d *duet) connect(n *duetNode) {
	d.conns++
	n.conn, n.sent = d.conns, nil
	d.step(n, Connected{})
}

// cut 断开一个节点的流，两边都知道。
func (d *duet) cut(n *duetNode) {
	c := n.conn
	if n.conn = 0; c == 0 {
		return
	}
	if d.g != nil {
		d.grant(Closed{c})
	}
	d.step(n, Broken{})
}

func (d *duet) grant(e GrantorEvent) {
	for _, x := range slices.Clone(d.g.Step(d.now, e)) {
		switch x.Kind {
		case Reply:
			if n := d.at(x.Conn); n != nil {
				d.step(n, Received{proto.Clone(x.Response).(*admissionv1.AdmitResponse)})
			}
		case Drop:
			if n := d.at(x.Conn); n != nil {
				n.conn = 0
				d.step(n, Broken{})
			}
		case Save:
			for _, m := range x.Members {
				d.rows[m.Node] = m
			}
			d.grant(Saved{x.ID})
		case Delete:
			delete(d.rows, x.Node)
		}
	}
}

func (d *duet) at(conn uint64) *duetNode {
	for _, n := range d.nodes {
		if n.conn == conn {
			return n
		}
	}
	return nil
}

func (d *duet) step(n *duetNode, e HolderEvent) {
	for _, x := range slices.Clone(n.h.Step(d.now, e)) {
		switch x.Kind {
		case Send:
			if n.conn != 0 {
				f := proto.Clone(x.Request).(*admissionv1.AdmitRequest)
				n.sent = append(n.sent, f)
				if d.g != nil {
					d.grant(Heard{n.conn, f})
				}
			}
		case Store:
			if !d.stuck {
				n.disk = x.Share
				d.step(n, Stored{x.Share.GetVersion()})
			}
		case Hangup:
			d.cut(n)
		}
	}
}

// run 过 span 这么久，到点的都做。
func (d *duet) run(span time.Duration) {
	for end := d.now.Add(span); d.now < end; {
		next := end
		if d.g != nil {
			next = earliest(next, d.g.Next())
		}
		for _, n := range d.nodes {
			next = earliest(next, n.h.Next())
		}
		d.now = min(max(next, d.now+Time(200*time.Microsecond)), end)
		if d.g != nil {
			d.grant(Tick{})
		}
		for _, n := range slices.Clone(d.nodes) {
			d.step(n, Ticked{})
		}
	}
}

// want 让 k 个请求在 n 上排队，给出它们的许可（未必得到）。
func (d *duet) want(n *duetNode, k int) (list []*Permit) {
	for range k {
		n.ids++
		w := &Waiter{Request: Request{App: "x", Class: Standard, Weight: 1}, ID: n.ids, Arrived: d.now, Deadline: d.now.Add(20 * time.Second),
			Candidates: []Candidate{{Server: "s", Weight: 1}}, Permit: &Permit{}}
		list = append(list, w.Permit)
		d.step(n, Arrived{w})
	}
	return list
}

// running 数得到了而没有还的。
func running(lists ...[]*Permit) (n int) {
	for _, list := range lists {
		for _, p := range list {
			if p.live {
				n++
			}
		}
	}
	return n
}

func (n *duetNode) String() string {
	s := n.h.stocks[duetPool]
	return fmt.Sprintf("%s: cap %d held %d share %d safe %v", n.h.cfg.Node, s.cap, s.held, s.share, n.h.safe)
}
