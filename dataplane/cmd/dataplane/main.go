// dataplane 是无状态的代理：一个 OpenAI 格式的入口，按推来的配置认证、选路、转发、计量。
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/vega-gateway/vega/dataplane/internal/app"
	"github.com/vega-gateway/vega/proto/ops"
)

var version = "dev" // 构建时写入

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	// 排空可以很久：在终端等不及的人再按一次 Ctrl-C 就立即结束。SIGTERM 重复多少次都只是排空，用量不会因此丢。
	context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt) })
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "dataplane:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{Use: "dataplane", Short: "Vega data plane", SilenceUsage: true, SilenceErrors: true}
	withConfig := func(run func(context.Context, app.Config) error) func(*cobra.Command, []string) error {
		return func(c *cobra.Command, _ []string) error {
			cfg, err := app.FromEnv(os.Environ())
			if err != nil {
				return err
			}
			return run(c.Context(), cfg)
		}
	}
	root.AddCommand(
		&cobra.Command{Use: "serve", Short: "Run the data plane", Long: "Run the data plane. Settings are VEGA_* environment variables, each also as VEGA_*_FILE; deploy/docs/operations.md lists them.", Args: cobra.NoArgs, RunE: withConfig(func(ctx context.Context, cfg app.Config) error { return app.Run(ctx, cfg, version) })},
		&cobra.Command{Use: "healthcheck", Short: "Ask the local data plane whether it is ready", Args: cobra.NoArgs, RunE: withConfig(func(ctx context.Context, cfg app.Config) error { return ops.Healthcheck(ctx, cfg.OpsAddr) })},
		&cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, Run: func(*cobra.Command, []string) { fmt.Println(version) }},
	)
	return root
}
