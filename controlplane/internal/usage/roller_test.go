package usage_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// ingest 直接入一批，从头开始。
func ingest(t testing.TB, store *postgres.Store, node string, records []*usagev1.Record) {
	t.Helper()
	v, err := store.IngestUsage(t.Context(), usage.Batch{NodeID: node, Epoch: 1, First: 1, Last: uint64(len(records)), Records: records, Clock: usage.Clock{Now: time.Now()}})
	if err != nil || v.Kind != usage.Applied {
		t.Fatalf("%+v %v", v, err)
	}
}

func alter(t testing.TB, conn *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := conn.ExecContext(context.Background(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

func scalar[T any](t testing.TB, conn *sql.DB, query string) (v T) {
	t.Helper()
	if err := conn.QueryRowContext(context.Background(), query).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// levelsAgree 断言随机取的几个小时与天在各级都相等。
func levelsAgree(t testing.TB, store *postgres.Store) {
	t.Helper()
	for range 5 {
		sample, err := store.SampleUsage(context.Background())
		if err != nil || len(sample.Sums) == 0 {
			t.Fatalf("%+v %v", sample, err)
		}
		for level, n := range sample.Differences() {
			if n != 0 {
				t.Fatalf("%s differs from the hours by %d at %v", level, n, sample.Hour)
			}
		}
	}
}

func TestRoll_FailingAtAnyStepLosesNothingAndRepeatsNothing(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	conn := connect(t, url)
	var journals [][]*usagev1.Record
	alter(t, conn, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$")
	for i, step := range []struct{ name, on, trigger string }{
		{"taking", "usage_delta", "BEFORE DELETE ON usage_delta FOR EACH ROW"},
		{"minutes", "usage_minute", "BEFORE INSERT ON usage_minute FOR EACH ROW"},
		{"hours", "usage_hour", "BEFORE INSERT ON usage_hour FOR EACH ROW"},
		{"days", "usage_day", "BEFORE INSERT ON usage_day FOR EACH ROW"},
		{"hours by", "usage_hour_by", "BEFORE INSERT ON usage_hour_by FOR EACH ROW"},
		{"days by", "usage_day_by", "AFTER INSERT OR UPDATE ON usage_day_by FOR EACH ROW"},
		{"commit", "usage_delta", "AFTER DELETE ON usage_delta DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"},
	} {
		journals = append(journals, makeJournal(rand.New(rand.NewPCG(20, uint64(i))), 100))
		ingest(t, store, fmt.Sprintf("node-%d", i), journals[i])
		before := stored(t, conn, "usage_day")
		kind := "TRIGGER"
		if step.name == "commit" {
			kind = "CONSTRAINT TRIGGER"
		}
		alter(t, conn, "CREATE "+kind+" t "+step.trigger+" EXECUTE FUNCTION refuse()")
		for range 2 {
			if r, err := store.RollUsage(t.Context(), 1000); err == nil {
				t.Fatalf("%s: rolled %+v", step.name, r)
			}
		}
		if after := stored(t, conn, "usage_day"); !maps.EqualFunc(before, after, maps.Equal[map[string]int64]) {
			t.Fatalf("%s: a failed roll left something behind", step.name)
		}
		alter(t, conn, "DROP TRIGGER t ON "+step.on)
		verify(t, store, url, journals...)
	}
	levelsAgree(t, store)
}

func TestRoll_OnlyOneAtATime(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	conn := connect(t, url)
	ingest(t, store, "n", makeJournal(rand.New(rand.NewPCG(21, 1)), 10))
	tx, err := conn.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	held := make(chan struct{})
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE usage_floor IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(held)
		_, _ = store.RollUsage(context.Background(), 10) // 停在读 usage_floor，握着锁
	}()
	for scalar[int](t, connect(t, url), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0 {
		time.Sleep(time.Millisecond)
	}
	for scalar[int](t, connect(t, url), "SELECT count(*) FROM pg_locks WHERE NOT granted") == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if r, err := store.RollUsage(ctx, 10); err != nil || !r.Busy || r.Deltas != 0 {
		t.Errorf("%+v %v", r, err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	<-held
	if r, err := store.RollUsage(t.Context(), 10); err != nil || r.Busy {
		t.Errorf("%+v %v", r, err)
	}
	conserved(t, store)
}

func TestRoll_KilledAtRandomMomentsUnderLoadLosesNothing(t *testing.T) {
	url := pgtest.New(t, migrate)
	a, b := openStore(t, url), openStore(t, url)
	_, stopA := startRoller(t, a, usage.RollerConfig{Every: 5 * time.Millisecond, Chunk: 300})
	regB, stopB := startRoller(t, b, usage.RollerConfig{Every: 5 * time.Millisecond, Chunk: 300})
	var wg sync.WaitGroup
	const nodes = 6
	journals := make([][]*usagev1.Record, nodes)
	for n := range nodes {
		journals[n] = makeJournal(rand.New(rand.NewPCG(22, uint64(n))), 2000)
		wg.Go(func() {
			for i := 0; i < len(journals[n]); {
				batch := usage.Batch{NodeID: fmt.Sprintf("node-%d", n), Epoch: 1, First: uint64(i + 1), Last: uint64(i + 50), Records: journals[n][i : i+50], Clock: usage.Clock{Now: time.Now()}}
				v, err := []*postgres.Store{a, b}[n%2].IngestUsage(context.Background(), batch)
				if err == nil { // 失败的原样再送：提交了与否由游标说
					i = int(v.HighWater)
				}
			}
		})
	}
	conn := connect(t, url)
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	kills := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(20 * time.Millisecond):
			kills += scalar[int](t, conn, `SELECT count(pg_terminate_backend(pid)) FROM (
				SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' ORDER BY random() LIMIT 1) AS v`)
		}
	}
	stopA()
	stopB()
	fresh := openStore(t, url) // 池里可能还有被终止了而没人用过的连接
	verify(t, fresh, url, journals...)
	levelsAgree(t, fresh)
	fmt.Printf("figures: roll_killed kills=%d failed_rolls_of_one_replica=%.0f records=%d lost=0 duplicated=0\n", kills, counter(t, regB, "vega_usage_roll_failures_total", ""), nodes*2000)
	if kills == 0 {
		t.Error("nothing was killed")
	}
}

func TestRoll_HistogramsOfEveryLevelAreThoseOfTheRequests(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	var want [usage.NumHistograms]usage.Histogram
	for n := range 4 { // 每次并入都与表里已有的合并
		journal := spread(uint64(n), 30, 300)
		for _, r := range journal {
			q := r.GetRequest()
			want[usage.HistQueue].Observe(q.GetQueueUs())
			want[usage.HistFirstByte].Observe(q.GetFirstByteUs())
			want[usage.HistDuration].Observe((q.GetEndedUnixMs() - q.GetStartedUnixMs()) * 1000)
		}
		ingest(t, store, fmt.Sprintf("node-%d", n), journal)
		settle(t, store)
	}
	conn := connect(t, url)
	for _, from := range []string{"usage_minute", "usage_hour", "usage_day", "usage_hour_by WHERE dim = 0", "usage_day_by WHERE dim = 0", "usage_day_by WHERE dim = 2", "usage_hour_by WHERE dim = 3"} {
		got := mergedHistograms(t, conn, from)
		for i := range got {
			if string(got[i].Append(nil)) != string(want[i].Append(nil)) {
				t.Errorf("%s: histogram %d holds %d of %d", from, i, got[i].Count(), want[i].Count())
			}
		}
	}
}

func mergedHistograms(t *testing.T, conn *sql.DB, from string) (got [usage.NumHistograms]usage.Histogram) {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), "SELECT queue_hist, first_byte_hist, duration_hist FROM "+from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var h [usage.NumHistograms][]byte
		if err := rows.Scan(&h[0], &h[1], &h[2]); err != nil {
			t.Fatal(err)
		}
		for i := range h {
			if err := got[i].MergeEncoded(h[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return got
}

func TestCheck_SeesWhatWasTamperedWith(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	conn := connect(t, url)
	ingest(t, store, "n", makeJournal(rand.New(rand.NewPCG(23, 1)), 200))
	settle(t, store)
	ingest(t, store, "m", makeJournal(rand.New(rand.NewPCG(23, 2)), 200)) // 留着增量
	conserved(t, store)
	levelsAgree(t, store)
	one := " WHERE ctid = (SELECT ctid FROM %[1]s WHERE requests > 0 LIMIT 1) AND tableoid = (SELECT tableoid FROM %[1]s WHERE requests > 0 LIMIT 1)"
	for _, c := range []struct{ table, sql string }{
		{"usage_day_by", "UPDATE usage_day_by SET cost_nano = cost_nano - 1 WHERE dim = 0 AND source = 1"},
		{"usage_delta", fmt.Sprintf("DELETE FROM usage_delta"+one, "usage_delta")},
		{"usage_cursor", "UPDATE usage_cursor SET cum_prompt_tokens = cum_prompt_tokens + 1 WHERE node_id = 'n'"},
	} {
		tampered(t, conn, c.table, c.sql, func() {
			if diff, err := store.UsageConservation(t.Context()); err != nil || diff == (usage.Totals{}) {
				t.Errorf("%s: not seen (%v)", c.sql, err)
			}
		})
	}
	for _, table := range []string{"usage_minute", "usage_hour", "usage_day", "usage_hour_by", "usage_day_by"} {
		for _, sql := range []string{"UPDATE " + table + " SET reasoning_tokens = reasoning_tokens + 1" + fmt.Sprintf(one, table), "DELETE FROM " + table + fmt.Sprintf(one, table)} {
			tampered(t, conn, table, sql, func() {
				seen := false
				for range 50 { // 随机取的一小时，也许不是被改的那一小时
					sample, err := store.SampleUsage(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					for _, n := range sample.Differences() {
						seen = seen || n != 0
					}
				}
				if !seen {
					t.Errorf("%s: not seen", sql)
				}
			})
		}
	}
	conserved(t, store)
}

// tampered 改了、看了、再放回去。
func tampered(t *testing.T, conn *sql.DB, table, change string, look func()) {
	t.Helper()
	alter(t, conn, "CREATE TEMP TABLE kept AS SELECT * FROM "+table)
	result, err := conn.ExecContext(t.Context(), change)
	if err != nil {
		t.Fatalf("%s: %v", change, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s changed nothing (%v)", change, err)
	}
	look()
	alter(t, conn, "DELETE FROM "+table)
	if table == "usage_delta" {
		alter(t, conn, "INSERT INTO usage_delta OVERRIDING SYSTEM VALUE SELECT * FROM kept")
	} else {
		alter(t, conn, "INSERT INTO "+table+" SELECT * FROM kept")
	}
	alter(t, conn, "DROP TABLE kept")
}
