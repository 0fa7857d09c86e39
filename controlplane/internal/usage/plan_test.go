package usage

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

var testNow = time.Date(2026, 11, 23, 12, 0, 30, 0, time.UTC)

// genRecord 给出序号 seq 起的一条记录；洞覆盖 1 至 5 个序号。
func genRecord(t *rapid.T, seq uint64) *usagev1.Record {
	name := func(label string, n int) string {
		return label + string(rune('a'+rapid.IntRange(0, n-1).Draw(t, label)))
	}
	r := &usagev1.Record{Seq: seq}
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		r.Body = &usagev1.Record_Gap{Gap: &usagev1.Gap{
			LastSeq: seq + rapid.Uint64Range(0, 4).Draw(t, "gap"), Reason: "bad crc", Totals: &usagev1.Totals{Requests: 1, PromptTokens: 7}}}
	case 1:
		r.Body = &usagev1.Record_Refusals{Refusals: &usagev1.Refusals{
			SecondUnix: testNow.Unix(), App: name("app-", 3), Code: name("code-", 2), Count: rapid.Int64Range(1, 50).Draw(t, "count")}}
	default:
		q := &usagev1.Request{
			App: name("app-", 3), Model: name("model-", 3), Outcome: usagev1.Outcome(rapid.IntRange(1, 6).Draw(t, "outcome")),
			StartedUnixMs: testNow.UnixMilli() - 90_000, EndedUnixMs: testNow.UnixMilli() - rapid.Int64Range(0, 90_000).Draw(t, "age"),
			QueueUs: rapid.Int64Range(0, 1000).Draw(t, "queue"), FirstByteUs: rapid.Int64Range(0, 1000).Draw(t, "first"),
		}
		for i := range rapid.IntRange(1, 3).Draw(t, "attempts") {
			a := &usagev1.Attempt{Number: int32(i + 1), Server: name("server-", 3), Outcome: usagev1.Outcome_OUTCOME_OK,
				Source: usagev1.Source(rapid.IntRange(1, 4).Draw(t, "source")), DurationUs: 5, CostNano: rapid.Int64Range(0, 1e6).Draw(t, "cost")}
			if rapid.Bool().Draw(t, "known") {
				a.Usage = &usagev1.Usage{PromptTokens: proto.Int64(rapid.Int64Range(0, 100).Draw(t, "p")), CompletionTokens: proto.Int64(3)}
			}
			q.Attempts = append(q.Attempts, a)
		}
		r.Body = &usagev1.Record_Request{Request: q}
	}
	return r
}

func genJournal(t *rapid.T, n int) []*usagev1.Record {
	var out []*usagev1.Record
	for seq := uint64(1); len(out) < n; {
		r := genRecord(t, seq)
		out = append(out, r)
		seq = lastSeq(r) + 1
	}
	return out
}

// cumulativeOf 是天真的模型：把记录逐条加起来。
func cumulativeOf(records []*usagev1.Record) Totals {
	var t Totals
	for _, r := range records {
		switch b := r.GetBody().(type) {
		case *usagev1.Record_Request:
			t = t.Plus(requestTotals(b.Request))
		case *usagev1.Record_Refusals:
			t.Refused += b.Refusals.GetCount()
		case *usagev1.Record_Gap:
			t = t.Plus(totalsOf(b.Gap.GetTotals()))
			t.Lost += int64(b.Gap.GetLastSeq() - r.GetSeq() + 1)
		}
	}
	return t
}

func cut(journal []*usagev1.Record, i, j int) Batch {
	cum := cumulativeOf(journal[:j])
	return Batch{NodeID: "n", Epoch: 1, First: journal[i].GetSeq(), Last: lastSeq(journal[j-1]), Records: journal[i:j],
		Cumulative: &cum, Clock: Clock{Now: testNow}}
}

// ledger 把各步要做的事加到内存里的“表”上。
type ledger struct {
	cursor Cursor
	rows   map[Key]*Sum
	gaps   Totals
}

func newLedger() *ledger {
	return &ledger{rows: map[Key]*Sum{}}
}

func (l *ledger) apply(s Step) {
	l.cursor = s.Cursor
	for _, r := range s.Deltas {
		at(l.rows, r.Key).Add(r.Sum)
	}
	for _, g := range s.Gaps {
		l.gaps = l.gaps.Plus(g.Totals)
	}
}

