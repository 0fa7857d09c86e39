package stack

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Postgres 是测试自己的一个 PostgreSQL，监听回环上的 TCP，可以停、杀、再起；数据在 Dir，持久设置全开。
type Postgres struct {
	Dir  string
	bin  string
	port string
	cred *syscall.Credential
	cmd  *exec.Cmd
	done chan struct{}
}

// NewPostgres 在 dir 里建一个空的集簇；dir 必须还不存在。以 root 运行时改用没有特权的账号。
func NewPostgres(dir string) (*Postgres, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	p := &Postgres{Dir: dir, bin: bin, port: addr[strings.LastIndexByte(addr, ':')+1:]}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make database folder: %w", err)
	}
	if os.Geteuid() == 0 {
		if p.cred, err = unprivileged(dir); err != nil {
			return nil, err
		}
	}
	cmd := p.command("initdb", "-D", dir, "-A", "trust", "-U", "vega", "-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return p, nil
}

// URL 是连到它的网址；停着时也不变。
func (p *Postgres) URL() string { return "postgres://vega@127.0.0.1:" + p.port + "/postgres" }

// Start 起它并等它听着；它可能还在恢复，用它的人自会再试。
func (p *Postgres) Start(ctx context.Context) error {
	cmd := p.command("postgres", "-D", p.Dir, "-p", p.port, "-k", p.Dir, "-c", "listen_addresses=127.0.0.1")
	log, err := os.OpenFile(p.Dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open database log: %w", err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	started := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		lockThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(done)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	p.cmd, p.done = cmd, done
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+p.port); err == nil {
			return conn.Close()
		}
		select {
		case <-done:
			out, _ := os.ReadFile(p.Dir + ".log")
			return fmt.Errorf("postgres ended: %s", out[max(0, len(out)-2000):])
		case <-time.After(20 * time.Millisecond):
		}
	}
	return ctx.Err()
}

// Stop 断开所有连接并停下；没有起着时什么也不做。
func (p *Postgres) Stop() { p.signal(syscall.SIGINT) }

// Kill 立刻停下，不做检查点，如同断电前的进程崩溃。
func (p *Postgres) Kill() { p.signal(syscall.SIGQUIT) }

func (p *Postgres) signal(s syscall.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(s)
	<-p.done
	p.cmd = nil
}

func (p *Postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir = p.Dir
	cmd.SysProcAttr = childAttr()
	cmd.SysProcAttr.Credential = p.cred
	return cmd
}

func postgresBin() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		if target, err := filepath.EvalSymlinks(path); err == nil { // PATH 里可能只链着几个；别的程序在真的那一个旁边
			path = target
		}
		return filepath.Dir(path), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	slices.Sort(found)
	if len(found) == 0 {
		return "", fmt.Errorf("no PostgreSQL server binaries found: apt-get install postgresql")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// unprivileged 找一个没有特权的账号，把 dir 交给它。
func unprivileged(dir string) (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("find an unprivileged account: %w", err)
		}
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		return nil, fmt.Errorf("account %s has no numeric ids", u.Username)
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return nil, fmt.Errorf("give the database folder to %s: %w", u.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
