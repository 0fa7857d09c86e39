package journal

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

func request(id string, tokens int64) *usagev1.Request {
	return &usagev1.Request{Id: id, App: "a", Attempts: []*usagev1.Attempt{
		{Number: 1, Server: "s"},
		{Number: 2, Server: "s", CostNano: 3, Usage: &usagev1.Usage{PromptTokens: proto.Int64(tokens), CompletionTokens: proto.Int64(1)}},
	}}
}

func TestClose_NumbersFromOneWithinTheEpoch(t *testing.T) {
	j := New(Config{})
	if j.Epoch() == 0 || j.Epoch() == New(Config{}).Epoch() {
		t.Error("epochs are not random")
	}
	if s := j.Stats(); s.FirstSeq != 1 || s.LastSeq != 0 || j.Batch(1, 10) != nil {
		t.Errorf("empty: %+v", s)
	}
	for i := range 3 {
		j.Open(Opening{}).Close(request(fmt.Sprint(i), 10))
	}
	j.Open(Opening{})
	b := j.Batch(1, 2)
	if b.GetEpoch() != j.Epoch() || b.GetFirstSeq() != 1 || b.GetLastSeq() != 2 || len(b.GetRecords()) != 2 || b.GetRecords()[1].GetSeq() != 2 {
		t.Fatalf("%v", b)
	}
	if got := FromProto(b.GetCumulative()); got != (Totals{Requests: 2, Attempts: 4, Prompt: 20, Completion: 2, CostNano: 6}) {
		t.Errorf("cumulative %+v", got)
	}
	if got := FromProto(j.Batch(3, 10).GetCumulative()); got.Requests != 3 || got.Prompt != 30 {
		t.Errorf("cumulative %+v", got)
	}
	if j.Batch(4, 10) != nil || j.Batch(0, 10).GetFirstSeq() != 1 {
		t.Error("edges")
	}
	if s := j.Stats(); s.InFlight != 1 || s.Unreported != 3 || s.Dropped != 0 || s.LastSeq != 3 {
		t.Errorf("%+v", s)
	}
	j.Acked(2)
	j.Acked(1) // 迟到的确认
	j.Acked(99)
	if s := j.Stats(); s.AckedSeq != 3 || s.Unreported != 0 {
		t.Errorf("%+v", s)
	}
}

func TestRefuse_BecomesOneRecordWhenItsSecondIsOver(t *testing.T) {
	now := time.Unix(100, 0)
	j := New(Config{Now: func() time.Time { return now }})
	for range 3 {
		j.Refuse("a", "m", "queue_full")
	}
	j.Refuse("a", "n", "queue_full")
	j.Refuse("", "", "invalid_api_key")
	if j.Batch(1, 10) != nil {
		t.Fatal("the second is not over")
	}
	now = now.Add(time.Second)
	b := j.Batch(1, 10)
	if len(b.GetRecords()) != 3 || b.GetCumulative().GetRefused() != 5 {
		t.Fatalf("%v", b)
	}
	first, second := b.GetRecords()[0].GetRefusals(), b.GetRecords()[1].GetRefusals()
	if first.GetCode() != "invalid_api_key" || first.GetApp() != "" || second.GetCount() != 3 || second.GetModel() != "m" || second.GetSecondUnix() != 100 {
		t.Errorf("%v %v", first, second)
	}
	j.Refuse("a", "m", "queue_full")
	now = now.Add(-time.Second) // 读钟与拿锁之间晚到一秒的不另起一条
	j.Refuse("a", "m", "queue_full")
	if last := j.Flush(); last != 4 {
		t.Fatalf("flushed up to %d", last)
	}
	if r := j.Batch(4, 10).GetRecords()[0].GetRefusals(); r.GetCount() != 2 || r.GetSecondUnix() != 101 {
		t.Errorf("%v", r)
	}
}

