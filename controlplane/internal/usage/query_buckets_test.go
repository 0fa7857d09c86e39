package usage

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestBuckets_DaysBeginAtTheFirstInstantOfTheLocalDate(t *testing.T) {
	for name, c := range map[string]struct {
		zone     string
		from, to string
		want     []string
	}{
		"spring forward is 23 hours": {"America/New_York", "2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z",
			[]string{"2026-03-07T05:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"}},
		"fall back is 25 hours": {"America/New_York", "2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z",
			[]string{"2026-10-31T04:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"}},
		"midnight does not exist": {"America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-05T12:00:00Z",
			[]string{"2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"}},
		"midnight happens twice": {"America/Havana", "2025-11-01T12:00:00Z", "2025-11-03T12:00:00Z",
			[]string{"2025-11-01T04:00:00Z", "2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z"}},
		"a date is skipped": {"Pacific/Apia", "2011-12-29T20:00:00Z", "2011-12-31T20:00:00Z",
			[]string{"2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"}},
	} {
		from, _ := time.Parse(time.RFC3339, c.from)
		to, _ := time.Parse(time.RFC3339, c.to)
		got := buckets(from, to, IntervalDay, zone(t, c.zone))
		for i, w := range c.want {
			if len(got) != len(c.want) || stamp(got[i]) != w {
				t.Errorf("%s: got %v, want %v", name, got, c.want)
				break
			}
		}
	}
}

func TestBuckets_HoursSplitWhereTheClockMovesByHalfAnHour(t *testing.T) {
	loc := zone(t, "Australia/Lord_Howe")
	from := time.Date(2026, 4, 4, 14, 0, 0, 0, time.UTC) // 当地 01:00+11；15:00Z 拨回到 01:30+10:30
	got := buckets(from, from.Add(2*time.Hour), IntervalHour, loc)
	want := []string{"2026-04-04T14:00:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z"}
	for i := range want {
		if len(got) != len(want) || stamp(got[i]) != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if inside := buckets(from.Add(70*time.Minute), from.Add(80*time.Minute), IntervalHour, loc); len(inside) != 1 || stamp(inside[0]) != want[1] {
		t.Fatalf("the half hour after the change: %v", inside)
	}
}

func TestBuckets_CoverTheRangeInOrderWhereverItBegins(t *testing.T) {
	zones := []string{"UTC", "Asia/Shanghai", "Asia/Kathmandu", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "America/Havana", "Africa/Cairo"}
	rapid.Check(t, func(rt *rapid.T) {
		loc := zone(t, rapid.SampledFrom(zones).Draw(rt, "zone"))
		interval := rapid.SampledFrom([]Interval{IntervalHour, IntervalDay}).Draw(rt, "interval")
		from := time.Unix(60*rapid.Int64Range(20_000_000, 30_000_000).Draw(rt, "from"), 0).UTC()
		to := from.Add(time.Duration(rapid.IntRange(1, 20_000).Draw(rt, "minutes")) * time.Minute)
		got := buckets(from, to, interval, loc)
		if len(got) == 0 || got[0].After(from) || !got[len(got)-1].Before(to) {
			rt.Fatalf("%v does not cover %v..%v", got, from, to)
		}
		for i, b := range got[1:] {
			if width := b.Sub(got[i]); width <= 0 || width > 26*time.Hour {
				rt.Fatalf("%v then %v", got[i], b)
			}
		}
		// 从中间任一处起，余下的桶不变。
		k := rapid.IntRange(0, len(got)-1).Draw(rt, "k")
		end := to
		if k+1 < len(got) {
			end = got[k+1]
		}
		inside := got[k].Add(time.Duration(rapid.Int64Range(0, int64(end.Sub(got[k])/time.Minute)-1).Draw(rt, "inside")) * time.Minute)
		if inside.Before(to) {
			if again := buckets(inside, to, interval, loc); len(again) != len(got)-k || !again[0].Equal(got[k]) {
				rt.Fatalf("from %v: %v, from %v: %v", from, got, inside, again)
			}
		}
	})
}
