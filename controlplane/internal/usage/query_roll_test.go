package usage_test

import (
	"database/sql"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// modelStore 收下 n 条 now 以前几天的随机记录，什么也没有并入。
func modelStore(t *testing.T, n int, now time.Time) (*postgres.Store, []event) {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	store := openStore(t, pgtest.New(t, migrate))
	var records []*usagev1.Record
	for i := range n {
		records = append(records, randomRecord(rng, uint64(i+1), now, 4*24*time.Hour))
	}
	ingestAll(t, store, records, now)
	return store, eventsOf(records)
}

func TestQuery_NeverCountsTwiceNorMissesWhileTheRollerWorks(t *testing.T) {
	now := modelNow()
	store, events := modelStore(t, 1500, now)
	reader := usage.NewReader(store, func() time.Time { return now })
	q := usage.Query{From: now.AddDate(0, 0, -9), To: now, Interval: usage.IntervalNone, GroupBy: []usage.Dimension{usage.ByApp}}
	want := naive(events, q, now)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for {
			r, err := store.RollUsage(t.Context(), 40)
			if err != nil {
				t.Error(err)
			}
			if err != nil || r.Deltas == 0 {
				return
			}
		}
	})
	half := 0
	for rolling := true; rolling; {
		select {
		case <-done:
			rolling = false
		default:
		}
		res, err := reader.Query(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if res.Accuracy.Pending > 0 && res.Accuracy.Pending < 1000 {
			half++
		}
		for _, r := range res.Rows {
			if w := want[bucketKey(r.Bucket, q)+" "+r.App]; r.Figures != w.Figures {
				t.Fatalf("with %d pending, %s:\n got %+v\nwant %+v", res.Accuracy.Pending, r.App, r.Figures, w.Figures)
			}
		}
		if len(res.Rows) != len(want) {
			t.Fatalf("%d rows, want %d", len(res.Rows), len(want))
		}
	}
	wg.Wait()
	if half == 0 {
		t.Fatal("no query saw the roller half done")
	}
}

func TestQuery_MinutesThatWereDeletedWidenTheEndsAndStayExact(t *testing.T) {
	now := modelNow()
	store, events := modelStore(t, 600, now)
	settle(t, store)
	floor := now.Truncate(24*time.Hour).AddDate(0, 0, -1)
	if _, err := store.RetireUsage(t.Context(), usage.LevelMinute, floor); err != nil {
		t.Fatal(err)
	}
	reader := usage.NewReader(store, func() time.Time { return now })
	q := usage.Query{From: now.AddDate(0, 0, -3), To: now.AddDate(0, 0, -2)}
	res, err := reader.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	wide := usage.Query{Interval: usage.IntervalNone, From: q.From.Truncate(time.Hour), To: q.To.Truncate(time.Hour).Add(time.Hour)}
	if len(res.Notes) != 2 || !res.From.Equal(wide.From) || !res.To.Equal(wide.To) || !strings.Contains(res.Notes[0], floor.Format(time.RFC3339)) {
		t.Fatalf("%v..%v %v", res.From, res.To, res.Notes)
	}
	if got, want := res.Totals.Figures, naive(events, wide, now)["- "].Figures; got != want {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
	for path, q := range map[string]usage.Query{
		"interval": {From: q.From, To: q.To, Interval: usage.IntervalMinute}, "time_zone": {From: q.From, To: q.To, Interval: usage.IntervalDay, TimeZone: "Asia/Kolkata"}} {
		_, err := reader.Query(t.Context(), q)
		if e := vegaerr.As(err); e.Code != vegaerr.Invalid || len(e.Problems) != 1 || e.Problems[0].Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// 控制面被杀，节点那一行就停在 connected：不能因此说它交清了。
func TestQuery_NodesThatWentMuteAreNotTakenAsHeard(t *testing.T) {
	url := pgtest.New(t, migrate)
	reader := usage.NewReader(openStore(t, url), nil)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct {
		mute   string
		silent int64
		behind time.Duration // complete_until 至少这么旧
	}{{"0 seconds", 0, 2 * time.Second}, {"6 seconds", 0, 6 * time.Second}, {"1 minute", 1, 2 * time.Second}} {
		_, err := db.ExecContext(t.Context(), `
			INSERT INTO nodes (id, epoch, version, replica, session, connected, connected_at, last_seen, applied_revision, applied_digest,
				rejected_revision, rejected_reason, in_flight, waiting, unreported, draining, ejections, reported_error)
			VALUES ('n', 1, '', 'r', 1, true, now() - interval '1 hour', now() - $1::interval, 1, '', 0, '', 0, 0, 0, false, '[]', '')
			ON CONFLICT (id) DO UPDATE SET last_seen = EXCLUDED.last_seen`, c.mute)
		if err != nil {
			t.Fatal(err)
		}
		res, err := reader.Query(t.Context(), usage.Query{})
		if err != nil {
			t.Fatal(err)
		}
		if a := res.Accuracy; a.SilentNodes != c.silent || a.AsOf.Sub(a.CompleteUntil) < c.behind {
			t.Errorf("mute for %s: %d silent nodes, complete until %s before now", c.mute, a.SilentNodes, a.AsOf.Sub(a.CompleteUntil))
		}
	}
}

func TestQuery_HolesAreCountedWhereTheyWereRecorded(t *testing.T) {
	store := openStore(t, pgtest.New(t, migrate))
	now := time.Now()
	b := usage.Batch{NodeID: "n", Epoch: 1, First: 1, Last: 9, Clock: usage.Clock{Now: now}, Records: []*usagev1.Record{
		{Seq: 1, Body: &usagev1.Record_Gap{Gap: &usagev1.Gap{LastSeq: 9, Reason: "bad crc", Totals: &usagev1.Totals{Requests: 8, PromptTokens: 70}}}}}}
	if _, err := store.IngestUsage(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	reader := usage.NewReader(store, nil)
	ask := func(from, to time.Time) usage.Accuracy {
		t.Helper()
		res, err := reader.Query(t.Context(), usage.Query{From: from, To: to})
		if err != nil {
			t.Fatal(err)
		}
		return res.Accuracy
	}
	want := usage.Totals{Lost: 9, Requests: 8, PromptTokens: 70}
	if a := ask(now.Add(-time.Hour), now.Add(time.Hour)); a.Lost != want || a.LostLater != (usage.Totals{}) || now.Sub(a.CompleteUntil) > time.Minute {
		t.Errorf("in the range: %+v", a)
	}
	if a := ask(now.Add(-2*time.Hour), now.Add(-time.Hour)); a.Lost != (usage.Totals{}) || a.LostLater != want {
		t.Errorf("before it: %+v", a)
	}
	if a := ask(now.Add(time.Hour), now.Add(2*time.Hour)); a.Lost != (usage.Totals{}) || a.LostLater != (usage.Totals{}) {
		t.Errorf("after it: %+v", a)
	}
}

func TestQuery_MoreRowsThanTheLimitAreRefusedNotCutOff(t *testing.T) {
	now := modelNow()
	store, _ := modelStore(t, 50, now)
	q := usage.Query{From: now.AddDate(0, 0, -4), To: now, Interval: usage.IntervalMinute, TimeZone: "UTC", GroupBy: []usage.Dimension{usage.ByApp}}
	if res, err := store.QueryUsage(t.Context(), q, 10); err != nil || len(res.Rows) != 10 {
		t.Fatalf("%d rows: %v", len(res.Rows), err)
	}
}
