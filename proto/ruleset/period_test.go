package ruleset

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

const (
	day   = configv1.BudgetPeriod_BUDGET_PERIOD_DAY
	month = configv1.BudgetPeriod_BUDGET_PERIOD_MONTH
)

func at(t interface{ Fatal(...any) }, s string) time.Time {
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPeriodAt_BeginsAtLocalMidnightWhateverTheClocksDo(t *testing.T) {
	for name, c := range map[string]struct {
		period          configv1.BudgetPeriod
		zone            string
		at, start, stop string
	}{
		"utc day":                      {day, "UTC", "2026-11-23T15:04:05Z", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"},
		"the first instant":            {day, "UTC", "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"},
		"east of utc":                  {day, "Asia/Shanghai", "2026-11-23T16:00:00Z", "2026-11-23T16:00:00Z", "2026-11-24T16:00:00Z"},
		"half an hour":                 {day, "Asia/Kolkata", "2026-11-23T00:00:00Z", "2026-11-22T18:30:00Z", "2026-11-23T18:30:00Z"},
		"month":                        {month, "UTC", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		"month of a leap year":         {month, "America/New_York", "2028-02-29T12:00:00Z", "2028-02-01T05:00:00Z", "2028-03-01T05:00:00Z"},
		"month over a change":          {month, "Europe/Berlin", "2026-03-31T12:00:00Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"},
		"a day of 23 hours":            {day, "America/New_York", "2026-03-08T12:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"},
		"a day of 25 hours":            {day, "America/New_York", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		"no midnight":                  {day, "Asia/Beirut", "2026-03-29T12:00:00Z", "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"},
		"midnight twice":               {day, "America/Havana", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		"just before the double one":   {day, "America/Havana", "2026-11-01T03:59:00Z", "2026-10-31T04:00:00Z", "2026-11-01T04:00:00Z"},
		"between the two midnights":    {day, "America/Havana", "2026-11-01T04:30:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		"the eve of a day left out":    {day, "Pacific/Apia", "2011-12-30T09:00:00Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"},
		"unknown periods are a month":  {9, "UTC", "2026-11-23T15:04:05Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"},
		"a year ends east before west": {month, "Pacific/Kiritimati", "2026-12-31T10:00:00Z", "2026-12-31T10:00:00Z", "2027-01-31T10:00:00Z"},
	} {
		loc, ok := TimeZone(c.zone)
		if !ok {
			t.Fatalf("%s: %s is unknown", name, c.zone)
		}
		start, end := PeriodAt(c.period, loc, at(t, c.at))
		if !start.Equal(at(t, c.start)) || !end.Equal(at(t, c.stop)) {
			t.Errorf("%s: %v – %v, want %s – %s", name, start.UTC(), end.UTC(), c.start, c.stop)
		}
	}
}

func TestPeriodAt_PeriodsTileTheTime(t *testing.T) {
	zones := []string{"UTC", "Asia/Shanghai", "America/New_York", "America/Havana", "Asia/Beirut", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"}
	rapid.Check(t, func(t *rapid.T) {
		loc, _ := TimeZone(rapid.SampledFrom(zones).Draw(t, "zone"))
		p := rapid.SampledFrom([]configv1.BudgetPeriod{day, month}).Draw(t, "period")
		now := time.Unix(rapid.Int64Range(1_262_304_000, 2_500_000_000).Draw(t, "at"), 0)
		start, end := PeriodAt(p, loc, now)
		if start.After(now) || !end.After(now) {
			t.Fatalf("%v is not in %v – %v", now, start, end)
		}
		if s, e := PeriodAt(p, loc, end.Add(-time.Second)); !s.Equal(start) || !e.Equal(end) {
			t.Fatalf("the last second of %v – %v belongs to %v – %v", start, end, s, e)
		}
		if s, _ := PeriodAt(p, loc, end); !s.Equal(end) {
			t.Fatalf("after %v – %v comes %v", start, end, s)
		}
	})
}

func TestTimeZone_KnowsOnlyNamesThatMeanTheSameEverywhere(t *testing.T) {
	for _, name := range []string{"", "Local", "Mars/Olympus", "../etc/passwd"} {
		if _, ok := TimeZone(name); ok {
			t.Errorf("%q", name)
		}
	}
}