func TestPlan_AnyCuttingOrderAndRepetitionCountsEveryRecordOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		journal := genJournal(t, rapid.IntRange(1, 40).Draw(t, "n"))
		whole := newLedger()
		whole.apply(Plan(Cursor{}, cut(journal, 0, len(journal))))

		l := newLedger()
		next := 0 // journal[:next] 已计入
		for range rapid.IntRange(0, 60).Draw(t, "batches") {
			i := rapid.IntRange(0, len(journal)-1).Draw(t, "from")
			j := rapid.IntRange(i+1, len(journal)).Draw(t, "to")
			s := Plan(l.cursor, cut(journal, i, j))
			want := Applied
			switch {
			case j <= next:
				want = Duplicate
			case i > next:
				want = Resend
			}
			if s.Verdict.Kind != want {
				t.Fatalf("batch %d..%d after %d: %v, want %v", i, j, next, s.Verdict.Kind, want)
			}
			if want == Applied {
				next = j
			} else if len(s.Deltas)+len(s.Gaps) > 0 || s.Cursor != l.cursor {
				t.Fatal("a batch that is not applied must change nothing")
			}
			if s.Verdict.Mismatch != nil {
				t.Fatalf("false alarm: %+v", *s.Verdict.Mismatch)
			}
			l.apply(s)
		}
		l.apply(Plan(l.cursor, cut(journal, 0, len(journal))))
		if d := cmp.Diff(whole, l, cmp.AllowUnexported(ledger{}, Histogram{}, bucketCount{})); d != "" {
			t.Fatalf("the same records gave other totals:\n%s", d)
		}
		if l.cursor.Totals != cumulativeOf(journal) || l.cursor.Mismatch != (Totals{}) {
			t.Fatalf("cursor %+v", l.cursor)
		}
		sum := l.gaps
		for _, row := range l.rows {
			sum = sum.Plus(row.Totals())
		}
		if sum != l.cursor.Totals {
			t.Fatalf("not conserved: %+v", sum.Minus(l.cursor.Totals))
		}
	})
}

func TestPlan_RequestCountsAtTheLastAttemptAndTokensWhereTheyWereSpent(t *testing.T) {
	q := &usagev1.Request{App: "app", Model: "asked", EndedUnixMs: testNow.UnixMilli(), StartedUnixMs: testNow.UnixMilli() - 250,
		Outcome: usagev1.Outcome_OUTCOME_OK, QueueUs: 7, FirstByteUs: 9, Replayed: true, Attempts: []*usagev1.Attempt{
			{Number: 1, Server: "s1", ServedModel: "asked", Outcome: usagev1.Outcome_OUTCOME_UPSTREAM_ERROR, DurationUs: 100,
				Source: usagev1.Source_SOURCE_UNKNOWN},
			{Number: 2, Server: "s2", ServedModel: "fallback", Outcome: usagev1.Outcome_OUTCOME_OK, DurationUs: 200, CostNano: 11,
				Source: usagev1.Source_SOURCE_REPORTED, Usage: &usagev1.Usage{PromptTokens: proto.Int64(0), CompletionTokens: proto.Int64(5)}},
		}}
	s := Plan(Cursor{}, Batch{First: 1, Last: 1, Clock: Clock{Now: testNow}, Records: []*usagev1.Record{{Seq: 1, Body: &usagev1.Record_Request{Request: q}}}})
	minute := testNow.Truncate(time.Minute)
	failed, answered := new(Sum), new(Sum)
	failed.Counts = counts(map[Counter]int64{CountAttempts: 1, CountAttemptErrors: 1, CountUpstreamUS: 100})
	answered.Counts = counts(map[Counter]int64{CountRequests: 1, CountAttempts: 1, CountAttemptsWithUsage: 1, CountReplayed: 1,
		CountCompletionTokens: 5, CountCostNano: 11, CountQueueUS: 7, CountFirstByteUS: 9, CountFirstByteCount: 1, CountDurationUS: 250_000, CountUpstreamUS: 200})
	answered.Histograms[HistQueue].Observe(7)
	answered.Histograms[HistFirstByte].Observe(9)
	answered.Histograms[HistDuration].Observe(250_000)
	want := []Entry{
		{Key{minute, "s1", "app", "asked", "asked", usagev1.Source_SOURCE_UNKNOWN, ""}, failed},
		{Key{minute, "s2", "app", "asked", "fallback", usagev1.Source_SOURCE_REPORTED, ""}, answered},
	}
	if d := cmp.Diff(want, s.Deltas, cmp.AllowUnexported(Histogram{}, bucketCount{})); d != "" {
		t.Fatal(d)
	}
}

