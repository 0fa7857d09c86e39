package schedule

import (
	"google.golang.org/protobuf/proto"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

// simNet 是节点与控制面之间的网络：两个方向各自延迟、丢失、重复、乱序。
type simNet struct {
	loss, dup, spike float64
	fast             int64 // 平常的单程延迟至多多久
	// clones 说每一帧都整个复制：收发双方若改动了发出去的帧，结果就会与不复制时不同。
	clones bool
}

func newSimNet(w *simWorld) simNet {
	n := simNet{fast: w.between(400_000, 5*simMs)}
	if !w.plan.calm {
		if w.chance(0.5) {
			n.loss = w.rng.Float64() * 0.05
		}
		if w.chance(0.5) {
			n.dup = w.rng.Float64() * 0.05
		}
		if w.chance(0.5) {
			n.spike = w.rng.Float64() * 0.01
		}
	}
	return n
}

func (w *simWorld) latency() int64 {
	if w.chance(w.net.spike) {
		return w.between(w.net.fast, 300*simMs)
	}
	return w.between(200_000, w.net.fast)
}

// simConn 是一条流；两端各自开合。
type simConn struct {
	id       uint64
	n        *simNode
	ninc     int
	r        *simReplica
	rinc     int
	up, down bool // 节点一端、副本一端还开着
	// 两个方向上发出的与送达的最大的次序，供数乱序。
	sent, came [2]int64
}

// cut 说 n 与 r 之间此刻这个方向不通。
func simCut(n *simNode, r *simReplica, up bool) bool {
	return n.cut[simWay(up)] || r.cut[simWay(up)] || r.island == n.i
}

func simWay(up bool) int {
	if up {
		return 1
	}
	return 0
}

// carry 送一帧：可能丢，可能到两次，各走各的延迟。
func (w *simWorld) carry(c *simConn, up bool, deliver func()) {
	if simCut(c.n, c.r, up) || w.chance(w.net.loss) {
		w.hits.lost++
		w.tracef("lost %s#%d up=%v", c.n.name, c.id, up)
		return
	}
	way := simWay(up)
	c.sent[way]++
	order := c.sent[way]
	arrive := func() {
		if order < c.came[way] {
			w.hits.reordered++
		}
		c.came[way] = max(c.came[way], order)
		deliver()
	}
	w.after(w.latency(), arrive)
	if w.chance(w.net.dup) {
		w.hits.duplicated++
		w.after(w.latency(), arrive)
	}
}

func (w *simWorld) sendUp(c *simConn, f *admissionv1.AdmitRequest) {
	if w.net.clones {
		f = proto.Clone(f).(*admissionv1.AdmitRequest)
	}
	w.carry(c, true, func() {
		c.r.do(c.rinc, func() {
			if c.down {
				w.tracef("  cp%d<-%s#%d %s", c.r.i, c.n.name, c.id, w.show(f))
				c.r.heard(c, f)
			}
		})
	})
}

func (w *simWorld) sendDown(c *simConn, f *admissionv1.AdmitResponse) {
	if w.net.clones {
		f = proto.Clone(f).(*admissionv1.AdmitResponse)
	}
	w.carry(c, false, func() {
		c.n.do(c.ninc, func() {
			if c.up && c.n.conn == c {
				w.tracef("  %s<-cp%d#%d %s", c.n.name, c.r.i, c.id, w.show(f))
				c.n.step(Received{f})
			}
		})
	})
}

func (w *simWorld) show(m proto.Message) string {
	if !w.tracing {
		return ""
	}
	return simText(m)
}

// closeUp 是节点关了它那一端；副本迟早知道。
func (w *simWorld) closeUp(c *simConn) {
	c.up = false
	w.tell(c, true, func() {
		c.r.do(c.rinc, func() { c.r.closed(c) })
	})
}

// closeDown 是副本关了它那一端。
func (w *simWorld) closeDown(c *simConn) { w.shut(c, false) }

// shut 同上；unbooked 说是以一个状态回绝的。
func (w *simWorld) shut(c *simConn, unbooked bool) {
	c.down = false
	w.tell(c, false, func() {
		c.n.do(c.ninc, func() { c.n.broken(c, unbooked) })
	})
}

// tell 送达一端关闭的消息：不通时由保活在通了之后发觉。
func (w *simWorld) tell(c *simConn, up bool, deliver func()) {
	if simCut(c.n, c.r, up) {
		w.after(w.between(500*simMs, 2*simSec), func() { w.tell(c, up, deliver) })
		return
	}
	w.after(w.net.fast+w.latency(), deliver) // 关闭排在它之前发出的各帧之后
}
