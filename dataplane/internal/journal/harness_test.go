package journal

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

	"github.com/vega-gateway/vega/dataplane/internal/segments"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	goleak.VerifyTestMain(m)
}

// onDisk 打开 dir 里的记录；测试结束时停下。
func onDisk(t testing.TB, dir string, cfg Config) *Journal {
	t.Helper()
	j, err := OpenDir(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Shut() })
	return j
}

// onFake 打开 d 上的记录。
func onFake(t testing.TB, d *fakeDisk, cfg Config) *Journal {
	cfg.Segments.Files = d
	return onDisk(t, "", cfg)
}

// running 使 j 的 Run 跑着；返回停它的办法。
func running(t testing.TB, j *Journal) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- j.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// wait 等 ok 为真。
func wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting for %s", what)
		}
	}
}

func opening(id string) Opening {
	return Opening{ID: id, KeyID: "k1", App: "a", Model: "m", Endpoint: "/v1/chat/completions", StartedUnixMS: 1_000, QueueUS: 5, Revision: 3,
		Call: Call{Number: 1, Server: "s", UpstreamModel: "u", ServedModel: "m", StartedUnixMS: 1_010}}
}

// add 记下 n 个做完的请求，名字从 r<from> 起。
func add(j *Journal, from, n int) {
	for i := from; i < from+n; i++ {
		j.Open(opening(fmt.Sprint("r", i))).Close(request(fmt.Sprint("r", i), 10))
	}
}

// decoded 是线上的那一批解开的样子：盘上取的批，记录在未知字段里。
func decoded(t failer, b *usagev1.Batch) *usagev1.Batch {
	t.Helper()
	if b == nil {
		return nil
	}
	wire, err := proto.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	out := &usagev1.Batch{}
	if err := proto.Unmarshal(wire, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// ledger 是对面的账：游标、总数与收下的请求，规矩如契约。
type ledger struct {
	t      failer
	cursor uint64
	totals Totals
	ids    map[string]int
	list   []*usagev1.Request
	gaps   []*usagev1.Gap
	bare   bool // 有一条 Gap 说不出里面是什么：此后的累计不比
}

// failer 是 testing.TB 与 rapid.T 都有的。
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Fatal(args ...any)
}

func newLedger(t failer) *ledger { return &ledger{t: t, ids: map[string]int{}} }

// take 从游标起取一批，记下它；没有可取的返回 false。
func (l *ledger) take(s Source, limit int) bool {
	l.t.Helper()
	b := decoded(l.t, s.Batch(l.cursor+1, limit))
	if b == nil {
		return false
	}
	next := l.cursor + 1
	if b.GetFirstSeq() != next || b.GetEpoch() != s.Epoch() {
		l.t.Fatalf("batch %d..%d of %d, cursor %d", b.GetFirstSeq(), b.GetLastSeq(), b.GetEpoch(), l.cursor)
	}
	for _, r := range b.GetRecords() {
		if r.GetSeq() != next {
			l.t.Fatalf("record %d where %d was expected", r.GetSeq(), next)
		}
		next = LastSeq(r) + 1
		l.totals = l.totals.Plus(TotalsOf(r))
		if g := r.GetGap(); g != nil {
			l.gaps = append(l.gaps, g)
			if g.GetTotals() == nil {
				l.bare = true
			}
		}
		if q := r.GetRequest(); q != nil {
			l.ids[q.GetId()]++
			l.list = append(l.list, q)
		}
	}
	if l.cursor = b.GetLastSeq(); next != l.cursor+1 {
		l.t.Fatalf("records end at %d, the batch at %d", next-1, l.cursor)
	}
	if got := FromProto(b.GetCumulative()); got != l.totals && !l.bare {
		l.t.Fatalf("cumulative %+v, counted %+v", got, l.totals)
	}
	return true
}

// drain 取完 s 此刻有的一切并确认。
func (l *ledger) drain(s Source) *ledger {
	l.t.Helper()
	for range 2 { // 洞要先写下来才交：落了盘再取一次
		s.Flush()
		for l.take(s, 100) {
			s.Acked(l.cursor)
		}
	}
	return l
}

// exactly 断言 r<from>..r<from+n-1> 各一次，此外没有别的。
func (l *ledger) exactly(from, n int) {
	l.t.Helper()
	for i := from; i < from+n; i++ {
		if id := fmt.Sprint("r", i); l.ids[id] != 1 {
			l.t.Errorf("%s counted %d times", id, l.ids[id])
		}
	}
	if len(l.ids) != n {
		l.t.Errorf("%d different requests, want %d", len(l.ids), n)
	}
}

// small 是小段的日志，换段来得快。
func small() Config {
	return Config{Segments: segments.Config{SegmentBytes: pageSize, Quota: 4 << 20, RetryEvery: 10 * time.Millisecond}}
}
