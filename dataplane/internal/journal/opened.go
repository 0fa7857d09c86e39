package journal

import (
	"google.golang.org/protobuf/proto"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// after 是又发生了一件事之后的样子；没有开过头而来的（开头在洞里）返回 nil：凭它补不出一条记录。
func (o *opened) after(b []byte) (*opened, error) {
	if b[0] == kindOpen {
		return open(b)
	}
	if o == nil {
		return nil, nil
	}
	switch b[0] {
	case kindNext:
		return o, o.next(b)
	case kindProgress:
		return o, o.progress(b)
	case kindDropped:
		if n := len(o.req.Attempts); o.running && n > 0 {
			o.req.Attempts, o.running = o.req.Attempts[:n-1], false
		}
	}
	return o, nil
}

func open(b []byte) (*opened, error) {
	if len(b) < openHead {
		return nil, errShortFrame
	}
	o := &opened{req: &usagev1.Request{}, started: int64(get64(b[9:])), seen: int64(get64(b[17:])), running: b[25] == 1}
	return o, proto.Unmarshal(b[openHead:], o.req)
}

func (o *opened) next(b []byte) error {
	var r usagev1.Request
	if len(b) < timedHead {
		return errShortFrame
	}
	if err := proto.Unmarshal(b[timedHead:], &r); err != nil {
		return err
	}
	if broken(bugNextForgotten) {
		return nil
	}
	if n := len(o.req.Attempts); len(r.Attempts) > 1 && o.running && n > 0 { // 前一次的结局代替它的开头
		o.req.Attempts = o.req.Attempts[:n-1]
	}
	o.req.Attempts = append(o.req.Attempts, r.Attempts...)
	o.started, o.running = int64(get64(b[9:])), true
	o.seen = max(o.seen, o.started)
	return nil
}

func (o *opened) progress(b []byte) error {
	var a usagev1.Attempt
	if len(b) < timedHead {
		return errShortFrame
	}
	if err := proto.Unmarshal(b[timedHead:], &a); err != nil {
		return err
	}
	if n := len(o.req.Attempts); o.running && n > 0 {
		last := o.req.Attempts[n-1]
		last.Source, last.Usage, last.CostNano = usagev1.Source_SOURCE_PARTIAL, a.Usage, a.CostNano
	}
	o.seen = max(o.seen, int64(get64(b[9:])))
	return nil
}

// frame 是把到此为止的并成一帧：前面的要删了。
func (o *opened) frame(ticket uint64) []byte {
	b := head(nil, kindOpen, openHead)
	put64(b[1:], ticket)
	put64(b[9:], uint64(o.started))
	put64(b[17:], uint64(o.seen))
	if o.running {
		b[25] = 1
	}
	return appendRequest(b, o.req)
}

// aborted 是补上的结局：没有给客户端的状态，正在进行的调用以最后的进展为准，没有进展就是不知道。
func (o *opened) aborted() *usagev1.Request {
	q := o.req
	last := q.Attempts[len(q.Attempts)-1]
	if o.running {
		last.Outcome, last.DurationUs = usagev1.Outcome_OUTCOME_ABORTED, max(0, o.seen-o.started)*1_000
		if last.Source != usagev1.Source_SOURCE_PARTIAL {
			last.Source, last.Usage, last.CostNano = usagev1.Source_SOURCE_UNKNOWN, nil, 0
		}
	}
	q.Outcome, q.Status, q.Replayed = usagev1.Outcome_OUTCOME_ABORTED, 0, true
	q.EndedUnixMs, q.ServedModel = max(o.seen, q.StartedUnixMs), last.ServedModel
	return q
}