func counts(named map[Counter]int64) (out [NumCounters]int64) {
	for c, n := range named {
		out[c] = n
	}
	return out
}

func TestPlan_MismatchIsKeptAndAlarmsOnceAndAHoleExplainsIt(t *testing.T) {
	one := func(seq uint64) []*usagev1.Record {
		return []*usagev1.Record{{Seq: seq, Body: &usagev1.Record_Refusals{Refusals: &usagev1.Refusals{Count: 1}}}}
	}
	batch := func(seq uint64, refused int64) Batch {
		return Batch{First: seq, Last: seq, Records: one(seq), Cumulative: &Totals{Refused: refused}, Clock: Clock{Now: testNow}}
	}
	s := Plan(Cursor{}, batch(1, 3))
	if s.Verdict.Mismatch == nil || s.Cursor.Mismatch.Refused != 2 || s.Cursor.HighWater != 1 || len(s.Deltas) != 1 {
		t.Fatalf("data must be kept and the difference stored: %+v", s)
	}
	s = Plan(s.Cursor, batch(2, 4))
	if s.Verdict.Mismatch != nil || s.Cursor.Mismatch.Refused != 2 {
		t.Fatalf("the same difference must not alarm again: %+v", s)
	}
	hole := Batch{First: 1, Last: 10, Cumulative: &Totals{Requests: 8, Lost: 10}, Clock: Clock{Now: testNow},
		Records: []*usagev1.Record{{Seq: 1, Body: &usagev1.Record_Gap{Gap: &usagev1.Gap{LastSeq: 10}}}}}
	s = Plan(Cursor{}, hole)
	if s.Verdict.Mismatch != nil || s.Verdict.Lost != 10 || s.Cursor.Mismatch != (Totals{}) || s.Gaps[0].Totals != (Totals{Requests: 8, Lost: 10}) {
		t.Fatalf("the cumulative totals say how large a hole of unknown content is: %+v", s)
	}
	hole.Cumulative = &Totals{Requests: -1, Lost: 10}
	if s = Plan(Cursor{}, hole); s.Verdict.Mismatch == nil || s.Gaps[0].Totals.Requests != 0 {
		t.Fatalf("a hole cannot be smaller than nothing: %+v", s)
	}
}

func TestClock_CorrectsHoursAndRefusesTheAbsurd(t *testing.T) {
	now := testNow
	for name, c := range map[string]struct {
		sent, ended time.Time
		want        time.Time
	}{
		"in step":             {now.Add(-time.Second), now.Add(-5 * time.Minute), now.Add(-5 * time.Minute)},
		"three hours ahead":   {now.Add(3 * time.Hour), now.Add(3*time.Hour - 5*time.Minute), now.Add(-5 * time.Minute)},
		"three hours behind":  {now.Add(-3 * time.Hour), now.Add(-3*time.Hour - 5*time.Minute), now.Add(-5 * time.Minute)},
		"late from an outage": {now, now.Add(-20 * 24 * time.Hour), now.Add(-20 * 24 * time.Hour)},
		"future":              {now, now.Add(time.Hour), now},
		"zero":                {now, time.UnixMilli(0), now},
	} {
		if got := NewClock(now, c.sent.UnixMilli()).Minute(c.ended.UnixMilli()); !got.Equal(c.want.Truncate(time.Minute)) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestClean_MakesAnyNameStorable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := clean(rapid.String().Draw(t, "s"), rapid.IntRange(1, 20).Draw(t, "limit"))
		if strings.ContainsRune(s, 0) || strings.ToValidUTF8(s, "") != s {
			t.Fatalf("%q", s)
		}
	})
	if clean("gpt-4o/模型", 128) != "gpt-4o/模型" || clean("模型", 4) != "模" {
		t.Fatal("a good name must stay; a long one ends at a whole character")
	}
}
