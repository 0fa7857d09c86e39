package usage

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

func genEntry(t *rapid.T) (Key, *Sum) {
	name := func(label string) string { return rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, label) }
	k := Key{
		Bucket: testNow.Truncate(time.Minute).Add(-time.Duration(rapid.IntRange(0, 4000).Draw(t, "minute")) * time.Minute),
		Server: name("server"), App: name("app"), Model: name("model"), ServedModel: name("served"),
		Source: usagev1.Source(rapid.IntRange(0, 4).Draw(t, "source")), Code: name("code"),
	}
	s := new(Sum)
	for i := range s.Counts {
		s.Counts[i] = rapid.Int64Range(0, 9).Draw(t, "count")
	}
	for i := range s.Histograms {
		s.Histograms[i].Observe(rapid.Int64Range(0, 1<<30).Draw(t, "us"))
	}
	return k, s
}

// TestLevels_EveryLevelSumsToTheSameAndTheCuttingDoesNotMatter：各级之和相等，单个维度的合计也相等；
// 一次并入与分几次并入加起来一样。
func TestLevels_EveryLevelSumsToTheSameAndTheCuttingDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole, first, second := NewLevels(), NewLevels(), NewLevels()
		var want Sum
		for range rapid.IntRange(1, 40).Draw(t, "rows") {
			k, s := genEntry(t)
			want.Add(s)
			whole.Minute(k).Add(s)
			rapid.SampledFrom([]*Levels{first, second}).Draw(t, "part").Minute(k).Add(s)
		}
		for _, l := range []*Levels{whole, first, second} {
			l.Fold()
		}
		opaque := cmp.AllowUnexported(Histogram{}, bucketCount{})
		for name, rows := range map[string][]Entry{"minutes": whole.Minutes(), "hours": whole.Hours(), "days": whole.Days()} {
			var got Sum
			for i, r := range rows {
				got.Add(r.Sum)
				if i > 0 && rows[i-1].Compare(r.Key) >= 0 {
					t.Fatalf("%s are not in the order of their key", name)
				}
			}
			if d := cmp.Diff(want, got, opaque); d != "" {
				t.Fatalf("%s:\n%s", name, d)
			}
		}
		for name, rows := range map[string][]ByEntry{"hours by": whole.HoursBy(), "days by": whole.DaysBy()} {
			got := map[Dim]*Sum{}
			for i, r := range rows {
				at(got, r.Dim).Add(r.Sum)
				if i > 0 && rows[i-1].Compare(r.ByKey) >= 0 {
					t.Fatalf("%s are not in the order of their key", name)
				}
			}
			for dim := DimAll; dim <= DimModel; dim++ {
				if d := cmp.Diff(want, *got[dim], opaque); d != "" {
					t.Fatalf("%s %d:\n%s", name, dim, d)
				}
			}
		}
		parts := map[Key]*Sum{}
		for _, r := range append(first.Hours(), second.Hours()...) {
			at(parts, r.Key).Add(r.Sum)
		}
		if d := cmp.Diff(whole.Hours(), entries(parts), opaque); d != "" {
			t.Fatal(d)
		}
	})
}

func TestLevels_RetireKeepsTheTotalsOfWhatNoLevelTakes(t *testing.T) {
	l := NewLevels()
	old, recent := testNow.AddDate(0, -3, 0), testNow
	for _, b := range []time.Time{old, recent} {
		s := l.Minute(Key{Bucket: b.Truncate(time.Minute), App: "a"})
		s.Counts[CountRequests], s.Counts[CountCostNano] = 1, 5
	}
	l.Fold()
	floor := LevelDay.PartitionOf(testNow).From
	late := l.Retire(map[Level]time.Time{LevelMinute: floor, LevelHour: floor, LevelDay: floor, LevelHourBy: floor, LevelDayBy: floor})
	if late != (Totals{Requests: 1, CostNano: 5}) || len(l.Minutes()) != 1 || len(l.Hours()) != 1 || len(l.Days()) != 1 || len(l.DaysBy()) != 4 {
		t.Fatalf("%+v %d %d", late, len(l.Minutes()), len(l.DaysBy()))
	}
}

func TestPartition_CoversItsTimeTouchesTheNextAndIsKnownByItsName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(0, 4_000_000_000).Draw(t, "unix"), 0)
		level := rapid.SampledFrom(AllLevels()).Draw(t, "level")
		p := level.PartitionOf(at)
		if at.Before(p.From) || !at.Before(p.To) {
			t.Fatalf("%v is not in %+v", at, p)
		}
		if next := level.PartitionOf(p.To); !next.From.Equal(p.To) || level.PartitionOf(p.To.Add(-1)) != p {
			t.Fatalf("%+v then %+v", p, next)
		}
		if again, ok := level.ParsePartition(p.Name); !ok || again != p {
			t.Fatalf("%s is read as %+v", p.Name, again)
		}
		keep := Retention{MinutesDays: 7, HoursDays: 400, DaysDays: 1830, RequestsDays: 3}
		floor := keep.Floor(level, at)
		if age := at.Sub(floor); age < time.Duration(keep.Days(level))*day || age > time.Duration(keep.Days(level)+31)*day {
			t.Fatalf("kept from %v, %v before", floor, age)
		}
	})
	for _, foreign := range []string{"usage_request_default", "usage_minute_x", "usage_hour_20261123", "other"} {
		for _, l := range AllLevels() {
			if p, ok := l.ParsePartition(foreign); ok {
				t.Errorf("%s is taken for %+v", foreign, p)
			}
		}
	}
}
