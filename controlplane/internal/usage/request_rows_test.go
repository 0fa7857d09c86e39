package usage

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

func requestRecord(seq uint64, id string, o usagev1.Outcome) *usagev1.Record {
	return &usagev1.Record{Seq: seq, Body: &usagev1.Record_Request{Request: &usagev1.Request{
		Id: id, KeyId: "k", App: "a", Model: "asked", ServedModel: "served", Endpoint: "chat.completions", ClientRequestId: "trace\x00 1",
		StartedUnixMs: testNow.UnixMilli() - 5000, EndedUnixMs: testNow.UnixMilli() - 1500, Outcome: o, Status: 200, Stream: true, Replayed: true,
		QueueUs: 7, FirstByteUs: 9, Revision: 42,
		Attempts: []*usagev1.Attempt{
			{Number: 1, Server: "s1", UpstreamModel: "u1", Outcome: usagev1.Outcome_OUTCOME_LIMITED, Status: 429, DurationUs: 3},
			{Number: 2, Server: "s2", UpstreamModel: "u2", ServedModel: "other", Outcome: o, Status: 200, DurationUs: 4, CostNano: 11, Source: usagev1.Source_SOURCE_COUNTED,
				Usage: &usagev1.Usage{PromptTokens: proto.Int64(5), CachedTokens: proto.Int64(0)}},
			{Number: 3, Server: "s3", Outcome: o, CostNano: 1, Source: usagev1.Source_SOURCE_REPORTED, Usage: &usagev1.Usage{PromptTokens: proto.Int64(2)}},
		}}}}
}

func TestRequests_RowHoldsEveryFieldAndAbsentTokensStayAbsent(t *testing.T) {
	b := Batch{NodeID: "n1", Clock: Clock{Now: testNow, Offset: time.Second}, Volatile: true,
		Records: []*usagev1.Record{requestRecord(1, "req_1", usagev1.Outcome_OUTCOME_OK)}}
	five, zero, seven, two := int64(5), int64(0), int64(7), int64(2)
	ended := testNow.Add(-500 * time.Millisecond).UTC().Truncate(time.Millisecond)
	want := []Request{{
		ID: "req_1", ClientRequestID: "trace\uFFFD 1", NodeID: "n1", KeyID: "k", App: "a", Model: "asked", ServedModel: "served", Server: "s3",
		Source: usagev1.Source_SOURCE_REPORTED, Endpoint: "chat.completions", Outcome: usagev1.Outcome_OUTCOME_OK, Status: 200,
		Stream: true, Replayed: true, Unjournalled: true, StartedAt: ended.Add(-3500 * time.Millisecond), EndedAt: ended,
		QueueUS: 7, FirstByteUS: 9, DurationUS: 3_500_000, Tokens: Tokens{Prompt: &seven, Cached: &zero}, CostNano: 12, Revision: 42,
		Attempts: []Attempt{
			{Number: 1, Server: "s1", UpstreamModel: "u1", ServedModel: "served", Outcome: usagev1.Outcome_OUTCOME_LIMITED, Status: 429, DurationUS: 3},
			{Number: 2, Server: "s2", UpstreamModel: "u2", ServedModel: "other", Outcome: usagev1.Outcome_OUTCOME_OK, Status: 200, DurationUS: 4, CostNano: 11,
				Source: usagev1.Source_SOURCE_COUNTED, Tokens: Tokens{Prompt: &five, Cached: &zero}},
			{Number: 3, Server: "s3", ServedModel: "served", Outcome: usagev1.Outcome_OUTCOME_OK, CostNano: 1, Source: usagev1.Source_SOURCE_REPORTED, Tokens: Tokens{Prompt: &two}},
		}}}
	if got := Requests(b, 0, 1); !reflect.DeepEqual(got, want) {
		t.Fatalf("\n got %+v\nwant %+v", got, want)
	}
}

