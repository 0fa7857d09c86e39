package report

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"
	"google.golang.org/protobuf/proto"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

	"github.com/vega-gateway/vega/dataplane/internal/controltest"
	"github.com/vega-gateway/vega/dataplane/internal/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func request(id string) *usagev1.Request {
	return &usagev1.Request{Id: id, Attempts: []*usagev1.Attempt{{Number: 1, Usage: &usagev1.Usage{PromptTokens: proto.Int64(2)}}}}
}

// rig 是一个跑着的报告者、它的记录与对面。
type rig struct {
	*Reporter
	cp   *controltest.Server
	j    *journal.Journal
	stop func()
}

func start(t *testing.T, cfg Config, jcfg journal.Config) *rig {
	t.Helper()
	r := &rig{cp: controltest.Start(t, controltest.Config{}), j: journal.New(jcfg)}
	r.run(t, cfg)
	return r
}

func (r *rig) run(t *testing.T, cfg Config) {
	t.Helper()
	cfg.NodeID = "n1"
	if cfg.Tick == 0 {
		cfg.Tick = 10 * time.Millisecond
	}
	cfg.BackoffMin, cfg.BackoffMax = 5*time.Millisecond, 50*time.Millisecond
	var err error
	r.Reporter, err = New(cfg, Deps{Client: usagev1.NewUsageServiceClient(r.cp.Dial(t)), Journal: r.j, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("run does not end")
		}
	})
	t.Cleanup(r.stop)
}

func (r *rig) add(from, n int) {
	for i := range n {
		r.j.Open(journal.Opening{}).Close(request(fmt.Sprint("r", from+i)))
	}
}

func (r *rig) flush(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// exactlyOnce 断言账上是 r0..r(n-1) 各一次，并且账从没对不上。
func (r *rig) exactlyOnce(t *testing.T, n int) controltest.Ledger {
	t.Helper()
	l := r.cp.Ledger("n1", r.j.Epoch())
	seen := make(map[string]int)
	for _, q := range l.Requests() {
		seen[q.GetId()]++
	}
	for i := range n {
		if id := fmt.Sprint("r", i); seen[id] != 1 {
			t.Errorf("%s counted %d times", id, seen[id])
		}
	}
	if len(seen) != n || l.Totals.Requests != int64(n) || l.Totals.Prompt != int64(2*n) {
		t.Errorf("%d different requests, totals %+v, want %d", len(seen), l.Totals, n)
	}
	if l.Mismatches != 0 || len(l.Faults) != 0 {
		t.Errorf("mismatches %d, faults %v", l.Mismatches, l.Faults)
	}
	return l
}

func TestRun_ReportsWithinATickAndExactlyOnce(t *testing.T) {
	r := start(t, Config{}, journal.Config{})
	r.add(0, 3)
	r.cp.WaitTotals(t, "three requests", func(s journal.Totals) bool { return s.Requests == 3 })
	r.add(3, 5_000)
	r.flush(t)
	l := r.exactlyOnce(t, 5_003)
	if l.Duplicates != 0 || l.Resends != 0 {
		t.Errorf("duplicates %d, resends %d", l.Duplicates, l.Resends)
	}
	if s := r.j.Stats(); s.Unreported != 0 || s.Dropped != 0 || s.InFlight != 0 {
		t.Errorf("%+v", s)
	}
	if h := r.cp.UsageHellos()[0]; h.GetNodeId() != "n1" || h.GetEpoch() != r.j.Epoch() || h.GetFirstSeq() != 1 || h.GetLastSeq() != h.GetFirstSeq()-1 && h.GetLastSeq() > 5_003 {
		t.Errorf("hello %v", h)
	}
	if !r.Connected() {
		t.Error("not connected")
	}
}

func TestRun_AFullBatchDoesNotWaitForTheTick(t *testing.T) {
	r := start(t, Config{Tick: time.Hour, BatchRecords: 10}, journal.Config{WakeAt: 10})
	r.add(0, 25)
	l := r.cp.WaitCursor(t, "n1", r.j.Epoch(), 20)
	if l.Cursor != 20 { // 余下五条等下一拍
		t.Errorf("cursor %d", l.Cursor)
	}
	r.flush(t) // 不等那一拍
	r.exactlyOnce(t, 25)
}

func TestRun_RefusalsAreReportedThoughNothingFollows(t *testing.T) {
	r := start(t, Config{}, journal.Config{})
	r.j.Refuse("a", "m", "queue_full")
	r.cp.WaitTotals(t, "the refusal", func(s journal.Totals) bool { return s.Refused == 1 })
}

func TestRun_SurvivesDroppedStreamsAndLostAcks(t *testing.T) {
	r := start(t, Config{BatchRecords: 7}, journal.Config{})
	for i := range 20 {
		r.add(i*50, 50)
		switch i % 4 {
		case 0:
			r.cp.DropStreams()
		case 1:
			r.cp.LoseAcks(1)
		case 2:
			r.cp.DelayAcks(2 * time.Millisecond)
		case 3:
			r.cp.DelayAcks(0)
		}
		time.Sleep(time.Millisecond)
	}
	r.flush(t)
	r.exactlyOnce(t, 1_000)
}

func TestRun_CatchesUpAfterTheControlPlaneWasAway(t *testing.T) {
	r := start(t, Config{}, journal.Config{})
	r.add(0, 10)
	r.flush(t)
	r.cp.Stop()
	r.add(10, 3_000)
	r.cp.Restart(t)
	r.flush(t)
	r.exactlyOnce(t, 3_010)
}

func TestRun_AFullRingIsReportedAsAGapOfExactSize(t *testing.T) {
	r := start(t, Config{}, journal.Config{MaxRecords: 100, KeepAcked: 10})
	r.add(0, 30)
	r.flush(t)
	r.cp.Stop()
	for r.Connected() {
		time.Sleep(time.Millisecond)
	}
	r.add(30, 500)
	r.cp.Restart(t)
	r.flush(t)
	l := r.cp.Ledger("n1", r.j.Epoch())
	if len(l.Gaps()) != 1 || l.Totals.Lost != 400 || len(l.Requests()) != 130 {
		t.Fatalf("gaps %v, totals %+v", l.Gaps(), l.Totals)
	}
	if l.Totals.Requests != 530 || l.Totals.Prompt != 1_060 || l.Mismatches != 0 {
		t.Errorf("totals %+v, mismatches %d", l.Totals, l.Mismatches)
	}
	if s := r.j.Stats(); s.Dropped != 400 || s.Unreported != 0 {
		t.Errorf("%+v", s)
	}
}

func TestRun_HealsADatabaseThatWentBackInTime(t *testing.T) {
	for _, c := range []struct {
		name string
		keep int
		lost int64
		drop bool
	}{{"held, on reconnect", 1_000, 0, true}, {"held, on a living stream", 1_000, 0, false}, {"partly gone", 20, 60, true}} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, Config{BatchRecords: 10}, journal.Config{KeepAcked: c.keep})
			r.add(0, 20)
			r.flush(t)
			for i := range 8 {
				r.add(20+10*i, 10)
				r.flush(t)
			}
			r.cp.Regress("n1", r.j.Epoch(), 20)
			if c.drop {
				r.cp.DropStreams()
			}
			r.add(100, 10)
			l := r.cp.WaitCursor(t, "n1", r.j.Epoch(), 110)
			if l.Totals.Requests != 110 || l.Totals.Lost != c.lost || l.Mismatches != 0 {
				t.Errorf("totals %+v, mismatches %d, gaps %v", l.Totals, l.Mismatches, l.Gaps())
			}
			if c.lost == 0 {
				r.exactlyOnce(t, 110)
			}
		})
	}
}

