package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/internal/admit"
	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
)

func TestBooking_TheRequestIsOnRecordBeforeTheUpstreamSeesIt(t *testing.T) {
	var n *node
	var missing, calls atomic.Int64
	behave := func(r *upstreamtest.Request) upstreamtest.Behavior {
		calls.Add(1)
		if n.journal.open() != 1 {
			missing.Add(1)
		}
		if calls.Load() == 1 {
			return upstreamtest.Behavior{Status: 500}
		}
		return upstreamtest.Behavior{}
	}
	n, u := one(t, upstreamtest.Config{Script: behave})
	for _, body := range []string{ask, askStream} {
		want(t, n.chat(body), 200, "")
	}
	if calls.Load() != 3 || missing.Load() != 0 {
		t.Errorf("%d of %d calls arrived before their request was on record", missing.Load(), calls.Load())
	}
	settle(t, n, u)
	if open := n.journal.open(); open != 0 {
		t.Errorf("%d still open", open)
	}
}

func TestBooking_ARequestThatReachesNobodyIsTakenBack(t *testing.T) {
	n := start(t, newSnap().server("dead", deadAddr(t)).model("m", "dead").compile(t))
	want(t, n.chat(ask), 502, "upstream_error")
	if n.journal.open() != 0 || len(n.journal.all()) != 0 || n.journal.refused()["upstream_error"] != 1 {
		t.Errorf("open %d, records %v, refused %v", n.journal.open(), n.journal.all(), n.journal.refused())
	}
}

func TestBooking_TheAccountIsClosedWhenTheClientSeesTheTerminalEvent(t *testing.T) {
	for name, b := range map[string]upstreamtest.Behavior{
		"in one burst": {Burst: 100}, "event by event": {ChunkDelay: time.Millisecond}, "without usage": {Usage: upstreamtest.UsageMissing},
		"split": {SplitBytes: 7},
	} {
		t.Run(name, func(t *testing.T) {
			n, u := one(t, upstreamtest.Config{Default: b})
			resp, err := n.request(t.Context(), http.MethodPost, "/v1/chat/completions", askStream)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			lines := bufio.NewScanner(resp.Body)
			for lines.Scan() && lines.Text() != "data: [DONE]" {
			}
			if open, all := n.journal.open(), n.journal.all(); open != 0 || len(all) != 1 {
				t.Errorf("the client has seen [DONE]: %d open, %d closed", open, len(all))
			}
			settle(t, n, u)
		})
	}
}

// killed 是进程此刻被杀、重启之后重放出的记录：写日志的目录照原样抄一份，从那里开始。
func killed(t *testing.T, dir string) []*usagev1.Request {
	t.Helper()
	root := t.TempDir()
	var at string
	for n := 0; ; n++ { // 抄到一半有文件换了名字，抄到的就不是一个时刻的样子，重抄
		at = filepath.Join(root, strconv.Itoa(n))
		err := os.CopyFS(at, os.DirFS(dir))
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || n == 20 {
			t.Fatal(err)
		}
	}
	j := onDisk(t, at)
	var all []*usagev1.Request
	for _, s := range j.Sources() {
		for from, end := uint64(1), time.Now().Add(10*time.Second); from <= s.Stats().LastSeq; { // 重放写下的要落了盘才交
			b := s.Batch(from, 1000)
			if b == nil && time.Now().After(end) {
				t.Fatalf("record %d of %d is not handed over", from, s.Stats().LastSeq)
			}
			if b == nil {
				time.Sleep(time.Millisecond)
				continue
			}
			for _, r := range decoded(b).GetRecords() {
				if q := r.GetRequest(); q != nil {
					all = append(all, q)
				}
			}
			from = b.GetLastSeq() + 1
		}
	}
	return all
}

// startOnDisk 起一个在盘上记账的节点。
func startOnDisk(t *testing.T, s *snap) (*node, string) {
	t.Helper()
	dir := t.TempDir()
	n := startOn(t, ledger{onDisk(t, dir)}, s.compile(t), nil, admit.Config{EventEvery: eventEvery}, admit.Deps{})
	return n, dir
}

