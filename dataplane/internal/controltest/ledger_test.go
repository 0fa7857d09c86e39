package controltest

import (
	"testing"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

	"github.com/vega-gateway/vega/dataplane/internal/journal"
)

func records(from, to uint64) []*usagev1.Record {
	var list []*usagev1.Record
	for s := from; s <= to; s++ {
		list = append(list, &usagev1.Record{Seq: s, Body: &usagev1.Record_Refusals{Refusals: &usagev1.Refusals{Count: 1}}})
	}
	return list
}

func batch(from, to uint64) *usagev1.Batch {
	return &usagev1.Batch{FirstSeq: from, LastSeq: to, Records: records(from, to), Cumulative: journal.Totals{Refused: int64(to)}.Proto()}
}

func gapped(from, gapTo, to uint64) *usagev1.Batch {
	b := batch(from, to)
	lost := int64(gapTo - from + 1)
	gap := &usagev1.Record{Seq: from, Body: &usagev1.Record_Gap{Gap: &usagev1.Gap{
		LastSeq: gapTo, Totals: journal.Totals{Refused: lost, Lost: lost}.Proto(),
	}}}
	b.Records = append([]*usagev1.Record{gap}, records(gapTo+1, to)...)
	b.Cumulative = journal.Totals{Refused: int64(to), Lost: lost}.Proto()
	return b
}

func TestLedger_FollowsTheCursorOfTheContract(t *testing.T) {
	l := &Ledger{}
	steps := []struct {
		batch      *usagev1.Batch
		hw, resend uint64
		cursor     uint64
	}{
		{batch(1, 3), 3, 0, 3},
		{batch(1, 3), 3, 0, 3},        // 重复
		{batch(2, 5), 5, 0, 5},        // 一半见过
		{batch(8, 9), 0, 6, 5},        // 有洞
		{gapped(4, 8, 9), 0, 6, 5},    // Gap 跨在游标上
		{gapped(6, 8, 10), 10, 0, 10}, // 从游标起重切的
	}
	for i, s := range steps {
		hw, resend := l.receive(s.batch)
		if hw != s.hw || resend != s.resend || l.Cursor != s.cursor {
			t.Fatalf("step %d: ack %d, resend %d, cursor %d", i, hw, resend, l.Cursor)
		}
	}
	if l.Totals != (journal.Totals{Refused: 10, Lost: 3}) || l.Duplicates != 5 || l.Resends != 2 || l.Mismatches != 0 || len(l.Faults) != 0 {
		t.Errorf("%+v", l)
	}
	if len(l.Records) != 8 || len(l.Gaps()) != 1 || len(l.Requests()) != 0 {
		t.Errorf("%d records", len(l.Records))
	}
	l.regress(4)
	if l.Cursor != 3 || l.Totals.Refused != 3 || len(l.Records) != 3 {
		t.Errorf("after going back: %+v", l)
	}
}

func TestLedger_NoticesWrongCumulativeTotalsAndMalformedBatches(t *testing.T) {
	l := &Ledger{}
	wrong := batch(1, 2)
	wrong.Cumulative.Refused++
	l.receive(wrong)
	if l.Mismatches != 1 {
		t.Error("a wrong cumulative sum goes unnoticed")
	}
	for name, edit := range map[string]func(*usagev1.Batch){
		"hole":  func(b *usagev1.Batch) { b.Records[1].Seq = 9 },
		"short": func(b *usagev1.Batch) { b.Records = b.Records[:1] },
		"empty": func(b *usagev1.Batch) { b.Records = nil },
	} {
		b := batch(1, 3)
		edit(b)
		if malformed(b) == "" {
			t.Errorf("%s: goes unnoticed", name)
		}
	}
}
