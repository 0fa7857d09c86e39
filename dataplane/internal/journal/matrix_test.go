package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vega-gateway/vega/dataplane/internal/segments"
)

var (
	errNoSpace = error(syscall.ENOSPC)
	errIO      = error(syscall.EIO)
)

// fill 写到盘不收为止，返回写下了几个。
func fill(t testing.TB, j *Journal, from int) (n int) {
	t.Helper()
	for j.Health().Durable {
		add(j, from+n, 1)
		if n++; n > 100_000 {
			t.Fatal("the disk takes everything")
		}
	}
	return n
}

// TestDiskFull_GoesOnInMemoryAndComesBack：盘满之后的请求记在内存里，各是各的序列；盘好了就换回来。一条不少，一条不多。
func TestDiskFull_GoesOnInMemoryAndComesBack(t *testing.T) {
	d, cfg := newDisk(t), small()
	core, logs := observer.New(zap.InfoLevel)
	cfg.Log = zap.New(core)
	j := onFake(t, d, cfg)
	running(t, j)
	long := j.Open(opening("r0")) // 开头在盘上，结局来的时候盘满着
	d.failing(failOn("create", errNoSpace))
	n := 1 + fill(t, j, 1)
	add(j, n, 5)
	n += 5
	long.Close(request("r0", 10))
	wait(t, "the log to say so", func() bool { return logs.FilterMessageSnippet("kept in memory only").Len() > 0 })
	h := j.Health()
	if h.Durable || !strings.Contains(h.Trouble, "no space left") || h.Unjournalled < 5 || h.Waiting == 0 {
		t.Fatalf("%+v", h)
	}
	d.failing(nil)
	wait(t, "the disk to take records again", func() bool { return j.Health().Durable })
	add(j, n, 3)
	n += 3

	disk, mem := newLedger(t).drain(j.Sources()[0]), newLedger(t).drain(j.Sources()[1])
	if disk.ids["r0"] != 1 || int64(len(mem.ids)) != j.Health().Unjournalled {
		t.Errorf("r0 counted %d times on disk; %d in memory, %d said", disk.ids["r0"], len(mem.ids), j.Health().Unjournalled)
	}
	for _, q := range disk.list {
		if q.GetUnjournalled() {
			t.Errorf("%v", q)
		}
	}
	for _, q := range mem.list {
		if !q.GetUnjournalled() {
			t.Errorf("%v", q)
		}
		disk.ids[q.GetId()]++
	}
	disk.exactly(0, n)
	if logs.FilterMessageSnippet("kept in memory only").Len() != 1 {
		t.Error("said more than once")
	}
	fmt.Printf("figures: journal-disk-full requests=%d lost=0 duplicated=0 unjournalled=%d\n", n, len(mem.ids))
}

// TestQuota_AcknowledgedRecordsMakeRoom：控制面不在时配额满了就退到内存，确认之后腾出来又用盘。
func TestQuota_AcknowledgedRecordsMakeRoom(t *testing.T) {
	cfg := Config{KeepFor: time.Millisecond, KeepBytes: 1, Segments: segments.Config{SegmentBytes: pageSize, Quota: 6 * pageSize}}
	j := onFake(t, newDisk(t), cfg)
	running(t, j)
	var n int
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(j.Health().Trouble, "quota"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", j.Health())
		}
		add(j, n, 1)
		n++
	}
	l, m := newLedger(t), newLedger(t)
	if h := j.Health(); h.Bytes > 6*pageSize {
		t.Errorf("%d bytes", h.Bytes)
	}
	l.drain(j)
	wait(t, "room on disk", func() bool { return j.Health().Durable })
	add(j, n, 2)
	n += 2
	l.drain(j)
	m.drain(j.Sources()[1])
	for id := range m.ids {
		l.ids[id]++
	}
	l.exactly(0, n)
}

