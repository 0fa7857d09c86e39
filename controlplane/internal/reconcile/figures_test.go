package reconcile_test

import (
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/reconcile"
)

func TestDay_StartsWhenTheLocalDateBeginsWhateverTheClocksDo(t *testing.T) {
	for _, c := range []struct {
		zone string
		day  reconcile.Day
		want string
	}{
		{"UTC", reconcile.Day{Year: 2026, Month: 3, Date: 8}, "2026-03-08T00:00:00Z"},
		{"Asia/Kolkata", reconcile.Day{Year: 2026, Month: 3, Date: 8}, "2026-03-07T18:30:00Z"},
		{"America/Havana", reconcile.Day{Year: 2026, Month: 3, Date: 8}, "2026-03-08T05:00:00Z"}, // 没有零点
		{"Asia/Beirut", reconcile.Day{Year: 2026, Month: 3, Date: 29}, "2026-03-28T22:00:00Z"},
		{"America/Havana", reconcile.Day{Year: 2026, Month: 11, Date: 1}, "2026-11-01T04:00:00Z"}, // 两个零点
	} {
		loc, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.day.Start(loc).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s in %s starts at %s, want %s", c.day, c.zone, got, c.want)
		}
	}
}
