package segments

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"
)

// childDir 是被杀的那个进程要写的目录；有它，测试的二进制就不是测试。
const childDir = "VEGA_SEGMENTS_CHILD"

func crashConfig() Config { return Config{SegmentBytes: 1 << 20, Quota: 256 << 20} }

// blob 是序号 i 的内容：大小从几个字节到几百 KB，每个字节都由序号定，所以死在抄写半路的可能不小。
func blob(i uint64, b []byte) []byte {
	random := rand.New(rand.NewPCG(i, 1))
	n := 1 << random.IntN(19)
	b = b[:0]
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, random.Uint64())
	}
	return b[:n]
}

// child 不停地追加，每一帧追加之后把序号写给父进程，直到被杀。
func child(dir string) int {
	l, err := Open(dir, crashConfig())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go l.Run(context.Background())
	var b []byte
	for {
		next := l.Stats().Last + 1
		b = blob(next, b)
		var index uint64
		if next%2 == 0 {
			index, err = l.Append(b)
		} else {
			index, err = l.AppendFunc(len(b), func(p []byte) { copy(p, b) })
		}
		switch {
		case errors.Is(err, ErrFull):
			time.Sleep(100 * time.Microsecond)
			continue
		case err != nil:
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		os.Stdout.Write(binary.LittleEndian.AppendUint64(nil, index))
		if index%50 == 0 {
			if err := l.Drop(index - min(index, 100)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
	}
}

// TestKill_LosesNothingThatWasAcknowledged：真的 kill -9，在随机的时刻。
func TestKill_LosesNothingThatWasAcknowledged(t *testing.T) {
	const cycles = 25
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 9))
	acked, recovered := uint64(0), uint64(0)
	for cycle := range cycles {
		got := killedRun(t, dir, time.Duration(random.IntN(60))*time.Millisecond)
		acked = max(acked, got)
		l, err := Open(dir, crashConfig())
		if err != nil {
			t.Fatal(err)
		}
		st := l.Stats()
		if st.Last < acked || st.Last > acked+1 || st.Torn != 0 || st.Lost != 0 || st.Ignored != 0 {
			t.Fatalf("cycle %d: acknowledged %d, %+v, holes %v", cycle, acked, st, l.Holes())
		}
		acked = st.Last
		at, want := st.First, []byte(nil)
		if err := l.Read(0, func(i uint64, p []byte) bool {
			if want = blob(i, want); i != at || !bytes.Equal(p, want) {
				t.Errorf("cycle %d: frame %d of %d bytes where %d was expected", cycle, i, len(p), at)
			}
			at++
			return !t.Failed()
		}); err != nil {
			t.Fatal(err)
		}
		if at != st.Last+1 {
			t.Fatalf("cycle %d: read to %d of %d", cycle, at-1, st.Last)
		}
		recovered += st.Recovered
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if acked < cycles {
		t.Errorf("only %d frames in %d cycles", acked, cycles)
	}
	fmt.Printf("figures: segments-kill cycles=%d acknowledged=%d lost=0 torn=0 read_back=%d\n", cycles, acked, recovered)
}

// killedRun 起一个写的进程，在它确认第一帧之后 d 杀掉，返回它确认过的最大序号。
func killedRun(t *testing.T, dir string, d time.Duration) (acked uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	b := make([]byte, 8)
	for first := true; ; first = false {
		if _, err := io.ReadFull(in, b); err != nil {
			break
		}
		acked = binary.LittleEndian.Uint64(b)
		if first {
			time.AfterFunc(d, func() { _ = cmd.Process.Kill() })
		}
	}
	if err := cmd.Wait(); err == nil || acked == 0 {
		t.Fatalf("the writer ended by itself or wrote nothing: %v", err)
	}
	return acked
}
