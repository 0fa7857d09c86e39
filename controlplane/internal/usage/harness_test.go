package usage_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }

func migrate(ctx context.Context, url string) error {
	_, err := postgres.Migrate(ctx, url)
	return err
}

func openStore(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, 16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// replica 是一个控制面副本的用量一侧。
type replica struct {
	addr string
	reg  *prometheus.Registry
	stop func()
}

func startReplica(t testing.TB, store usage.Store, cfg usage.Config) *replica {
	t.Helper()
	reg := prometheus.NewRegistry()
	svc := usage.New(cfg, usage.Deps{Store: store, Metrics: usage.NewMetrics(reg), Log: zap.NewNop()})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(grpc.MaxRecvMsgSize(16 << 20))
	usagev1.RegisterUsageServiceServer(srv, svc)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = svc.Run(ctx) })
	wg.Go(func() { _ = srv.Serve(lis) })
	r := &replica{addr: lis.Addr().String(), reg: reg}
	r.stop = sync.OnceFunc(func() { cancel(); srv.GracefulStop(); wg.Wait() })
	t.Cleanup(r.stop)
	return r
}

type client struct {
	t      testing.TB
	node   string
	epoch  uint64
	stream grpc.BidiStreamingClient[usagev1.ReportRequest, usagev1.ReportResponse]
}

func open(t testing.TB, r *replica, node string, epoch uint64) *client {
	t.Helper()
	conn, err := grpc.NewClient(r.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); _ = conn.Close() })
	stream, err := usagev1.NewUsageServiceClient(conn).Report(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t: t, node: node, epoch: epoch, stream: stream}
}

func (c *client) call(req *usagev1.ReportRequest) (*usagev1.ReportResponse, error) {
	if err := c.stream.Send(req); err != nil {
		_, err = c.stream.Recv()
		return nil, err
	}
	return c.stream.Recv()
}

func (c *client) hello() uint64 {
	c.t.Helper()
	resp, err := c.call(&usagev1.ReportRequest{Message: &usagev1.ReportRequest_Hello{Hello: &usagev1.Hello{
		NodeId: c.node, Epoch: c.epoch, FirstSeq: 1, Durable: true, SentUnixMs: time.Now().UnixMilli()}}})
	if err != nil || resp.GetAck() == nil {
		c.t.Fatalf("hello: %v %v", resp, err)
	}
	return resp.GetAck().GetHighWater()
}

// report 送出 journal[i:j]，返回应答。
func (c *client) report(journal []*usagev1.Record, i, j int) *usagev1.ReportResponse {
	c.t.Helper()
	resp, err := c.call(&usagev1.ReportRequest{Message: &usagev1.ReportRequest_Batch{Batch: &usagev1.Batch{
		NodeId: c.node, Epoch: c.epoch, FirstSeq: uint64(i + 1), LastSeq: uint64(j), Records: journal[i:j],
		Cumulative: sum(journal[:j]), SentUnixMs: time.Now().UnixMilli()}}})
	if err != nil {
		c.t.Fatalf("batch %d..%d: %v", i+1, j, err)
	}
	return resp
}

// makeJournal 造 n 条记录：九成请求，一成拒绝；名字取自少数几个，热行很热。
func makeJournal(rng *rand.Rand, n int) []*usagev1.Record {
	out := make([]*usagev1.Record, n)
	now := time.Now()
	for i := range out {
		r := &usagev1.Record{Seq: uint64(i + 1)}
		app := fmt.Sprintf("app-%d", rng.IntN(5))
		model := fmt.Sprintf("model-%d", rng.IntN(3))
		if rng.IntN(10) == 0 {
			r.Body = &usagev1.Record_Refusals{Refusals: &usagev1.Refusals{
				SecondUnix: now.Unix(), App: app, Model: model, Code: "queue_full", Count: 1 + rng.Int64N(5)}}
		} else {
			r.Body = &usagev1.Record_Request{Request: makeRequest(rng, now, app, model)}
		}
		out[i] = r
	}
	return out
}

func makeRequest(rng *rand.Rand, now time.Time, app, model string) *usagev1.Request {
	q := &usagev1.Request{App: app, Model: model, Outcome: usagev1.Outcome(1 + rng.IntN(6)), QueueUs: rng.Int64N(1000),
		StartedUnixMs: now.UnixMilli() - 60_000, EndedUnixMs: now.UnixMilli() - rng.Int64N(50_000)}
	for i := range 1 + rng.IntN(2) {
		q.Attempts = append(q.Attempts, &usagev1.Attempt{
			Number: int32(i + 1), Server: fmt.Sprintf("gpu-%d", rng.IntN(4)), ServedModel: model, Outcome: usagev1.Outcome_OUTCOME_OK,
			Source: usagev1.Source_SOURCE_REPORTED, DurationUs: 10, CostNano: rng.Int64N(1e6),
			Usage: &usagev1.Usage{PromptTokens: proto.Int64(rng.Int64N(1000)), CompletionTokens: proto.Int64(rng.Int64N(1000)),
				CachedTokens: proto.Int64(rng.Int64N(10)), ReasoningTokens: proto.Int64(rng.Int64N(10))}})
	}
	return q
}

