package postgres

import (
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestRollUsage_LetsGoOfTheLockWhenItHangs(t *testing.T) {
	s, url := openTest(t)
	s.rollTimeout = 500 * time.Millisecond
	other := connectTo(t, url)
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE usage_delta IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	for name, hang := range map[string]func() error{
		"rolling":   func() error { _, err := s.RollUsage(t.Context(), 10); return err },
		"vacuuming": func() error { return s.VacuumUsage(t.Context()) },
	} {
		if err := hang(); vegaerr.CodeOf(err) != vegaerr.Unavailable {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for range 1000 { // 断开的连接由数据库自己收拾，要一会儿
		var free bool
		if err := tx.QueryRow(t.Context(), "SELECT pg_try_advisory_xact_lock($1)", int64(rollLock)).Scan(&free); err != nil {
			t.Fatal(err)
		}
		if free {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the roll lock is still held")
}

// countOne 记下并并入 at 结束的一个请求。
func countOne(t *testing.T, s *Store, at time.Time) {
	t.Helper()
	record := &usagev1.Record{Seq: 1, Body: &usagev1.Record_Request{Request: &usagev1.Request{
		Id: "r", App: "a", Model: "m", Outcome: usagev1.Outcome_OUTCOME_OK, StartedUnixMs: at.UnixMilli(), EndedUnixMs: at.UnixMilli()}}}
	if _, err := s.IngestUsage(t.Context(), usage.Batch{NodeID: "n", Epoch: uint64(at.UnixMilli()), First: 1, Last: 1, Records: []*usagev1.Record{record}, Clock: usage.Clock{Now: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RollUsage(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
}

func TestSampleUsage_APartitionDroppedMeanwhileIsNoDefect(t *testing.T) {
	s, url := openTest(t)
	now := time.Now()
	countOne(t, s, now)
	tx, err := connectTo(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := usage.LevelMinute.PartitionOf(now)
	for _, sql := range []string{"DROP TABLE " + p.Name, "INSERT INTO usage_floor VALUES ('usage_minute', '" + p.To.Format(time.RFC3339) + "')"} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan usage.Sample, 1)
	go func() {
		sample, err := s.SampleUsage(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- sample
	}()
	waitBlocked(t, connectTo(t, url))
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	sample := <-got
	if len(sample.Sums) == 0 {
		t.Fatal("nothing was compared")
	}
	for level, n := range sample.Differences() {
		if n != 0 {
			t.Errorf("%s differs by %d", level, n)
		}
	}
}

func TestSampleUsage_LevelsRetiredOneByOneAreNoDefect(t *testing.T) {
	s, _ := openTest(t)
	now := time.Now()
	countOne(t, s, now.AddDate(0, -2, 0))
	countOne(t, s, now)
	for _, level := range []usage.Level{usage.LevelHourBy, usage.LevelDay, usage.LevelHour} {
		if n, err := s.RetireUsage(t.Context(), level, level.PartitionOf(now).From); err != nil || n == 0 {
			t.Fatalf("%d %v", n, err)
		}
		for range 20 { // 取哪一天是随机的
			sample, err := s.SampleUsage(t.Context())
			if err != nil || len(sample.Sums) == 0 {
				t.Fatalf("%+v %v", sample, err)
			}
			for name, n := range sample.Differences() {
				if n != 0 {
					t.Fatalf("with %s retired, %s differs by %d", level.Table(), name, n)
				}
			}
		}
	}
}
