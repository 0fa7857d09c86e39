package journal

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

func genRequest() *rapid.Generator[*usagev1.Request] {
	return rapid.Custom(func(t *rapid.T) *usagev1.Request {
		text := rapid.OneOf(rapid.StringN(0, 20, 60), rapid.StringN(200, 400, 900), rapid.Just("\xff\xc3bad"))
		number := rapid.OneOf(rapid.Int64Range(0, 1_000_000), rapid.Int64())
		optional := func(what string) *int64 {
			if rapid.Bool().Draw(t, what) {
				return proto.Int64(rapid.OneOf(rapid.Just(int64(0)), number).Draw(t, what+" value"))
			}
			return nil
		}
		attempts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *usagev1.Attempt {
			a := &usagev1.Attempt{
				Number: rapid.Int32Range(0, 100).Draw(t, "number"), Server: text.Draw(t, "server"), UpstreamModel: text.Draw(t, "upstream"),
				Outcome: usagev1.Outcome(rapid.IntRange(0, 6).Draw(t, "outcome")), Status: rapid.Int32Range(0, 600).Draw(t, "status"),
				DurationUs: number.Draw(t, "duration"), Source: usagev1.Source(rapid.IntRange(0, 4).Draw(t, "source")),
				CostNano: number.Draw(t, "cost"), ServedModel: text.Draw(t, "served"),
			}
			if rapid.Bool().Draw(t, "usage") {
				a.Usage = &usagev1.Usage{PromptTokens: optional("prompt"), CompletionTokens: optional("completion"), CachedTokens: optional("cached"), ReasoningTokens: optional("reasoning")}
			}
			return a
		}), 0, 5).Draw(t, "attempts")
		return &usagev1.Request{
			Id: text.Draw(t, "id"), KeyId: text.Draw(t, "key"), App: text.Draw(t, "app"), Model: text.Draw(t, "model"), ServedModel: text.Draw(t, "served"),
			Endpoint: text.Draw(t, "endpoint"), StartedUnixMs: number.Draw(t, "started"), EndedUnixMs: number.Draw(t, "ended"),
			Outcome: usagev1.Outcome(rapid.IntRange(0, 6).Draw(t, "outcome")), Status: rapid.Int32Range(0, 600).Draw(t, "status"), Stream: rapid.Bool().Draw(t, "stream"),
			QueueUs: number.Draw(t, "queue"), FirstByteUs: number.Draw(t, "first byte"), Revision: rapid.Uint64().Draw(t, "revision"), Attempts: attempts,
			ClientRequestId: text.Draw(t, "client"), Replayed: rapid.Bool().Draw(t, "replayed"), Unjournalled: rapid.Bool().Draw(t, "unjournalled"),
		}
	})
}

// TestWire_IsWhatTheGeneratedCodeReads：手写的编码解出来，就是收拾过的那一条，一个字段不差。
func TestWire_IsWhatTheGeneratedCodeReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := genRequest().Draw(t, "request")
		want := proto.CloneOf(r)
		cleanRequest(want)
		boundNumbers(want)
		before := proto.CloneOf(r)
		var got usagev1.Request
		if err := proto.Unmarshal(appendRequest(nil, r), &got); err != nil || !proto.Equal(&got, want) {
			t.Fatalf("%v\ngot  %v\nwant %v", err, &got, want)
		}
		if !proto.Equal(r, before) {
			t.Fatal("the caller's message was changed")
		}
		if f, w := requestTotals(r), TotalsOf(&usagev1.Record{Body: &usagev1.Record_Request{Request: want}}); f != w {
			t.Fatalf("totals %+v, want %+v", f, w)
		}
	})
}

func TestWire_OpeningsCallsAndProgressAreRequestsAndAttempts(t *testing.T) {
	o := Opening{ID: "i", KeyID: "k", App: "a", Model: "m", Endpoint: "/e", ClientRequestID: "c", Revision: 7, StartedUnixMS: 8, QueueUS: 9, Stream: true,
		Call: Call{Number: 1, Server: "s", UpstreamModel: "u", ServedModel: "v", StartedUnixMS: 10}}
	var r usagev1.Request
	if err := proto.Unmarshal(appendOpening(nil, &o), &r); err != nil || !proto.Equal(&r, &usagev1.Request{
		Id: "i", KeyId: "k", App: "a", Model: "m", Endpoint: "/e", ClientRequestId: "c", Revision: 7, StartedUnixMs: 8, QueueUs: 9, Stream: true,
		Attempts: []*usagev1.Attempt{{Number: 1, Server: "s", UpstreamModel: "u", ServedModel: "v"}}}) {
		t.Errorf("%v %v", err, &r)
	}
	var a usagev1.Attempt
	p := Progress{Usage: usagev1.Usage{PromptTokens: proto.Int64(0), CompletionTokens: proto.Int64(5)}, CostNano: 3, Source: usagev1.Source_SOURCE_COUNTED}
	if err := proto.Unmarshal(appendProgress(nil, &p), &a); err != nil || !proto.Equal(&a, &usagev1.Attempt{
		Source: usagev1.Source_SOURCE_COUNTED, CostNano: 3, Usage: &usagev1.Usage{PromptTokens: proto.Int64(0), CompletionTokens: proto.Int64(5)}}) {
		t.Errorf("%v %v", err, &a)
	}
	var rec usagev1.Record
	f := &usagev1.Refusals{SecondUnix: 1, App: "a", Code: "c", Count: 2, Model: "m"}
	if err := proto.Unmarshal(appendRefusals(nil, f), &rec); err != nil || !proto.Equal(rec.GetRefusals(), f) {
		t.Errorf("%v %v", err, &rec)
	}
}
