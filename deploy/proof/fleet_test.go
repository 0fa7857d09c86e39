package proof

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
	"github.com/vega-gateway/vega/deploy/stack"
)

// fleet 是一套控制面与若干数据面，后面是测试进程里的一个上游：它的账与在途数是判决的依据。
type fleet struct {
	*stack.Stack
	t      *testing.T
	up     *upstreamtest.Server
	client *http.Client
	keys   map[string]string // app → 钥匙
	pg     *stack.Postgres   // 只在 shape.outside 时
}

// shape 说要起怎样的一套。
type shape struct {
	nodes, replicas int
	outside         bool // PostgreSQL 在控制面之外，可以单独杀
	upstream        upstreamtest.Config
	nodeEnv         []string // 追加给每个数据面
	bin             string   // 二进制所在；空即这一次构建的
}

// newFleet 起一套，应用 config 给出的声明，等每个节点换上。
func newFleet(t *testing.T, s shape, config func(f *fleet) doc) *fleet {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	f := &fleet{t: t, up: upstreamtest.New(s.upstream).Start(), keys: map[string]string{}}
	t.Cleanup(f.up.Close)
	dialer := net.Dialer{Timeout: 2 * time.Second}
	f.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4096, DisableCompression: true, DialContext: dialer.DialContext}}
	t.Cleanup(f.client.CloseIdleConnections)
	opt := stack.Options{Bin: cmp.Or(s.bin, bin), Dir: t.TempDir(), Nodes: s.nodes, Replicas: s.replicas}
	if s.outside {
		f.pg = database(t, &opt)
	}
	opt.DataplaneEnv = append(opt.DataplaneEnv, s.nodeEnv...)
	var err error
	if f.Stack, err = stack.Start(ctx, opt); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.stop)
	f.apply(config(f))
	for i := range s.nodes {
		if err := f.AwaitReady(ctx, i); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// stop 停下一切；在那之前每个数据面的账都要对得上。
func (f *fleet) stop() {
	if n := f.sum("vega_admission_leaked_permits"); n != 0 {
		f.t.Errorf("%d permits leaked or the books disagree", n)
	}
	f.Stack.Stop()
	if !f.t.Failed() {
		return
	}
	for _, p := range append(append([]*stack.Process{f.Controlplane}, f.Replicas...), f.Dataplanes...) {
		f.t.Logf("%s:\n%s", p.Name, p.Tail())
	}
}

// apply 应用一份声明，等所有节点换上，记下新的钥匙。
func (f *fleet) apply(d doc) {
	f.t.Helper()
	applied, err := f.Admin.Apply(f.t.Context(), d)
	if err != nil {
		f.t.Fatal(err)
	}
	if len(applied.Pending)+len(applied.Rejected) > 0 {
		f.t.Fatalf("not applied everywhere: %+v", applied)
	}
	for _, k := range applied.Keys {
		f.keys[k.App] = k.Secret
	}
}

// connected 等 GET /nodes 里有 n 个节点连着。
func (f *fleet) connected(ctx context.Context, n int) error {
	for {
		var nodes []struct {
			Connected bool `json:"connected"`
		}
		err := f.Admin.Call(ctx, http.MethodGet, "/nodes", nil, &nodes)
		have := 0
		for _, node := range nodes {
			if node.Connected {
				have++
			}
		}
		if err == nil && have == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d nodes connected: %w", have, n, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// queue 是 GET /queues 的一行里要看的。
type queue struct {
	Server  string
	Free    int
	Waiting int
	Leader  struct {
		Term     uint64
		Learning bool
	}
}

// queued 是 server "up" 的一行；问不到时是零值：此刻可能没有当任者。
func (f *fleet) queued() queue {
	var all []queue
	if err := f.Admin.Call(f.t.Context(), http.MethodGet, "/queues", nil, &all); err != nil {
		return queue{}
	}
	for _, q := range all {
		if q.Server == "up" {
			return q
		}
	}
	return queue{}
}

// server 声明一个指向测试进程里那个上游的 server；more 里的键压过缺省。
func (f *fleet) server(name string, more doc) doc {
	d := doc{"name": name, "provider": "openai", "base_url": f.up.URL() + "/v1", "api_key": "sk-up"}
	maps.Copy(d, more)
	return d
}

// target 是只有一个目标的模型；它的上游名等于它自己的名字，账上就分得清。
func target(name, server string) doc {
	return doc{"name": name, "targets": list{doc{"server": server, "upstream_model": name}}}
}

// app 是有一把钥匙的应用。
func app(name string, weight int) doc {
	return doc{"name": name, "weight": weight, "keys": list{doc{"name": "k"}}}
}

// database 起测试自己管的 PostgreSQL，把控制面与数据面要的环境写进 opt。
func database(t *testing.T, opt *stack.Options) *stack.Postgres {
	t.Helper()
	dir, err := os.MkdirTemp("", "vega-proof-pg-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // 没有特权的账号要走得进去
	}
	if err != nil {
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
	join := filepath.Join(dir, "join-token")
	if err := os.WriteFile(join, []byte(strings.Repeat("j", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	opt.DatabaseURL = pg.URL()
	opt.ControlplaneEnv = []string{"VEGA_MASTER_KEY=" + strings.Repeat("5a", 32), "VEGA_JOIN_TOKEN_FILE=" + join}
	opt.DataplaneEnv = []string{"VEGA_JOIN_TOKEN_FILE=" + join}
	return pg
}
