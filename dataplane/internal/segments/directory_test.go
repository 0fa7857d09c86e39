//go:build unix

package segments

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func openDir(t *testing.T, dir string, cfg Config) *Log {
	t.Helper()
	l, err := Open(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestDirectory_ReservesTheSpaceOfEverySegment(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "as needed")
	l := openDir(t, dir, Config{SegmentBytes: 1 << 20})
	add(t, l, 1)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(dir, e.Name()), &st); err != nil || st.Size != 1<<20 || st.Blocks*512 < st.Size || st.Mode&0o777 != 0o600 {
			t.Errorf("%s: %d bytes, %d blocks, mode %o, %v", e.Name(), st.Size, st.Blocks, st.Mode&0o777, err)
		}
	}
}

func TestDirectory_KeepsFramesOverReopening(t *testing.T) {
	dir := t.TempDir()
	last := uint64(0)
	for range 5 {
		l := openDir(t, dir, small())
		stop := running(t, l)
		last = add(t, l, 100)
		if err := l.WaitSynced(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		stop()
		if err := l.Drop(last - 50); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	l := openDir(t, dir, small())
	all(t, l, last-50, last)
	entries, err := os.ReadDir(dir)
	if st := l.Stats(); err != nil || int64(len(entries))*pageSize != st.Bytes {
		t.Errorf("%d files, %+v, %v", len(entries), st, err)
	}
}

// TestAppend_APageThatCannotBeReachedDegradesInsteadOfKilling：文件被截短，碰它是 SIGBUS：与空洞上盘满、盘读不出是一回事。
func TestAppend_APageThatCannotBeReachedDegradesInsteadOfKilling(t *testing.T) {
	dir := t.TempDir()
	var events []Event
	cfg := Config{SegmentBytes: 64 << 10, Notify: func(e Event) { events = append(events, e) }}
	l := openDir(t, dir, cfg)
	last := add(t, l, 200)
	l.tidy()
	if err := os.Truncate(filepath.Join(dir, l.active.name), pageSize); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(make([]byte, 20_000)); !errors.Is(err, ErrDegraded) || !errors.Is(err, errFault) {
		t.Fatal(err)
	}
	if st := l.Stats(); st.Faults != 1 || st.Problem == "" {
		t.Errorf("%+v", st)
	}
	if got := addOne(t, l); got != last+1 { // 在预备好的段里接着写
		t.Fatal(got)
	}
	lost := accounted(t, l, 1, last+1)
	if lost == 0 || len(events) == 0 || events[len(events)-1].Kind != Damaged || l.Stats().Lost != lost {
		t.Errorf("lost %d, events %v", lost, events)
	}
	if again := accounted(t, l, 1, last+1); again != lost || l.Stats().Lost != lost {
		t.Error("the same damage is counted twice")
	}
	l.syncAll()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if after := openDir(t, dir, cfg); accounted(t, after, 1, last+1) != lost {
		t.Errorf("after reopening: %v", after.Holes())
	}
}

func TestFillWithZeroes_ReservesWhatFallocateCannot(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := fillWithZeroes(f, 0, 3<<20+5); err != nil {
		t.Fatal(err)
	}
	st, err := f.Stat()
	if err != nil || st.Size() != 3<<20+5 {
		t.Fatal(st.Size(), err)
	}
	if _, err := f.WriteAt([]byte("kept"), 100); err != nil {
		t.Fatal(err)
	}
	if err := fillWithZeroes(f, st.Size(), st.Size()); err != nil {
		t.Error(err)
	}
	got := make([]byte, 4)
	if _, err := f.ReadAt(got, 100); err != nil || !bytes.Equal(got, []byte("kept")) {
		t.Errorf("%q %v", got, err)
	}
	if err := f.Truncate(64 << 20); err != nil { // 后面成了空洞
		t.Fatal(err)
	}
	if err := fillWithZeroes(f, 64<<20, 64<<20); !errors.Is(err, errSparse) {
		t.Errorf("a file with holes: %v", err)
	}
}

// TestOpen_ReturnsAnErrorWhenTheDirectoryCannotBeUsed：由调用者改用内存，这里不硬撑。
func TestOpen_ReturnsAnErrorWhenTheDirectoryCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Open(file, Config{}); err == nil || l != nil {
		t.Fatal("opened a file as a directory")
	}
	d := newDisk(t)
	add(t, open(t, d, small()), 3)
	d.failing(failOn("open", unix.EIO))
	if _, err := Open("", Config{SegmentBytes: pageSize, Files: d}); !errors.Is(err, unix.EIO) {
		t.Errorf("%v", err)
	}
}
