package usage_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

func TestReport_DuplicatedReorderedOverlappingTruncatedBatchesCountOnce(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	a, b := startReplica(t, store, usage.Config{}), startReplica(t, store, usage.Config{})
	var all [][]*usagev1.Record
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		node, epoch := fmt.Sprintf("node-%d", run), rapid.Uint64().Draw(rt, "epoch")
		journal := makeJournal(rand.New(rand.NewPCG(1, rapid.Uint64().Draw(rt, "seed"))), rapid.IntRange(1, 30).Draw(rt, "n"))
		c, high := open(t, a, node, epoch), 0
		c.hello()
		for range rapid.IntRange(0, 15).Draw(rt, "batches") {
			if rapid.IntRange(0, 3).Draw(rt, "move") == 0 { // 重连，也许到另一个副本
				c = open(t, []*replica{a, b}[rapid.IntRange(0, 1).Draw(rt, "replica")], node, epoch)
				if got := c.hello(); got != uint64(high) {
					rt.Fatalf("hello answers %d, want %d", got, high)
				}
			}
			i := rapid.IntRange(0, len(journal)-1).Draw(rt, "from")
			j := rapid.IntRange(i+1, len(journal)).Draw(rt, "to")
			resp := c.report(journal, i, j)
			if i > high {
				if resp.GetResend().GetFromSeq() != uint64(high+1) {
					rt.Fatalf("batch %d..%d at %d: %v", i+1, j, high, resp)
				}
				continue
			}
			high = max(high, j)
			if resp.GetAck().GetHighWater() != uint64(high) || resp.GetAck().GetEpoch() != epoch {
				rt.Fatalf("batch %d..%d: %v, want ack %d", i+1, j, resp, high)
			}
		}
		c.report(journal, 0, len(journal))
		all = append(all, journal)
	})
	verify(t, store, url, all...)
	for _, r := range []*replica{a, b} {
		if n := counter(t, r.reg, "vega_usage_cumulative_mismatches_total", ""); n != 0 {
			t.Errorf("%v false alarms", n)
		}
	}
	t.Logf("%d nodes, every record once", run)
}

