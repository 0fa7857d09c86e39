package segments

import (
	"context"
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestRun_SyncsInGroupsAndOnlyWhatIsNew(t *testing.T) {
	d := newDisk(t)
	synctest.Test(t, func(t *testing.T) {
		l := open(t, d, Config{SegmentBytes: 1 << 20, SyncEvery: 10 * time.Millisecond})
		stop := running(t, l)
		time.Sleep(time.Second)
		if n := d.count("sync"); n != 0 {
			t.Errorf("%d syncs of nothing", n)
		}
		const rounds = 100
		for range rounds {
			add(t, l, 20)
			time.Sleep(time.Millisecond)
		}
		if n := d.count("sync"); n < 9 || n > 12 {
			t.Errorf("%d syncs in 100 ms", n)
		}
		time.Sleep(20 * time.Millisecond)
		if l.Synced() != 20*rounds {
			t.Errorf("synced %d", l.Synced())
		}
		add(t, l, 1)
		stop()
		if l.Synced() != 20*rounds+1 {
			t.Error("the end of Run leaves frames unsynced")
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRun_PreparesTheNextSegmentAndNamesTheUsedOnes(t *testing.T) {
	d := newDisk(t)
	synctest.Test(t, func(t *testing.T) {
		l := open(t, d, small())
		stop := running(t, l)
		for range 500 {
			if _, err := l.Append(payload(l.Stats().Last + 1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		st := l.Stats()
		if !st.Ready || st.Refused != 0 || len(d.live) != st.Segments+1 {
			t.Errorf("%+v, %d files", st, len(d.live))
		}
		for _, s := range l.segs {
			if s.name != segmentName(s.first) || d.durable[s.name] == nil {
				t.Errorf("segment from %d is called %s", s.first, s.name)
			}
		}
		stop()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
	all(t, open(t, d, small()), 1, 500)
}

func TestWaitSynced_ReturnsWhenTheFrameIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		l := open(t, d, Config{SegmentBytes: 1 << 20})
		stop := running(t, l)
		time.Sleep(time.Second)
		start := time.Now()
		for range 5 {
			index := add(t, l, 3)
			if err := l.WaitSynced(t.Context(), index); err != nil || l.Synced() < index {
				t.Fatal(err)
			}
			if after := open(t, d.powerLoss(newRandom(), 0), Config{SegmentBytes: 1 << 20}); after.Stats().Last < index {
				t.Errorf("%d is gone", index)
			}
		}
		if took := time.Since(start); took > 50*time.Millisecond {
			t.Errorf("five waits took %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.WaitSynced(ctx, 1_000); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		stop()
		l.Close()
	})
}

// TestSync_AFailedSegmentIsNeverSyncedAgain：封住、报出没有落盘的，在新段里接着写；等着它的人得到明白的答案。
func TestSync_AFailedSegmentIsNeverSyncedAgain(t *testing.T) {
	d := newDisk(t)
	var events []Event
	cfg := small()
	cfg.Notify = func(e Event) { events = append(events, e) }
	l := open(t, d, cfg)
	add(t, l, 4)
	l.syncAll()
	l.tidy()
	add(t, l, 3)
	bad := l.active.name
	d.failing(failOn("sync", syscall.EIO))
	l.syncAll()
	d.failing(func(op, name string) error {
		if op == "sync" && name == bad {
			t.Error("the failed segment was synced again")
		}
		return nil
	})
	if len(events) != 1 || events[0].Kind != SyncFailed || events[0].First != 5 || events[0].Last != 7 || !errors.Is(events[0].Err, syscall.EIO) {
		t.Fatalf("events %+v", events)
	}
	if s := l.Suspects(); len(s) != 1 || s[0].First != 5 || s[0].Last != 7 || !strings.Contains(s[0].Reason, "input/output") {
		t.Errorf("suspects %v", s)
	}
	if err := l.WaitSynced(t.Context(), 6); !errors.Is(err, ErrUnsynced) {
		t.Error(err)
	}
	last := add(t, l, 5)
	l.syncAll()
	l.syncAll()
	if err := l.WaitSynced(t.Context(), last); err != nil {
		t.Error(err)
	}
	if st := l.Stats(); st.Synced != last || st.Suspect != 3 || st.SyncFailures != 1 || st.Segments != 2 {
		t.Errorf("%+v", st)
	}
	all(t, l, 1, last) // 缓存里还读得到
	after := open(t, d.powerLoss(newRandom(), 0), small())
	if h := after.Holes(); len(h) != 1 || h[0].First != 5 || h[0].Last != 7 {
		t.Errorf("after the power loss: %v", h)
	}
	l.tidy()
	if err := l.Drop(8); err != nil || len(l.Suspects()) != 0 || l.Stats().Suspect != 0 {
		t.Errorf("%v %v", err, l.Suspects())
	}
}

// TestSync_AFailingDiskIsTriedMoreAndMoreSeldom：一直落不了盘时不以每 10 ms 一个文件的速度填满盘。
func TestSync_AFailingDiskIsTriedMoreAndMoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		d.failing(failOn("sync", syscall.EIO))
		l := open(t, d, small())
		stop := running(t, l)
		refused := 0
		for range 10_000 {
			if _, err := l.Append([]byte("x")); errors.Is(err, ErrDegraded) {
				refused++
			} else if err != nil && !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := d.count("create"); n > 12 || n < 6 || refused < 9_000 {
			t.Errorf("%d files and %d refusals in 100 s", n, refused)
		}
		d.failing(nil)
		time.Sleep(2 * time.Minute)
		index, err := l.Append([]byte("y"))
		if err != nil || l.WaitSynced(t.Context(), index) != nil {
			t.Error("does not come back", err)
		}
		stop()
		l.Close()
	})
}

func TestRead_KeepsWorkingOnADroppedSegment(t *testing.T) {
	d := newDisk(t)
	l := open(t, d, small())
	last := add(t, l, 300)
	var f *fakeFile
	seen := 0
	if err := l.Read(1, func(i uint64, p []byte) bool {
		if seen++; i == 1 {
			f = d.live[l.segs[0].name]
			if err := l.Drop(last); err != nil {
				t.Error(err)
			}
			if f.open == 0 {
				t.Error("unmapped under a reader")
			}
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if f.open != 0 || seen < 10 || seen >= 300 {
		t.Errorf("still mapped %d, %d frames", f.open, seen)
	}
}

func TestDrop_KeepsEverySegmentThatHoldsAnAskedFrame(t *testing.T) {
	d := newDisk(t)
	l := open(t, d, small())
	last := add(t, l, 500)
	bytes := l.Stats().Bytes
	for _, before := range []uint64{0, 1, 2, 30, 31, 100, 250, 499, 500} {
		if err := l.Drop(before); err != nil {
			t.Fatal(err)
		}
		st := l.Stats()
		if st.First > max(before, 1) || st.Segments > 1 && l.segs[0].end() <= before {
			t.Errorf("before %d: %+v", before, st)
		}
		all(t, l, max(before, 1), last)
		after := open(t, d.powerLoss(newRandom(), 1), small())
		if got := after.Stats().First; got != st.First && l.Stats().Bytes < bytes {
			t.Errorf("before %d: a power loss brings back %d", before, got)
		}
	}
	if err := l.Drop(10 * last); err != nil {
		t.Fatal(err)
	}
	if st := l.Stats(); st.Segments != 1 || st.Last != last || st.Bytes != int64(len(d.live))*pageSize {
		t.Errorf("%+v", st)
	}
	all(t, open(t, d.copied(), small()), l.Stats().First, last)
}

func TestDrop_ToTheEndOfASpanRemovesJustThatSegment(t *testing.T) {
	l := open(t, newDisk(t), small())
	last := add(t, l, 300)
	spans := l.Spans()
	if len(spans) < 5 || spans[0].First != 1 || spans[len(spans)-1].Last != last {
		t.Fatalf("%+v", spans)
	}
	for i, s := range spans[:len(spans)-1] {
		if s.Bytes != pageSize || spans[i+1].First != s.Last+1 {
			t.Errorf("%+v, then %+v", s, spans[i+1])
		}
		if err := l.Drop(s.Last + 1); err != nil || l.Stats().First != s.Last+1 {
			t.Errorf("%v, %+v after dropping %+v", err, l.Stats(), s)
		}
	}
}

func TestDrop_SaysWhenAFileCannotBeRemoved(t *testing.T) {
	d := newDisk(t)
	l := open(t, d, small())
	last := add(t, l, 200)
	d.failing(failOn("remove", syscall.EROFS))
	bytes := l.Stats().Bytes
	if err := l.Drop(last); !errors.Is(err, syscall.EROFS) || l.Stats().Bytes != bytes {
		t.Errorf("%v %+v", err, l.Stats())
	}
	d.failing(nil)
	all(t, open(t, d.copied(), small()), 1, last)
}

// TestLog_TakesConcurrentUse：几个追加的、读的、删的、等落盘的同时来；读到的总是原样，次序总是往前。
func TestLog_TakesConcurrentUse(t *testing.T) {
	l, err := Open(t.TempDir(), Config{SegmentBytes: 64 << 10, Quota: 1 << 30, SyncEvery: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	stop := running(t, l)
	defer stop()
	const each = 3_000
	var writers, readers sync.WaitGroup
	for range 3 {
		writers.Go(func() {
			for range each {
				for {
					p := []byte("the same payload from everyone, so that any index may carry it")
					index, err := l.Append(p)
					if err == nil {
						if index%1_000 == 0 {
							err = l.WaitSynced(t.Context(), index)
						}
						if err != nil {
							t.Error(err)
						}
						break
					}
					if !errors.Is(err, ErrFull) {
						t.Error(err)
						return
					}
					time.Sleep(100 * time.Microsecond)
				}
			}
		})
	}
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for at := uint64(1); at <= 3*each; {
				if err := l.Read(at, func(i uint64, p []byte) bool {
					if i < at || len(p) != 62 {
						t.Errorf("frame %d of %d bytes at %d", i, len(p), at)
					}
					at = i + 1
					return i%97 != 0
				}); err != nil {
					t.Error(err)
					return
				}
				if err := l.Drop(at - min(at, 2_000)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { writers.Wait(); readers.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("stuck")
	}
	if h := l.Holes(); len(h) != 0 || l.Stats().Last != 3*each {
		t.Errorf("holes %v, %+v", h, l.Stats())
	}
}