// TestSync_WhatFailedToSyncWaitsForAMark：落盘失败的那些不交出去，直到其后的标记落了盘；那时断电也只留下有数的洞。
func TestSync_WhatFailedToSyncWaitsForAMark(t *testing.T) {
	d := newDisk(t)
	j := onFake(t, d, small())
	d.failing(failOn("sync", errIO))
	add(j, 0, 3)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- j.disk.log.Run(ctx) }() // 只有落盘，没有写标记的
	defer func() { cancel(); <-done }()
	wait(t, "the failed sync", func() bool { return j.Health().SyncFailures > 0 })
	d.failing(nil)
	wait(t, "the log to pass over it", func() bool { return j.disk.log.Synced() >= 7 })
	if b := j.Batch(1, 10); b != nil {
		t.Fatalf("handed out %d..%d, which may not be on disk", b.GetFirstSeq(), b.GetLastSeq())
	}
	l := newLedger(t)
	wait(t, "the mark", func() bool { j.disk.beat(time.Now()); l.drain(j); return l.cursor >= 3 })
	l.exactly(0, 3)
	again := onFake(t, d.powerLoss(rand.New(rand.NewPCG(1, 1)), 0), small())
	if st := again.Stats(); again.Epoch() == j.Epoch() && st.LastSeq < 3 {
		t.Errorf("seq 1..3 were handed out and will be given again: %+v", st)
	}
}

// TestSync_WhatFailedToSyncIsWrittenAgain：落盘失败的再写到新的段里，序号不变；原来的那一段从此读不出也一条不少，
// 连同还在进行的请求；断电之后也一样。
func TestSync_WhatFailedToSyncIsWrittenAgain(t *testing.T) {
	d := newDisk(t)
	j := onFake(t, d, small())
	d.failing(failOn("sync", errIO))
	add(j, 0, 3)
	j.Open(opening("r3")).Progress(&Progress{CostNano: 5})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- j.disk.log.Run(ctx) }()
	defer func() { cancel(); <-done }()
	wait(t, "the failed sync", func() bool { return j.Health().SyncFailures > 0 })
	d.failing(nil)
	wait(t, "the next segment", func() bool { return j.disk.log.Stats().Ready })
	add(j, 4, 2) // 再写之前又有新的
	wait(t, "everything to be written again", func() bool {
		j.disk.beat(time.Now())
		j.disk.settle()
		j.disk.mu.Lock()
		defer j.disk.mu.Unlock()
		return len(j.disk.rewrite) == 0 && j.disk.reachable() == j.disk.log.Stats().Last
	})
	lostPages := d.powerLoss(rand.New(rand.NewPCG(1, 1)), 0)
	again := onFake(t, lostPages, small())
	running(t, again)
	l := newLedger(t).drain(again)
	if again.Epoch() != j.Epoch() || l.totals.Lost != 0 || len(l.gaps) != 0 {
		t.Errorf("epoch %d became %d, %+v", j.Epoch(), again.Epoch(), l.totals)
	}
	l.exactly(0, 6)
	for _, q := range l.list {
		if (q.GetId() == "r3") != q.GetReplayed() || q.GetReplayed() && q.GetAttempts()[0].GetCostNano() != 5 {
			t.Errorf("%v", q)
		}
	}
	third, _ := restarted(t, lostPages, small())
	newLedger(t).drain(third).exactly(0, 6)
}

// TestSync_RequestsDoNotWaitForWhatIsSaidAboutIt：写日志的那一刻，Open 照样走得通。
func TestSync_RequestsDoNotWaitForWhatIsSaidAboutIt(t *testing.T) {
	d, cfg := newDisk(t), small()
	opened := make(chan struct{}, 1)
	var j *Journal
	cfg.Log = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.ErrorLevel),
		zap.Hooks(func(zapcore.Entry) error {
			go func() { j.Open(opening("r1")).Abandon(); opened <- struct{}{} }()
			select {
			case <-opened:
			case <-time.After(10 * time.Second):
				t.Error("a request waits for the log")
			}
			return nil
		}))
	j = onFake(t, d, cfg)
	d.failing(failOn("sync", errIO))
	add(j, 0, 1)
	j.disk.log.Close() // 落最后一次盘
	if j.Health().SyncFailures == 0 {
		t.Fatal("the disk took it")
	}
}

