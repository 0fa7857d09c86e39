package usage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

func clock(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// partsOf 把计划写成 "usage_hour 10T22:00..11T00:00"，好比较。
func partsOf(r Reading) string {
	var out []string
	for _, p := range r.Parts {
		for _, s := range p.Spans {
			out = append(out, p.Level.Table()+" "+s.From.Format("02T15:04")+".."+s.To.Format("02T15:04"))
		}
	}
	return strings.Join(out, ", ")
}

func TestPlanQuery_UsesTheCoarsestLevelThatFits(t *testing.T) {
	from, to := clock(t, "2026-05-10T21:59:00Z"), clock(t, "2026-05-13T01:02:00Z")
	for name, c := range map[string]struct {
		q    Query
		want string
	}{
		"no buckets": {Query{}, "usage_minute 10T21:59..10T22:00, usage_minute 13T01:00..13T01:02, " +
			"usage_hour 10T22:00..11T00:00, usage_hour 13T00:00..13T01:00, usage_day 11T00:00..13T00:00"},
		"hours": {Query{Interval: IntervalHour}, "usage_minute 10T21:59..10T22:00, usage_minute 13T01:00..13T01:02, usage_hour 10T22:00..13T01:00"},
		"days of UTC": {Query{Interval: IntervalDay}, "usage_minute 10T21:59..10T22:00, usage_minute 13T01:00..13T01:02, " +
			"usage_hour 10T22:00..11T00:00, usage_hour 13T00:00..13T01:00, usage_day 11T00:00..13T00:00"},
		"days of Shanghai": {Query{Interval: IntervalDay, TimeZone: "Asia/Shanghai"},
			"usage_minute 10T21:59..10T22:00, usage_minute 13T01:00..13T01:02, usage_hour 10T22:00..13T01:00"},
		"days of Kolkata": {Query{Interval: IntervalDay, TimeZone: "Asia/Kolkata"}, "usage_minute 10T21:59..10T22:00, usage_minute 11T18:00..11T19:00, " +
			"usage_minute 12T18:00..12T19:00, usage_minute 13T01:00..13T01:02, usage_hour 10T22:00..11T18:00, usage_hour 11T19:00..12T18:00, usage_hour 12T19:00..13T01:00"},
		"minutes":  {Query{Interval: IntervalMinute}, "usage_minute 10T21:59..13T01:02"},
		"open end": {Query{open: true}, "usage_minute 10T21:59..10T22:00, usage_hour 10T22:00..11T00:00, usage_day 11T00:00..14T00:00"},
	} {
		c.q.From, c.q.To = from, to
		r, err := PlanQuery(c.q, nil)
		if err != nil || partsOf(r) != c.want || len(r.Notes) > 0 {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, partsOf(r), c.want)
		}
	}
}

func TestPlanQuery_DeletedLevelsWidenTheEndsAndSaySoOrRefuse(t *testing.T) {
	floors := map[Level]time.Time{
		LevelMinute: clock(t, "2026-05-12T00:00:00Z"), LevelHour: clock(t, "2026-04-01T00:00:00Z"), LevelHourBy: clock(t, "2026-04-01T00:00:00Z"),
		LevelDay: clock(t, "2024-01-01T00:00:00Z"), LevelDayBy: clock(t, "2024-01-01T00:00:00Z")}
	ask := func(q Query, from, to string) (Reading, error) {
		q.From, q.To = clock(t, from), clock(t, to)
		return PlanQuery(q, floors)
	}
	r, err := ask(Query{}, "2026-05-10T21:59:00Z", "2026-05-13T01:02:00Z")
	if err != nil || stamp(r.From) != "2026-05-10T21:00:00Z" || stamp(r.To) != "2026-05-13T01:02:00Z" || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "usage by the minute is kept since") {
		t.Fatalf("from: %v %+v", err, r)
	}
	r, err = ask(Query{}, "2026-03-10T21:59:00Z", "2026-03-11T01:02:00Z")
	if err != nil || stamp(r.From) != "2026-03-10T00:00:00Z" || stamp(r.To) != "2026-03-12T00:00:00Z" || len(r.Notes) != 4 ||
		partsOf(r) != "usage_day 10T00:00..12T00:00" {
		t.Fatalf("both, twice: %v %+v", err, r)
	}
	r, err = ask(Query{}, "2020-01-01T00:00:00Z", "2026-05-12T00:00:00Z")
	if err != nil || len(r.Notes) != 1 || !strings.HasPrefix(r.Notes[0], "nothing is kept from before 2024") || !r.Deltas.From.Equal(floors[LevelDay]) {
		t.Fatalf("older than everything: %v %+v", err, r)
	}
	for path, q := range map[string]Query{
		"interval": {Interval: IntervalMinute}, "time_zone": {Interval: IntervalDay, TimeZone: "Asia/Kolkata"},
	} {
		_, err := ask(q, "2026-05-10T00:00:00Z", "2026-05-13T00:00:00Z")
		if e := vegaerr.As(err); e.Code != vegaerr.Invalid || e.Problems[0].Path != path || !strings.Contains(e.Problems[0].Message, "2026-05-12T00:00:00Z") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := ask(Query{Interval: IntervalDay, TimeZone: "Asia/Shanghai"}, "2026-03-30T00:00:00Z", "2026-05-13T00:00:00Z"); vegaerr.CodeOf(err) != vegaerr.Invalid {
		t.Errorf("hours are gone: %v", err)
	}
}

