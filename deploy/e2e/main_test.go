// Package e2e 只有测试：真的二进制（带竞态检测）、真的 PostgreSQL、真的 SDK，从外面看 Vega。
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "vega-e2e-")
	if err == nil {
		bin = dir
		err = stack.Build(filepath.Join("..", ".."), dir, true)
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// doc 是声明文件的片段。
type doc = map[string]any
type list = []any

// rig 是一套起好的 Vega 与一把能用的钥匙。
type rig struct {
	*stack.Stack
	t   *testing.T
	key string
}

// start 起一套并应用最常用的配置：server up，模型 chat、embed、带空格与斜杠的名字，不许 app 用的 secret。
func start(t *testing.T, opt stack.Options) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	opt.Bin, opt.Dir = bin, t.TempDir()
	// 竞态检测到的一切都要让进程以非零结束，而不是只打一行。
	opt.DataplaneEnv = append(opt.DataplaneEnv, "GORACE=halt_on_error=1")
	opt.ControlplaneEnv = append(opt.ControlplaneEnv, "GORACE=halt_on_error=1")
	s, err := stack.Start(ctx, opt)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Stack: s, t: t}
	t.Cleanup(func() { r.stop() })
	r.key = r.apply(base(s.UpstreamURL)).Keys[0].Secret
	for i := range s.Dataplanes {
		if err := s.AwaitReady(ctx, i); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func base(upstream string) doc {
	return doc{
		"servers": list{doc{"name": "up", "provider": "openai", "base_url": upstream, "api_key": "sk-up"}},
		"models": list{
			model("chat", "up", "fast?latency=0&chunk_delay=1ms"), model("embed", "up", "emb"),
			model("org/with space", "up", "fast?latency=0"), model("secret", "up", "fast"),
		},
		"apps": list{doc{"name": "team-a", "models": list{"chat", "embed", "org/*", "late*"}, "keys": list{doc{"name": "default"}}}},
	}
}

func model(name, server, upstream string) doc {
	return doc{"name": name, "targets": list{doc{"server": server, "upstream_model": upstream}},
		"prices": doc{"input_per_million": 2.5, "output_per_million": 10, "currency": "USD"}}
}

func (r *rig) stop() {
	r.Stack.Stop()
	for _, p := range append([]*stack.Process{r.Controlplane}, r.Dataplanes...) {
		log, _ := os.ReadFile(p.Log)
		if bytes.Contains(log, []byte("DATA RACE")) || bytes.Contains(log, []byte("panic:")) {
			r.t.Errorf("%s raced or panicked:\n%s", p.Name, p.Tail())
		}
		if r.t.Failed() {
			r.t.Logf("%s:\n%s", p.Name, p.Tail())
		}
	}
}

func (r *rig) apply(d any, query ...string) stack.Applied {
	r.t.Helper()
	a, err := r.Admin.Apply(r.t.Context(), d, query...)
	if err != nil {
		r.t.Fatal(err)
	}
	if len(a.Pending)+len(a.Rejected) > 0 {
		r.t.Fatalf("not applied everywhere: %+v", a)
	}
	return a
}

// answer 是网关的一个回答。
type answer struct {
	status int
	header http.Header
	body   string
}

// code 是错误体里的 code。
func (a answer) code() string {
	var e struct{ Error struct{ Code string } }
	_ = json.Unmarshal([]byte(a.body), &e)
	return e.Error.Code
}

// post 经第 i 个数据面发一个 JSON 请求。
func (r *rig) post(i int, path, body string) answer {
	r.t.Helper()
	a, err := r.try(i, r.key, path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func (r *rig) try(i int, key, path, body string) (answer, error) {
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.APIURL(i)+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(raw)}, err
}

func (r *rig) chat(i int, model string) answer {
	r.t.Helper()
	return r.post(i, "/chat/completions", fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"hi"}]}`, model))
}

// eventually 反复看 ok，直到它成立或 patience 用完。
func eventually(t *testing.T, patience time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// cli 跑一次 controlplane 的子命令。
func (r *rig) cli(args ...string) (string, error) {
	cmd := exec.CommandContext(r.t.Context(), filepath.Join(bin, "controlplane"), args...)
	cmd.Env = append(os.Environ(), "VEGA_ADMIN_URL="+r.Admin.URL, "VEGA_ADMIN_TOKEN="+r.Admin.Token)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// scratchDatabase 起一个测试自己管的 PostgreSQL，并给出控制面要的环境。
func scratchDatabase(t *testing.T) (*stack.Postgres, stack.Options) {
	t.Helper()
	dir, err := os.MkdirTemp("", "vega-pg-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // 没有特权的账号要走得进去
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	pg, err := stack.NewPostgres(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := pg.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pg.Stop)
	key := strings.Repeat("5a", 32)
	join := filepath.Join(dir, "join-token")
	if err := os.WriteFile(join, []byte(strings.Repeat("j", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	return pg, stack.Options{DatabaseURL: pg.URL(), ControlplaneEnv: []string{"VEGA_MASTER_KEY=" + key, "VEGA_JOIN_TOKEN_FILE=" + join},
		DataplaneEnv: []string{"VEGA_JOIN_TOKEN_FILE=" + join}}
}
