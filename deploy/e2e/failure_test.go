package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

func TestFailure_ControlplaneKilledAndRestarted(t *testing.T) {
	r := start(t, stack.Options{Nodes: 1})
	r.Controlplane.Kill()
	if a := r.chat(0, "chat"); a.status != http.StatusOK {
		t.Fatalf("a node stopped serving with the control plane: %+v", a)
	}
	if err := r.Controlplane.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	// 内嵌的数据库与节点的连接都回来了：新配置照样生效，停机时的用量也到了。
	r.apply(doc{"models": list{model("late", "up", "fast?latency=0")}})
	if a := r.chat(0, "late"); a.status != http.StatusOK {
		t.Fatalf("after the restart: %+v", a)
	}
	r.awaitUsage(2)
}

func TestFailure_NodeBootsFromDiskWithEverythingElseDead(t *testing.T) {
	pg, opt := scratchDatabase(t)
	opt.Nodes = 1
	r := start(t, opt)
	r.Controlplane.Kill()
	pg.Kill()
	if a := r.chat(0, "chat"); a.status != http.StatusOK {
		t.Fatalf("running node: %+v", a)
	}
	r.Dataplanes[0].Kill()
	began := time.Now()
	if err := r.Dataplanes[0].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.AwaitReady(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	t.Logf("figures: boot from disk to ready %s", time.Since(began).Round(time.Millisecond))
	if a := r.chat(0, "chat"); a.status != http.StatusOK {
		t.Fatalf("restarted node: %+v", a)
	}
	if err := pg.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Controlplane.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.apply(doc{"models": list{model("late", "up", "fast?latency=0")}})
	if a := r.chat(0, "late"); a.status != http.StatusOK {
		t.Fatalf("after everything came back: %+v", a)
	}
}

func TestFailure_PostgresRestarted(t *testing.T) {
	pg, opt := scratchDatabase(t)
	opt.Nodes = 1
	r := start(t, opt)
	pg.Kill()
	if a := r.chat(0, "chat"); a.status != http.StatusOK {
		t.Fatalf("without a database: %+v", a)
	}
	var e *stack.StatusError
	if err := r.Admin.Call(t.Context(), http.MethodGet, "/servers", nil, nil); !asStatus(err, &e) || e.Status != http.StatusServiceUnavailable {
		t.Errorf("the admin API without a database: %v", err)
	}
	if err := pg.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the admin API comes back", func() bool {
		return r.Admin.Call(t.Context(), http.MethodGet, "/servers", nil, nil) == nil
	})
	r.apply(doc{"models": list{model("late", "up", "fast?latency=0")}})
	if a := r.chat(0, "late"); a.status != http.StatusOK {
		t.Fatalf("afterwards: %+v", a)
	}
	r.awaitUsage(2)
}

func TestFailure_TwoControlplanesOnOneDatabase(t *testing.T) {
	_, opt := scratchDatabase(t)
	opt.Nodes = 1
	r := start(t, opt)
	twin, admin := r.twin(opt)
	if err := twin.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { twin.Stop(20 * time.Second) })
	// 经另一个副本写：节点连在第一个上，照样换上、照样确认给第二个听。
	a, err := admin.Apply(t.Context(), doc{"models": list{model("late", "up", "fast?latency=0")}})
	if err != nil || len(a.Applied) != 1 {
		t.Fatalf("%+v, %v", a, err)
	}
	if got := r.chat(0, "late"); got.status != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	// 节点所连的副本死了，节点去找活着的那个：两个地址都给了它。
	if _, err := r.AddDataplane(t.Context(), "VEGA_CONTROLPLANE_ADDR="+r.GRPCAddr()+","+strings.TrimPrefix(envOf(twin, "VEGA_GRPC_ADDR"), "VEGA_GRPC_ADDR=")); err != nil {
		t.Fatal(err)
	}
	r.Controlplane.Kill()
	r.Dataplanes[0].Kill() // 它只认识死了的那个，会为交不出的用量等满时限
	eventually(t, 30*time.Second, "the node with two addresses follows the live replica", func() bool {
		a, err := admin.Apply(t.Context(), doc{"models": list{model("late2", "up", "fast?latency=0")}})
		if err != nil {
			return false
		}
		for _, id := range a.Applied {
			if id == "dataplane-2" {
				return true
			}
		}
		return false
	})
}

