package admission

import (
	"sync"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// conn 是当任者眼里的一条流。
type conn struct {
	id     uint64
	node   string
	epoch  uint64
	stream uint64

	metrics *Metrics
	out     chan *admissionv1.AdmitResponse
	dropped chan struct{}
	once    sync.Once
	reason  error

	heard time.Time // 只有事件循环用
}

func (h *Host) newConn(hello *admissionv1.AdmitRequest) *conn {
	return &conn{
		id: h.conns.Add(1), node: hello.GetNodeId(), epoch: hello.GetEpoch(), stream: hello.GetStream(), metrics: h.deps.Metrics,
		out: make(chan *admissionv1.AdmitResponse, h.cfg.OutQueue), dropped: make(chan struct{}),
	}
}

// send 把一帧交给发送协程；从不等待，积压满了就断开这条流。
func (c *conn) send(resp *admissionv1.AdmitResponse) {
	select {
	case c.out <- resp:
	default:
		c.slow("more than %d frames are waiting to be sent", cap(c.out))
	}
}

// drop 要这条流以 reason 结束；第一次的理由有效。
func (c *conn) drop(reason error) {
	c.once.Do(func() {
		c.reason = reason
		close(c.dropped)
	})
}

func (c *conn) isDropped() bool {
	select {
	case <-c.dropped:
		return true
	default:
		return false
	}
}

func (c *conn) slow(format string, args ...any) {
	c.metrics.slow.Inc()
	c.drop(vegaerr.New(vegaerr.Unavailable, "slow_node", format, args...))
}

func errDropped(reason string) error {
	return vegaerr.New(vegaerr.Conflict, "", "the grantor closed this stream: %s", reason)
}
