package segments

import (
	"bytes"
	"errors"
	"syscall"
	"testing"
)

func TestAppend_NumbersFramesFromOneWithoutGaps(t *testing.T) {
	l := open(t, newDisk(t), small())
	all(t, l, 1, 0)
	last := add(t, l, 1_000)
	all(t, l, 1, last)
	if st := l.Stats(); last != 1_000 || st.First != 1 || st.Last != 1_000 || st.Segments < 10 || st.Synced != 0 {
		t.Errorf("%+v", st)
	}
	for _, from := range []uint64{0, 1, 2, 500, 999, 1_000, 1_001, 5_000} {
		if got := len(indexes(t, l, from)); got != max(0, 1_001-int(max(from, 1))) {
			t.Errorf("from %d: %d frames", from, got)
		}
	}
}

func TestAppend_TakesEmptyAndSegmentSizedFramesAndRefusesLarger(t *testing.T) {
	l := open(t, newDisk(t), Config{SegmentBytes: pageSize, Quota: 1 << 20})
	largest := pageSize - headerSize - frameHead
	for i, size := range []int{0, 1, 7, 8, 9, largest, 0, largest - 1} {
		p := bytes.Repeat([]byte{byte(i + 1)}, size)
		index, err := l.Append(p)
		if err != nil {
			l.tidy()
			index, err = l.Append(p)
		}
		if err != nil || index != uint64(i+1) {
			t.Fatalf("%d bytes: %d %v", size, index, err)
		}
		if err := l.Read(index, func(_ uint64, got []byte) bool {
			if !bytes.Equal(got, p) {
				t.Errorf("%d bytes came back as %d", size, len(got))
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Append(make([]byte, largest+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := l.AppendFunc(-1, func([]byte) {}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("negative: %v", err)
	}
}

// TestAppend_IsInvisibleUntilItsLastWord：在帧写到一半时看文件，那里还什么也没有；此刻死去，打开时连一帧坏的也没有。
func TestAppend_IsInvisibleUntilItsLastWord(t *testing.T) {
	d := newDisk(t)
	l := open(t, d, small())
	add(t, l, 5)
	var half *fakeDisk
	if _, err := l.AppendFunc(64, func(p []byte) {
		if len(p) != 64 || cap(p) != 64 {
			t.Errorf("len %d cap %d", len(p), cap(p))
		}
		copy(p, "half a frame")
		half = d.copied()
	}); err != nil {
		t.Fatal(err)
	}
	after := open(t, half, small())
	all(t, after, 1, 5)
	if st := after.Stats(); st.Torn != 0 || st.Last != 5 {
		t.Errorf("%+v", st)
	}
}

func TestAppendFunc_ThatPanicsLeavesNothingBehind(t *testing.T) {
	d := newDisk(t)
	l := open(t, d, small())
	add(t, l, 3)
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = l.AppendFunc(100, func(p []byte) {
			for i := range p {
				p[i] = 0xFF
			}
			panic("boom")
		})
	}()
	add(t, l, 1)
	all(t, l, 1, 4)
	after := open(t, d.copied(), small())
	all(t, after, 1, 4)
	if after.Stats().Torn != 0 {
		t.Error("garbage was left behind the last frame")
	}
}

func TestAppend_AnswersAtOnceWhenTheNextSegmentIsNotReady(t *testing.T) {
	l := open(t, newDisk(t), small())
	for {
		if _, err := l.Append(payload(l.Stats().Last + 1)); err != nil {
			if !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			break
		}
	}
	n := l.Stats().Last
	if st := l.Stats(); n == 0 || st.Refused != 1 || st.Ready {
		t.Errorf("%+v", st)
	}
	l.tidy()
	add(t, l, 3)
	all(t, l, 1, n+3)
}

func TestAppend_AnswersQuotaWhenItIsUsedUpAndGoesOnAfterADrop(t *testing.T) {
	const quota = 4 * pageSize
	l := open(t, newDisk(t), Config{SegmentBytes: pageSize, Quota: quota})
	var err error
	for err == nil {
		if _, err = l.Append(payload(l.Stats().Last + 1)); err != nil && !errors.Is(err, ErrQuota) {
			l.tidy()
			_, err = l.Append(payload(l.Stats().Last + 1))
		}
	}
	st := l.Stats()
	if !errors.Is(err, ErrQuota) || st.Bytes != quota || st.Segments != 4 {
		t.Fatalf("%v, %+v", err, st)
	}
	all(t, l, 1, st.Last)
	if err := l.Drop(st.Last); err != nil {
		t.Fatal(err)
	}
	l.tidy()
	add(t, l, 5)
	if now := l.Stats(); now.Bytes > quota || now.First <= 1 {
		t.Errorf("%+v", now)
	}
	all(t, l, l.Stats().First, st.Last+5)
}

// TestPrepare_AFullDiskShowsBeforeAnAppendNeedsIt：手上的段还收得下，状态已经说盘满了。
func TestPrepare_AFullDiskShowsBeforeAnAppendNeedsIt(t *testing.T) {
	d := newDisk(t)
	var events []Event
	cfg := small()
	cfg.RetryEvery = 1
	cfg.Notify = func(e Event) { events = append(events, e) }
	l := open(t, d, cfg)
	d.failing(failOn("create", syscall.ENOSPC))
	add(t, l, 1)
	l.tidy()
	if st := l.Stats(); st.Ready || st.AllocFailures == 0 || st.Problem == "" {
		t.Errorf("%+v", st)
	}
	if len(events) != 1 || events[0].Kind != AllocFailed || !errors.Is(events[0].Err, syscall.ENOSPC) {
		t.Fatalf("events %v", events)
	}
	var err error
	for err == nil {
		_, err = l.Append(payload(l.Stats().Last + 1))
	}
	n := l.Stats().Last
	if !errors.Is(err, ErrDegraded) || n < 10 {
		t.Fatalf("after %d: %v", n, err)
	}
	d.failing(nil)
	for !l.Stats().Ready {
		l.tidy()
	}
	if e := events[len(events)-1]; e.Kind != Recovered {
		t.Errorf("last event %v", e)
	}
	add(t, l, 1)
	all(t, l, 1, n+1)
	if l.Stats().Bytes > 2*pageSize {
		t.Errorf("failed files still count: %d", l.Stats().Bytes)
	}
}

func TestOpen_StartsOnAFullDiskAndSaysSo(t *testing.T) {
	d := newDisk(t)
	d.failing(failOn("create", syscall.ENOSPC))
	cfg := small()
	cfg.RetryEvery = 1
	l := open(t, d, cfg)
	if _, err := l.Append(payload(1)); !errors.Is(err, ErrDegraded) {
		t.Fatal(err)
	}
	d.failing(failOn("syncdir", syscall.EIO)) // 名字落不了盘的段也不能用，文件不留下
	l.tidy()
	if _, err := l.Append(payload(1)); !errors.Is(err, ErrDegraded) || len(d.live) != 0 {
		t.Fatal(err, d.live)
	}
	d.failing(nil)
	for !l.Stats().Ready {
		l.tidy()
	}
	all(t, l, 1, add(t, l, 2))
}

func TestClose_RefusesEverythingAfterwards(t *testing.T) {
	d := newDisk(t)
	l := open(t, d, small())
	add(t, l, 100)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := l.Read(1, func(uint64, []byte) bool { return true }); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := l.Drop(5); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := l.WaitSynced(t.Context(), 1_000); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := l.Close(); err != nil || d.mapped() != 0 {
		t.Errorf("%v, %d still mapped", err, d.mapped())
	}
	all(t, open(t, d, small()), 1, 100)
}
