package gateway

import (
	"github.com/vega-gateway/vega/dataplane/internal/journal"
	"github.com/vega-gateway/vega/dataplane/internal/state"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// book 是请求在 journal 里的凭据，与已经告诉过它的。
type book struct {
	ticket journal.Ticket
	open   bool // ticket 可用
	told   int  // 结局已由 Next 记下的调用数
}

// bookCall 在第一个上游字节之前记下这次调用：此后进程在任何一刻被杀，这个请求都还数得着。
func (x *exchange) bookCall(t *state.Target) {
	c := journal.Call{
		Number: int32(x.call.number), Server: t.Server.Name, UpstreamModel: t.UpstreamModel,
		StartedUnixMS: x.call.start.UnixMilli(),
	}
	if x.model != nil {
		c.ServedModel = x.model.Name
	}
	if x.book.open {
		if !broken(bugNextSkipped) {
			x.book.ticket.Next(x.untold(), c)
		}
		return
	}
	x.book.ticket = x.gw.journal.Open(journal.Opening{
		ID: x.id, KeyID: x.key.ID, App: x.key.App.Name, Model: x.asked, Endpoint: x.ep.Name,
		ClientRequestID: x.clientRequestID(), Revision: x.st.Revision, StartedUnixMS: x.arrived.UnixMilli(),
		QueueUS: x.queued.Microseconds(), Stream: x.env.Stream, Call: c,
	})
	x.book.open = true
}

// untold 是已经结束而还没有告诉 journal 的那次调用；没有（前一次一个字节也没有送到）为 nil。
func (x *exchange) untold() *usagev1.Attempt {
	if x.book.told == x.attempts() {
		return nil
	}
	x.book.told++
	return x.rec.req.Attempts[x.book.told-1]
}

// withdraw 收回刚记下而一个字节也没有送到的调用。
func (x *exchange) withdraw() {
	switch {
	case !x.book.open:
	case x.rec == nil:
		x.book.open = false
		x.book.ticket.Abandon()
	default:
		x.book.ticket.Dropped()
	}
}