func TestRun_OneResendCostsOneRoundNotOnePerBatch(t *testing.T) {
	r := start(t, Config{BatchRecords: 10, Window: 4}, journal.Config{WakeAt: 10})
	r.add(0, 100)
	r.flush(t)
	r.cp.DelayAcks(20 * time.Millisecond)
	r.cp.Regress("n1", r.j.Epoch(), 50)
	r.add(100, 100)
	r.flush(t)
	l := r.exactlyOnce(t, 200)
	if l.Resends > 4 {
		t.Errorf("%d resends", l.Resends)
	}
}

func TestRun_SilentControlPlaneIsLeftAfterTheTimeout(t *testing.T) {
	r := start(t, Config{AckTimeout: 50 * time.Millisecond}, journal.Config{})
	r.add(0, 1)
	r.flush(t)
	r.cp.DelayAcks(time.Hour)
	r.add(1, 1)
	r.cp.WaitCursor(t, "n1", r.j.Epoch(), 2)
	r.cp.WaitTotals(t, "the second hello", func(journal.Totals) bool { return true })
	r.cp.DelayAcks(0)
	r.flush(t) // 新的流上 Hello 的应答就带着确认
	r.exactlyOnce(t, 2)
}

func TestRun_ControlPlaneThatTakesNoBatchesIsLeftAfterTheTimeout(t *testing.T) {
	r := &rig{cp: controltest.Start(t, controltest.Config{}), j: journal.New(journal.Config{})}
	r.cp.DelayAcks(time.Hour) // 它收下头两批就不再读：再送的停在流控上
	r.run(t, Config{AckTimeout: time.Second, Window: 8, BatchRecords: 2_000})
	for range 20_000 {
		r.j.Open(journal.Opening{}).Close(request(strings.Repeat("x", 256)))
	}
	for deadline := time.Now().Add(10 * time.Second); len(r.cp.UsageHellos()) < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still waiting for a control plane that takes nothing")
		}
	}
	r.cp.DelayAcks(0)
	r.cp.DropStreams()
	r.flush(t)
	if l := r.cp.Ledger("n1", r.j.Epoch()); l.Totals.Requests != 20_000 || l.Mismatches != 0 {
		t.Errorf("%+v, mismatches %d", l.Totals, l.Mismatches)
	}
}

