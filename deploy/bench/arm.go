package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

// 上游按模型名后缀里的指令作答，所以同一个指令可以直接发给上游，也可以经网关的模型名发出。
var workloads = map[string]string{
	"json":   "bench?latency=0",
	"stream": "bench?latency=0&chunks=64&chunk_delay=0",
	"paced":  "bench?latency=0&chunks=64&chunk_delay=20ms",
	"slow":   "bench?latency=0&chunks=40&chunk_delay=1s",
}

// arm 是被量的一条路。
type arm struct {
	name  string
	url   string // 以 /v1 结尾
	key   string
	model func(workload string) string
	pids  func() []int // nil 是直连：没有代理进程
}

// cpu 是这一臂全部代理进程至今的 CPU。
func (a arm) cpu() (total time.Duration, err error) {
	if a.pids == nil {
		return 0, nil
	}
	for _, pid := range a.pids() {
		d, err := stack.CPU(pid)
		if err != nil {
			return 0, err
		}
		total += d
	}
	return total, nil
}

func (a arm) rss() (total int64, err error) {
	for _, pid := range a.pids() {
		n, err := stack.RSS(pid)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

const reverseProxyRole = "VEGA_BENCH_REVERSE_PROXY" // 值是 "监听地址 上游网址"

// startArms 起直连之外的代理，返回各臂与停下它们的函数。
func startArms(ctx context.Context, s *stack.Stack, dir string) ([]arm, func(), error) {
	var processes []*stack.Process
	stop := func() {
		for _, p := range processes {
			_ = p.Stop(10 * time.Second)
		}
	}
	origin := strings.TrimSuffix(s.UpstreamURL, "/v1")
	direct := func(w string) string { return workloads[w] }
	arms := []arm{{name: "direct", url: s.UpstreamURL, key: "none", model: direct}}

	addr, err := stack.FreeAddr()
	if err != nil {
		return nil, stop, err
	}
	if nginx, err := findNginx(); err == nil {
		conf := filepath.Join(dir, "nginx.conf")
		if err := os.WriteFile(conf, []byte(nginxConf(addr, origin)), 0o644); err != nil {
			return nil, stop, fmt.Errorf("write nginx configuration: %w", err)
		}
		p := &stack.Process{Name: "nginx", Args: []string{nginx, "-p", dir, "-c", conf}, Log: filepath.Join(dir, "logs", "nginx.log"), Ready: "http://" + addr + "/healthz"}
		if err := p.Start(ctx); err != nil {
			return nil, stop, err
		}
		processes = append(processes, p)
		arms = append(arms, arm{name: "nginx", url: "http://" + addr + "/v1", key: "none", model: direct, pids: func() []int { return family(p.PID()) }})
	} else {
		fmt.Fprintln(os.Stderr, "bench: no nginx here, its column is left out:", err)
	}

	if addr, err = stack.FreeAddr(); err != nil {
		return nil, stop, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, stop, fmt.Errorf("find own executable: %w", err)
	}
	p := &stack.Process{Name: "goproxy", Args: []string{self}, Env: []string{reverseProxyRole + "=" + addr + " " + origin},
		Log: filepath.Join(dir, "logs", "goproxy.log"), Ready: "http://" + addr + "/healthz"}
	if err := p.Start(ctx); err != nil {
		return nil, stop, err
	}
	processes = append(processes, p)
	arms = append(arms, arm{name: "goproxy", url: "http://" + addr + "/v1", key: "none", model: direct, pids: func() []int { return []int{p.PID()} }})

	key, err := configure(ctx, s)
	if err != nil {
		return nil, stop, err
	}
	return append(arms, arm{name: "vega", url: s.APIURL(0), key: key, model: func(w string) string { return w },
		pids: func() []int { return []int{s.Dataplanes[0].PID()} }}), stop, nil
}

// configure 给网关配上一切都开着的样子：限额设了但够不着、计价、计量、访问日志。
func configure(ctx context.Context, s *stack.Stack) (string, error) {
	models := []any{}
	for name, upstream := range workloads {
		models = append(models, map[string]any{"name": name, "targets": []any{map[string]any{"server": "bench", "upstream_model": upstream}},
			"prices": map[string]any{"input_per_million": 2.5, "output_per_million": 10, "currency": "USD"}})
	}
	limits := map[string]any{"max_concurrency": 100000, "requests_per_minute": 100000000, "tokens_per_minute": 100000000000}
	applied, err := s.Admin.Apply(ctx, map[string]any{
		"servers": []any{map[string]any{"name": "bench", "provider": "openai", "base_url": s.UpstreamURL, "api_key": "sk-bench", "limits": limits}},
		"models":  models,
		"apps":    []any{map[string]any{"name": "bench", "limits": limits, "keys": []any{map[string]any{"name": "k"}}}},
	})
	if err != nil {
		return "", err
	}
	return applied.Keys[0].Secret, s.AwaitReady(ctx, 0)
}

func findNginx() (string, error) {
	if path, err := exec.LookPath("nginx"); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/nginx")
}

func nginxConf(addr, origin string) string {
	return `daemon off; worker_processes 2; worker_rlimit_nofile 20000; pid nginx.pid; error_log stderr warn;
events { worker_connections 10000; }
http {
  access_log off; keepalive_requests 1000000;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  upstream origin { server ` + strings.TrimPrefix(origin, "http://") + `; keepalive 512; keepalive_requests 1000000; }
  server { listen ` + addr + ` backlog=4096 reuseport;
    location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 600s; }
  }
}
`
}

// family 是进程与它的孩子。
func family(pid int) []int {
	out := []int{pid}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return out
	}
	for _, f := range strings.Fields(string(b)) {
		if n, err := strconv.Atoi(f); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// serveReverseProxy 是对照用的、标准库的反向代理；跑在自己的进程里才量得出它的 CPU。
func serveReverseProxy(role string) {
	addr, origin, _ := strings.Cut(role, " ")
	u, err := url.Parse(origin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "reverse proxy:", err)
		os.Exit(1)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 512
	transport.DisableCompression = true
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }, Transport: transport, FlushInterval: -1}
	if err := http.ListenAndServe(addr, proxy); err != nil {
		fmt.Fprintln(os.Stderr, "reverse proxy:", err)
		os.Exit(1)
	}
}
