package usage

import (
	"github.com/vega-gateway/vega/controlplane/internal/usage/seeded"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// Step 是一批要对数据库做的事；Verdict.Kind 不是 Applied 时其余为空。
type Step struct {
	Verdict Verdict
	Cursor  Cursor
	// Deltas 按主键升序，不重键；Bucket 是分钟。
	Deltas []Entry
	Gaps   []GapRow
}

// GapRow 是一段再也拿不出的记录；Totals.Lost 是其中的记录数。
type GapRow struct {
	First, Last uint64
	Reason      string
	Totals      Totals
}

// Plan 决定校验过的 b 在游标 c 之后该怎样：重复、缺段，或计入没有计过的后缀。纯函数。
func Plan(c Cursor, b Batch) Step {
	switch {
	case b.Last <= c.HighWater:
		return Step{Verdict: Verdict{Kind: Duplicate, HighWater: c.HighWater}, Cursor: c}
	case b.First > c.HighWater+1 && !seeded.Broken(seeded.ResendIgnored):
		return Step{Verdict: Verdict{Kind: Resend, HighWater: c.HighWater}, Cursor: c}
	}
	roll := newRollup(b.Clock, b.Volatile)
	var added Totals
	var gaps []GapRow
	for _, r := range b.Records {
		if lastSeq(r) <= c.HighWater && !seeded.Broken(seeded.PrefixTwice) {
			continue
		}
		switch body := r.GetBody().(type) {
		case *usagev1.Record_Request:
			roll.request(body.Request)
			added = added.Plus(requestTotals(body.Request))
		case *usagev1.Record_Refusals:
			roll.refusals(body.Refusals)
			added.Refused += body.Refusals.GetCount()
		case *usagev1.Record_Gap:
			g := gapRow(r, c.HighWater)
			gaps = append(gaps, g)
			added = added.Plus(g.Totals)
		}
	}
	next := Cursor{HighWater: b.Last, Totals: c.Totals.Plus(added), Mismatch: c.Mismatch}
	v := Verdict{Kind: Applied, HighWater: b.Last, Records: int64(b.Last - c.HighWater), Lost: added.Lost}
	if b.Cumulative != nil {
		unknown := b.Cumulative.Minus(next.Totals).Minus(c.Mismatch)
		if len(gaps) > 0 && unknown.Lost == 0 && unknown.nonNegative() {
			gaps[0].Totals = gaps[0].Totals.Plus(unknown)
			next.Totals = next.Totals.Plus(unknown)
		}
		next.Mismatch = b.Cumulative.Minus(next.Totals)
		if next.Mismatch != c.Mismatch {
			v.Mismatch = &next.Mismatch
		}
	}
	return Step{Verdict: v, Cursor: next, Deltas: entries(roll.rows), Gaps: gaps}
}

// gapRow 取洞里还没有计过的一段。从中间劈开的洞内容不知道：由节点自报的累计补上，那正是洞的大小。
func gapRow(r *usagev1.Record, hwm uint64) GapRow {
	body := r.GetGap()
	g := GapRow{First: max(r.GetSeq(), hwm+1), Last: body.GetLastSeq(), Reason: clean(body.GetReason(), maxReason)}
	if g.First == r.GetSeq() {
		g.Totals = totalsOf(body.GetTotals())
	}
	g.Totals.Lost = int64(g.Last - g.First + 1)
	return g
}

// lastSeq 是一条记录覆盖的最后一个序号。
func lastSeq(r *usagev1.Record) uint64 {
	if g := r.GetGap(); g != nil {
		return g.GetLastSeq()
	}
	return r.GetSeq()
}