func TestReport_FiftyNodesAtOnceDoNotDeadlock(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	r := startReplica(t, store, usage.Config{})
	journals := make([][]*usagev1.Record, 50)
	var wg sync.WaitGroup
	began := time.Now()
	for n := range journals {
		journals[n] = makeJournal(rand.New(rand.NewPCG(2, uint64(n))), 200)
		c := open(t, r, fmt.Sprintf("node-%d", n), 1)
		c.hello()
		wg.Go(func() {
			for i := 0; i < 200; i += 20 {
				if c.report(journals[n], i, i+20).GetAck().GetHighWater() != uint64(i+20) {
					t.Errorf("node %d was not acknowledged at %d", n, i)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("50 nodes, 500 batches, 10000 records in %v", time.Since(began))
	verify(t, store, url, journals...)
}

func TestReport_TwoReplicasTakingTheSameBatchesCountThemOnce(t *testing.T) {
	url := pgtest.New(t, migrate)
	stores := []*postgres.Store{openStore(t, url), openStore(t, url)}
	journal := makeJournal(rand.New(rand.NewPCG(3, 3)), 400)
	var wg sync.WaitGroup
	var applied float64
	var regs []*replica
	for _, s := range stores {
		r := startReplica(t, s, usage.Config{})
		regs = append(regs, r)
		for range 3 {
			c := open(t, r, "n", 7)
			c.hello()
			wg.Go(func() {
				for i := 0; i < 400; {
					resp := c.report(journal, i, min(i+20, 400))
					if re := resp.GetResend(); re != nil {
						i = int(re.GetFromSeq()) - 1
						continue
					}
					i = min(i+20, 400)
				}
			})
		}
	}
	wg.Wait()
	for _, r := range regs {
		applied += counter(t, r.reg, "vega_usage_records_total", "")
	}
	if applied != 400 {
		t.Errorf("%v records were counted", applied)
	}
	verify(t, stores[0], url, journal)
}

func TestReport_MismatchIsStoredAndTheDataKept(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	r := startReplica(t, store, usage.Config{})
	journal := makeJournal(rand.New(rand.NewPCG(4, 4)), 20)
	c := open(t, r, "n", 1)
	c.hello()
	lie := sum(journal)
	lie.PromptTokens += 5
	resp, err := c.call(&usagev1.ReportRequest{Message: &usagev1.ReportRequest_Batch{Batch: &usagev1.Batch{
		NodeId: "n", Epoch: 1, FirstSeq: 1, LastSeq: 20, Records: journal, Cumulative: lie}}})
	if err != nil || resp.GetAck().GetHighWater() != 20 {
		t.Fatalf("%v %v", resp, err)
	}
	if n := counter(t, r.reg, "vega_usage_cumulative_mismatches_total", ""); n != 1 {
		t.Errorf("%v alarms", n)
	}
	verify(t, store, url, journal)
}

func TestReport_GapLetsTheCursorPassAndIsConserved(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	r := startReplica(t, store, usage.Config{})
	c := open(t, r, "n", 1)
	c.hello()
	journal := makeJournal(rand.New(rand.NewPCG(5, 5)), 10)
	send := func(first, last uint64, records ...*usagev1.Record) *usagev1.ReportResponse {
		t.Helper()
		resp, err := c.call(&usagev1.ReportRequest{Message: &usagev1.ReportRequest_Batch{Batch: &usagev1.Batch{
			NodeId: "n", Epoch: 1, FirstSeq: first, LastSeq: last, Records: records}}})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	gap := &usagev1.Record{Seq: 11, Body: &usagev1.Record_Gap{Gap: &usagev1.Gap{
		LastSeq: 1000, Reason: "segment\x00quarantined", Totals: &usagev1.Totals{Requests: 900, PromptTokens: 12}}}}
	send(1, 1000, append(journal, gap)...)
	if resp := send(11, 1000, gap); resp.GetAck().GetHighWater() != 1000 {
		t.Fatalf("got %v", resp)
	}
	if n := counter(t, r.reg, "vega_usage_lost_records_total", ""); n != 990 {
		t.Errorf("%v records lost", n)
	}
	verify(t, store, url, journal)
}

func TestReport_ProtocolBreachesEndTheStreamAndCountNothing(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	r := startReplica(t, store, usage.Config{HelloTimeout: 200 * time.Millisecond})
	journal := makeJournal(rand.New(rand.NewPCG(6, 6)), 3)
	batch := func(node string, epoch, first, last uint64) *usagev1.ReportRequest {
		return &usagev1.ReportRequest{Message: &usagev1.ReportRequest_Batch{Batch: &usagev1.Batch{
			NodeId: node, Epoch: epoch, FirstSeq: first, LastSeq: last, Records: journal}}}
	}
	for name, c := range map[string]struct {
		hello bool
		req   *usagev1.ReportRequest
		says  string
	}{
		"before hello":   {false, batch("n", 1, 1, 3), "hello"},
		"another node":   {true, batch("m", 1, 1, 3), "node id"},
		"another epoch":  {true, batch("n", 2, 1, 3), "epoch"},
		"truncated":      {true, batch("n", 1, 1, 4), "end at 3"},
		"shifted":        {true, batch("n", 1, 2, 4), "expected"},
		"empty":          {true, &usagev1.ReportRequest{}, "hello or a batch"},
		"bad node name":  {false, &usagev1.ReportRequest{Message: &usagev1.ReportRequest_Hello{Hello: &usagev1.Hello{NodeId: "A", FirstSeq: 1}}}, "node id"},
		"bad seq ranges": {false, &usagev1.ReportRequest{Message: &usagev1.ReportRequest_Hello{Hello: &usagev1.Hello{NodeId: "n"}}}, "sequence"},
	} {
		cl := open(t, r, "n", 1)
		if c.hello {
			cl.hello()
		}
		_, err := cl.call(c.req)
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := open(t, r, "n", 1).stream.Recv(); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("silent: %v", err)
	}
	verify(t, store, url)
}

func TestReport_DatabaseWentBackIsSeenAndHealedByResending(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	r := startReplica(t, store, usage.Config{})
	journal := makeJournal(rand.New(rand.NewPCG(7, 7)), 30)
	c := open(t, r, "n", 1)
	resp, err := c.call(&usagev1.ReportRequest{Message: &usagev1.ReportRequest_Hello{Hello: &usagev1.Hello{
		NodeId: "n", Epoch: 1, FirstSeq: 1, LastSeq: 30, AckedSeq: 25, Durable: true}}})
	if err != nil || resp.GetAck().GetHighWater() != 0 {
		t.Fatalf("%v %v", resp, err)
	}
	if n := counter(t, r.reg, "vega_usage_cursor_regressions_total", ""); n != 1 {
		t.Errorf("%v regressions", n)
	}
	c.report(journal, 0, 10)
	c.report(journal, 10, 30)
	if n := counter(t, r.reg, "vega_usage_healed_records_total", ""); n != 25 {
		t.Errorf("%v records healed", n)
	}
	verify(t, store, url, journal)
}

func TestReport_AcknowledgesOnlyWhatWasCommitted(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	conn := connect(t, url)
	r := startReplica(t, store, usage.Config{})
	journal := makeJournal(rand.New(rand.NewPCG(10, 10)), 30)
	alter(t, conn, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$")
	alter(t, conn, "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON usage_delta DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()")
	for range 2 { // 每一句都成了，只是提交不成
		c := open(t, r, "n", 1)
		if hwm := c.hello(); hwm != 0 {
			t.Fatalf("the cursor is at %d", hwm)
		}
		resp, err := c.call(batchOf(c, journal, 0))
		if status.Code(err) != codes.Unavailable {
			t.Fatalf("answered %v (%v)", resp, err)
		}
	}
	alter(t, conn, "DROP TRIGGER t ON usage_delta")
	c := open(t, r, "n", 1)
	c.hello()
	c.report(journal, 0, 30)
	verify(t, store, url, journal)
}

func TestReport_RecordsOfAVolatileEpochAreUnjournalled(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	c := open(t, startReplica(t, store, usage.Config{}), "n", 1)
	journal := makeJournal(rand.New(rand.NewPCG(9, 9)), 50)
	if _, err := c.call(&usagev1.ReportRequest{Message: &usagev1.ReportRequest_Hello{Hello: &usagev1.Hello{NodeId: "n", Epoch: 1, FirstSeq: 1}}}); err != nil {
		t.Fatal(err)
	}
	c.report(journal, 0, 50)
	settle(t, store)
	for g, n := range stored(t, connect(t, url), "usage_day") {
		if n["unjournalled"] != n["requests"] {
			t.Errorf("%v: %d of %d", g, n["unjournalled"], n["requests"])
		}
	}
}

func TestReport_HostileNamesAreStoredNotRefused(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	c := open(t, startReplica(t, store, usage.Config{}), "n", 1)
	c.hello()
	now := time.Now()
	record := func(seq uint64, model string) *usagev1.Record {
		return &usagev1.Record{Seq: seq, Body: &usagev1.Record_Request{Request: &usagev1.Request{
			App: "a", Model: model, EndedUnixMs: now.UnixMilli(), Outcome: usagev1.Outcome_OUTCOME_OK,
			Attempts: []*usagev1.Attempt{{Server: "s", Usage: &usagev1.Usage{PromptTokens: proto.Int64(1)}}}}}}
	}
	c.report([]*usagev1.Record{record(1, "nul\x00"), record(2, strings.Repeat("x", 9000)), record(3, "'; DROP TABLE usage_minute; --"),
		{Seq: 4, Body: &usagev1.Record_Refusals{Refusals: &usagev1.Refusals{SecondUnix: now.Unix(), Code: "model_not_found", Model: "junk-1", Count: 1}}},
		{Seq: 5, Body: &usagev1.Record_Refusals{Refusals: &usagev1.Refusals{SecondUnix: now.Unix(), Code: "model_not_found", Model: "junk-2", Count: 1}}},
	}, 0, 5)
	settle(t, store)
	rows := stored(t, connect(t, url), "usage_minute")
	var requests int64
	for g, n := range rows {
		requests += n["requests"]
		if len(g.model) > 256 || strings.ContainsRune(g.model, 0) {
			t.Errorf("model %q", g.model)
		}
	}
	if len(rows) != 4 || requests != 3 || rows[group{code: "model_not_found"}]["refused"] != 2 {
		t.Fatalf("%+v", rows)
	}
}

func TestReport_StopEndsStreams(t *testing.T) {
	r := startReplica(t, openStore(t, pgtest.New(t, migrate)), usage.Config{})
	c := open(t, r, "n", 1)
	c.hello()
	began := time.Now()
	r.stop()
	if _, err := c.stream.Recv(); status.Code(err) != codes.Unavailable || time.Since(began) > 2*time.Second {
		t.Fatalf("%v after %v", err, time.Since(began))
	}
}

func BenchmarkIngest_RecordsPerSecond(b *testing.B) {
	for _, nodes := range []int{1, 8} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			r := startReplica(b, openStore(b, pgtest.New(b, migrate)), usage.Config{})
			const size = 500
			clients := make([]*client, nodes)
			journal := makeJournal(rand.New(rand.NewPCG(8, 8)), size)
			for i := range clients {
				clients[i] = open(b, r, fmt.Sprintf("node-%d", i), 1)
				clients[i].hello()
			}
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for _, c := range clients {
				wg.Go(func() {
					for n := range b.N {
						records := make([]*usagev1.Record, size)
						for i, r := range journal {
							records[i] = &usagev1.Record{Seq: uint64(n*size + i + 1), Body: r.Body}
						}
						if _, err := c.call(&usagev1.ReportRequest{Message: &usagev1.ReportRequest_Batch{Batch: &usagev1.Batch{
							NodeId: c.node, Epoch: 1, FirstSeq: uint64(n*size + 1), LastSeq: uint64((n + 1) * size), Records: records}}}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(nodes*size*b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
