package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

func keyID(n int) string { return fmt.Sprintf("0d8f63f1-1f3e-4a35-9d0e-%012x", n) }

// usesOf 是从 from 起的记录，每条一把 key、一个到达的时刻。
func usesOf(from int, at []time.Time, keys ...string) []*usagev1.Record {
	out := make([]*usagev1.Record, len(keys))
	for i, key := range keys {
		out[i] = &usagev1.Record{Seq: uint64(from + i), Body: &usagev1.Record_Request{Request: &usagev1.Request{
			Id: fmt.Sprintf("req_%d", from+i), KeyId: key, App: "a", StartedUnixMs: at[i].UnixMilli(), EndedUnixMs: at[i].UnixMilli()}}}
	}
	return out
}

func used(t *testing.T, s *Store, ids ...string) map[string]time.Time {
	t.Helper()
	got, err := s.KeysUsed(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestKeyUse_IsTheLatestMinuteAndNeverGoesBack(t *testing.T) {
	s, _ := openTest(t)
	now := noon()
	times := []time.Time{now.Add(-time.Hour), now.Add(-10 * time.Minute), now.Add(-30 * time.Minute), now.Add(-time.Minute - 20*time.Second)}
	ingest(t, s, batchOf(usesOf(1, times, keyID(1), keyID(1), keyID(1), keyID(2)), now))
	want := map[string]time.Time{keyID(1): times[1].Truncate(time.Minute), keyID(2): times[3].Truncate(time.Minute)}
	check := func(what string) {
		t.Helper()
		got := used(t, s, keyID(1), keyID(2), keyID(3))
		if len(got) != 2 || !got[keyID(1)].Equal(want[keyID(1)]) || !got[keyID(2)].Equal(want[keyID(2)]) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
	check("one batch")
	s.touched = touched{}
	ingest(t, s, batchOf(usesOf(5, []time.Time{now.Add(-3 * time.Hour)}, keyID(1)), now))
	check("an old record at a replica that remembers nothing")
	ingest(t, s, batchOf(usesOf(1, times[:1], keyID(3)), now))
	check("a batch that was counted before")
	ingest(t, s, batchOf(usesOf(6, []time.Time{now}, keyID(2)), now))
	want[keyID(2)] = now.Truncate(time.Minute)
	check("a later minute")
}

func TestKeyUse_IDsOfNoKeyAndSpellingsOfOneAreNoReasonToRefuseABatch(t *testing.T) {
	s, _ := openTest(t)
	now := noon()
	at := slices.Repeat([]time.Time{now}, 5)
	v := ingest(t, s, batchOf(usesOf(1, at, "", "key-1", keyID(1), "0D8F63F1-1F3E-4A35-9D0E-000000000001", "\x00"), now))
	if got := used(t, s, keyID(1)); v.Records != 5 || len(got) != 1 {
		t.Fatalf("%+v %v", v, got)
	}
}

func TestKeyUse_IsWrittenOnceAMinuteAndOnlyWithTheBatchThatCounts(t *testing.T) {
	s, url := openTest(t)
	conn := sqlConn(t, url)
	version := func() (xmin string) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), "SELECT xmin::text FROM key_use").Scan(&xmin); err != nil {
			t.Fatal(err)
		}
		return xmin
	}
	now := noon()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	first := batchOf(usesOf(1, []time.Time{now}, keyID(1)), now)
	if _, err := s.IngestUsage(ctx, first); err == nil {
		t.Fatal("a cancelled batch was counted")
	}
	ingest(t, s, first)
	if len(used(t, s, keyID(1))) != 1 {
		t.Fatal("a batch that failed once kept the next from noting the key")
	}
	written := version()
	for seq := 2; seq < 6; seq++ {
		ingest(t, s, batchOf(usesOf(seq, []time.Time{now.Add(time.Duration(seq) * time.Second)}, keyID(1)), now.Add(10*time.Second)))
	}
	if version() != written {
		t.Error("the row was written again within the minute")
	}
	ingest(t, s, batchOf(usesOf(6, []time.Time{now.Add(time.Minute)}, keyID(1)), now.Add(time.Minute)))
	if version() == written {
		t.Error("the next minute was not written")
	}
}

func TestKeyUse_NodesThatUseTheSameKeysInAnyOrderDoNotDeadlock(t *testing.T) {
	s, url := openTest(t)
	other, err := Open(t.Context(), url, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	const nodes, batches, keys = 8, 20, 200
	now := noon()
	var wg sync.WaitGroup
	for n := range nodes {
		wg.Go(func() {
			store := []*Store{s, other}[n%2]
			for i := range batches {
				at, ids := make([]time.Time, keys), make([]string, keys)
				for k := range keys {
					at[k], ids[k] = now.Add(time.Duration(i-batches)*time.Minute), keyID((k*7919+n*31)%keys)
				}
				b := batchOf(usesOf(i*keys+1, at, ids...), now)
				b.NodeID = fmt.Sprintf("n%d", n)
				if _, err := store.IngestUsage(t.Context(), b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var deadlocks int
	if err := sqlConn(t, url).QueryRow(t.Context(), "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(&deadlocks); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for k := range keys {
		ids = append(ids, keyID(k))
	}
	got := used(t, s, ids...)
	fmt.Printf("figures: key_use nodes=%d replicas=2 keys=%d deadlocks=%d\n", nodes, len(got), deadlocks)
	if deadlocks != 0 || len(got) != keys || !got[keyID(5)].Equal(now.Add(-time.Minute).Truncate(time.Minute)) {
		t.Errorf("%d deadlocks, %d keys, %v", deadlocks, len(got), got[keyID(5)])
	}
}
