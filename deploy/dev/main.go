// dev 在本机起一整套 Vega：演示上游、控制面（内嵌 PostgreSQL）、一个数据面；
// 头一次应用演示配置，等一次真实的对话走通，打印怎么用，直到 Ctrl-C 把它们全部停下。
//
// 用法：make run（在仓库根目录，bin/ 已构建）。数据留在 .data/，日志在 .data/logs/。
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

const (
	upstreamAddr = "127.0.0.1:9001"
	adminAddr    = "127.0.0.1:9080"
	adminOpsAddr = "127.0.0.1:9081"
	grpcAddr     = "127.0.0.1:9090"
	apiAddr      = "127.0.0.1:8080"
	apiOpsAddr   = "127.0.0.1:8081"
	adminURL     = "http://" + adminAddr
	apiURL       = "http://" + apiAddr + "/v1"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "make run:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	data, err := filepath.Abs(".data")
	if err != nil {
		return fmt.Errorf("find data folder: %w", err)
	}
	for _, addr := range []string{upstreamAddr, adminAddr, adminOpsAddr, grpcAddr, apiAddr, apiOpsAddr} {
		if err := portFree(addr); err != nil {
			return err
		}
	}
	processes := plan(data)
	defer stop(processes)
	for _, p := range processes {
		fmt.Printf("starting %s ...\n", p.Name)
		if err := p.Start(ctx); err != nil {
			return err
		}
	}
	g := greeting{controlplane: filepath.Join(data, "controlplane")}
	token, err := os.ReadFile(filepath.Join(g.controlplane, "admin-token"))
	if err != nil {
		return fmt.Errorf("read admin token: %w", err)
	}
	g.demo, err = prepareDemo(ctx, &stack.Admin{URL: adminURL, Token: strings.TrimSpace(string(token))}, demoFile, filepath.Join(data, "demo-api-key"))
	if err != nil {
		return err
	}
	if g.answer, err = tryDemo(ctx, g.demo); err != nil && g.demo.Fresh {
		return fmt.Errorf("first chat completion: %w (logs in %s)", err, filepath.Join(data, "logs"))
	} else if err != nil {
		g.chatError = err.Error()
	}
	welcome(os.Stdout, g)
	return watch(ctx, processes)
}

// tryDemo 发一次演示的对话；没有留着钥匙就不发。使用者改过的未必还能用，不必久等。
func tryDemo(ctx context.Context, d demo) (string, error) {
	if d.Key == "" {
		return "", nil
	}
	patience := 30 * time.Second
	if len(d.Differences) > 0 {
		patience = 3 * time.Second
	}
	return chat(ctx, apiURL, d.Key, patience)
}

// plan 是要起的进程，按起的次序。
func plan(data string) []*stack.Process {
	cp := filepath.Join(data, "controlplane")
	log := func(name string) string { return filepath.Join(data, "logs", name+".log") }
	return []*stack.Process{
		{Name: "fakeupstream", Args: []string{"bin/fakeupstream"}, Ready: "http://" + upstreamAddr + "/healthz", Log: log("fakeupstream"),
			Env: []string{"VEGA_HTTP_ADDR=" + upstreamAddr}},
		{Name: "controlplane", Args: []string{"bin/controlplane", "serve"}, Ready: "http://" + adminOpsAddr + "/readyz", Log: log("controlplane"),
			Env: []string{"VEGA_DATA_DIR=" + cp, "VEGA_HTTP_ADDR=" + adminAddr, "VEGA_GRPC_ADDR=" + grpcAddr,
				"VEGA_OPS_ADDR=" + adminOpsAddr, "VEGA_PUBLIC_API_URL=http://" + apiAddr}},
		{Name: "dataplane", Args: []string{"bin/dataplane", "serve"}, Ready: "http://" + apiOpsAddr + "/healthz", Log: log("dataplane"),
			Env: []string{"VEGA_DATA_DIR=" + filepath.Join(data, "dataplane"), "VEGA_HTTP_ADDR=" + apiAddr, "VEGA_OPS_ADDR=" + apiOpsAddr,
				"VEGA_CONTROLPLANE_ADDR=" + grpcAddr, "VEGA_JOIN_TOKEN_FILE=" + filepath.Join(cp, "join-token"), "VEGA_DRAIN_TIMEOUT=10s"}},
	}
}

// watch 守到 ctx 结束，或有一个进程自己结束了。
func watch(ctx context.Context, processes []*stack.Process) error {
	died := make(chan *stack.Process, len(processes))
	for _, p := range processes {
		go func() { <-p.Done(); died <- p }()
	}
	select {
	case <-ctx.Done():
		fmt.Println("\nstopping ...")
		return nil
	case p := <-died:
		fmt.Fprintf(os.Stderr, "%s ended by itself; the end of %s:\n%s\nstopping the rest ...\n", p.Name, p.Log, p.Tail())
		return fmt.Errorf("%s ended by itself", p.Name)
	}
}

func stop(processes []*stack.Process) {
	for _, p := range slices.Backward(processes) {
		if err := p.Stop(45 * time.Second); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

func portFree(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("%s is in use: stop what listens there and try again", addr)
	}
	return l.Close()
}
