// Command fakeupstream 是独立进程的假上游：演示、端到端测试与压测的上游。剧本与账本都在 upstreamtest 里。
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/vega-gateway/vega/dataplane/upstreamtest"
)

// stopGrace 是收到信号之后留给进行中的应答的时间。
const stopGrace = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	act := run
	if len(os.Args) == 2 && os.Args[1] == "healthcheck" {
		act = healthcheck
	}
	if err := act(ctx, os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "fakeupstream:", err)
		os.Exit(1)
	}
}

// run 从启动到停止；ctx 结束即停。
func run(ctx context.Context, getenv func(string) string) error {
	settings, err := upstreamtest.SettingsFromEnv(getenv)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", settings.Addr)
	if err != nil {
		return fmt.Errorf("VEGA_HTTP_ADDR: %w", err)
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	log.Info("fake upstream is listening", "addr", ln.Addr().String())
	err = upstreamtest.New(settings.Config).Serve(ctx, ln, stopGrace)
	log.Info("fake upstream stopped")
	return err
}

// healthcheck 问本机的假上游活着没有；给没有 curl 的镜像。
func healthcheck(ctx context.Context, getenv func(string) string) error {
	settings, err := upstreamtest.SettingsFromEnv(getenv)
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(settings.Addr)
	if err != nil {
		return fmt.Errorf("VEGA_HTTP_ADDR: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+port+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