// TestEIO_NothingIsLostWhileTheProcessLives：一直出错的盘，能报的都报出去，各一次。
func TestEIO_NothingIsLostWhileTheProcessLives(t *testing.T) {
	d := newDisk(t)
	j := onFake(t, d, small())
	running(t, j)
	random := rand.New(rand.NewPCG(4, 2))
	var mu sync.Mutex
	d.failing(func(op, _ string) error {
		mu.Lock()
		defer mu.Unlock()
		if (op == "sync" || op == "create") && random.IntN(4) == 0 {
			return errIO
		}
		return nil
	})
	n := 0
	wait(t, "several failed syncs", func() bool {
		add(j, n, 2)
		n += 2
		return n >= 100 && j.Health().SyncFailures >= 3
	})
	d.failing(nil)
	l, m := newLedger(t), newLedger(t)
	wait(t, "everything", func() bool {
		l.drain(j)
		m.drain(j.Sources()[len(j.Sources())-1])
		return len(l.ids)+len(m.ids) >= n
	})
	for id := range m.ids {
		l.ids[id]++
	}
	l.exactly(0, n)
	if h := j.Health(); h.SyncFailures == 0 {
		t.Errorf("%+v", h)
	}
	fmt.Printf("figures: journal-eio requests=%d sync_failures=%d lost=0 duplicated=0 unjournalled=%d\n", n, j.Health().SyncFailures, len(m.ids))
}

// flip 改坏一个段文件里第 at 个字节。
func (d *fakeDisk) flip(name string, at int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.live[name].live[at] ^= 0xff
}

// used 是收过帧的文件，从旧到新。
func (d *fakeDisk) used() (list []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(d.live)) {
		if d.live[name].live[0] != 0 {
			list = append(list, name)
		}
	}
	return list
}

// TestOpen_ACorruptedSegmentIsOneGapOfExactSize：坏了中间一段，它以恰好一条 Gap 代替，条数与总数都准；序列接着写。
func TestOpen_ACorruptedSegmentIsOneGapOfExactSize(t *testing.T) {
	d := newDisk(t)
	j := onFake(t, d, small())
	stop := running(t, j)
	const n = 150
	for i := range n { // 段要一段一段地预备
		add(j, i, 1)
		time.Sleep(time.Millisecond)
	}
	j.Flush()
	if j.Health().Unjournalled > 0 {
		t.Fatal("the disk was too slow for this test")
	}
	stop()
	after := killed(t, d)
	names := after.used()
	if len(names) < 5 {
		t.Fatalf("only %v", names)
	}
	after.flip(names[2], 200)
	again := onFake(t, after, small())
	running(t, again)
	add(again, n, 2)
	l := newLedger(t).drain(again)
	if again.Epoch() != j.Epoch() || len(l.gaps) != 1 || l.totals.Requests != n+2 || l.totals.Prompt != 10*(n+2) || l.totals.Attempts != 2*(n+2) {
		t.Fatalf("gaps %v, totals %+v", l.gaps, l.totals)
	}
	if lost := l.totals.Lost; lost == 0 || int64(len(l.ids))+lost != n+2 || again.Health().Damaged == 0 {
		t.Errorf("lost %d, %d counted one by one", lost, len(l.ids))
	}
	for id, times := range l.ids {
		if times != 1 {
			t.Errorf("%s %d times", id, times)
		}
	}
	fmt.Printf("figures: journal-corrupted-segment requests=%d gaps=1 lost_counted=%d totals_exact=true\n", n+2, l.totals.Lost)
}

