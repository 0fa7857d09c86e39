package admit

import (
	"context"
	"errors"
	"time"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
)

var (
	errHangup    = errors.New("the admission stream is given up")
	errRedirect  = errors.New("the leader is elsewhere")
	errSilent    = errors.New("the control plane takes no admission messages")
	errBacklog   = errors.New("too many admission messages wait to be sent")
	errDeparting = errors.New("this node is leaving")
)

// maxOutgoing 是等着发的帧的上限：对面不收，攒着没有意义，断了重来反而快。
const maxOutgoing = 1 << 14

// link 是到授予者的流在锁内的一面：状态机把要发的排在这里，流的协程取走。除 wake 外都由 Gate.mu 守着。
type link struct {
	out  []*admissionv1.AdmitRequest
	wake chan struct{}           // 有东西要发；容量 1
	cut  context.CancelCauseFunc // 断开当前的流；nil 即没有流

	welcomed bool // 这条流上授予者认了我们
	leader   string
	wait     time.Duration
	parting  bool
	ended    chan struct{} // 要走时，当前的流结束即关闭
}

// push 排进一帧；没有流时不要。
func (l *link) push(f *admissionv1.AdmitRequest) {
	if l.cut == nil {
		return
	}
	if len(l.out) >= maxOutgoing {
		l.hangUp(errBacklog)
		return
	}
	l.out = append(l.out, f)
	l.signal()
}

func (l *link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *link) hangUp(why error) {
	if l.cut != nil {
		l.cut(why)
	}
}

// redirect 记下该去哪里，断开当前的流。
func (l *link) redirect(leader string, wait time.Duration) {
	l.leader, l.wait = leader, wait
	l.hangUp(errRedirect)
}

// opened 说流开了。
func (l *link) opened(cut context.CancelCauseFunc) {
	l.cut, l.welcomed, l.leader, l.wait = cut, false, "", 0
	l.out = nil
}

// closed 说流断了：没有发完的不作数，下一条流从报到说起。
func (l *link) closed() {
	l.cut, l.out = nil, nil
	if l.ended != nil {
		close(l.ended)
		l.ended = nil
	}
}