func TestRefuse_AClockSetBackHoldsNothingUp(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	j := New(Config{Now: func() time.Time { return now }})
	j.Refuse("a", "m", "queue_full")
	now = now.Add(-time.Hour)
	if b := j.Batch(1, 10); b.GetCumulative().GetRefused() != 1 || b.GetRecords()[0].GetRefusals().GetSecondUnix() != 1_000_000 {
		t.Fatalf("the old second is held until the clock catches up: %v", b)
	}
	j.Refuse("a", "m", "queue_full")
	now = now.Add(time.Second)
	if r := j.Batch(2, 10).GetRecords()[0].GetRefusals(); r.GetSecondUnix() != 1_000_000-3_600 || r.GetCount() != 1 {
		t.Errorf("%v", r)
	}
}

func TestRefuse_UnknownModelNamesAreNotKept(t *testing.T) {
	j := New(Config{KnownModel: func(name string) bool { return name == "gpt-4o" }})
	for i := range 5_000 {
		j.Refuse("a", fmt.Sprint("invented-", i), "model_not_found")
	}
	j.Refuse("a", "gpt-4o", "queue_full")
	j.Flush()
	b := j.Batch(1, 10_000)
	var unknown, known int64
	for _, r := range b.GetRecords() {
		switch m := r.GetRefusals().GetModel(); m {
		case "":
			unknown += r.GetRefusals().GetCount()
		case "gpt-4o":
			known += r.GetRefusals().GetCount()
		default:
			t.Fatalf("kept %q", m)
		}
	}
	if unknown != 5_000 || known != 1 || len(b.GetRecords()) > 4 {
		t.Errorf("%d unknown, %d known in %d records", unknown, known, len(b.GetRecords()))
	}
}

// TestClose_DoesNotKeepTheClientsHeaderAlive 看记录里的串与头部不是同一块内存。
func TestClose_DoesNotKeepTheClientsHeaderAlive(t *testing.T) {
	header := strings.Repeat("x", 30_000)
	r := request("r", 1)
	r.ClientRequestId = header[:100]
	j := New(Config{})
	j.Open(Opening{}).Close(r)
	r = j.Batch(1, 1).GetRecords()[0].GetRequest()
	if r.ClientRequestId != header[:100] || unsafe.StringData(r.ClientRequestId) == unsafe.StringData(header) {
		t.Error("100 bytes keep 30,000 in memory")
	}
}

func TestRefuse_InventedModelNamesDoNotGrowMemory(t *testing.T) {
	j := New(Config{Now: func() time.Time { return time.Unix(1, 0) }})
	for i := range 5_000 {
		j.Refuse("a", fmt.Sprint("model-", i), "model_not_found")
	}
	j.Flush()
	b := j.Batch(1, 10_000)
	if len(b.GetRecords()) > maxRefusalKeys+1 || b.GetCumulative().GetRefused() != 5_000 {
		t.Errorf("%d records, %d refused", len(b.GetRecords()), b.GetCumulative().GetRefused())
	}
}

func TestRing_FullDropsTheOldestIntoOneGapOfExactSize(t *testing.T) {
	j := New(Config{MaxRecords: 10})
	for i := range 25 {
		j.Open(Opening{}).Close(request(fmt.Sprint(i), int64(i)))
	}
	if s := j.Stats(); s.Dropped != 15 || s.Unreported != 25 || s.FirstSeq != 16 {
		t.Fatalf("%+v", s)
	}
	b := j.Batch(1, 5)
	gap := b.GetRecords()[0].GetGap()
	want := Totals{Requests: 15, Attempts: 30, Prompt: 105, Completion: 15, CostNano: 45, Lost: 15}
	if gap.GetLastSeq() != 15 || FromProto(gap.GetTotals()) != want || gap.GetReason() == "" {
		t.Fatalf("%v", gap)
	}
	if len(b.GetRecords()) != 5 || b.GetLastSeq() != 19 || b.GetRecords()[1].GetSeq() != 16 {
		t.Fatalf("%v", b)
	}
	all := FromProto(j.Batch(20, 100).GetCumulative())
	if all.Requests != 25 || all.Prompt != 300 || all.Lost != 15 {
		t.Errorf("cumulative %+v", all)
	}
}

