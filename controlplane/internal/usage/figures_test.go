package usage_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// spread 造 n 条记录，名字散在 50 × 200 × 20 里的 combos 个组合上，冷热不均。
func spread(seed uint64, combos, n int) []*usagev1.Record {
	rng := rand.New(rand.NewPCG(seed, seed))
	zipf := rand.NewZipf(rng, 1.1, 20, uint64(combos-1))
	now := time.Now()
	out := make([]*usagev1.Record, n)
	for i := range out {
		k := int(zipf.Uint64()) * 7919 % 200_000
		model := fmt.Sprintf("model-%d", k%20)
		ended := now.UnixMilli() - rng.Int64N(1000)
		out[i] = &usagev1.Record{Seq: uint64(i + 1), Body: &usagev1.Record_Request{Request: &usagev1.Request{
			Id: fmt.Sprintf("req-%d-%d", seed, i), KeyId: fmt.Sprintf("0d8f63f1-1f3e-4a35-9d0e-%012d", k/20%200), App: fmt.Sprintf("app-%d", k/20%200), Model: model, ServedModel: model,
			Outcome: usagev1.Outcome_OUTCOME_OK, Status: 200, QueueUs: rng.Int64N(5000), FirstByteUs: 20_000 + rng.Int64N(400_000),
			StartedUnixMs: ended - 100 - rng.Int64N(20_000), EndedUnixMs: ended, Attempts: []*usagev1.Attempt{{
				Number: 1, Server: fmt.Sprintf("gpu-%d", k/4000), ServedModel: model, Outcome: usagev1.Outcome_OUTCOME_OK, Status: 200,
				Source: usagev1.Source_SOURCE_REPORTED, DurationUs: 1_000_000, CostNano: rng.Int64N(1e9),
				Usage: &usagev1.Usage{PromptTokens: proto.Int64(rng.Int64N(4000)), CompletionTokens: proto.Int64(rng.Int64N(1000))}}}}}}
	}
	return out
}

// resequence 是同样的内容接在 from 之后。
func resequence(records []*usagev1.Record, from int) []*usagev1.Record {
	out := make([]*usagev1.Record, len(records))
	for i, r := range records {
		out[i] = &usagev1.Record{Seq: uint64(from + i + 1), Body: r.Body}
	}
	return out
}

