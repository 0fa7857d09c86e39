package subscribe

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/ruleset"

	"github.com/vega-gateway/vega/dataplane/internal/controltest"
	"github.com/vega-gateway/vega/dataplane/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func snapshot(model string) *configv1.Snapshot {
	return &configv1.Snapshot{
		Servers: []*configv1.Server{ruleset.NewServer("gpu-1", "http://127.0.0.1:9001/v1")},
		Models:  []*configv1.Model{{Name: model, Targets: []*configv1.Target{ruleset.NewTarget("gpu-1", model)}}},
		Apps:    []*configv1.App{ruleset.NewApp("team-a")},
	}
}

// node 是一个跑着的订阅者。
type node struct {
	*Subscriber
	holder *state.Holder
	drains chan string
	stop   func()
}

func newSubscriber(t *testing.T, client configv1.ConfigServiceClient, dir string, h *state.Holder, drain func(string)) *Subscriber {
	t.Helper()
	s, err := New(Config{
		NodeID: "n1", Version: "test", Epoch: 42, DataDir: dir, JoinToken: controltest.DefaultJoinToken,
		StatusEvery: 10 * time.Millisecond, BackoffMin: 5 * time.Millisecond, BackoffMax: 50 * time.Millisecond,
		MaxSnapshotBytes: 1 << 20,
	}, Deps{
		Client: client, Holder: h, Drain: drain, Log: zaptest.NewLogger(t),
		Random: func() float64 { return 1 }, // 每次都等满：次数可以算出来
		Status: func() *configv1.NodeStatus {
			return &configv1.NodeStatus{InFlight: 5, LastError: "\xff", Ejections: []*configv1.Ejection{{Server: "gpu-1", Reason: "bad byte \xff\nhere"}}}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func start(t *testing.T, cp *controltest.Server, dir string) *node {
	t.Helper()
	n := &node{holder: state.New(), drains: make(chan string, 8)}
	n.Subscriber = newSubscriber(t, configv1.NewConfigServiceClient(cp.Dial(t)), dir, n.holder, func(r string) { n.drains <- r })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run: %v", err)
			}
			done <- nil
		case <-time.After(10 * time.Second):
			t.Error("run does not end")
		}
	}
	t.Cleanup(n.stop)
	return n
}

func (n *node) serves(t *testing.T, revision uint64, model string) {
	t.Helper()
	st := n.holder.Load()
	if st == nil || st.Revision != revision {
		t.Fatalf("state %+v, want revision %d", st, revision)
	}
	if _, ok := st.Model(model); !ok {
		t.Fatalf("revision %d does not know %s", revision, model)
	}
}

func TestRun_AppliesThenAcknowledges(t *testing.T) {
	cp := controltest.Start(t, controltest.Config{})
	n := start(t, cp, t.TempDir())
	first := cp.WaitHello(t, 1)
	if first.GetNodeId() != "n1" || first.GetEpoch() != 42 || first.GetRevision() != 0 || len(first.GetDigest()) != 0 {
		t.Errorf("hello %v", first)
	}
	for i := range 5 {
		model := fmt.Sprint("m", i)
		rev := cp.Push(t, snapshot(model))
		ack := cp.WaitAck(t, rev)
		n.serves(t, rev, model)
		if digest := n.holder.Load().Digest; string(ack.GetDigest()) != string(digest[:]) {
			t.Error("digest of the ACK")
		}
	}
	if !n.Connected() || n.LastError() != "" {
		t.Errorf("connected %v, error %q", n.Connected(), n.LastError())
	}
	st := cp.WaitStatus(t, "n1", func(s *configv1.NodeStatus) bool { return s.GetInFlight() == 5 })
	if reason := st.GetEjections()[0].GetReason(); reason != "bad byte \ufffd here" { // 上游的字节坏不了流
		t.Errorf("%q", reason)
	}
}

func TestRun_RefusesBadSnapshotsAndKeepsTheOld(t *testing.T) {
	cp := controltest.Start(t, controltest.Config{})
	n := start(t, cp, t.TempDir())
	rev := cp.Push(t, snapshot("good"))
	cp.WaitAck(t, rev)

	dangling := snapshot("m")
	dangling.Models[0].Targets[0].Server = "gone"
	invalid := controltest.Update(t, rev+1, dangling)
	wrongDigest := controltest.Update(t, rev+2, snapshot("x"))
	wrongDigest.Digest = make([]byte, 32)
	shortDigest := controltest.Update(t, rev+3, snapshot("x"))
	shortDigest.Digest = []byte("short")
	notZstd := controltest.Update(t, rev+4, snapshot("y"))
	notZstd.Snapshot = []byte("not zstd")
	encoding := controltest.Update(t, rev+5, snapshot("z"))
	encoding.Encoding = 77
	garbage := []byte("\xff\xff\xff\xff garbage")
	sum := sha256.Sum256(garbage)
	notProto := &configv1.SnapshotUpdate{Revision: rev + 6, Digest: sum[:], Snapshot: garbage, Encoding: configv1.Encoding_ENCODING_IDENTITY}
	unheld := &configv1.SnapshotUpdate{Revision: rev + 7, Digest: make([]byte, 32), Unchanged: true}
	unheld.Digest[0] = 9
	bomb := snapshot("bomb")
	bomb.Servers[0].CaPem = strings.Repeat("a", 2<<20) // 压得很小，解开超过上限
	tooLarge := controltest.Update(t, rev+8, bomb)

	for text, u := range map[string]*configv1.SnapshotUpdate{
		`models[0].targets[0].server: server "gone" does not exist`: invalid,
		"digest does not match":  wrongDigest,
		"digest is 5 bytes":      shortDigest,
		"decompress":             notZstd,
		"unknown encoding 77":    encoding,
		"decode the snapshot":    notProto,
		"marked unchanged":       unheld,
		"decompressed size exce": tooLarge,
	} {
		cp.PushUpdate(u)
		nack := cp.WaitNack(t, u.GetRevision())
		if !strings.Contains(nack.GetReason(), text) || strings.ContainsAny(nack.GetReason(), "\r\n") || len(nack.GetReason()) > maxReason+3 {
			t.Errorf("revision %d: reason %q, want %q", u.GetRevision(), nack.GetReason(), text)
		}
		if string(nack.GetDigest()) != string(u.GetDigest()) || !strings.Contains(n.LastError(), text) {
			t.Errorf("nack %v, last error %q", nack, n.LastError())
		}
		n.serves(t, rev, "good")
	}
	cp.PushUpdate(controltest.Update(t, rev+20, snapshot("after")))
	cp.WaitAck(t, rev+20)
	n.serves(t, rev+20, "after")
	if n.LastError() != "" {
		t.Errorf("error stays: %q", n.LastError())
	}
}

func TestRun_ObeysALowerRevision(t *testing.T) {
	cp := controltest.Start(t, controltest.Config{})
	n := start(t, cp, "")
	cp.PushUpdate(controltest.Update(t, 50, snapshot("new")))
	cp.WaitAck(t, 50)
	cp.PushUpdate(controltest.Update(t, 3, snapshot("restored")))
	cp.WaitAck(t, 3)
	n.serves(t, 3, "restored")
}

func TestRun_UnchangedContentOnlyMovesTheRevision(t *testing.T) {
	cp := controltest.Start(t, controltest.Config{})
	n := start(t, cp, "")
	cp.PushUpdate(controltest.Update(t, 1, snapshot("m")))
	cp.WaitAck(t, 1)
	before, _ := n.holder.Load().Model("m")
	u := controltest.Update(t, 2, snapshot("m"))
	u.Snapshot, u.Encoding, u.Unchanged = nil, 0, true
	cp.PushUpdate(u)
	cp.WaitAck(t, 2)
	n.serves(t, 2, "m")
	if after, _ := n.holder.Load().Model("m"); after != before {
		t.Error("compiled again")
	}
}

func TestRun_ReconnectsAndReportsWhatItHolds(t *testing.T) {
	cp := controltest.Start(t, controltest.Config{})
	n := start(t, cp, "")
	rev := cp.Push(t, snapshot("a"))
	cp.WaitAck(t, rev)
	cp.DropStreams()
	if h := cp.WaitHello(t, 2); h.GetRevision() != rev || len(h.GetDigest()) != 32 {
		t.Errorf("hello %v", h)
	}
	cp.Stop()
	for n.Connected() {
		time.Sleep(time.Millisecond)
	}
	n.serves(t, rev, "a")
	next := cp.Push(t, snapshot("b")) // 停机之间改的
	cp.Restart(t)
	cp.WaitAck(t, next)
	n.serves(t, next, "b")
}

func TestRun_WrongJoinTokenNeverGetsAConfiguration(t *testing.T) {
	cp := controltest.Start(t, controltest.Config{})
	cp.Push(t, snapshot("m"))
	h := state.New()
	s := newSubscriber(t, configv1.NewConfigServiceClient(cp.DialWithToken(t, "wrong")), "", h, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if err := s.Run(ctx); err != nil || h.Load() != nil || s.Connected() {
		t.Errorf("%v %v", err, h.Load())
	}
}

func TestRun_PassesOnDrain(t *testing.T) {
	cp := controltest.Start(t, controltest.Config{})
	n := start(t, cp, "")
	cp.WaitHello(t, 1)
	cp.Drain("maintenance")
	if got := <-n.drains; got != "maintenance" {
		t.Error(got)
	}
}

func TestRun_PassesOnBudgets(t *testing.T) {
	cp := controltest.Start(t, controltest.Config{})
	heard := make(chan *configv1.Budgets, 1)
	s := newSubscriber(t, configv1.NewConfigServiceClient(cp.Dial(t)), "", state.New(), nil)
	s.deps.Budgets = func(b *configv1.Budgets) { heard <- b }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	cp.WaitHello(t, 1)
	cp.Budgets(&configv1.Budgets{Nodes: 3, Apps: []*configv1.BudgetStatus{{App: "team-a", SpentTokens: 7}}})
	if b := <-heard; b.GetNodes() != 3 || b.GetApps()[0].GetSpentTokens() != 7 {
		t.Errorf("%v", b)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRun_TheSameBadSnapshotAgainWaitsForTheBackoff(t *testing.T) {
	cp := controltest.Start(t, controltest.Config{})
	n := start(t, cp, "")
	cp.WaitHello(t, 1)
	bad := snapshot("m")
	bad.Models[0].Targets = nil
	u := controltest.Update(t, 1, bad)
	begin := time.Now()
	for len(cp.Nacks()) < 8 {
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("%d NACKs: a snapshot sent again and again gets no answer", len(cp.Nacks()))
		}
		cp.PushUpdate(u)
		time.Sleep(time.Millisecond)
	}
	// 头一次立刻，其后等 5、10、20、40、50、50、50 ms。
	if d := time.Since(begin); d < 225*time.Millisecond {
		t.Errorf("8 NACKs in %v", d)
	}
	good := controltest.Update(t, 2, snapshot("good"))
	cp.PushUpdate(good) // 好的一份不因此受罚
	cp.WaitAck(t, 2)
	n.serves(t, 2, "good")
}

func TestCompile_APanicIsOnlyARefusal(t *testing.T) {
	s := newSubscriber(t, panicky{}, "", state.New(), nil)
	st, err := s.guard(func() (*state.State, error) { panic("hunter2") })
	if st != nil || err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "panic") {
		t.Errorf("%v %v", st, err)
	}
}

// panicky 从不被调用。
type panicky struct{ configv1.ConfigServiceClient }

// refusing 是一连就断的客户端，数着被连了几次。
type refusing struct {
	configv1.ConfigServiceClient
	calls atomic.Int64
}

func (r *refusing) Watch(context.Context, ...grpc.CallOption) (grpc.BidiStreamingClient[configv1.WatchRequest, configv1.WatchResponse], error) {
	r.calls.Add(1)
	return nil, errors.New("refused")
}

func TestRun_BacksOffWhileTheControlPlaneIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &refusing{}
		s := newSubscriber(t, r, "", state.New(), nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		// 0、5、15、35、75 ms，其后每 50 ms 一次。
		if n := r.calls.Load(); n != 5+18 {
			t.Errorf("%d attempts in a second", n)
		}
	})
}

