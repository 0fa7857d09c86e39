package report

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"

	"github.com/vega-gateway/vega/dataplane/internal/controltest"
	"github.com/vega-gateway/vega/dataplane/internal/journal"
	"github.com/vega-gateway/vega/dataplane/internal/segments"
)

// full 是一个可以满的盘：满着的时候造不出新的段。
type full struct {
	segments.Files
	on atomic.Bool
}

func (f *full) Create(name string, size int) (segments.Mapping, error) {
	if f.on.Load() {
		return nil, syscall.ENOSPC
	}
	return f.Files.Create(name, size)
}

// party 是一个跑着的 Group、它写在盘上的记录与对面。
type party struct {
	*Group
	cp   *controltest.Server
	j    *journal.Journal
	stop func()
}

func gather(t *testing.T, cp *controltest.Server, dir string, cfg journal.Config) *party {
	t.Helper()
	j, err := journal.OpenDir(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := &party{cp: cp, j: j}
	p.Group, err = NewGroup(Config{NodeID: "n1", Tick: 10 * time.Millisecond, BackoffMin: 5 * time.Millisecond, BackoffMax: 50 * time.Millisecond},
		GroupDeps{Client: usagev1.NewUsageServiceClient(cp.Dial(t)), Journal: j, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = p.Run(ctx) })
	wg.Go(func() { _ = j.Run(ctx) })
	p.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		if err := j.Shut(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(p.stop)
	return p
}

func (p *party) add(from, n int) {
	for i := range n {
		p.j.Open(journal.Opening{ID: fmt.Sprint("r", from+i), Call: journal.Call{Number: 1}}).Close(request(fmt.Sprint("r", from+i)))
	}
}

// counted 断言全部的账加起来是 r0..r(n-1) 各一次，从没对不上。
func counted(t *testing.T, cp *controltest.Server, n int) {
	t.Helper()
	seen := map[string]int{}
	for _, l := range cp.Ledgers() {
		for _, q := range l.Requests() {
			seen[q.GetId()]++
		}
		if l.Mismatches != 0 || len(l.Faults) != 0 {
			t.Errorf("epoch %d: mismatches %d, faults %v", l.Epoch, l.Mismatches, l.Faults)
		}
	}
	for i := range n {
		if id := fmt.Sprint("r", i); seen[id] != 1 {
			t.Errorf("%s counted %d times", id, seen[id])
		}
	}
	if len(seen) != n {
		t.Errorf("%d different requests, want %d", len(seen), n)
	}
}

func (p *party) flush(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestGroup_ReportsFromDiskAndGoesOnAfterARestart(t *testing.T) {
	cp, dir := controltest.Start(t, controltest.Config{}), t.TempDir()
	p := gather(t, cp, dir, journal.Config{})
	p.add(0, 2_500)
	p.flush(t)
	epoch := p.j.Epoch()
	cp.Stop()
	p.add(2_500, 100)
	p.j.Flush() // 落了盘，没有交
	p.stop()
	cp.Restart(t)
	again := gather(t, cp, dir, journal.Config{})
	if again.j.Epoch() != epoch {
		t.Fatal("another epoch")
	}
	again.add(2_600, 10)
	again.flush(t)
	counted(t, cp, 2_610)
	if h := cp.UsageHellos(); !h[0].GetDurable() || len(cp.Ledgers()) != 1 {
		t.Errorf("hello %v, %d ledgers", h[0], len(cp.Ledgers()))
	}
	if !again.Connected() {
		t.Error("not connected")
	}
}

// TestGroup_FlushWaitsForMemoryToo：盘满着的时候记在内存里的，也在交清之列；之前它不占一条流。
func TestGroup_FlushWaitsForMemoryToo(t *testing.T) {
	cp := controltest.Start(t, controltest.Config{})
	directory, err := segments.Directory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files := &full{Files: directory}
	p := gather(t, cp, "", journal.Config{Segments: segments.Config{SegmentBytes: 4096, RetryEvery: 5 * time.Millisecond, Files: files}})
	p.add(0, 1)
	p.flush(t)
	if n := len(cp.UsageHellos()); n != 1 {
		t.Errorf("%d streams", n)
	}
	files.on.Store(true)
	n := 1
	for p.j.Health().Durable {
		p.add(n, 1)
		n++
	}
	p.add(n, 20)
	n += 20
	files.on.Store(false)
	for !p.j.Health().Durable || p.j.Health().Waiting > 0 {
		time.Sleep(time.Millisecond)
	}
	p.flush(t)
	counted(t, cp, n)
	memory := cp.Ledger("n1", p.j.Sources()[1].Epoch())
	if got := int64(len(memory.Requests())); got == 0 || got != p.j.Health().Unjournalled || !memory.Requests()[0].GetUnjournalled() {
		t.Errorf("%d from memory, %d unjournalled", got, p.j.Health().Unjournalled)
	}
	if h := cp.UsageHellos(); h[len(h)-1].GetDurable() {
		t.Errorf("hello %v", h[len(h)-1])
	}
}

func TestGroup_ADatabaseThatWentBackIsHealedFromDiskAfterARestart(t *testing.T) {
	cp, dir := controltest.Start(t, controltest.Config{}), t.TempDir()
	p := gather(t, cp, dir, journal.Config{})
	for i := range 6 {
		p.add(10*i, 10)
		p.flush(t)
	}
	p.stop()
	cp.Regress("n1", p.j.Epoch(), 20)
	again := gather(t, cp, dir, journal.Config{})
	again.add(60, 5)
	again.flush(t)
	counted(t, cp, 65)
}

func TestGroup_FlushSaysHowMuchIsLeft(t *testing.T) {
	cp := controltest.Start(t, controltest.Config{})
	p := gather(t, cp, t.TempDir(), journal.Config{})
	cp.Stop()
	p.add(0, 4)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "4 records unreported") {
		t.Errorf("%v", err)
	}
}

func TestNewGroup_RefusesIncompleteSettings(t *testing.T) {
	if _, err := NewGroup(Config{NodeID: "n"}, GroupDeps{}); err == nil {
		t.Error("no journal")
	}
	if _, err := NewGroup(Config{}, GroupDeps{Journal: journal.New(journal.Config{})}); err == nil {
		t.Error("no node id")
	}
}
