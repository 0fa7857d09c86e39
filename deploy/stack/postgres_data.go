package stack

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Running 说它起着；自己死了的也算死。
func (p *Postgres) Running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Crash 以 SIGKILL 结束它与它的每个子进程：没有一个来得及收拾，共享内存里的都没了；写给内核的还在。
func (p *Postgres) Crash() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGSTOP) // 停住的不再生出数漏的孩子
	kids := children(p.cmd.Process.Pid)
	for _, pid := range kids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	p.signal(syscall.SIGKILL)
	for _, pid := range kids { // 还占着共享内存的，下一个起不来
		for deadline := time.Now().Add(5 * time.Second); running(pid) && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}
}

// Backup 在它服务着的时候把整个集簇抄进 dir（pg_basebackup，连同到那一刻的 WAL）；dir 必须还不存在。
func (p *Postgres) Backup(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make backup folder: %w", err)
	}
	if p.cred != nil {
		if _, err := unprivileged(dir); err != nil {
			return err
		}
	}
	cmd := p.command("pg_basebackup", "-D", dir, "-h", "127.0.0.1", "-p", p.port, "-U", "vega", "-X", "stream", "--checkpoint=fast", "--no-sync")
	_, err := output(ctx, cmd)
	return err
}

// Restore 停着的时候以 Backup 得到的 dir 取代全部数据：其后提交过的都没有了。dir 随之用掉。
func (p *Postgres) Restore(dir string) error {
	if err := os.RemoveAll(p.Dir); err != nil {
		return fmt.Errorf("remove the database: %w", err)
	}
	if err := os.Rename(dir, p.Dir); err != nil {
		return fmt.Errorf("put the backup in place: %w", err)
	}
	return nil
}

// Query 跑一句 SQL（也可以不止一句），返回各行各栏的文字，没有表头；NULL 是空串。
func (p *Postgres) Query(ctx context.Context, sql string) ([][]string, error) {
	cmd := p.command("psql", "-X", "-q", "--csv", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", p.URL())
	cmd.Stdin = bytes.NewReader([]byte(sql))
	out, err := output(ctx, cmd)
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	return rows, nil
}

// output 跑完一个短命的程序；错误里带着它的标准错误。ctx 结束时杀掉它。
func output(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	lockThread() // 起它的线程若先死了，它也会收到 SIGTERM
	defer runtime.UnlockOSThread()
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })()
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd.Path, err, problems.Bytes())
	}
	return out.Bytes(), nil
}
