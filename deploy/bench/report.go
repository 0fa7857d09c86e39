package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// must 是性能目标里与 nginx 的比例上限；打印在旁边供人看，从不据此失败。
var must = map[string]float64{"json": 2.6, "stream": 1.6, "paced": 1.7}

// figures 是一臂一轮的数字。
type figures struct {
	jsonRate                  float64
	jsonCPU, streamCPU        float64 // 每请求 µs
	chunkCPU                  float64 // 慢流每块 µs
	openP50, openP90, openP99 time.Duration
	errors                    int
}

type report struct {
	arms []arm
	rows map[string][]figures
	open []opened
}

func newReport(arms []arm) *report { return &report{arms: arms, rows: map[string][]figures{}} }

// measure 量一臂一轮。
func (r *report) measure(ctx context.Context, a arm, p plan) error {
	var f figures
	js, err := newClient(a, "json").closed(ctx, p.conc, p.slice)
	if err != nil {
		return fmt.Errorf("small JSON: %w", err)
	}
	f.jsonRate, f.jsonCPU, f.errors = js.rate(), micros(js.cpu, js.requests), js.errors
	op, err := newClient(a, "json").open(ctx, p.openRate, p.slice)
	if err != nil {
		return fmt.Errorf("open loop: %w", err)
	}
	f.openP50, f.openP90, f.openP99 = op.percentile(0.5), op.percentile(0.9), op.percentile(0.99)
	f.errors += op.errors
	st, err := newClient(a, "stream").closed(ctx, p.conc, p.slice)
	if err != nil {
		return fmt.Errorf("streams: %w", err)
	}
	f.streamCPU, f.errors = micros(st.cpu, st.requests), f.errors+st.errors
	pc, err := newClient(a, "paced").closed(ctx, 8*p.conc, p.slice)
	if err != nil {
		return fmt.Errorf("paced streams: %w", err)
	}
	f.chunkCPU, f.errors = micros(pc.cpu, pc.chunks), f.errors+pc.errors
	r.rows[a.name] = append(r.rows[a.name], f)
	return nil
}

func micros(cpu time.Duration, n int) float64 {
	return float64(cpu.Microseconds()) / float64(max(n, 1))
}

func median[T float64 | time.Duration](rows []figures, pick func(figures) T) T {
	v := make([]T, 0, len(rows))
	for _, f := range rows {
		v = append(v, pick(f))
	}
	slices.Sort(v)
	if len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}

// print 打印各轮的中位数与比例。
func (r *report) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tJSON req/s\tCPU µs/JSON\t× nginx\tCPU µs/stream(64)\t× nginx\tCPU µs/paced chunk\t× nginx\topen p50\tp90\tp99\tadded p50\tadded p99\terrors\t")
	cpu := func(name string, pick func(figures) float64) float64 { return median(r.rows[name], pick) }
	ratio := func(v, base float64) string {
		if base == 0 || v == 0 {
			return "-"
		}
		return fmt.Sprintf("%.2f", v/base)
	}
	js, st, ch := func(f figures) float64 { return f.jsonCPU }, func(f figures) float64 { return f.streamCPU }, func(f figures) float64 { return f.chunkCPU }
	p50, p90, p99 := func(f figures) time.Duration { return f.openP50 }, func(f figures) time.Duration { return f.openP90 }, func(f figures) time.Duration { return f.openP99 }
	direct := r.rows["direct"]
	for _, a := range r.arms {
		rows := r.rows[a.name]
		errs := 0
		for _, f := range rows {
			errs += f.errors
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.1f\t%s\t%.1f\t%s\t%.1f\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", a.name,
			median(rows, func(f figures) float64 { return f.jsonRate }),
			cpu(a.name, js), ratio(cpu(a.name, js), cpu("nginx", js)),
			cpu(a.name, st), ratio(cpu(a.name, st), cpu("nginx", st)),
			cpu(a.name, ch), ratio(cpu(a.name, ch), cpu("nginx", ch)),
			ms(median(rows, p50)), ms(median(rows, p90)), ms(median(rows, p99)),
			ms(median(rows, p50)-median(direct, p50)), ms(median(rows, p99)-median(direct, p99)), errs)
	}
	fmt.Fprintf(t, "must (× nginx)\t\t\t%.1f\t\t%.1f\t\t%.1f\t\t\t\t≤0.20ms\t<1ms\t0\t\n", must["json"], must["stream"], must["paced"])
	t.Flush()
	fmt.Fprintf(w, "\nvega / Go reverse proxy, CPU per small JSON request: %s (must ≤ 0.8)\n\n", ratio(cpu("vega", js), cpu("goproxy", js)))
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "open streams\tproxy\terrors\tRSS before\tRSS open\tKB/stream\tTTFT p50\tTTFT p99\t")
	for _, o := range r.open {
		note := ""
		if o.firstErr != nil {
			note = "  first error: " + o.firstErr.Error()
		}
		fmt.Fprintf(t, "%d\t%s\t%d\t%.0f MB\t%.0f MB\t%.1f\t%s\t%s\t%s\n", o.streams, o.arm, o.errors,
			float64(o.rssBefore)/(1<<20), float64(o.rssOpen)/(1<<20), o.perStream(), ms(o.ttftP50), ms(o.ttftP99), note)
	}
	t.Flush()
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2fms", float64(d.Microseconds())/1000) }

// profile 在各种负载中各取一段数据面的 CPU 剖析，写到 prefix-<负载>.pprof。
func profile(ctx context.Context, opsURL string, p plan, a arm) error {
	seconds := max(int(p.slice/time.Second), 1)
	for _, w := range []string{"json", "stream", "paced"} {
		done := make(chan error, 1)
		go func() {
			done <- download(fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", opsURL, seconds), p.profile+"-"+w+".pprof")
		}()
		if _, err := newClient(a, w).closed(ctx, p.conc, p.slice); err != nil {
			return err
		}
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}

func download(url, path string) error {
	resp, err := http.Get(url)
	if err != nil {
		return fmt.Errorf("take profile: %w", err)
	}
	defer resp.Body.Close()
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("keep profile: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(f, resp.Body); err != nil {
		return fmt.Errorf("keep profile: %w", err)
	}
	return nil
}
