package usage_test

import (
	"slices"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

func TestKeyUses_AreTheLatestOfEachKeyAfterTheCursorAndKnowTheClock(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 30, 0, time.UTC)
	at := func(seq uint64, key string, begun, ended time.Duration) *usagev1.Record {
		return &usagev1.Record{Seq: seq, Body: &usagev1.Record_Request{Request: &usagev1.Request{
			KeyId: key, StartedUnixMs: now.Add(begun).UnixMilli(), EndedUnixMs: now.Add(ended).UnixMilli()}}}
	}
	b := usage.Batch{Clock: usage.Clock{Now: now.Add(time.Hour), Offset: time.Hour}, Records: []*usagev1.Record{
		at(1, "early", 0, 0), at(2, "b", -10*time.Minute, 0), at(3, "a", -time.Minute, 0), at(4, "a", -5*time.Minute, 0), at(5, "", 0, 0),
		at(6, "c", 5*time.Hour, -2*time.Minute),
	}}
	want := []usage.KeyUse{
		{KeyID: "a", At: time.Date(2026, 11, 20, 12, 59, 0, 0, time.UTC)}, {KeyID: "b", At: time.Date(2026, 11, 20, 12, 50, 0, 0, time.UTC)},
		{KeyID: "c", At: time.Date(2026, 11, 20, 12, 58, 0, 0, time.UTC)},
	}
	if got := usage.KeyUses(b, 1); !slices.Equal(got, want) {
		t.Fatalf("got %v", got)
	}
}

func BenchmarkKeyUses_AThousandRecordsOfTwoHundredKeys(b *testing.B) {
	batch := usage.Batch{Clock: usage.Clock{Now: time.Now()}, Records: spread(1, 2000, 1000)}
	b.ReportAllocs()
	for b.Loop() {
		usage.KeyUses(batch, 0)
	}
}