// deaf 是不收消息的控制面：Hello 之后的每条都停在流控上，直到流断。
type deaf struct {
	grpc.BidiStreamingClient[configv1.WatchRequest, configv1.WatchResponse]
	ctx    context.Context
	opened *atomic.Int64
}

func (d deaf) Watch(ctx context.Context, _ ...grpc.CallOption) (configv1.ConfigService_WatchClient, error) {
	d.opened.Add(1)
	d.ctx = ctx
	return &d, nil
}

func (d *deaf) Send(m *configv1.WatchRequest) error {
	if m.GetHello() != nil {
		return nil
	}
	<-d.ctx.Done()
	return d.ctx.Err()
}

func (d *deaf) Recv() (*configv1.WatchResponse, error) {
	<-d.ctx.Done()
	return nil, d.ctx.Err()
}

func TestRun_LeavesAControlPlaneThatTakesNoMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened atomic.Int64
		s := newSubscriber(t, deaf{opened: &opened}, "", state.New(), nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(sendTimeout + time.Second)
		if n := opened.Load(); n < 2 {
			t.Errorf("%d streams", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestBoot_ServesFromDiskWithoutAControlPlane(t *testing.T) {
	dir := t.TempDir()
	cp := controltest.Start(t, controltest.Config{})
	n := start(t, cp, dir)
	cp.WaitAck(t, cp.Push(t, snapshot("one")))
	cp.WaitAck(t, cp.Push(t, snapshot("two")))
	n.stop() // 等着存的一份已经存好
	info, err := os.Stat(filepath.Join(dir, "config.lkg"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	h := state.New()
	s := newSubscriber(t, &refusing{}, dir, h, nil)
	if !s.Boot() {
		t.Fatal("nothing was loaded")
	}
	<-h.Ready()
	(&node{holder: h}).serves(t, 2, "two")
}

func TestBoot_HelloTellsWhatWasLoaded(t *testing.T) {
	dir := t.TempDir()
	cp := controltest.Start(t, controltest.Config{})
	n := start(t, cp, dir)
	rev := cp.Push(t, snapshot("one"))
	cp.WaitAck(t, rev)
	n.stop()
	h := state.New()
	s := newSubscriber(t, configv1.NewConfigServiceClient(cp.Dial(t)), dir, h, nil)
	s.Boot()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	if hello := cp.WaitHello(t, 2); hello.GetRevision() != rev || len(hello.GetDigest()) != 32 {
		t.Errorf("hello %v", hello)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestNew_RefusesIncompleteSettings(t *testing.T) {
	deps := Deps{Client: panicky{}, Holder: state.New()}
	for _, c := range []struct {
		cfg  Config
		deps Deps
	}{{Config{}, deps}, {Config{NodeID: "n"}, Deps{Client: panicky{}}}, {Config{NodeID: "n"}, Deps{Holder: state.New()}}, {Config{NodeID: "n", DataDir: "d"}, deps}} {
		if _, err := New(c.cfg, c.deps); err == nil {
			t.Errorf("%+v accepted", c.cfg)
		}
	}
}

// BenchmarkCompile10000Apps 是一份大配置从字节到可用的全程：解压、核对、解码、编译。
func BenchmarkCompile10000Apps(b *testing.B) {
	snap := snapshot("m")
	snap.KeyPepper = []byte(controltest.Pepper)
	for i := range 10_000 {
		name := fmt.Sprint("app-", i)
		snap.Apps = append(snap.Apps, ruleset.NewApp(name))
		snap.Keys = append(snap.Keys, controltest.Key(name, name, name))
	}
	u := controltest.Update(b, 1, snap)
	s, err := New(Config{NodeID: "n"}, Deps{Client: panicky{}, Holder: state.New()})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(u.GetSnapshot())), "wire-bytes")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.compile(u); err != nil {
			b.Fatal(err)
		}
	}
}