func TestFailure_DrainFinishesStreamsAndHandsOverUsage(t *testing.T) {
	r := start(t, stack.Options{Nodes: 1})
	r.apply(doc{"models": list{model("late", "up", "s?latency=0&chunks=20&chunk_delay=100ms")}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.APIURL(0)+"/chat/completions",
		strings.NewReader(`{"model":"late","stream":true,"messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body := bufio.NewReader(resp.Body)
	if _, err := body.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	r.Dataplanes[0].Signal(syscall.SIGTERM)
	time.Sleep(200 * time.Millisecond)
	if _, err := r.try(0, r.key, "/chat/completions", `{"model":"chat"}`); err == nil {
		t.Error("a draining node took a new connection")
	}
	rest, err := io.ReadAll(body)
	if err != nil || !strings.Contains(string(rest), "[DONE]") {
		t.Fatalf("the stream was cut by the drain: %v, %q", err, rest)
	}
	select {
	case <-r.Dataplanes[0].Done():
	case <-time.After(15 * time.Second):
		t.Fatal("the node did not end after its last stream")
	}
	if code := r.Dataplanes[0].ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, r.Dataplanes[0].Tail())
	}
	r.awaitUsage(1)
}

// awaitUsage 等 /usage 里的 requests 到 want。
func (r *rig) awaitUsage(want int64) {
	r.t.Helper()
	var got usage
	deadline := time.Now().Add(20 * time.Second)
	for ctx := context.Background(); ; time.Sleep(50 * time.Millisecond) {
		err := r.Admin.Call(ctx, http.MethodGet, "/usage", nil, &got)
		if err == nil && got.Totals.Requests == want {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("usage: %+v, %v; want %d requests", got.Totals, err, want)
		}
	}
}

// usage 是 /usage 的回答里测试要看的部分。
type usage struct {
	Rows   []usageRow
	Totals usageRow
}

type usageRow struct {
	Server, App, Model string
	Requests           int64
	Attempts           int64
	Errors             int64
	Aborted            int64
	Refused            int64
	PromptTokens       int64 `json:"prompt_tokens"`
	CompletionTokens   int64 `json:"completion_tokens"`
}

// twin 是同一个数据库上的第二个控制面，与它的管理 API。
func (r *rig) twin(opt stack.Options) (*stack.Process, *stack.Admin) {
	r.t.Helper()
	var addrs [3]string
	for i := range addrs {
		a, err := stack.FreeAddr()
		if err != nil {
			r.t.Fatal(err)
		}
		addrs[i] = a
	}
	token := strings.Repeat("t", 40)
	p := &stack.Process{Name: "controlplane-2", Args: []string{bin + "/controlplane", "serve"}, Log: r.t.TempDir() + "/log", Ready: fmt.Sprintf("http://%s/readyz", addrs[2]),
		Env: append([]string{"VEGA_HTTP_ADDR=" + addrs[0], "VEGA_GRPC_ADDR=" + addrs[1], "VEGA_OPS_ADDR=" + addrs[2], "VEGA_DATA_DIR=" + r.t.TempDir(),
			"VEGA_DATABASE_URL=" + opt.DatabaseURL, "VEGA_ADMIN_TOKEN=" + token}, opt.ControlplaneEnv...)}
	return p, &stack.Admin{URL: "http://" + addrs[0], Token: token}
}

func envOf(p *stack.Process, name string) string {
	for _, kv := range p.Env {
		if strings.HasPrefix(kv, name+"=") {
			return kv
		}
	}
	return ""
}
