package usage_test

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// saveRetention 把保留期改成这样。
func saveRetention(t *testing.T, store *postgres.Store, r usage.Retention) {
	t.Helper()
	s := usage.DefaultSettings()
	s.Retention = r
	if _, err := store.SaveSettings(t.Context(), s, func(uint64) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

func keep(t *testing.T, store *postgres.Store, now time.Time) {
	t.Helper()
	k := usage.NewKeeper(usage.KeeperConfig{}, usage.KeeperDeps{Store: store, Log: zap.NewNop(), Now: func() time.Time { return now }})
	if err := k.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// ago 是在这些天之前结束的请求，每天一个。
func ago(now time.Time, days ...int) []*usagev1.Record {
	var out []*usagev1.Record
	for i, d := range days {
		out = append(out, at(uint64(i+1), now.AddDate(0, 0, -d), "s", "a", "m"))
	}
	return out
}

func TestKeep_DropsWhatExpiredLevelByLevelAndConservesTheTotals(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	conn := connect(t, url)
	now := time.Now().UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)
	saveRetention(t, store, usage.Retention{MinutesDays: 7, HoursDays: 60, DaysDays: 200, RequestsDays: 3})
	ingest(t, store, "n", ago(now, 0, 5, 10, 50, 150, 300))
	settle(t, store)
	count := func(table string) int {
		return scalar[int](t, conn, "SELECT COALESCE(sum(requests), 0)::int FROM "+table)
	}
	for _, table := range []string{"usage_minute", "usage_hour", "usage_day", "usage_day_by WHERE dim = 0"} {
		if n := count(table); n != 6 {
			t.Fatalf("%s holds %d of 6", table, n)
		}
	}
	for range 2 { // 再做一次什么也不变
		keep(t, store, now)
		for table, want := range map[string]int{
			"usage_minute": 2, "usage_hour": 4, "usage_day": 5, "usage_hour_by WHERE dim = 2": 4, "usage_day_by WHERE dim = 0": 5, "usage_retired": 1} {
			if n := count(table); n != want {
				t.Errorf("%s holds %d, want %d", table, n, want)
			}
		}
		conserved(t, store)
		levelsAgree(t, store)
	}
	// 迟到的：只进还留着的各级，总数不少。
	ingest(t, store, "late", ago(now, 0, 10, 150, 300))
	settle(t, store)
	for table, want := range map[string]int{"usage_minute": 3, "usage_hour": 6, "usage_day": 8, "usage_day_by WHERE dim = 0": 8, "usage_retired": 2} {
		if n := count(table); n != want {
			t.Errorf("after the late ones %s holds %d, want %d", table, n, want)
		}
	}
	conserved(t, store)
	levelsAgree(t, store)
	// 调长保留期不会让一级从半截开始。
	saveRetention(t, store, usage.DefaultSettings().Retention)
	keep(t, store, now)
	ingest(t, store, "later", ago(now, 10, 300))
	settle(t, store)
	if n := count("usage_minute"); n != 3 {
		t.Errorf("minutes before the floor were written: %d", n)
	}
	conserved(t, store)
	levelsAgree(t, store)
}

func TestKeep_RequestsOfADayWithoutAPartitionAreKeptAndMovedIntoIt(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	conn := connect(t, url)
	now := time.Now().UTC()
	insert := func(at time.Time) {
		alter(t, conn, `INSERT INTO usage_request SELECT $1, gen_random_uuid()::text, 'n', 'k', 'a', 'm', 'm', 's', 'chat', '', 1, 200, false, false, false, 1, $1, 0, 0, 0,
			NULL, NULL, NULL, NULL, 0, 1, '[]'`, at)
	}
	insert(now)
	insert(now.AddDate(0, 0, -5))
	insert(now.AddDate(0, 0, -50))
	if n := scalar[int](t, conn, "SELECT count(*)::int FROM usage_request_default"); n != 3 {
		t.Fatalf("%d in the default partition", n)
	}
	keep(t, store, now)
	today := usage.LevelRequest.PartitionOf(now).Name
	if n := scalar[int](t, conn, "SELECT count(*)::int FROM "+today); n != 1 {
		t.Errorf("%d moved to today's partition", n)
	}
	if n := scalar[int](t, conn, "SELECT count(*)::int FROM usage_request"); n != 2 {
		t.Errorf("%d requests are kept", n)
	}
	for d := -1; d <= 2; d++ {
		name := usage.LevelRequest.PartitionOf(now.AddDate(0, 0, d)).Name
		if scalar[*string](t, conn, "SELECT to_regclass('"+name+"')::text") == nil {
			t.Errorf("%s is missing", name)
		}
	}
	keep(t, store, now.AddDate(0, 0, 9))
	if scalar[*string](t, conn, "SELECT to_regclass('"+today+"')::text") != nil || scalar[int](t, conn, "SELECT count(*)::int FROM usage_request") != 0 {
		t.Error("expired requests are still there")
	}
}

func TestKeep_ANodeThatComesBackAfterYearsIsNotCountedAgain(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	conn := connect(t, url)
	now := time.Now()
	batch := usage.Batch{NodeID: "idle", Epoch: 1, First: 1, Last: 2, Records: ago(now, 0, 1), Clock: usage.Clock{Now: now}}
	if _, err := store.IngestUsage(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	alter(t, conn, "UPDATE usage_cursor SET updated_at = now() - interval '20 years'")
	keep(t, store, now)
	verdict, err := store.IngestUsage(t.Context(), batch)
	if err != nil || verdict.Kind != usage.Duplicate || verdict.HighWater != 2 {
		t.Errorf("the same batch again: %+v, %v", verdict, err)
	}
	conserved(t, store)
}

func TestKeep_DoesNotWaitBehindALongQuery(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	now := time.Now().UTC()
	ingest(t, store, "n", ago(now, 0, 20))
	settle(t, store)
	tx, err := connect(t, url).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "SELECT count(*) FROM usage_minute"); err != nil {
		t.Fatal(err)
	}
	k := usage.NewKeeper(usage.KeeperConfig{}, usage.KeeperDeps{Store: store, Log: zap.NewNop()})
	if err := k.Prepare(t.Context()); err != nil { // 建分区不等它
		t.Fatal(err)
	}
	if err := k.Keep(t.Context()); vegaerr.CodeOf(err) != vegaerr.Unavailable {
		t.Errorf("dropping under a reader: %v", err)
	}
	conserved(t, store)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := k.Keep(t.Context()); err != nil {
		t.Error(err)
	}
	conserved(t, store)
}
