package segments

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	goleak.VerifyTestMain(m)
}

// payload 是序号 i 该有的内容：长短不一，开头是序号自己。
func payload(i uint64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, i)
	n := int(i*2654435761%97) + 1
	for j := range n {
		b = append(b, byte(i)+byte(j))
	}
	return b
}

func open(t *testing.T, d *fakeDisk, cfg Config) *Log {
	t.Helper()
	cfg.Files = d
	l, err := Open("", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// small 是小段的日志，换段来得快。
func small() Config { return Config{SegmentBytes: pageSize, Quota: 1 << 20} }

// running 使 l 的 Run 跑着；返回停它的办法。
func running(t *testing.T, l *Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("run does not end")
		}
	})
	t.Cleanup(stop)
	return stop
}

// add 追加 n 帧，每一帧的内容由序号定；没有下一段就预备一段。
func add(t *testing.T, l *Log, n int) (last uint64) {
	t.Helper()
	for range n {
		last = addOne(t, l)
	}
	return last
}

func addOne(t *testing.T, l *Log) uint64 {
	t.Helper()
	want := l.Stats().Last + 1
	index, err := l.Append(payload(want))
	if err != nil {
		l.tidy()
		index, err = l.Append(payload(want))
	}
	if err != nil || index != want {
		t.Fatalf("append %d: %d %v", want, index, err)
	}
	return index
}

// indexes 读出 from 起的全部序号，查每一帧的内容。
func indexes(t *testing.T, l *Log, from uint64) (list []uint64) {
	t.Helper()
	err := l.Read(from, func(i uint64, p []byte) bool {
		if !bytes.Equal(p, payload(i)) {
			t.Errorf("frame %d carries the wrong payload %x", i, p)
		}
		if len(list) > 0 && i <= list[len(list)-1] || i < from {
			t.Errorf("frame %d out of order after %v", i, list[max(0, len(list)-1):])
		}
		list = append(list, i)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// all 断言 first..last 一帧不缺，此外没有别的，也没有洞。
func all(t *testing.T, l *Log, first, last uint64) {
	t.Helper()
	if err := contiguous(indexes(t, l, first), first, last); err != nil {
		t.Error(err)
	}
	if h := l.Holes(); len(h) != 0 {
		t.Errorf("holes %v", h)
	}
}

func contiguous(list []uint64, first, last uint64) error {
	if uint64(len(list)) != last+1-first {
		return fmt.Errorf("%d frames, want %d..%d", len(list), first, last)
	}
	for i, index := range list {
		if index != first+uint64(i) {
			return fmt.Errorf("frame %d where %d was expected", index, first+uint64(i))
		}
	}
	return nil
}

// accounted 断言 first..last 的每一个序号，不是读得出，就是在洞里，恰好其一。
func accounted(t *testing.T, l *Log, first, last uint64) (lost uint64) {
	t.Helper()
	state := make(map[uint64]int)
	for _, i := range indexes(t, l, first) {
		state[i]++
	}
	for _, h := range l.Holes() {
		if h.First > h.Last || h.Reason == "" {
			t.Errorf("bad hole %+v", h)
		}
		for i := max(h.First, first); i <= min(h.Last, last); i++ {
			state[i]++
			lost++
		}
	}
	for i := first; i <= last; i++ {
		if state[i] != 1 {
			t.Errorf("index %d is accounted for %d times; holes %v", i, state[i], l.Holes())
			return lost
		}
	}
	return lost
}