func TestRing_DroppingAcknowledgedRecordsIsNoLoss(t *testing.T) {
	j := New(Config{MaxRecords: 10})
	for i := range 10 {
		j.Open(Opening{}).Close(request(fmt.Sprint(i), 1))
	}
	j.Acked(j.Batch(1, 10).GetLastSeq())
	for i := range 10 {
		j.Open(Opening{}).Close(request(fmt.Sprint(i), 1))
	}
	if s := j.Stats(); s.Dropped != 0 || s.Unreported != 10 {
		t.Fatalf("%+v", s)
	}
	if b := j.Batch(11, 100); b.GetRecords()[0].GetGap() != nil || b.GetCumulative().GetRequests() != 20 {
		t.Errorf("%v", b)
	}
}

func TestAcked_FreesAllButTheKeptOnes(t *testing.T) {
	j := New(Config{KeepAcked: 3})
	for i := range 10 {
		j.Open(Opening{}).Close(request(fmt.Sprint(i), 1))
	}
	j.Batch(1, 4)
	j.Batch(5, 100)
	j.Acked(10)
	if s := j.Stats(); s.FirstSeq != 8 {
		t.Fatalf("%+v", s)
	}
	j.Rewind(4) // 数据库回到过去：5..7 已放掉
	if s := j.Stats(); s.AckedSeq != 4 || s.Unreported != 6 {
		t.Fatalf("%+v", s)
	}
	b := j.Batch(5, 100)
	if g := b.GetRecords()[0].GetGap(); g.GetLastSeq() != 7 || g.GetTotals().GetRequests() != 3 || g.GetTotals().GetLost() != 3 {
		t.Errorf("%v", b)
	}
	if c := b.GetCumulative(); c.GetRequests() != 10 || c.GetLost() != 3 {
		t.Errorf("%v", c)
	}
	none := New(Config{KeepAcked: -1})
	none.Open(Opening{}).Close(request("x", 1))
	none.Acked(1)
	if s := none.Stats(); s.FirstSeq != 2 || s.LastSeq != 1 {
		t.Errorf("%+v", s)
	}
}

func TestBatch_CursorOlderThanAnyCheckpointCountsExactlyAndSaysSo(t *testing.T) {
	j := New(Config{MaxRecords: 2})
	for i := range 10 {
		j.Open(Opening{}).Close(request(fmt.Sprint(i), 1))
	}
	b := j.Batch(4, 100) // 没有哪一批停在 3
	g := b.GetRecords()[0].GetGap()
	if g.GetTotals().GetLost() != 5 || g.GetLastSeq() != 8 || !strings.Contains(g.GetReason(), "incomplete after seq 3") {
		t.Errorf("%v", g)
	}
	if g.GetTotals().GetRequests() > 5 {
		t.Errorf("counted twice: %v", g)
	}
}

func TestWake_AtAFullBatchAndAtFlush(t *testing.T) {
	j := New(Config{WakeAt: 3})
	awake := func() bool {
		select {
		case <-j.Wake():
			return true
		default:
			return false
		}
	}
	j.Open(Opening{}).Close(request("1", 1))
	j.Open(Opening{}).Close(request("2", 1))
	if awake() {
		t.Error("too early")
	}
	j.Open(Opening{}).Close(request("3", 1))
	if !awake() || awake() {
		t.Error("want exactly one signal")
	}
	j.Batch(1, 10)
	j.Open(Opening{}).Close(request("4", 1))
	if awake() {
		t.Error("the count starts again after a batch")
	}
	j.Flush()
	if !awake() {
		t.Error("flush does not wake")
	}
}

func TestClose_MakesAnyTextEncodable(t *testing.T) {
	j := New(Config{})
	long := strings.Repeat("é", 10_000)
	r := request("\xff\xfe", 1)
	r.ClientRequestId, r.Model = long, "ok"
	r.Attempts[0].UpstreamModel = "a\xc3"
	j.Open(Opening{}).Close(r)
	j.Refuse("a", "\x80"+long, "model_not_found")
	j.Flush()
	b := j.Batch(1, 10)
	if _, err := proto.Marshal(b); err != nil {
		t.Fatal(err)
	}
	r = b.GetRecords()[0].GetRequest()
	if !utf8.ValidString(r.ClientRequestId) || len(r.ClientRequestId) > maxText || r.Model != "ok" {
		t.Errorf("%q", r.ClientRequestId)
	}
}