func TestPlanQuery_EveryMinuteIsReadExactlyOnceFromRowsThatDoNotCrossBuckets(t *testing.T) {
	zones := []string{"", "Asia/Shanghai", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe"}
	rapid.Check(t, func(rt *rapid.T) {
		from := time.Unix(60*rapid.Int64Range(29_500_000, 29_800_000).Draw(rt, "from"), 0).UTC()
		q := Query{From: from, To: from.Add(time.Duration(rapid.IntRange(1, 20_000).Draw(rt, "minutes")) * time.Minute),
			TimeZone: rapid.SampledFrom(zones).Draw(rt, "zone"),
			Interval: rapid.SampledFrom([]Interval{IntervalNone, IntervalMinute, IntervalHour, IntervalDay}).Draw(rt, "interval")}
		r, err := PlanQuery(q, nil)
		if err != nil {
			rt.Fatal(err)
		}
		seen := map[time.Time]int{}
		for _, p := range r.Parts {
			for _, s := range p.Spans {
				for at := s.From; at.Before(s.To); at = at.Add(time.Minute) {
					seen[at]++
				}
				for _, b := range r.Buckets {
					if b.After(s.From) && b.Before(s.To) && b.Sub(s.From)%widths()[p.Level] != 0 {
						rt.Fatalf("a row of %v crosses %v", p, b)
					}
				}
			}
		}
		for at := q.From; at.Before(q.To); at = at.Add(time.Minute) {
			if seen[at] != 1 {
				rt.Fatalf("%v is read %d times", at, seen[at])
			}
			delete(seen, at)
		}
		if len(seen) > 0 {
			rt.Fatalf("%d minutes outside the range", len(seen))
		}
	})
}

func TestPlanQuery_ShiftedDaysCountEveryMinuteOnceInItsOwnBucket(t *testing.T) {
	zones := []string{"Asia/Shanghai", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Apia"}
	rapid.Check(t, func(rt *rapid.T) {
		from := time.Unix(60*rapid.Int64Range(22_080_000, 29_800_000).Draw(rt, "from"), 0).UTC()
		q := Query{From: from, To: from.Add(time.Duration(rapid.IntRange(1, 12_000).Draw(rt, "minutes")) * time.Minute),
			TimeZone: rapid.SampledFrom(zones).Draw(rt, "zone"), Interval: IntervalDay}
		r, err := PlanQuery(q, nil)
		if err != nil {
			rt.Fatal(err)
		}
		counted := map[time.Time]map[int]int{}
		count := func(s Span, bucket func(time.Time) int, n int) {
			for at := s.From; at.Before(s.To); at = at.Add(time.Minute) {
				if counted[at] == nil {
					counted[at] = map[int]int{}
				}
				counted[at][bucket(at)] += n
			}
		}
		for _, p := range r.Sums {
			for _, s := range p.Spans {
				bucket := r.bucketOf
				if p.Level == LevelDay {
					bucket = func(at time.Time) int { return r.bucketOf(floor(at, day).Add(12 * time.Hour)) }
				}
				count(s, bucket, 1)
			}
		}
		for _, p := range r.Moves {
			for _, m := range p.Moves {
				count(m.Span, func(time.Time) int { return m.Right }, 1)
				count(m.Span, func(time.Time) int { return m.Wrong }, -1)
			}
		}
		for at := q.From; at.Before(q.To); at = at.Add(time.Minute) {
			for bucket, n := range counted[at] {
				if want := map[bool]int{true: 1}[bucket == r.bucketOf(at)]; n != want {
					rt.Fatalf("%v counts %d times in bucket %d, its own is %d", at, n, bucket, r.bucketOf(at))
				}
			}
			if len(counted[at]) == 0 {
				rt.Fatalf("%v is not counted", at)
			}
			delete(counted, at)
		}
		if len(counted) > 0 {
			rt.Fatalf("%d minutes outside the range", len(counted))
		}
	})
}

func TestPlanQuery_DaysOfAZoneReadUTCDaysAndOnlyTheHoursBetweenTheMidnights(t *testing.T) {
	q := Query{From: clock(t, "2026-05-01T00:00:00Z"), To: clock(t, "2026-05-04T00:00:00Z"), Interval: IntervalDay}
	for zone, want := range map[string]string{
		"Asia/Shanghai":    "usage_day 01T00:00..04T00:00 +1 01T16:00..02T00:00 +1 02T16:00..03T00:00 +1 03T16:00..04T00:00",
		"America/New_York": "usage_day 01T00:00..04T00:00 -1 01T00:00..01T04:00 -1 02T00:00..02T04:00 -1 03T00:00..03T04:00",
		"UTC":              "usage_day 01T00:00..04T00:00",
	} {
		q.TimeZone = zone
		r, err := PlanQuery(q, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := partsOf(Reading{Parts: r.Sums})
		for _, p := range r.Moves {
			for _, m := range p.Moves {
				got += fmt.Sprintf(" %+d %s..%s", m.Right-m.Wrong, m.From.Format("02T15:04"), m.To.Format("02T15:04"))
			}
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", zone, got, want)
		}
	}
}

func TestPlanQuery_ReadsTheSumsByOneDimensionOnlyWhenNothingElseIsAsked(t *testing.T) {
	for _, c := range []struct {
		q      Query
		by     Dimension
		single bool
	}{
		{Query{}, "", true}, {Query{GroupBy: []Dimension{BySource}}, "", true}, {Query{GroupBy: []Dimension{ByApp, BySource}, Apps: []string{"a"}}, ByApp, true},
		{Query{Models: []string{"m"}}, ByModel, true}, {Query{GroupBy: []Dimension{ByApp}, Models: []string{"m"}}, "", false},
		{Query{GroupBy: []Dimension{ByCode}}, "", false}, {Query{ServedModels: []string{"m"}}, "", false}, {Query{GroupBy: []Dimension{ByServer, ByApp}}, "", false},
	} {
		if by, ok := single(c.q); by != c.by || ok != c.single {
			t.Errorf("%+v: %q %v", c.q, by, ok)
		}
	}
}