func TestRun_RandomFaultsNeverLoseOrDouble(t *testing.T) {
	r := start(t, Config{BatchRecords: 5, Window: 3}, journal.Config{KeepAcked: 100_000})
	r.exactlyOnce(t, r.storm(t, rand.New(rand.NewPCG(3, 4)), 60))
}

// TestRun_RandomFaultsOnAFullRingKeepTheSumsExact：丢掉的也在 Gap 的总数里，因此请求与 token 的和仍然一个不差。
func TestRun_RandomFaultsOnAFullRingKeepTheSumsExact(t *testing.T) {
	r := start(t, Config{BatchRecords: 5, Window: 3}, journal.Config{MaxRecords: 60, KeepAcked: 10})
	n := r.storm(t, rand.New(rand.NewPCG(5, 6)), 60)
	l := r.cp.Ledger("n1", r.j.Epoch())
	if l.Totals.Requests != int64(n) || l.Totals.Prompt != int64(2*n) || l.Totals.Lost == 0 || len(l.Faults) != 0 {
		t.Errorf("totals %+v, want %d requests, faults %v", l.Totals, n, l.Faults)
	}
	seen := make(map[string]bool)
	for _, q := range l.Requests() {
		if seen[q.GetId()] {
			t.Errorf("%s counted twice", q.GetId())
		}
		seen[q.GetId()] = true
	}
	if int64(len(seen))+l.Totals.Lost != int64(n) {
		t.Errorf("%d counted one by one and %d lost, want %d", len(seen), l.Totals.Lost, n)
	}
}

// storm 一边追加一边出岔子，返回追加的总数；返回时一切都已确认。
func (r *rig) storm(t *testing.T, random *rand.Rand, rounds int) (total int) {
	t.Helper()
	for range rounds {
		n := random.IntN(40)
		r.add(total, n)
		total += n
		switch random.IntN(6) {
		case 0:
			r.cp.DropStreams()
		case 1:
			r.cp.LoseAcks(random.IntN(3))
		case 2:
			r.cp.Regress("n1", r.j.Epoch(), random.Uint64N(uint64(total+1)))
		case 3:
			r.flush(t)
		case 4:
			r.cp.DelayAcks(time.Duration(random.IntN(3)) * time.Millisecond)
		case 5:
			r.cp.Restart(t)
		}
	}
	r.cp.LoseAcks(0)
	r.cp.DropStreams() // 最后一次回退可能还没被察觉
	r.add(total, 1)
	r.flush(t)
	r.cp.WaitCursor(t, "n1", r.j.Epoch(), uint64(total+1))
	return total + 1
}

func TestFlush_SaysHowMuchIsLeftWhenTimeRunsOut(t *testing.T) {
	r := start(t, Config{}, journal.Config{})
	r.flush(t) // 空的立刻返回
	r.cp.Stop()
	r.add(0, 4)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := r.Flush(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "4 records unreported") {
		t.Errorf("%v", err)
	}
}

func TestFlush_DoesNotWaitForTheBackoff(t *testing.T) {
	cp := controltest.Start(t, controltest.Config{})
	r := &rig{cp: cp, j: journal.New(journal.Config{})}
	r.add(0, 1)
	var err error
	r.Reporter, err = New(Config{NodeID: "n1", BackoffMin: time.Hour, BackoffMax: time.Hour},
		Deps{Client: usagev1.NewUsageServiceClient(cp.DialWithToken(t, "wrong")), Journal: r.j, Random: func() float64 { return 1 }})
	if err != nil {
		t.Fatal(err)
	}
	r.deps.Client = &switching{wrong: r.deps.Client, right: usagev1.NewUsageServiceClient(cp.Dial(t))}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	for r.deps.Client.(*switching).calls() == 0 {
		time.Sleep(time.Millisecond)
	}
	r.flush(t)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.exactlyOnce(t, 1)
}

func TestNew_RefusesIncompleteSettings(t *testing.T) {
	if _, err := New(Config{}, Deps{}); err == nil {
		t.Error("no node id")
	}
	if _, err := New(Config{NodeID: "n"}, Deps{}); err == nil {
		t.Error("no client")
	}
}
