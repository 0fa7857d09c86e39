package embedded

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const (
	fastWait      = 60 * time.Second // ctx 没有更早的期限时，给快速关闭的时间
	immediateWait = 10 * time.Second // postmaster 自己在 5 s 后就杀死不肯走的后端
	killWait      = 5 * time.Second
)

// lentCommand 是一条命令，连同子进程眼里各目录的名字。
type lentCommand struct {
	*exec.Cmd
	lent []string
}

// command 造一条以 acct 身份运行、把 dirs 借给子进程的命令；我们死时它收到 onDeath（只在 Linux 上）。
// 返回的函数关闭我们这一侧的描述符，启动之后调用。
func command(path string, acct account, onDeath syscall.Signal, dirs ...string) (lentCommand, func(), error) {
	cmd := exec.Command(path)
	cmd.Dir = "/"
	// 不继承环境：PGDATA、PGPORT、LC_* 之类会改变服务器的行为。
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = processAttr(acct, onDeath)
	// 残余后端会占着 stderr 不放；postmaster 死了就该立刻知道。
	cmd.WaitDelay = 250 * time.Millisecond
	lent, closeDirs, err := lend(cmd, dirs)
	if err != nil {
		return lentCommand{}, nil, fmt.Errorf("open directory for the server: %w", err)
	}
	return lentCommand{cmd, lent}, closeDirs, nil
}

// child 是随我们而亡的子进程。
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // done 关闭后可读
}

// spawn 在一个锁住的线程上启动并等待 cmd：Linux 的 Pdeathsig 认的是线程，线程早退等于我们已死。
func spawn(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		c.err = cmd.Wait()
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

func (c *child) killGroup() { _ = syscall.Kill(-c.pid(), syscall.SIGKILL) }

// target 是要停掉的 postmaster：自己的孩子，或前任留下的。
type target struct {
	signal func(syscall.Signal)
	gone   <-chan struct{}
}

func (c *child) target() target {
	return target{signal: func(s syscall.Signal) { _ = c.cmd.Process.Signal(s) }, gone: c.done}
}

// shutDown 由轻到重停掉一个 postmaster：快速关闭，立即关闭，最后才杀。
// ctx 的期限只管第一步；到期后数据仍然完好，代价是下次启动要做崩溃恢复。
func shutDown(ctx context.Context, t target) error {
	if t.endsOn(ctx, syscall.SIGINT, fastWait) {
		return nil
	}
	patient := context.WithoutCancel(ctx)
	if t.endsOn(patient, syscall.SIGQUIT, immediateWait) || t.endsOn(patient, syscall.SIGKILL, killWait) {
		return nil
	}
	return errors.New("PostgreSQL survived SIGKILL")
}

func (t target) endsOn(ctx context.Context, sig syscall.Signal, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	t.signal(sig)
	select {
	case <-t.gone:
		return true
	case <-ctx.Done():
		return false
	}
}
