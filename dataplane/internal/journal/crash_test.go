package journal

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/segments"

	"google.golang.org/protobuf/proto"

	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

// childDir 是被杀的那个进程要写的目录；有它，测试的二进制就不是测试。
const childDir = "VEGA_JOURNAL_CHILD"

func crashConfig() Config {
	return Config{KeepFor: 20 * time.Millisecond, KeepBytes: 1 << 10, Segments: segments.Config{SegmentBytes: 64 << 10, Quota: 64 << 20}}
}

// 子进程每做一件事就告诉父进程：开了头、有了结局。
const (
	saidOpen  = 'o'
	saidClose = 'c'
)

// child 不停地开始与结束请求，约三分之一一直开着；被杀为止。做过的事在做完之后才说。
func child(dir string) int {
	j, err := OpenDir(dir, crashConfig())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go j.Run(context.Background())
	var base uint64
	if _, err := fmt.Sscan(os.Getenv(childDir+"_BASE"), &base); err != nil {
		return 1
	}
	say := func(what byte, id uint64) {
		os.Stdout.Write(binary.LittleEndian.AppendUint64([]byte{what}, id))
	}
	for id := base; ; id++ {
		t := j.Open(opening(fmt.Sprint("r", id)))
		if t.id == 0 { // 写得比盘快，这一个只在内存里：换一个
			t.Abandon()
			time.Sleep(time.Millisecond)
			id--
			continue
		}
		say(saidOpen, id)
		if id%3 == 0 {
			t.Progress(&Progress{Usage: usagev1.Usage{CompletionTokens: proto.Int64(int64(id))}, CostNano: 1})
			if id%2 == 0 {
				continue // 一直开着
			}
		}
		if id%5 == 0 {
			t.Next(&usagev1.Attempt{Number: 1, Server: "s", Outcome: usagev1.Outcome_OUTCOME_UPSTREAM_ERROR}, Call{Number: 2, Server: "s2"})
		}
		t.Close(request(fmt.Sprint("r", id), 10))
		for j.disk.waiting() > 0 {
			time.Sleep(time.Millisecond)
		}
		say(saidClose, id)
	}
}

// TestKill_LosesNothingThatWasClosed：真的 kill -9，在随机的时刻；重启之后说过的都在，各恰好一次：
// 有结局的是原样，没有的是 aborted。其间控制面收一部分，确认一部分。
func TestKill_LosesNothingThatWasClosed(t *testing.T) {
	const cycles = 20
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 9))
	l := newLedger(t)
	epoch, next, closedAll, openedAll, cutOff := uint64(0), uint64(0), 0, 0, 0
	for cycle := range cycles {
		opened, closed := killedRun(t, dir, next, time.Duration(random.IntN(50))*time.Millisecond)
		j := onDisk(t, dir, crashConfig())
		if epoch != 0 && j.Epoch() != epoch || len(j.Sources()) != 2 {
			t.Fatalf("cycle %d: epoch %d became %d", cycle, epoch, j.Epoch())
		}
		epoch = j.Epoch()
		stop := running(t, j)
		j.Rewind(l.cursor)
		l.drain(j)
		if cycle%3 == 0 { // 控制面收下而确认丢了
			j.Rewind(l.cursor / 2)
		}
		stop()
		if err := j.Shut(); err != nil {
			t.Fatal(err)
		}
		last := next
		for id := range opened {
			last = max(last, id)
			if n := l.ids[fmt.Sprint("r", id)]; n != 1 {
				t.Fatalf("cycle %d: r%d was opened and is counted %d times", cycle, id, n)
			}
		}
		next = last + 2 // 开了头而还没来得及说的也许在
		closedAll, openedAll = closedAll+len(closed), openedAll+len(opened)
		for _, q := range l.list {
			var id uint64
			fmt.Sscanf(q.GetId(), "r%d", &id)
			if _, done := closed[id]; done && q.GetReplayed() {
				t.Fatalf("cycle %d: r%d was closed and is replayed as %v", cycle, id, q)
			}
			if q.GetReplayed() {
				cutOff++
				checkCutOff(t, id, q)
			}
		}
		l.list = nil
	}
	if closedAll < cycles || cutOff == 0 || l.totals.Lost != 0 {
		t.Errorf("%d closed, %d cut off, lost %d", closedAll, cutOff, l.totals.Lost)
	}
	fmt.Printf("figures: journal-kill cycles=%d opened=%d closed=%d cut_off=%d lost=0 duplicated=0\n", cycles, openedAll, closedAll, cutOff)
}

// checkCutOff 看被切断的请求：有过进展的是 partial，没有的是 unknown。
func checkCutOff(t *testing.T, id uint64, q *usagev1.Request) {
	t.Helper()
	a := q.GetAttempts()[len(q.GetAttempts())-1]
	progressed := id%3 == 0
	if q.GetOutcome() != usagev1.Outcome_OUTCOME_ABORTED || q.GetStatus() != 0 || q.GetApp() != "a" {
		t.Fatalf("%v", q)
	}
	switch {
	case a.GetSource() == usagev1.Source_SOURCE_PARTIAL && progressed && a.GetUsage().GetCompletionTokens() == int64(id):
	case a.GetSource() == usagev1.Source_SOURCE_UNKNOWN && a.GetUsage() == nil:
	default:
		t.Fatalf("r%d: %v", id, q)
	}
}

// killedRun 起一个写的进程，在它确认头一个结局之后 d 杀掉，返回它说过的。
func killedRun(t *testing.T, dir string, base uint64, d time.Duration) (opened, closed map[uint64]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("%s_BASE=%d", childDir, base))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	opened, closed = map[uint64]bool{}, map[uint64]bool{}
	in, b := bufio.NewReader(out), make([]byte, 9)
	for {
		if _, err := io.ReadFull(in, b); err != nil {
			break
		}
		id := binary.LittleEndian.Uint64(b[1:])
		if b[0] == saidOpen {
			opened[id] = true
			continue
		}
		if closed[id] = true; len(closed) == 1 {
			time.AfterFunc(d, func() { _ = cmd.Process.Kill() })
		}
	}
	if err := cmd.Wait(); err == nil || len(closed) == 0 {
		t.Fatalf("the writer ended by itself or wrote nothing: %v", err)
	}
	return opened, closed
}
