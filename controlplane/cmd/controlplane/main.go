// controlplane 拥有 PostgreSQL 与配置，把配置推给各数据面，收它们的用量，提供管理 API 与控制台。
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/vega-gateway/vega/controlplane/internal/app"
	"github.com/vega-gateway/vega/controlplane/internal/cli"
	"github.com/vega-gateway/vega/proto/ops"
)

var version = "dev" // 构建时写入

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := command().ExecuteContext(ctx); err != nil {
		cli.Report(os.Stderr, err)
		os.Exit(cli.ExitCode(err))
	}
}

func command() *cobra.Command {
	root := &cobra.Command{Use: "controlplane", Short: "Vega control plane", SilenceUsage: true, SilenceErrors: true}
	streams := cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	withConfig := func(run func(context.Context, app.Config) error) func(*cobra.Command, []string) error {
		return func(c *cobra.Command, _ []string) error {
			cfg, err := app.FromEnv(os.Environ())
			if err != nil {
				return err
			}
			return run(c.Context(), cfg)
		}
	}
	apply := &cobra.Command{Use: "apply", Short: "Apply a declarative file through the admin API", Args: cobra.NoArgs}
	file := apply.Flags().StringP("file", "f", "", "the file, or - for standard input")
	var o cli.ApplyOptions
	apply.Flags().BoolVar(&o.DryRun, "dry-run", false, "show what would change, change nothing")
	apply.Flags().BoolVar(&o.Prune, "prune", false, "delete what the file does not name")
	apply.Flags().BoolVar(&o.Wait, "wait", false, "wait until every connected node has applied it")
	_ = apply.MarkFlagRequired("file")
	apply.RunE = func(c *cobra.Command, _ []string) error {
		return cli.Apply(c.Context(), os.Environ(), streams, *file, o)
	}
	root.AddCommand(apply, reconcileCommand(streams),
		&cobra.Command{Use: "serve", Short: "Run the control plane", Long: "Run the control plane. Settings are VEGA_* environment variables, each also as VEGA_*_FILE; deploy/docs/operations.md lists them.", Args: cobra.NoArgs, RunE: withConfig(func(ctx context.Context, cfg app.Config) error { return app.Run(ctx, cfg, version) })},
		&cobra.Command{Use: "migrate", Short: "Bring the database to the newest schema and end", Args: cobra.NoArgs, RunE: withConfig(app.Migrate)},
		&cobra.Command{Use: "export", Short: "Print the configuration as YAML, without secrets", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return cli.Export(c.Context(), os.Environ(), streams) }},
		&cobra.Command{Use: "init-secrets DIR", Short: "Generate master key, tokens and database password into DIR", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error { return app.InitSecrets(args[0]) }},
		&cobra.Command{Use: "healthcheck", Short: "Ask the local control plane whether it is ready", Args: cobra.NoArgs, RunE: withConfig(func(ctx context.Context, cfg app.Config) error { return ops.Healthcheck(ctx, cfg.OpsAddr) })},
		&cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, Run: func(*cobra.Command, []string) { fmt.Println(version) }},
	)
	root.AddCommand(userCommand(streams))
	return root
}

func userCommand(streams cli.Streams) *cobra.Command {
	user := &cobra.Command{Use: "user", Short: "Operators of the console", Args: cobra.NoArgs}
	user.AddCommand(&cobra.Command{Use: "reset-password NAME", Short: "Give an operator a new one-time password through the admin API", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return cli.ResetPassword(c.Context(), os.Environ(), streams, args[0])
		}})
	return user
}
