package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Process 是一个可以反复起停的程序；各字段在第一次 Start 之前填好。
type Process struct {
	Name string
	Args []string // 程序与参数
	Env  []string // 追加在当前环境之后
	// Ready 是它就绪时答 200 的网址。
	Ready string
	// Log 是标准输出与标准错误追加进去的文件。
	Log string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

// ErrDied 表示进程还没有就绪就结束了。
var ErrDied = errors.New("process ended before it was ready")

// Start 起进程并等它就绪。
func (p *Process) Start(ctx context.Context) error {
	if err := p.Launch(); err != nil {
		return err
	}
	return p.Await(ctx)
}

// Launch 起进程，不等就绪。
func (p *Process) Launch() error {
	if err := os.MkdirAll(filepath.Dir(p.Log), 0o755); err != nil {
		return fmt.Errorf("make log folder: %w", err)
	}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(p.Args[0], p.Args[1:]...)
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttr()
	done := make(chan struct{})
	started := make(chan error, 1)
	go func() { // Pdeathsig 系于起它的线程：由一个守到它结束的线程来起
		lockThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(done)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.mu.Lock()
	p.cmd, p.done = cmd, done
	p.mu.Unlock()
	return nil
}

// Await 等到 Ready 答 200；进程先结束了是 ErrDied，错误里带日志的末尾。
func (p *Process) Await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	for {
		if answers(ctx, p.Ready) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready in time: %w\n%s", p.Name, ctx.Err(), p.Tail())
		case <-p.Done():
			return fmt.Errorf("%s: %w\n%s", p.Name, ErrDied, p.Tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Done 在进程结束时关闭；没有起过则已经关闭。
func (p *Process) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		c := make(chan struct{})
		close(c)
		return c
	}
	return p.done
}

// PID 是进程号；没有起过为 0。
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Signal 送一个信号；进程已经结束时什么也不做。
func (p *Process) Signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s)
	}
}

// Kill 以 SIGKILL 结束它并等它走。
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.Done()
}

// Stop 以 SIGTERM 要它停，过了 patience 还在就杀掉并报错。
func (p *Process) Stop(patience time.Duration) error {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.Done():
		return nil
	case <-time.After(patience):
		p.Kill()
		return fmt.Errorf("%s did not stop within %s\n%s", p.Name, patience, p.Tail())
	}
}

// ExitCode 是结束时的退出码；还在跑或被信号杀死为 -1。
func (p *Process) ExitCode() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.cmd.ProcessState == nil {
		return -1
	}
	return p.cmd.ProcessState.ExitCode()
}

// Tail 是日志的末尾几千字节。
func (p *Process) Tail() string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}