// TestOpen_ADamagedTailStartsANewEpoch：尾巴坏了，说不清序号用到了哪里：从前的那一份封住，至多丢了几条有数；新的从 1 起。
func TestOpen_ADamagedTailStartsANewEpoch(t *testing.T) {
	d := newDisk(t)
	j := onFake(t, d, Config{})
	stop := running(t, j)
	add(j, 0, 20)
	j.Flush()
	stop()
	after := killed(t, d)
	name := after.used()[0]
	after.flip(name, 3_000)
	again := onFake(t, after, Config{})
	running(t, again)
	if again.Epoch() == j.Epoch() || len(again.Sources()) != 3 {
		t.Fatalf("%d sources, epoch %d", len(again.Sources()), again.Epoch())
	}
	add(again, 20, 2)
	old := newLedger(t)
	wait(t, "the gap", func() bool { old.drain(again.Sources()[1]); return len(old.gaps) == 1 })
	if old.totals.Lost == 0 || old.totals.Requests == 0 || old.totals.Requests+old.totals.Lost < 20 || len(old.gaps) != 1 || !strings.Contains(old.gaps[0].GetReason(), "at most") {
		t.Errorf("%+v %v", old.totals, old.gaps)
	}
	fresh := newLedger(t)
	wait(t, "the new ones", func() bool { fresh.drain(again); return fresh.cursor >= 2 })
	if fresh.ids["r20"] != 1 || fresh.ids["r21"] != 1 {
		t.Errorf("%v", fresh.ids)
	}
	third, _ := restarted(t, after, Config{}) // 再重启一次，什么也没有变
	if third.Epoch() != again.Epoch() {
		t.Error("the epoch changed again")
	}
	if fresh.drain(third); len(fresh.ids) != 2 || fresh.ids["r20"] != 1 {
		t.Errorf("%v", fresh.ids)
	}
	for _, s := range third.Sources()[1:] {
		if s.Epoch() == j.Epoch() && old.take(s, 10) {
			t.Error("the old sequence grew")
		}
	}
}

// TestOpen_ADamagedTailTheControlPlaneAlreadyHasIsStillFinished：坏了的尾巴控制面已经收下一部分，余下的以一条 Gap 了结，不重复也不卡住。
func TestOpen_ADamagedTailTheControlPlaneAlreadyHasIsStillFinished(t *testing.T) {
	d := newDisk(t)
	j := onFake(t, d, Config{})
	stop := running(t, j)
	add(j, 0, 20)
	l := newLedger(t).drain(j)
	stop()
	after := killed(t, d)
	after.flip(after.used()[0], 3_000)
	again := onFake(t, after, Config{})
	running(t, again)
	old := again.Sources()[1]
	old.Acked(l.cursor)
	wait(t, "the rest of the tail", func() bool { l.drain(old); return old.Stats().Unreported == 0 })
	l.exactly(0, 20)
	if st := old.Stats(); st.Unreported != 0 || l.cursor != st.LastSeq || !l.bare {
		t.Errorf("%+v, cursor %d", st, l.cursor)
	}
}

// TestOpen_ATornTailIsCutAndNothingElse：写了一半的最后一帧没有声音地截掉，序列接着写。
func TestOpen_ATornTailIsCutAndNothingElse(t *testing.T) {
	d := newDisk(t)
	j := onFake(t, d, Config{})
	add(j, 0, 3)
	after := killed(t, d)
	f := after.live[after.used()[0]]
	end := len(f.live)
	for end > 0 && f.live[end-1] == 0 {
		end--
	}
	at := (end + 15) &^ 7
	f.live[at] = 200 // 一帧的长度写了，内容没有
	again := onFake(t, after, Config{})
	running(t, again)
	add(again, 3, 1)
	l := newLedger(t).drain(again)
	if again.Epoch() != j.Epoch() || l.totals.Lost != 0 {
		t.Errorf("epoch %d became %d, lost %d", j.Epoch(), again.Epoch(), l.totals.Lost)
	}
	l.exactly(0, 4)
}

func TestVolumeLost_IsANewEpochFromOne(t *testing.T) {
	dir := t.TempDir()
	first := onDisk(t, dir, Config{})
	stop := running(t, first)
	add(first, 0, 3)
	newLedger(t).drain(first)
	stop()
	if err := first.Shut(); err != nil {
		t.Fatal(err)
	}
	second := onDisk(t, t.TempDir(), Config{})
	running(t, second)
	add(second, 3, 2)
	l := newLedger(t).drain(second)
	if second.Epoch() == first.Epoch() || l.cursor != 2 {
		t.Errorf("epoch %d, cursor %d", second.Epoch(), l.cursor)
	}
	l.exactly(3, 2)
}

