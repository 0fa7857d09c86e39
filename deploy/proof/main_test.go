// Package proof 只有测试：每条主张在真的进程上量一次，打印一行以 "figures:" 开头的数字。
//
// 缺省是小的（跟着 make test 跑）；VEGA_PROOF=full 是全的（make proof）。几样大小可以单独给：
// VEGA_PROOF_CYCLES 杀几轮，VEGA_PROOF_SEED 按哪个种子杀，VEGA_PROOF_OUTAGE_SECONDS 断供的一次多长。
package proof

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "vega-proof-")
	if err == nil {
		bin = dir
		err = stack.Build(filepath.Join("..", ".."), dir, false)
	}
	if err == nil {
		// 并行的那几个多半在等时间过去，不在用 CPU：不必按核数排队。命令行上的 -parallel 在 m.Run 里才读，仍然算数。
		err = flag.Set("test.parallel", "5")
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

// size 在全的一次里取 full，否则取 small。
func size(small, full int) int {
	if os.Getenv("VEGA_PROOF") == "full" {
		return full
	}
	return small
}

type doc = map[string]any
type list = []any

// start 起一套，应用 config，返回 app "proof" 的钥匙。
func start(t *testing.T, nodes int, models list, env ...string) (*stack.Stack, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := stack.Start(ctx, stack.Options{Bin: bin, Dir: t.TempDir(), Nodes: nodes, UpstreamEnv: env})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			for _, p := range append([]*stack.Process{s.Controlplane}, s.Dataplanes...) {
				t.Logf("%s:\n%s", p.Name, p.Tail())
			}
		}
	})
	applied, err := s.Admin.Apply(ctx, doc{
		"servers": list{doc{"name": "up", "provider": "openai", "base_url": s.UpstreamURL, "api_key": "sk-up"}},
		"models":  models,
		"apps":    list{doc{"name": "proof", "keys": list{doc{"name": "k"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		if err := s.AwaitReady(ctx, i); err != nil {
			t.Fatal(err)
		}
	}
	return s, applied.Keys[0].Secret
}

func model(name, upstream string) doc {
	return doc{"name": name, "targets": list{doc{"server": "up", "upstream_model": upstream}},
		"prices": doc{"input_per_million": 2.5, "output_per_million": 10, "currency": "USD"}}
}
