package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

// plan 是一次性能测试的大小。
type plan struct {
	rounds   int
	slice    time.Duration // 每臂每轮每项量多久
	streams  []int         // 同时开着的流
	bin      string
	profile  string // 非空时把数据面在各种负载下的 CPU 剖析写到以此开头的文件
	conc     int
	openRate int
}

func main() {
	if role := os.Getenv(reverseProxyRole); role != "" {
		serveReverseProxy(role)
		return
	}
	var p plan
	skipOpen := flag.Bool("skip-open", false, "leave out the many open streams")
	quick := flag.Bool("quick", false, "a short run that only shows that everything works")
	flag.IntVar(&p.rounds, "rounds", 3, "interleaved rounds")
	flag.DurationVar(&p.slice, "slice", 6*time.Second, "time per arm, round and measure")
	flag.StringVar(&p.bin, "bin", "bin", "folder of the built binaries")
	flag.StringVar(&p.profile, "profile", "", "write CPU profiles of the data plane to files that begin with this")
	flag.IntVar(&p.conc, "concurrency", 16, "clients of the closed loop")
	flag.IntVar(&p.openRate, "rate", 500, "requests per second of the open loop")
	flag.Parse()
	p.streams = []int{1000, 9800}
	if *quick {
		p.rounds, p.slice, p.streams = 1, time.Second, []int{200}
	}
	if *skipOpen {
		p.streams = nil
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := bench(ctx, p); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, p plan) error {
	dir, err := os.MkdirTemp("", "vega-bench-")
	if err != nil {
		return fmt.Errorf("make scratch folder: %w", err)
	}
	defer os.RemoveAll(dir)
	bin, err := filepath.Abs(p.bin)
	if err != nil {
		return fmt.Errorf("find binaries: %w", err)
	}
	s, err := stack.Start(ctx, stack.Options{Bin: bin, Dir: dir, Nodes: 1, UpstreamEnv: []string{"VEGA_FAKE_LEDGER=off"},
		DataplaneEnv: []string{"VEGA_PPROF=true"}})
	if err != nil {
		return err
	}
	defer s.Stop()
	arms, stop, err := startArms(ctx, s, dir)
	if err != nil {
		return err
	}
	defer stop()
	r := newReport(arms)
	for round := range p.rounds {
		for _, a := range arms {
			fmt.Fprintf(os.Stderr, "round %d/%d: %s\n", round+1, p.rounds, a.name)
			if err := r.measure(ctx, a, p); err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
		}
	}
	if p.profile != "" {
		if err := profile(ctx, s.OpsURL(0), p, arms[len(arms)-1]); err != nil {
			return err
		}
	}
	for _, n := range p.streams {
		for _, a := range arms {
			if a.pids == nil {
				continue
			}
			fmt.Fprintf(os.Stderr, "%d open streams: %s\n", n, a.name)
			o, err := openStreams(ctx, a, n)
			if err != nil {
				return fmt.Errorf("%d streams through %s: %w", n, a.name, err)
			}
			r.open = append(r.open, o)
		}
	}
	r.print(os.Stdout)
	return nil
}
