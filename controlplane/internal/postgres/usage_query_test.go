package postgres

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestQueryUsage_PartitionsAQueryMayReadAreNotDroppedUnderIt(t *testing.T) {
	s, _ := openTest(t)
	old := time.Now().AddDate(0, 0, -30)
	if err := s.PrepareUsage(t.Context(), old, old); err != nil {
		t.Fatal(err)
	}
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), usageQueryLocks); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RetireUsage(t.Context(), usage.LevelMinute, time.Now()); vegaerr.CodeOf(err) != vegaerr.Unavailable {
		t.Fatalf("dropped under a reader: %v", err)
	}
	floors, err := s.UsageFloors(t.Context())
	if err != nil || !floors[usage.LevelMinute].IsZero() {
		t.Fatalf("the floor went ahead of the partitions: %v %v", floors, err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.RetireUsage(t.Context(), usage.LevelMinute, time.Now()); err != nil || n != 1 {
		t.Fatalf("%d partitions: %v", n, err)
	}
}

func TestQueryUsage_WritesNothingAndLeavesTheSessionAsItWas(t *testing.T) {
	s, _ := openTest(t)
	q := usage.Query{From: time.Now().Add(-time.Hour), To: time.Now(), Interval: usage.IntervalNone, TimeZone: "UTC"}
	if _, err := s.QueryUsage(t.Context(), q, 10); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"statement_timeout": "0", "plan_cache_mode": "auto", "transaction_read_only": "off"} {
		var got string
		if err := s.pool.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q after a query, want %q (%v)", name, got, want, err)
		}
	}
}

func TestUsageQueryError_TellsTooLongFromOutOfReach(t *testing.T) {
	refused := vegaerr.New(vegaerr.Invalid, "", "no")
	for want, err := range map[vegaerr.Code]error{
		vegaerr.Timeout: fmt.Errorf("read usage: %w", &pgconn.PgError{Code: "57014"}), vegaerr.Unavailable: errors.New("broken pipe"),
		vegaerr.Invalid: fmt.Errorf("plan: %w", refused)} {
		if got := vegaerr.CodeOf(usageQueryError(err)); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}
