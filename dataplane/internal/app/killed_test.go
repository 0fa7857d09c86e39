package app

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/dataplane/internal/controltest"
	"github.com/vega-gateway/vega/dataplane/internal/journal"
	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/ops"
)

// childMark 在环境里，测试的二进制就是一个数据面，设置也从环境来。
const childMark = "VEGA_APP_TEST_CHILD"

// child 起一个数据面，把它的地址写给父进程，一直服务到死。
func child() int {
	cfg, err := ops.Environment[Config](os.Environ())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	a, err := Start(context.Background(), cfg, "test", zap.NewNop())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(a.HTTPAddr())
	if err := a.Wait(context.Background()); err != nil {
		return 1
	}
	return 0
}

// command 是以 cfg 起的一个数据面进程。
func command(cfg Config) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childMark+"=1", "VEGA_DATA_DIR="+cfg.DataDir, "VEGA_HTTP_ADDR="+cfg.HTTPAddr, "VEGA_OPS_ADDR="+cfg.OpsAddr,
		"VEGA_CONTROLPLANE_ADDR="+cfg.ControlplaneAddr[0], "VEGA_JOIN_TOKEN="+cfg.JoinToken)
	return cmd
}

// TestKilled_AProcessLeavesItsRequestsToTheNextOne：真的另一个进程，一个请求做完了而控制面不在，一条流还在半路：kill -9。
// 同一目录上接着起的那一个把它们都交出去，各一次：做完的原样，半路的是 aborted。
func TestKilled_AProcessLeavesItsRequestsToTheNextOne(t *testing.T) {
	cp, up := controltest.Start(t, controltest.Config{}), upstream(t, upstreamtest.Config{})
	cfg := testConfig(cp.Addr(), t.TempDir())
	cmd := command(cfg)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimSpace(line)

	second := command(cfg) // 同一目录上的第二个不起来
	if said, err := second.CombinedOutput(); err == nil || !strings.Contains(string(said), "is in use by another data plane") {
		t.Errorf("a second process on the same directory: %v, %s", err, said)
	}

	cp.WaitAck(t, cp.Push(t, snapshot(up.URL())))
	cp.Stop() // 从此什么也交不出去
	ask := func(stream bool) (*http.Response, error) {
		req, err := http.NewRequest(http.MethodPost, "http://"+addr+"/v1/chat/completions",
			strings.NewReader(fmt.Sprintf(`{"model":"gpt-4o","stream":%t,"messages":[{"role":"user","content":"hi"}]}`, stream)))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		return client().Do(req)
	}
	done, err := ask(false)
	if err != nil || done.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", done, err)
	}
	_ = done.Body.Close()
	held := make(chan struct{})
	defer close(held)
	up.SetScript(func(r *upstreamtest.Request) upstreamtest.Behavior {
		b := r.Default
		b.HoldLast = held
		return b
	})
	cut, err := ask(true)
	if err != nil {
		t.Fatal(err)
	}
	defer cut.Body.Close()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	cp.Restart(t)
	next := launch(t, cfg)
	cp.WaitTotals(t, "both requests", func(s journal.Totals) bool { return s.Requests == 2 })
	if n := len(cp.Ledgers()); n != 1 {
		t.Fatalf("%d sequences", n)
	}
	list := cp.Ledgers()[0].Requests()
	finished, aborted := list[0], list[1]
	if finished.GetId() != done.Header.Get("x-request-id") || finished.GetReplayed() || finished.GetStatus() != http.StatusOK {
		t.Errorf("%v", finished)
	}
	if aborted.GetId() != cut.Header.Get("x-request-id") || !aborted.GetReplayed() || aborted.GetOutcome() != usagev1.Outcome_OUTCOME_ABORTED ||
		aborted.GetApp() != "team" || aborted.GetModel() != "gpt-4o" || len(aborted.GetAttempts()) != 1 || aborted.GetAttempts()[0].GetServer() != "gpu-1" {
		t.Errorf("%v", aborted)
	}
	if _, metrics := next.ops("/metrics"); !strings.Contains(metrics, "vega_usage_replayed_total 1\n") || !strings.Contains(metrics, "vega_usage_journal_durable 1\n") {
		t.Error("not in the metrics")
	}
	cp.WaitStatus(t, next.NodeID(), func(s *configv1.NodeStatus) bool {
		j := s.GetJournal()
		return j.GetDurable() && j.GetTrouble() == "" && j.GetBytes() > 0 && j.GetUnjournalled() == 0
	})
}
