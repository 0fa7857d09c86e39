package segments

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"
)

// bench 是一份真在盘上、Run 跑着的日志；写掉的随写随删。
func bench(b *testing.B) *Log {
	l, err := Open(b.TempDir(), Config{Quota: 8 << 30})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = l.Run(ctx); close(done) }()
	b.Cleanup(func() {
		cancel()
		<-done
		b.ReportMetric(float64(l.Stats().Syncs), "syncs")
		b.ReportMetric(float64(l.Stats().Refused)/float64(b.N), "refused/op")
		l.Close()
	})
	b.ReportAllocs()
	return l
}

// push 追加一帧；下一段还没有预备好就让出来等：量的是追加，不是盘的快慢。
func push(b *testing.B, l *Log, add func() (uint64, error)) {
	for {
		index, err := add()
		if err == nil {
			if index%(1<<18) == 0 {
				if err := l.Drop(index); err != nil {
					b.Error(err)
				}
			}
			return
		}
		if !errors.Is(err, ErrFull) {
			b.Fatal(err)
		}
		b.StopTimer()
		time.Sleep(time.Millisecond)
		b.StartTimer()
	}
}

func BenchmarkAppend(b *testing.B) {
	l, p := bench(b), make([]byte, 250)
	for b.Loop() {
		push(b, l, func() (uint64, error) { return l.Append(p) })
	}
}

func BenchmarkAppendFunc(b *testing.B) {
	l, p := bench(b), make([]byte, 250)
	for b.Loop() {
		push(b, l, func() (uint64, error) { return l.AppendFunc(len(p), func(to []byte) { copy(to, p) }) })
	}
}

// BenchmarkAppendTwo：两个 goroutine 抢同一把短锁。
func BenchmarkAppendTwo(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	l := bench(b)
	b.SetParallelism(1)
	b.RunParallel(func(pb *testing.PB) {
		p := make([]byte, 250)
		for pb.Next() {
			for {
				if _, err := l.Append(p); err == nil {
					break
				}
				runtime.Gosched()
			}
		}
	})
}

// BenchmarkAppendMemory：没有盘与换段，只剩抄写、校验与锁。
func BenchmarkAppendMemory(b *testing.B) {
	l, err := Open("", Config{Files: memory{}})
	if err != nil {
		b.Fatal(err)
	}
	p := make([]byte, 250)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Append(p); err != nil {
			b.StopTimer()
			l.tidy()
			_ = l.Drop(l.Stats().Last)
			b.StartTimer()
		}
	}
}

func BenchmarkRead(b *testing.B) {
	l, err := Open(b.TempDir(), Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	for range 1_000 {
		if _, err := l.Append(make([]byte, 250)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Read(1, func(uint64, []byte) bool { return true }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1_000, "ns/frame")
}

// BenchmarkAppendPaced：每毫秒二十帧，像一个忙的节点；报的是单次追加的分位数，连同读钟的几十纳秒。
func BenchmarkAppendPaced(b *testing.B) {
	l, p := bench(b), make([]byte, 250)
	var took []time.Duration
	for b.Loop() {
		if len(took)%20 == 0 {
			time.Sleep(time.Millisecond)
		}
		start := time.Now()
		if _, err := l.Append(p); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50-ns", 0.5}, {"p99-ns", 0.99}, {"p999-ns", 0.999}, {"max-ns", 1}} {
		b.ReportMetric(float64(took[int(q.at*float64(len(took)-1))]), q.name)
	}
}

// BenchmarkOpen：64 MiB 的日志，每一帧都要验。
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	l, err := Open(dir, Config{})
	if err != nil {
		b.Fatal(err)
	}
	for l.Stats().Segments < 5 {
		if _, err := l.Append(make([]byte, 250)); err != nil {
			l.tidy()
		}
	}
	frames := l.Stats().Last
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		l, err := Open(dir, Config{})
		if err != nil || l.Stats().Last != frames {
			b.Fatal(err, l.Stats())
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(frames), "frames")
}