// sum 是天真的模型：逐条相加。
func sum(records []*usagev1.Record) *usagev1.Totals {
	t := &usagev1.Totals{}
	for _, r := range records {
		t.Refused += r.GetRefusals().GetCount()
		if r.GetRequest() == nil {
			continue
		}
		t.Requests++
		for _, a := range r.GetRequest().GetAttempts() {
			t.Attempts++
			t.CostNano += a.GetCostNano()
			t.PromptTokens += a.GetUsage().GetPromptTokens()
			t.CompletionTokens += a.GetUsage().GetCompletionTokens()
			t.CachedTokens += a.GetUsage().GetCachedTokens()
			t.ReasoningTokens += a.GetUsage().GetReasoningTokens()
		}
	}
	return t
}

type group struct{ server, app, model, code string }

// expect 按 server、app、model、拒绝的错误码逐条相加，独立于入库所用的代码。
func expect(journals ...[]*usagev1.Record) map[group]map[string]int64 {
	out := map[group]map[string]int64{}
	add := func(g group, column string, n int64) {
		if out[g] == nil {
			out[g] = map[string]int64{}
		}
		out[g][column] += n
	}
	for _, j := range journals {
		for _, r := range j {
			if f := r.GetRefusals(); f != nil {
				add(group{"", f.GetApp(), f.GetModel(), f.GetCode()}, "refused", f.GetCount())
				continue
			}
			q := r.GetRequest()
			g := group{app: q.GetApp(), model: q.GetModel()}
			for _, a := range q.GetAttempts() {
				g.server = a.GetServer()
				u := a.GetUsage()
				add(g, "attempts", 1)
				add(g, "attempts_with_usage", 1)
				add(g, "cost_nano", a.GetCostNano())
				add(g, "upstream_us", a.GetDurationUs())
				add(g, "prompt_tokens", u.GetPromptTokens())
				add(g, "completion_tokens", u.GetCompletionTokens())
				add(g, "cached_tokens", u.GetCachedTokens())
				add(g, "reasoning_tokens", u.GetReasoningTokens())
			}
			add(g, "requests", 1)
			add(g, "queue_us", q.GetQueueUs())
			add(g, "duration_us", (q.GetEndedUnixMs()-q.GetStartedUnixMs())*1000)
			if column := map[usagev1.Outcome]string{
				usagev1.Outcome_OUTCOME_CLIENT_ERROR: "errors_client", usagev1.Outcome_OUTCOME_UPSTREAM_ERROR: "errors_upstream",
				usagev1.Outcome_OUTCOME_GATEWAY_ERROR: "errors_gateway", usagev1.Outcome_OUTCOME_LIMITED: "errors_limit",
				usagev1.Outcome_OUTCOME_ABORTED: "aborted"}[q.GetOutcome()]; column != "" {
				add(g, column, 1)
			}
		}
	}
	return out
}

// settle 并到一行增量也不剩。
func settle(t testing.TB, store *postgres.Store) {
	t.Helper()
	for {
		r, err := store.RollUsage(context.Background(), 20_000)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Busy && r.Deltas == 0 {
			return
		}
	}
}

// connect 直接看表。
func connect(t testing.TB, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url) // 驱动由 postgres 包登记
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1) // 临时表只在一条连接上看得见
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// stored 读出一级里每组不为零的各栏。
func stored(t testing.TB, conn *sql.DB, table string) map[group]map[string]int64 {
	t.Helper()
	columns := usage.CounterColumns()
	rows, err := conn.QueryContext(context.Background(), "SELECT server, app, model, code, sum("+strings.Join(columns[:], ")::bigint, sum(")+")::bigint FROM "+table+" GROUP BY 1, 2, 3, 4")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[group]map[string]int64{}
	for rows.Next() {
		var g group
		var n [usage.NumCounters]int64
		into := []any{&g.server, &g.app, &g.model, &g.code}
		for i := range n {
			into = append(into, &n[i])
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		out[g] = map[string]int64{}
		for i, c := range columns {
			out[g][c] = n[i]
		}
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return out
}

// verify 断言每一级里都恰好是这些记录，且守恒。
func verify(t testing.TB, store *postgres.Store, url string, journals ...[]*usagev1.Record) {
	t.Helper()
	conserved(t, store)
	settle(t, store)
	conserved(t, store)
	conn := connect(t, url)
	want := expect(journals...)
	for _, table := range []string{"usage_minute", "usage_hour", "usage_day"} {
		got := stored(t, conn, table)
		if len(got) != len(want) {
			t.Fatalf("%s: %d groups, want %d", table, len(got), len(want))
		}
		for g, columns := range got {
			for c, n := range columns {
				if n != want[g][c] {
					t.Fatalf("%s %v: %s is %d, want %d", table, g, c, n, want[g][c])
				}
			}
		}
	}
}

func conserved(t testing.TB, store *postgres.Store) {
	t.Helper()
	diff, err := store.UsageConservation(context.Background())
	if err != nil || diff != (usage.Totals{}) {
		t.Fatalf("not conserved: %+v %v", diff, err)
	}
}

func counter(t testing.TB, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || m.GetLabel()[0].GetValue() == label {
				total += m.GetCounter().GetValue()
			}
		}
	}
	return total
}