// TestVolumeRestored_RecordsNeverTakeSequencesTheControlPlaneHas：数据目录回到了从前，控制面有的比它多：换一个 epoch，
// 这一次已经写下的也搬过去；不然它们会被当作重复丢掉。
func TestVolumeRestored_RecordsNeverTakeSequencesTheControlPlaneHas(t *testing.T) {
	d := newDisk(t)
	j := onFake(t, d, Config{})
	running(t, j)
	add(j, 0, 5)
	l := newLedger(t).drain(j)
	backup := killed(t, d)
	add(j, 5, 10)
	l.drain(j)

	again := onFake(t, backup, Config{})
	running(t, again)
	add(again, 100, 3) // 还没有连上控制面
	again.Sources()[0].Acked(l.cursor)
	if again.Epoch() == j.Epoch() {
		t.Fatal("the same epoch goes on")
	}
	add(again, 103, 2)
	fresh := newLedger(t)
	wait(t, "the records to move", func() bool { fresh.drain(again); return fresh.cursor >= 5 })
	fresh.exactly(100, 5)
	if b := again.Sources()[1].Batch(l.cursor+1, 10); b != nil {
		t.Errorf("%v", b)
	}
}

// TestVolumeRestored_WhatWasWrittenAgainMovesOnce：搬的时候，落盘失败而又写过一遍的只有一条。
func TestVolumeRestored_WhatWasWrittenAgainMovesOnce(t *testing.T) {
	d := newDisk(t)
	j := onFake(t, d, small())
	d.failing(failOn("sync", errIO))
	add(j, 0, 3)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- j.disk.log.Run(ctx) }()
	defer func() { cancel(); <-done }()
	wait(t, "the failed sync", func() bool { return j.Health().SyncFailures > 0 })
	d.failing(nil)
	wait(t, "everything to be written again", func() bool {
		j.disk.beat(time.Now())
		j.disk.mu.Lock()
		defer j.disk.mu.Unlock()
		return len(j.disk.rewrite) == 0 && len(j.disk.cur.copies) == 3
	})
	j.Acked(99)
	wait(t, "the records to move", func() bool {
		j.disk.beat(time.Now())
		j.disk.settle()
		j.disk.mu.Lock()
		defer j.disk.mu.Unlock()
		return j.disk.keep.moving == nil && j.disk.reachable() == j.disk.log.Stats().Last
	})
	newLedger(t).drain(j).exactly(0, 3)
}

// TestClock_JumpsOfHoursChangeOnlyTheTimes：钟前后跳几小时，记录、序号与总数一样，只有时刻跟着它。
func TestClock_JumpsOfHoursChangeOnlyTheTimes(t *testing.T) {
	var mu sync.Mutex
	now := time.Unix(1_700_000_000, 0)
	jump := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	d, cfg := newDisk(t), small()
	cfg.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	j := onFake(t, d, cfg)
	running(t, j)
	l, n := newLedger(t), 0
	for _, by := range []time.Duration{5 * time.Hour, -9 * time.Hour, time.Second, -time.Hour, 30 * time.Hour} {
		o := opening(fmt.Sprint("r", n))
		k := j.Open(o)
		j.Refuse("a", "m", "queue_full")
		jump(by)
		k.Progress(&Progress{})
		k.Close(request(o.ID, 10))
		n++
		l.drain(j)
	}
	k := j.Open(opening(fmt.Sprint("r", n)))
	jump(-40 * time.Hour)
	k.Progress(&Progress{})
	again, _ := restarted(t, d, cfg)
	again.Acked(l.cursor)
	l.drain(again).exactly(0, n+1)
	if l.totals.Refused != 5 || l.totals.Lost != 0 {
		t.Errorf("%+v", l.totals)
	}
	last := l.list[len(l.list)-1]
	if a := last.GetAttempts()[0]; a.GetDurationUs() < 0 || last.GetEndedUnixMs() < last.GetStartedUnixMs() {
		t.Errorf("%v", last)
	}
}

func TestOpenDir_WhatItCannotReadIsAnError(t *testing.T) {
	d := newDisk(t)
	d.failing(failOn("list", errIO))
	cfg := Config{}
	cfg.Segments.Files = d
	if _, err := OpenDir("", cfg); !errors.Is(err, errIO) {
		t.Errorf("%v", err)
	}
}
