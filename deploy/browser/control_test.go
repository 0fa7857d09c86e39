package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

// control 是浏览器里的用例够不着的那些事：进程的起停与打到网关上的负荷。只听回环，给测试自己用。
//
//	POST /reset                          回到用例开始时的样子
//	POST /processes/{name}/{act}         act 是 stop、kill、start、freeze、thaw；name 见 rig.processes
//	POST /load                           见 load；答各状态码的个数
//	POST /load/start、POST /load/stop     在后台打，直到停或 reset
type control struct {
	rig        *rig
	background background
}

// serve 起控制口，返回它的网址；用例结束时停。
func (c *control) serve(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reset", answer(func(r *http.Request) (any, error) {
		c.background.stop()
		return nil, c.rig.reset(r.Context())
	}))
	mux.HandleFunc("POST /processes/{name}/{act}", answer(func(r *http.Request) (any, error) {
		return nil, c.rig.act(r.Context(), r.PathValue("name"), r.PathValue("act"))
	}))
	mux.HandleFunc("POST /load", answer(func(r *http.Request) (any, error) {
		l, err := c.load(r)
		if err != nil {
			return nil, err
		}
		return l.run(r.Context()), nil
	}))
	mux.HandleFunc("POST /load/start", answer(func(r *http.Request) (any, error) {
		l, err := c.load(r)
		if err != nil {
			return nil, err
		}
		l.Requests = 0
		c.background.start(t.Context(), l)
		return nil, nil
	}))
	mux.HandleFunc("POST /load/stop", answer(func(*http.Request) (any, error) { return c.background.stop(), nil }))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() {
		c.background.stop()
		_ = server.Close()
		<-done
	})
	return "http://" + ln.Addr().String()
}

func (c *control) load(r *http.Request) (load, error) {
	l := load{Model: "chat", Key: apiKey, Requests: 1, Concurrency: 1, Nodes: c.rig.nodeURLs}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return load{}, fmt.Errorf("load: %w", err)
	}
	return l, nil
}

// answer 把一件事变成处理函数：错误答 500 与它的文字。
func answer(do func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		got, err := do(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(got)
	}
}

// act 对一个进程做一件事；做完才返回：起的等到就绪，停的等到走了。
func (r *rig) act(ctx context.Context, name, what string) error {
	p := r.processes[name]
	if p == nil {
		return fmt.Errorf("no process is called %q", name)
	}
	switch what {
	case "stop":
		return p.Stop(30 * time.Second)
	case "kill":
		p.Kill()
		return nil
	case "start":
		return r.revive(ctx, p)
	case "freeze":
		p.Signal(syscall.SIGSTOP)
		return nil
	case "thaw":
		p.Signal(syscall.SIGCONT)
		return nil
	}
	return fmt.Errorf("cannot %q a process", what)
}

// revive 起一个停了的进程，叫醒一个停住的；都不是则什么也不做。数据面等到能接请求。
func (r *rig) revive(ctx context.Context, p *stack.Process) error {
	p.Signal(syscall.SIGCONT)
	select {
	case <-p.Done():
	default:
		return nil
	}
	if err := p.Start(ctx); err != nil {
		return err
	}
	if i := slices.Index(r.Dataplanes, p); i >= 0 {
		return r.AwaitReady(ctx, i)
	}
	return nil
}