func TestClose_KeepsNumbersWithinWhatTheControlPlaneTakes(t *testing.T) {
	j := New(Config{Now: func() time.Time { return time.Unix(-9, 0) }})
	r := request("r", 7)
	r.StartedUnixMs, r.QueueUs, r.EndedUnixMs = -1, math.MinInt64, math.MaxInt64
	huge := &usagev1.Attempt{DurationUs: -5, CostNano: math.MaxInt64, Usage: &usagev1.Usage{PromptTokens: proto.Int64(math.MaxInt64), CachedTokens: proto.Int64(-1)}}
	r.Attempts = append(r.Attempts, huge, &usagev1.Attempt{})
	j.Open(Opening{}).Close(r)
	r = j.Batch(1, 1).GetRecords()[0].GetRequest()
	huge = r.Attempts[2]
	if r.StartedUnixMs != 0 || r.QueueUs != 0 || r.EndedUnixMs != maxTime || huge.DurationUs != 0 || huge.CostNano != maxCost ||
		huge.Usage.GetPromptTokens() != maxNumber || huge.Usage.GetCachedTokens() != 0 || huge.Usage.CompletionTokens != nil {
		t.Errorf("%v", r)
	}
	if want := request("r", 7).Attempts[1]; !proto.Equal(r.Attempts[1], want) {
		t.Errorf("an ordinary attempt became %v", r.Attempts[1])
	}
	j.Refuse("a", "m", "queue_full")
	j.Flush()
	if s := j.Batch(2, 1).GetRecords()[0].GetRefusals().GetSecondUnix(); s != 0 {
		t.Errorf("second %d", s)
	}
}

func TestBatch_StaysFarBelowTheMessageLimit(t *testing.T) {
	j := New(Config{})
	for range 1_000 {
		r := request(strings.Repeat("x", 256), 1)
		for range 40 {
			r.Attempts = append(r.Attempts, &usagev1.Attempt{Server: strings.Repeat("s", 63), UpstreamModel: strings.Repeat("m", 256)})
		}
		j.Open(Opening{}).Close(r)
	}
	seen, from := 0, uint64(1)
	for {
		b := j.Batch(from, 1_000)
		if b == nil {
			break
		}
		if n := proto.Size(b); n > 2*maxBatchBytes {
			t.Fatalf("batch of %d bytes", n)
		}
		seen += len(b.GetRecords())
		from = b.GetLastSeq() + 1
	}
	if seen != 1_000 {
		t.Errorf("%d records", seen)
	}
}

func TestJournal_ConcurrentUseLosesNothing(t *testing.T) {
	j := New(Config{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				j.Open(Opening{}).Close(request(fmt.Sprint(g, i), 2))
				j.Refuse("a", "m", "queue_full")
			}
		})
	}
	done := make(chan struct{})
	reader := make(chan Totals)
	go func() {
		var got Totals
		next := uint64(1)
		for {
			b := j.Batch(next, 100)
			if b != nil {
				for _, r := range b.GetRecords() {
					got = got.Plus(TotalsOf(r))
				}
				next = b.GetLastSeq() + 1
				j.Acked(b.GetLastSeq())
				continue
			}
			select {
			case <-done:
				if j.Flush() < next {
					reader <- got
					return
				}
			default:
			}
		}
	}()
	wg.Wait()
	close(done)
	if got := <-reader; got != (Totals{Requests: 4_000, Attempts: 8_000, Refused: 4_000, Prompt: 8_000, Completion: 4_000, CostNano: 12_000}) {
		t.Errorf("%+v", got)
	}
	if s := j.Stats(); s.InFlight != 0 || s.Unreported != 0 {
		t.Errorf("%+v", s)
	}
}