// startRoller 跑着一个 Roller，直到返回的函数被调用。
func startRoller(t testing.TB, store usage.RollStore, cfg usage.RollerConfig) (reg *prometheus.Registry, stop func()) {
	t.Helper()
	reg = prometheus.NewRegistry()
	r := usage.NewRoller(cfg, usage.RollerDeps{Store: store, Metrics: usage.NewMetrics(reg), Log: zap.NewNop()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return reg, stop
}

func TestFigures_EightNodesReportBatchesOfAThousandWhileTheRollerRuns(t *testing.T) {
	for details, sample := range map[string]float64{"off": 0, "on": 1} {
		t.Run("details="+details, func(t *testing.T) { ingestAtFullSpeed(t, details, sample) })
	}
}

func ingestAtFullSpeed(t *testing.T, details string, sample float64) {
	const nodes, size = 8, 1000
	length := 4 * time.Second
	if testing.Short() {
		length = time.Second
	}
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	conn := connect(t, url)
	settings := usage.DefaultSettings()
	settings.Requests.Sample = sample
	if _, err := store.SaveSettings(t.Context(), settings, func(uint64) error { return nil }); err != nil {
		t.Fatal(err)
	}
	keep(t, store, time.Now())
	r := startReplica(t, store, usage.Config{})
	reg, stopRoller := startRoller(t, store, usage.RollerConfig{})
	var wg sync.WaitGroup
	var total atomic.Int64
	clients, bodies := make([]*client, nodes), make([][]*usagev1.Record, nodes)
	for n := range nodes {
		bodies[n], clients[n] = spread(uint64(n), 2000, size), open(t, r, fmt.Sprintf("node-%d", n), 1)
		clients[n].hello()
	}
	began, cpu := time.Now(), cpuTime()+backendCPU(t, conn)
	for n, c := range clients {
		wg.Go(func() {
			for sent := 0; time.Since(began) < length; sent += size {
				if _, err := c.call(batchOf(c, resequence(bodies[n], sent), sent)); err != nil {
					t.Error(err)
					return
				}
				total.Add(size)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	stopRoller()
	rolled := counter(t, reg, "vega_usage_roll_deltas_total", "")
	drain := time.Now()
	settle(t, store)
	drained := time.Since(drain)
	perRecord := (cpuTime() + backendCPU(t, conn) - cpu).Seconds() * 1e6 / float64(total.Load())
	fmt.Printf("figures: ingest records_per_s=%.0f details=%s nodes=%d batch=%d combos=2000 cpus=%d cpu_us_per_record=%.1f records_per_s_of_two_free_cores=%.0f rolled_meanwhile=%.0f drained_in=%v\n",
		float64(total.Load())/took.Seconds(), details, nodes, size, runtime.NumCPU(), perRecord, 2e6/perRecord, rolled, drained.Round(time.Millisecond))
	conserved(t, store)
	levelsAgree(t, store)
	if n := scalar[int64](t, conn, "SELECT sum(requests)::bigint FROM usage_day_by WHERE dim = 0"); n != total.Load() {
		t.Fatalf("%d requests in the days, %d were acknowledged", n, total.Load())
	}
	if n := scalar[int64](t, conn, "SELECT count(*) FROM usage_request"); n != int64(sample)*total.Load() {
		t.Fatalf("%d requests are kept one by one", n)
	}
}

func TestFigures_TwoHundredNodesAtTwoReplicasDoNotDeadlock(t *testing.T) {
	const nodes, batches, size = 200, 10, 50
	url := pgtest.New(t, migrate)
	stores := []*postgres.Store{openStore(t, url), openStore(t, url)}
	conn := connect(t, url)
	var replicas []*replica
	for _, s := range stores {
		replicas = append(replicas, startReplica(t, s, usage.Config{}))
		startRoller(t, s, usage.RollerConfig{Every: 50 * time.Millisecond})
	}
	journals := make([][]*usagev1.Record, nodes)
	clients := make([]*client, nodes)
	for n := range nodes {
		journals[n] = makeJournal(rand.New(rand.NewPCG(30, uint64(n))), batches*size)
		clients[n] = open(t, replicas[n%2], fmt.Sprintf("node-%d", n), 1)
		clients[n].hello()
	}
	var wg sync.WaitGroup
	var slowest atomic.Int64
	began := time.Now()
	for n, c := range clients {
		wg.Go(func() {
			for i := 0; i < batches*size; i += size {
				sent := time.Now()
				if c.report(journals[n], i, i+size).GetAck().GetHighWater() != uint64(i+size) {
					t.Errorf("node %d was not acknowledged at %d", n, i)
				}
				for took := time.Since(sent).Milliseconds(); took > slowest.Load(); {
					slowest.Store(took)
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	deadlocks := scalar[int](t, conn, "SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()")
	fmt.Printf("figures: ingest nodes=%d deadlocks=%d replicas=2 batches=%d records_per_s=%.0f slowest_batch_ms=%d\n",
		nodes, deadlocks, nodes*batches, float64(nodes*batches*size)/took.Seconds(), slowest.Load())
	if deadlocks != 0 {
		t.Errorf("%d deadlocks", deadlocks)
	}
	verify(t, stores[0], url, journals...)
}

// batchOf 是 sent 之后的一批。
func batchOf(c *client, records []*usagev1.Record, sent int) *usagev1.ReportRequest {
	return &usagev1.ReportRequest{Message: &usagev1.ReportRequest_Batch{Batch: &usagev1.Batch{
		NodeId: c.node, Epoch: c.epoch, FirstSeq: uint64(sent + 1), LastSeq: uint64(sent + len(records)), Records: records, SentUnixMs: time.Now().UnixMilli()}}}
}

func TestFigures_RollingTwoThousandActiveKeysASecond(t *testing.T) {
	url := pgtest.New(t, migrate)
	store := openStore(t, url)
	conn := connect(t, url)
	const rounds, keys = 5, 2000
	var took, used, backend time.Duration
	var rows, deltas int
	for round := range rounds {
		var records []*usagev1.Record
		for k := range keys {
			one := spread(uint64(round*keys+k), 2, 1)[0]
			one.GetRequest().App, one.GetRequest().Attempts[0].Server = fmt.Sprintf("app-%d", k%200), fmt.Sprintf("gpu-%d", k%50)
			one.GetRequest().Model, one.GetRequest().ServedModel = fmt.Sprintf("model-%d", k/200), ""
			records = append(records, &usagev1.Record{Seq: uint64(round*keys + k + 1), Body: one.Body})
		}
		b := usage.Batch{NodeID: "n", Epoch: 1, First: uint64(round*keys + 1), Last: uint64((round + 1) * keys), Records: records, Clock: usage.Clock{Now: time.Now()}}
		if _, err := store.IngestUsage(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		began, cpu, pg := time.Now(), cpuTime(), backendCPU(t, conn)
		r, err := store.RollUsage(t.Context(), 100_000)
		if err != nil {
			t.Fatal(err)
		}
		if round > 0 { // 头一回只是插入
			took, used, rows, deltas = took+time.Since(began), used+cpuTime()-cpu, rows+r.Rows, deltas+r.Deltas
			backend += backendCPU(t, conn) - pg
		}
	}
	fmt.Printf("figures: roll rows_per_s=%.0f keys=%d ms_per_roll=%.0f own_cpu_ms_per_roll=%.0f postgres_cpu_ms_per_roll=%.0f rows_per_roll=%d\n", float64(rows)/took.Seconds(), keys,
		float64(took.Milliseconds())/(rounds-1), float64(used.Milliseconds())/(rounds-1), float64(backend.Milliseconds())/(rounds-1), rows/(rounds-1))
	if deltas != (rounds-1)*keys {
		t.Fatalf("%d deltas were merged", deltas)
	}
	conserved(t, store)
}
