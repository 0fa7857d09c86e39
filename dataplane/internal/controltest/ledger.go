package controltest

import (
	"fmt"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

	"github.com/vega-gateway/vega/dataplane/internal/journal"
)

type ledgerKey struct {
	node  string
	epoch uint64
}

// Ledger 是一个节点一个 epoch 的账，按契约的游标规矩记。取到的是副本，随便读。
type Ledger struct {
	Node    string
	Epoch   uint64
	Cursor  uint64            // 已收到哪里
	Totals  journal.Totals    // 收下的记录之和
	Records []*usagev1.Record // 收下的记录，按序号
	// Duplicates 是来过又被丢掉的记录数，Resends 是回过的 Resend 数；都无害。
	Duplicates, Resends int
	// Mismatches 是账与对方的累计数不符的次数，Faults 是不合规矩的批；有一个就是缺陷。
	Mismatches int
	Faults     []string

	behind  journal.Totals // 对方的累计比账上多的：里面有什么不知道的洞
	history []past
}

// past 是某个游标处的账，供数据库回到过去。
type past struct {
	cursor  uint64
	totals  journal.Totals
	behind  journal.Totals
	records int
}

// Requests 是收下的请求记录，按序号。
func (l *Ledger) Requests() []*usagev1.Request {
	var list []*usagev1.Request
	for _, r := range l.Records {
		if q := r.GetRequest(); q != nil {
			list = append(list, q)
		}
	}
	return list
}

// Gaps 是收下的 Gap，按序号。
func (l *Ledger) Gaps() []*usagev1.Gap {
	var list []*usagev1.Gap
	for _, r := range l.Records {
		if g := r.GetGap(); g != nil {
			list = append(list, g)
		}
	}
	return list
}

// receive 记一批，给出应答：Ack 的高水位，或 Resend 的起点（resend 非零时）。
func (l *Ledger) receive(b *usagev1.Batch) (highWater, resend uint64) {
	if fault := malformed(b); fault != "" {
		l.Faults = append(l.Faults, fault)
	}
	if b.GetFirstSeq() > l.Cursor+1 {
		l.Resends++
		return 0, l.Cursor + 1
	}
	records, totals, duplicates, unknown := l.Records, l.Totals, 0, false
	for _, r := range b.GetRecords() {
		switch {
		case journal.LastSeq(r) <= l.Cursor:
			duplicates++
		case r.GetSeq() <= l.Cursor: // 一条 Gap 跨在游标上：要对方从游标起重新切
			l.Resends++
			return 0, l.Cursor + 1
		default:
			records, totals = append(records, r), totals.Plus(journal.TotalsOf(r))
			unknown = unknown || r.GetGap() != nil && r.GetGap().GetTotals() == nil
		}
	}
	l.Duplicates += duplicates
	if b.GetLastSeq() <= l.Cursor {
		return l.Cursor, 0
	}
	l.history = append(l.history, past{l.Cursor, l.Totals, l.behind, len(l.Records)})
	l.Records, l.Totals, l.Cursor = records, totals, b.GetLastSeq()
	behind := journal.FromProto(b.GetCumulative()).Minus(totals)
	if behind != l.behind && !unknown {
		l.Mismatches++
	}
	l.behind = behind
	return l.Cursor, 0
}

// malformed 说一批哪里不合规矩：记录必须首尾相接，恰好盖住 first..last。
func malformed(b *usagev1.Batch) string {
	next := b.GetFirstSeq()
	for i, r := range b.GetRecords() {
		if r.GetSeq() != next || journal.LastSeq(r) < r.GetSeq() {
			return fmt.Sprintf("batch %d-%d: record %d has seq %d, want %d", b.GetFirstSeq(), b.GetLastSeq(), i, r.GetSeq(), next)
		}
		next = journal.LastSeq(r) + 1
	}
	if next != b.GetLastSeq()+1 || len(b.GetRecords()) == 0 {
		return fmt.Sprintf("batch %d-%d ends at %d", b.GetFirstSeq(), b.GetLastSeq(), next-1)
	}
	return ""
}

// regress 回到不晚于 cursor 的最近一次提交。
func (l *Ledger) regress(cursor uint64) {
	for l.Cursor > cursor && len(l.history) > 0 {
		p := l.history[len(l.history)-1]
		l.history = l.history[:len(l.history)-1]
		l.Cursor, l.Totals, l.behind, l.Records = p.cursor, p.totals, p.behind, l.Records[:p.records:p.records]
	}
}
