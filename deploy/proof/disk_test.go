package proof

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	"github.com/vega-gateway/vega/deploy/stack"
)

// TestDisk 让一个真的节点的盘满（写不出大文件）、坏（在用的段被截短，写下去取不来页）、再好：它一直服务，
// 在 /nodes 与指标里说出来，没有进过盘的有数，好了之后又写在盘上；到底一笔不少。第二个进程用同一个目录起不来。
func TestDisk(t *testing.T) {
	t.Parallel()
	f := newFleet(t, shape{nodes: 1, outside: true, upstream: upstreamtest.Config{Script: scripted}}, func(f *fleet) doc { return f.mixture() })
	t.Run("two processes", func(t *testing.T) { secondProcess(t, f) })
	var seen []outcome
	seen = append(seen, fullFromTheStart(t, f)...)
	seen = append(seen, damaged(t, f)...)
	f.drained(t.Context())
	a := f.audit(t.Context(), seen)
	figures("disk sent=%d %s", len(seen), a)
	a.judge(t)
	if counted := f.sum("vega_usage_unjournalled_total"); a.unjournalled == 0 || a.unjournalled != counted {
		t.Errorf("%d requests are marked as never written to disk, the node counted %d", a.unjournalled, counted)
	}
}

// secondProcess 用同一个目录再起一个：它以一句清楚的错误结束，第一个照旧。
func secondProcess(t *testing.T, f *fleet) {
	first := f.Dataplanes[0]
	second := &stack.Process{Name: "second", Args: first.Args, Log: filepath.Join(t.TempDir(), "log"), Ready: "http://127.0.0.1:1/",
		Env: append(slices.Clone(first.Env), "VEGA_HTTP_ADDR=127.0.0.1:0", "VEGA_OPS_ADDR=127.0.0.1:0")}
	if err := second.Launch(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-second.Done():
	case <-time.After(30 * time.Second):
		second.Kill()
		t.Fatal("the second process stays")
	}
	lines := strings.Split(strings.TrimSpace(second.Tail()), "\n")
	said := strings.Contains(second.Tail(), "in use by another data plane")
	figures("disk case=two_processes exit_code=%d said=%t", second.ExitCode(), said)
	if second.ExitCode() <= 0 || !said {
		t.Errorf("exit code %d, the last line: %s", second.ExitCode(), lines[len(lines)-1])
	}
	f.awaitJournal(t, func(j journalStatus) bool { return j.Durable }) // 第一个照旧写在盘上
}

// fullFromTheStart 在满的盘上起节点，发一批，腾出地方，再发一批。
func fullFromTheStart(t *testing.T, f *fleet) []outcome {
	const small = 1 << 20
	node := f.Dataplanes[0]
	if err := node.Stop(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(f.DataDir(0)); err != nil {
		t.Fatal(err)
	}
	args := node.Args
	node.Args = append([]string{"/bin/sh", "-c", `ulimit -S -f 2048 && exec "$@"`, "sh"}, args...) // 以 512 字节计
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	node.Args = args
	if err := stack.LimitFileSize(node.PID(), small); err != nil { // sh 的单位各家不同
		t.Fatal(err)
	}
	if err := f.AwaitReady(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	seen := f.mixer().batch(12, size(200, 2000))
	said := f.awaitJournal(t, func(j journalStatus) bool { return !j.Durable && j.Unjournalled > 0 })
	if said.Trouble == "" {
		t.Error("/nodes does not say why the node does not write to disk")
	}
	if err := stack.LimitFileSize(node.PID(), -1); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	f.awaitJournal(t, func(j journalStatus) bool { return j.Durable })
	back := time.Since(began)
	counted := f.sum("vega_usage_unjournalled_total")
	more := f.mixer().batch(12, size(100, 1000))
	after := f.sum("vega_usage_unjournalled_total")
	figures("disk case=full_from_the_start sent=%d failed=%d unjournalled=%d trouble=%q back_after=%s then_sent=%d failed=%d unjournalled=%d",
		len(seen), failed(seen), counted, said.Trouble, short(back), len(more), failed(more), after-counted)
	if failed(seen)+failed(more) > 0 {
		t.Error("requests failed because of the disk")
	}
	if counted == 0 || after != counted {
		t.Errorf("%d requests were counted as never on disk while it was full, %d after", counted, after-counted)
	}
	return append(seen, more...)
}

// damaged 截短在用的段：写下去内核给不出页（SIGBUS），如同盘读写出错。
func damaged(t *testing.T, f *fleet) []outcome {
	f.drained(t.Context())
	segments, err := filepath.Glob(filepath.Join(f.DataDir(0), "*", "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no segment in the data directory: %v", err)
	}
	pid := f.Dataplanes[0].PID()
	for _, path := range segments {
		if err := os.Truncate(path, 4096); err != nil {
			t.Fatal(err)
		}
	}
	seen := f.mixer().batch(12, size(200, 2000))
	f.awaitJournal(t, func(j journalStatus) bool { return j.Durable })
	more := f.mixer().batch(12, size(100, 1000))
	figures("disk case=segment_truncated segments=%d sent=%d failed=%d unjournalled=%d", len(segments), len(seen)+len(more), failed(seen)+failed(more),
		f.sum("vega_usage_unjournalled_total"))
	if failed(seen)+failed(more) > 0 {
		t.Error("requests failed because of the disk")
	}
	select {
	case <-f.Dataplanes[0].Done():
		t.Error("the node died")
	default:
	}
	if f.Dataplanes[0].PID() != pid {
		t.Error("the node is another process")
	}
	return append(seen, more...)
}

// failed 数本该成却没有成的：上游总是好好作答的那几种。
func failed(seen []outcome) (n int) {
	for _, o := range seen {
		if slices.Contains([]string{"json", "stream", "long", "embed", "silent"}, o.kind) && !o.whole {
			n++
		}
	}
	return n
}

// journalStatus 是 GET /nodes 里说的日志。
type journalStatus struct {
	Durable      bool   `json:"durable"`
	Trouble      string `json:"trouble"`
	Bytes        int64  `json:"bytes"`
	Unjournalled int64  `json:"unjournalled"`
}

// journalOf 是第一个节点的。
func (f *fleet) journalOf() journalStatus {
	f.t.Helper()
	var nodes []struct {
		Journal journalStatus `json:"journal"`
	}
	if err := f.Admin.Call(f.t.Context(), http.MethodGet, "/nodes", nil, &nodes); err != nil || len(nodes) == 0 {
		f.t.Fatalf("no nodes: %v", err)
	}
	return nodes[0].Journal
}

// awaitJournal 等它成为那样；节点约每几秒报一次。
func (f *fleet) awaitJournal(t *testing.T, ok func(journalStatus) bool) journalStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	for {
		j := f.journalOf()
		if ok(j) {
			return j
		}
		if pause(ctx, 100*time.Millisecond); ctx.Err() != nil {
			t.Fatalf("/nodes still says %+v", j)
		}
	}
}
