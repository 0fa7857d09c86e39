package browser

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

// rig 是起好的一整套：PostgreSQL、控制面（带刚构建的控制台）、三个数据面、两个假上游。
type rig struct {
	*stack.Stack
	// second 是第二个假上游：停掉它，别的服务器照常。
	second    *stack.Process
	secondURL string
	// publicURL 是第一个数据面的入口，不带 /v1；控制面的 VEGA_PUBLIC_API_URL 是它。
	publicURL string
	nodeURLs  []string
	processes map[string]*stack.Process
}

type (
	doc  = map[string]any
	list = []any
)

const nodes = 3

// start 起一整套并应用 base；用例结束时停掉，失败了把各进程日志的末尾打出来。
func start(t *testing.T) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	bin := t.TempDir()
	if err := stack.Build(root(t), bin, false); err != nil {
		t.Fatal(err)
	}
	public, err := stack.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	opt := database(t)
	opt.Bin, opt.Dir = bin, t.TempDir()
	opt.ControlplaneEnv = append(opt.ControlplaneEnv, "VEGA_PUBLIC_API_URL=http://"+public)
	s, err := stack.Start(ctx, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	r := &rig{Stack: s, publicURL: "http://" + public}
	r.addUpstream(t, bin)
	r.addNodes(t)
	r.processes = map[string]*stack.Process{"controlplane": s.Controlplane, "upstream-1": s.Upstream, "upstream-2": r.second}
	for _, p := range s.Dataplanes {
		r.processes[p.Name] = p
	}
	t.Cleanup(func() {
		for name, p := range r.processes {
			if complaints := complaints(p); t.Failed() && complaints != "" {
				t.Logf("%s:\n%s", name, complaints)
			}
		}
	})
	if err := r.reset(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		if err := s.AwaitReady(ctx, i); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// complaints 是一个进程日志里告警以上的行，至多最后二十行；请求的流水不在其中。
func complaints(p *stack.Process) string {
	raw, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	var kept []string
	for line := range strings.Lines(string(raw)) {
		if !strings.Contains(line, `"level":"info"`) && !strings.Contains(line, `"level":"INFO"`) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept[max(0, len(kept)-20):], "")
}

// addNodes 加数据面；第一个听在控制面说的公开地址上。
func (r *rig) addNodes(t *testing.T) {
	t.Helper()
	for i := range nodes {
		addr, err := strings.TrimPrefix(r.publicURL, "http://"), error(nil)
		if i > 0 {
			addr, err = stack.FreeAddr()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.AddDataplane(t.Context(), "VEGA_HTTP_ADDR="+addr, "VEGA_DRAIN_TIMEOUT=5s"); err != nil {
			t.Fatal(err)
		}
		r.nodeURLs = append(r.nodeURLs, "http://"+addr)
	}
}

func (r *rig) addUpstream(t *testing.T, bin string) {
	t.Helper()
	addr, err := stack.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	r.secondURL = "http://" + addr + "/v1"
	r.second = &stack.Process{Name: "fakeupstream-2", Args: []string{filepath.Join(bin, "fakeupstream")}, Env: []string{"VEGA_HTTP_ADDR=" + addr},
		Ready: "http://" + addr + "/healthz", Log: filepath.Join(t.TempDir(), "fakeupstream-2.log")}
	if err := r.second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.second.Stop(10 * time.Second); err != nil {
			t.Error(err)
		}
	})
}

// database 起测试自己的 PostgreSQL：控制面被杀、再起时它还在。
func database(t *testing.T) stack.Options {
	t.Helper()
	dir, err := os.MkdirTemp("", "vega-browser-pg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // 没有特权的账号要走得进去
		t.Fatal(err)
	}
	pg, err := stack.NewPostgres(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := pg.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pg.Stop)
	join := filepath.Join(dir, "join-token")
	if err := os.WriteFile(join, []byte(strings.Repeat("j", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	return stack.Options{DatabaseURL: pg.URL(), DataplaneEnv: []string{"VEGA_JOIN_TOKEN_FILE=" + join},
		ControlplaneEnv: []string{"VEGA_MASTER_KEY=" + strings.Repeat("5a", 32), "VEGA_JOIN_TOKEN_FILE=" + join}}
}

// 各用例开始时的配置里的名字与密钥。
const (
	apiKey      = "vg-browser-team-a-0123456789abcdefghijklmnopqrstuv"
	secondKey   = "vg-browser-team-b-0123456789abcdefghijklmnopqrstuv"
	upstreamKey = "sk-upstream"
)

// base 是每个用例开始时的配置：两个服务器，三个模型，两个 app。
func (r *rig) base() doc {
	target := func(server, model string, weight int) doc {
		return doc{"server": server, "upstream_model": model, "weight": weight}
	}
	prices := doc{"input_per_million": 2.5, "output_per_million": 10, "currency": "USD"}
	return doc{
		"servers": list{
			doc{"name": "gpu-1", "provider": "openai", "base_url": r.UpstreamURL, "api_key": upstreamKey, "limits": doc{"max_concurrency": 8}},
			doc{"name": "gpu-2", "provider": "openai", "base_url": r.secondURL, "api_key": upstreamKey, "limits": doc{"max_concurrency": 2}},
		},
		"models": list{
			doc{"name": "chat", "targets": list{target("gpu-1", "chat?latency=5ms&chunk_delay=1ms", 3), target("gpu-2", "chat?latency=5ms&chunk_delay=1ms", 1)}, "prices": prices},
			doc{"name": "slow", "targets": list{target("gpu-2", "slow?latency=3s", 1)}, "prices": prices},
			doc{"name": "org/embed", "targets": list{target("gpu-1", "embed", 1)}},
		},
		"apps": list{
			doc{"name": "team-a", "weight": 3, "models": list{"*"}, "keys": list{doc{"name": "default", "secret": apiKey}}},
			doc{"name": "team-b", "weight": 1, "models": list{"*"}, "keys": list{doc{"name": "default", "secret": secondKey}}},
		},
	}
}

// reset 让一切回到用例开始时的样子：停了的进程起来，上游忘掉剧本，配置是 base。
func (r *rig) reset(ctx context.Context) error {
	for _, name := range []string{"upstream-1", "upstream-2", "controlplane", "dataplane-1", "dataplane-2", "dataplane-3"} {
		if err := r.revive(ctx, r.processes[name]); err != nil {
			return err
		}
	}
	for _, url := range []string{r.UpstreamURL, r.secondURL} {
		if err := forgetRules(ctx, url); err != nil {
			return err
		}
	}
	if _, err := r.Admin.Apply(ctx, r.base(), "prune=true"); err != nil {
		return fmt.Errorf("put the base configuration back: %w", err)
	}
	return nil
}

func forgetRules(ctx context.Context, upstream string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, strings.TrimSuffix(upstream, "/v1")+"/control/behavior", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