func TestRequests_OnlyTheSuffixBeyondTheCursorAndOnlyRequests(t *testing.T) {
	b := Batch{Clock: Clock{Now: testNow}, Records: []*usagev1.Record{
		requestRecord(1, "a", usagev1.Outcome_OUTCOME_OK), requestRecord(2, "b", usagev1.Outcome_OUTCOME_OK),
		{Seq: 3, Body: &usagev1.Record_Refusals{Refusals: &usagev1.Refusals{Count: 1}}},
		{Seq: 4, Body: &usagev1.Record_Gap{Gap: &usagev1.Gap{LastSeq: 6}}}, requestRecord(7, "c", usagev1.Outcome_OUTCOME_OK)}}
	got := Requests(b, 1, 1)
	if len(got) != 2 || got[0].ID != "b" || got[1].ID != "c" {
		t.Fatalf("got %+v", got)
	}
	if rows := Requests(b, 0, 0); rows != nil {
		t.Fatalf("a sample of nothing made %d rows", len(rows))
	}
}

func TestSampled_IsTheSameEverywhereGrowsWithTheRateAndKeepsEveryFailure(t *testing.T) {
	const n = 20_000
	kept := map[float64]int{}
	rates := []float64{0, 0.001, 0.1, 0.5, 0.9, 1}
	for i := range n {
		id := fmt.Sprintf("req_%026d", i)
		before := false
		for _, rate := range rates {
			keep := Sampled(id, usagev1.Outcome_OUTCOME_OK, rate)
			if keep != Sampled(id, usagev1.Outcome_OUTCOME_ABORTED, rate) || before && !keep {
				t.Fatalf("%s at %v", id, rate)
			}
			if before = keep; keep {
				kept[rate]++
			}
		}
		for _, o := range []usagev1.Outcome{0, usagev1.Outcome_OUTCOME_CLIENT_ERROR, usagev1.Outcome_OUTCOME_UPSTREAM_ERROR,
			usagev1.Outcome_OUTCOME_GATEWAY_ERROR, usagev1.Outcome_OUTCOME_LIMITED, 99} {
			if !Sampled(id, o, 0) {
				t.Fatalf("a failure (%v) was left out", o)
			}
		}
	}
	for _, rate := range rates {
		// 五个标准差：相邻的 id 也散得开。
		if diff := math.Abs(float64(kept[rate]) - rate*n); diff > 5*math.Sqrt(n*rate*(1-rate))+1e-9 {
			t.Errorf("rate %v kept %d of %d", rate, kept[rate], n)
		}
	}
	if Sampled("req_1", usagev1.Outcome_OUTCOME_OK, math.NaN()) {
		t.Error("NaN keeps nothing")
	}
	// 定下的值：换一种散法，升级中的几个副本就会各留各的。
	if Sampled("req_0000000001", usagev1.Outcome_OUTCOME_OK, 0.5) || !Sampled("req_0000000003", usagev1.Outcome_OUTCOME_OK, 0.5) {
		t.Errorf("the fixed sample moved: %d %d", spread("req_0000000001"), spread("req_0000000003"))
	}
}

func TestPosition_SurvivesItsCursorAndBelongsToItsFilter(t *testing.T) {
	on := true
	f := RequestFilter{Apps: []string{"a"}, Stream: &on, From: testNow}
	for _, p := range []Position{{EndedAt: testNow.UTC().Truncate(time.Microsecond), ID: "req_1"}, {EndedAt: time.Unix(0, 0).UTC()}} {
		got, err := parsePosition(p.cursor(f), f)
		if err != nil || got != p {
			t.Errorf("%+v came back as %+v, %v", p, got, err)
		}
		elsewhere := f
		elsewhere.From = testNow.In(time.FixedZone("", 3600))
		if _, err := parsePosition(p.cursor(f), elsewhere); err != nil {
			t.Errorf("the same instant in another zone is the same search: %v", err)
		}
		if _, err := parsePosition(p.cursor(f), RequestFilter{}); err == nil {
			t.Error("another filter was accepted")
		}
	}
}

func FuzzParsePosition_NeverPanicsAndAcceptsOnlyItsOwn(f *testing.F) {
	f.Add(Position{EndedAt: testNow, ID: "req_1"}.cursor(RequestFilter{}))
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePosition(s, RequestFilter{})
		if err == nil && s != "" && p.cursor(RequestFilter{}) != s {
			t.Fatalf("%q was accepted, its own cursor is %q", s, p.cursor(RequestFilter{}))
		}
	})
}