// TestJournal_AnyHistoryAddsUp 让环、批、确认、断线与数据库回到过去任意交错，对面是契约的游标：
// 账与累计数总是对得上，每个序号恰好一次，Gap 的条数与总数准确。
func TestJournal_AnyHistoryAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := New(Config{MaxRecords: rapid.IntRange(1, 12).Draw(t, "max"), KeepAcked: rapid.IntRange(-1, 6).Draw(t, "keep")})
		type commit struct {
			cursor uint64
			totals Totals
		}
		history := []commit{{}}
		next := uint64(1)
		var truth Totals
		send := func(t *rapid.T, limit int) {
			b := j.Batch(next, limit)
			if b == nil {
				return
			}
			now := history[len(history)-1]
			if b.GetFirstSeq() != now.cursor+1 {
				t.Fatalf("batch starts at %d, cursor %d", b.GetFirstSeq(), now.cursor)
			}
			seq := b.GetFirstSeq()
			for _, r := range b.GetRecords() {
				if r.GetSeq() != seq {
					t.Fatalf("seq %d, want %d", r.GetSeq(), seq)
				}
				seq = LastSeq(r) + 1
				now.totals = now.totals.Plus(TotalsOf(r))
			}
			now.cursor = b.GetLastSeq()
			if seq != now.cursor+1 || FromProto(b.GetCumulative()) != now.totals {
				t.Fatalf("cumulative %v, counted %+v", b.GetCumulative(), now.totals)
			}
			history = append(history, now)
			next = now.cursor + 1
		}
		t.Repeat(map[string]func(*rapid.T){
			"close": func(t *rapid.T) {
				r := request("r", rapid.Int64Range(0, 50).Draw(t, "tokens"))
				truth = truth.Plus(TotalsOf(&usagev1.Record{Body: &usagev1.Record_Request{Request: r}}))
				j.Open(Opening{}).Close(r)
			},
			"refuse": func(*rapid.T) {
				j.Refuse("a", "m", "c")
				j.Flush()
				truth.Refused++
			},
			"send": func(t *rapid.T) { send(t, rapid.IntRange(1, 5).Draw(t, "limit")) },
			"ack":  func(*rapid.T) { j.Acked(history[len(history)-1].cursor) },
			"restore": func(t *rapid.T) {
				history = history[:rapid.IntRange(1, len(history)).Draw(t, "to")]
				j.Rewind(history[len(history)-1].cursor)
				next = history[len(history)-1].cursor + 1
			},
		})
		for next <= j.Stats().LastSeq {
			send(t, 100)
		}
		got := history[len(history)-1].totals
		lost := got.Lost
		got.Lost = 0
		if got != truth {
			t.Fatalf("reported %+v (lost %d), truth %+v", got, lost, truth)
		}
	})
}

func TestCheckpoints_StayBounded(t *testing.T) {
	j := New(Config{MaxRecords: 100})
	next := uint64(1)
	for range 3 * maxCheckpoints {
		j.Open(Opening{}).Close(request("r", 1))
		b := j.Batch(next, 1)
		next = b.GetLastSeq() + 1
		j.Acked(b.GetLastSeq())
		if b.GetCumulative().GetRequests() != int64(b.GetLastSeq()) {
			t.Fatalf("%v", b)
		}
	}
	if n := len(j.memory.marks.list); n > maxCheckpoints {
		t.Errorf("%d checkpoints", n)
	}
}

func BenchmarkClose(b *testing.B) {
	j := New(Config{})
	attempts := []*usagev1.Attempt{{Number: 1, Server: "gpu-1", UpstreamModel: "gpt-4o-2024", Usage: &usagev1.Usage{PromptTokens: proto.Int64(1)}}}
	b.ReportAllocs()
	for b.Loop() {
		j.Open(Opening{}).Close(&usagev1.Request{Id: "0193e0c2-aaaa", App: "team-a", Model: "gpt-4o", Attempts: attempts})
	}
}

func BenchmarkRefuse(b *testing.B) {
	j := New(Config{})
	b.ReportAllocs()
	for b.Loop() {
		j.Refuse("team-a", "gpt-4o", "queue_full")
	}
}

func BenchmarkBatch1000(b *testing.B) {
	j := New(Config{})
	for range 1_000 {
		j.Open(Opening{}).Close(request("0193e0c2-aaaa", 1))
	}
	b.ReportAllocs()
	for b.Loop() {
		j.Batch(1, 1_000)
	}
}