func TestBooking_AKilledNodeStillKnowsEachCallOfARetriedRequest(t *testing.T) {
	for name, order := range map[string][3]int64{ // dead、bad、good 的先后
		"an unreachable server first": {0, 1, 2}, "an unreachable server between": {1, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			held := make(chan struct{})
			bad := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Status: 503}})
			good := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{HoldHead: held}})
			n, dir := startOnDisk(t, newSnap().server("dead", deadAddr(t)).server("bad", bad.URL()+"/v1").server("good", good.URL()+"/v1").
				model("m", "dead", "bad", "good").edit(func(s *configv1.Snapshot) {
				for i, p := range order {
					s.Models[0].Targets[i].Priority = p
				}
			}))
			answers := make(chan answer, 1)
			go func() { answers <- n.chat(ask) }()
			if err := good.WaitInFlight(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			all := killed(t, dir)
			close(held)
			want(t, <-answers, 200, "")
			if len(all) != 1 || len(all[0].Attempts) != 2 || !all[0].Replayed || all[0].App != "team" || all[0].Model != "m" {
				t.Fatalf("%v", all)
			}
			first, second := all[0].Attempts[0], all[0].Attempts[1]
			if first.Server != "bad" || first.Number != 1 || first.Status != 503 || first.Outcome != usagev1.Outcome_OUTCOME_UPSTREAM_ERROR ||
				second.Server != "good" || second.Number != 2 || second.Source != unknown || second.Usage != nil {
				t.Errorf("%v", all[0].Attempts)
			}
			if all = killed(t, dir); len(all) != 1 || all[0].Replayed || len(all[0].Attempts) != 2 || all[0].Attempts[1].Source != reported {
				t.Errorf("after the end: %v", all)
			}
		})
	}
}

func TestBooking_AKilledStreamKeepsItsLastProgress(t *testing.T) {
	for name, c := range map[string]struct {
		b            upstreamtest.Behavior
		prompt       int64
		fewest, most int64
	}{
		"reported along the way": {upstreamtest.Behavior{Chunks: 1300, CompletionTokens: 2600, PromptTokens: 33, Usage: upstreamtest.UsageCumulative}, 33, 2048, 2600},
		"an event is a token":    {upstreamtest.Behavior{Chunks: 1300, ChunkBytes: 4}, 0, 1024, 1300},
	} {
		t.Run(name, func(t *testing.T) {
			held := make(chan struct{})
			c.b.HoldLast = held
			u := upstream(t, upstreamtest.Config{Default: c.b})
			n, dir := startOnDisk(t, newSnap().server("s", u.URL()+"/v1").model("m", "s/gpt-4o"))
			answers := make(chan answer, 1)
			go func() { answers <- n.chat(askStream) }()
			var all []*usagev1.Request
			for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
				all = killed(t, dir)
				if len(all) == 1 && all[0].Attempts[0].Usage.GetCompletionTokens() >= c.fewest {
					break
				}
			}
			close(held)
			want(t, <-answers, 200, "")
			if len(all) != 1 || !all[0].Replayed || !all[0].Stream {
				t.Fatalf("%v", all)
			}
			a := all[0].Attempts[0]
			if a.Source != partial || a.Usage.GetCompletionTokens() < c.fewest || a.Usage.GetCompletionTokens() > c.most || c.prompt > 0 && a.Usage.GetPromptTokens() != c.prompt || a.Usage.PromptTokens == nil {
				t.Errorf("%v", a)
			}
		})
	}
}

func TestBooking_ASlowStreamSaysHowFarItIsEverySecond(t *testing.T) {
	u := upstream(t, upstreamtest.Config{Default: upstreamtest.Behavior{Chunks: 1000, ChunkDelay: 100 * time.Millisecond}})
	n, dir := startOnDisk(t, newSnap().server("s", u.URL()+"/v1").model("m", "s/gpt-4o"))
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	resp, err := n.request(ctx, http.MethodPost, "/v1/chat/completions", askStream)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if all := killed(t, dir); len(all) == 1 && all[0].Attempts[0].Usage.GetCompletionTokens() >= 5 {
			if tokens := all[0].Attempts[0].Usage.GetCompletionTokens(); tokens > 400 || all[0].Attempts[0].Source != partial {
				t.Errorf("%v", all[0])
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no progress on record after 20 s")
		}
	}
}
