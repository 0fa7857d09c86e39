package usage

import (
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func goodBatch() *usagev1.Batch {
	req := func(seq uint64) *usagev1.Record {
		return &usagev1.Record{Seq: seq, Body: &usagev1.Record_Request{Request: &usagev1.Request{
			Attempts: []*usagev1.Attempt{{Number: 1, Usage: &usagev1.Usage{PromptTokens: proto.Int64(1)}}}}}}
	}
	return &usagev1.Batch{NodeId: "n", Epoch: 1, FirstSeq: 5, LastSeq: 10, Records: []*usagev1.Record{
		req(5), {Seq: 6, Body: &usagev1.Record_Gap{Gap: &usagev1.Gap{LastSeq: 8}}},
		{Seq: 9, Body: &usagev1.Record_Refusals{Refusals: &usagev1.Refusals{Count: 1}}}, req(10)}}
}

func TestCheckBatch_GoodPassesAndEveryDefectIsNamed(t *testing.T) {
	if err := checkBatch(goodBatch()); err != nil {
		t.Fatal(err)
	}
	attempt := func(b *usagev1.Batch) *usagev1.Attempt { return b.Records[0].GetRequest().Attempts[0] }
	for name, c := range map[string]struct {
		spoil func(*usagev1.Batch)
		says  string
	}{
		"zero first":        {func(b *usagev1.Batch) { b.FirstSeq = 0 }, "0..10"},
		"backwards":         {func(b *usagev1.Batch) { b.FirstSeq, b.LastSeq, b.Records = 5, 4, nil }, "5..4"},
		"beyond bigint":     {func(b *usagev1.Batch) { b.LastSeq = math.MaxUint64 }, "18446744073709551615"},
		"missing record":    {func(b *usagev1.Batch) { b.Records = b.Records[1:] }, "where 5 was expected"},
		"record twice":      {func(b *usagev1.Batch) { b.Records[3].Seq = 9 }, "where 10 was expected"},
		"truncated":         {func(b *usagev1.Batch) { b.Records = b.Records[:3] }, "end at 9"},
		"too many":          {func(b *usagev1.Batch) { b.LastSeq = 11; b.Records = append(b.Records, &usagev1.Record{Seq: 11}) }, "unknown kind"},
		"gap before itself": {func(b *usagev1.Batch) { b.Records[1].GetGap().LastSeq = 3 }, "gap to 3"},
		"gap too far":       {func(b *usagev1.Batch) { b.Records[1].GetGap().LastSeq = math.MaxUint64 }, "gap to"},
		"negative tokens":   {func(b *usagev1.Batch) { attempt(b).Usage.PromptTokens = proto.Int64(-1) }, "prompt_tokens is -1"},
		"absurd tokens":     {func(b *usagev1.Batch) { attempt(b).Usage.CachedTokens = proto.Int64(math.MaxInt64) }, "cached_tokens"},
		"negative cost":     {func(b *usagev1.Batch) { attempt(b).CostNano = -5 }, "cost_nano is -5"},
		"negative duration": {func(b *usagev1.Batch) { attempt(b).DurationUs = -5 }, "duration_us"},
		"negative queue":    {func(b *usagev1.Batch) { b.Records[0].GetRequest().QueueUs = -5 }, "queue_us"},
		"negative refusals": {func(b *usagev1.Batch) { b.Records[2].GetRefusals().Count = -5 }, "count is -5"},
		"bad source":        {func(b *usagev1.Batch) { attempt(b).Source = -1 }, "source -1"},
	} {
		b := goodBatch()
		c.spoil(b)
		err := checkBatch(b)
		if vegaerr.CodeOf(err) != vegaerr.Invalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	huge := &usagev1.Batch{FirstSeq: 1, LastSeq: maxRecords + 1, Records: make([]*usagev1.Record, maxRecords+1)}
	if err := checkBatch(huge); vegaerr.CodeOf(err) != vegaerr.TooLarge {
		t.Errorf("huge: %v", err)
	}
}

func TestCheckHello_SequenceRangeMayBeEmptyButNotBackwards(t *testing.T) {
	for _, c := range []struct {
		first, last uint64
		ok          bool
	}{{1, 0, true}, {5, 4, true}, {5, 9, true}, {0, 0, false}, {5, 3, false}, {1, math.MaxUint64, false}} {
		err := checkHello(&usagev1.Hello{NodeId: "n", FirstSeq: c.first, LastSeq: c.last})
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func FuzzCheckBatch_ValidatedBatchesNeverPanicThePlan(f *testing.F) {
	seed, _ := proto.Marshal(goodBatch())
	f.Add(seed, uint64(0))
	f.Add(seed, uint64(7))
	f.Fuzz(func(t *testing.T, wire []byte, hwm uint64) {
		var b usagev1.Batch
		if proto.Unmarshal(wire, &b) != nil || checkBatch(&b) != nil {
			return
		}
		c := Cursor{HighWater: hwm >> 1}
		s := Plan(c, Batch{First: b.GetFirstSeq(), Last: b.GetLastSeq(), Records: b.GetRecords(), Clock: NewClock(testNow, b.GetSentUnixMs())})
		if s.Cursor.HighWater < c.HighWater {
			t.Fatalf("the cursor went back from %d to %d", c.HighWater, s.Cursor.HighWater)
		}
	})
}
