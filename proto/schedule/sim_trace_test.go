package schedule

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// simText 把一帧写成一行。
func simText(m proto.Message) string {
	return strings.ReplaceAll(prototext.MarshalOptions{}.Format(m), "  ", " ")
}

func simMembers(list []Member) string {
	var b strings.Builder
	for _, m := range list {
		fmt.Fprintf(&b, "%s/%d clear=%v silent=%v v%d ", m.Node, m.Epoch, m.Clear, m.SilentFor, m.ShareVersion)
	}
	return b.String()
}

func simSpec(s *Spec) string {
	var b strings.Builder
	for _, v := range s.Servers {
		fmt.Fprintf(&b, "%s%v total=%v grace=%v ", v.Name, v.Limits, v.Total, v.AbortGrace)
	}
	for _, v := range s.Apps {
		fmt.Fprintf(&b, "%s%v ", v.Name, v.Limits)
	}
	return b.String()
}

func (w *simWorld) traceHolder(n *simNode, e HolderEvent) {
	switch e := e.(type) {
	case Ticked, Received:
	case Arrived:
		w.tracef("%s waits w%d %s %v", n.name, e.Waiter.ID, e.Waiter.App, e.Waiter.Candidates)
	case Left:
		w.tracef("%s leaves w%d", n.name, e.Waiter.ID)
	case Finished:
		w.tracef("%s finishes %s/%s aborted=%v", n.name, e.Permit.Server, e.Permit.App, e.Permit.Aborted)
	case Started, Progressed, Changed:
	default:
		w.tracef("%s %T", n.name, e)
	}
}

func (w *simWorld) traceGrantor(r *simReplica, e GrantorEvent) {
	switch e := e.(type) {
	case Heard, Tick:
	default:
		w.tracef("cp%d %T%+v", r.i, e, e)
	}
}
