package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const tempSocketPrefix = "vega-pg-"

// home 是上了锁的 DataDir。
type home struct {
	dir       string
	lock      *os.File
	tempSocks string // 私有的临时套接字目录；空表示套接字在 dir 里
}

// openHome 建立并锁住 dir；锁在 close 时或进程结束时放开。别人持有锁时返回 ErrLocked。
func openHome(dir string) (*home, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "postgres.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := readLock(f)
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s is held by pid %s; stop it or choose another data directory", ErrLocked, dir, owner)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return &home{dir: dir, lock: f}, nil
}

// cluster 是 PGDATA 的路径。
func (h *home) cluster() string { return filepath.Join(h.dir, "postgres") }

// sweep 清掉被杀死的前任留下的半成品；须在确认没有遗留的服务器之后调用。
func (h *home) sweep() error {
	stale, err := filepath.Glob(filepath.Join(escapeGlob(h.dir), "postgres-init-*"))
	if err != nil {
		return err
	}
	stale = append(stale, filepath.Join(h.dir, "postgres-run"))
	if _, socks := readLock(h.lock); strings.HasPrefix(filepath.Base(socks), tempSocketPrefix) {
		stale = append(stale, socks)
	}
	var errs []error
	for _, dir := range stale {
		errs = append(errs, removeBusy(dir))
	}
	return errors.Join(errs...)
}

// removeBusy 删掉一个也许还有人在写的目录：被杀的 initdb 的子进程要到下一次读写才发现没有了父亲。
func removeBusy(dir string) error {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(pollEvery) {
		err := os.RemoveAll(dir)
		if err == nil || !errors.Is(err, syscall.ENOTEMPTY) || time.Now().After(deadline) {
			return err
		}
	}
}

// makeSocketDir 建立只有 acct（与 root）能进的套接字目录，并把持有者写进锁文件。
func (h *home) makeSocketDir(acct account) (string, error) {
	dir := filepath.Join(h.dir, "postgres-run")
	if fitsSocket(dir) {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return "", fmt.Errorf("create socket directory: %w", err)
		}
	} else {
		temp, err := makeTempSocketDir()
		if err != nil {
			return "", err
		}
		dir, h.tempSocks = temp, temp
	}
	if err := acct.own(dir); err != nil {
		return "", err
	}
	return dir, writeLock(h.lock, h.tempSocks)
}

func (h *home) close() {
	if h.tempSocks != "" {
		os.RemoveAll(h.tempSocks)
	}
	h.lock.Close()
}

// fitsSocket 说 dir 里的套接字能否写进 sockaddr_un：Linux 是 107 个字节，其他系统是 103。
func fitsSocket(dir string) bool {
	return len(filepath.Join(dir, ".s.PGSQL."+port)) <= 103
}

func makeTempSocketDir() (string, error) {
	for _, base := range []string{os.TempDir(), "/tmp"} {
		dir, err := os.MkdirTemp(base, tempSocketPrefix)
		if err != nil {
			continue
		}
		if fitsSocket(dir) {
			return dir, nil
		}
		os.Remove(dir)
	}
	return "", errors.New("no temporary directory is short enough and writable for a UNIX socket; set TMPDIR")
}

func readLock(f *os.File) (pid, tempSocks string) {
	buf := make([]byte, 4096)
	n, _ := f.ReadAt(buf, 0)
	pid, tempSocks, _ = strings.Cut(strings.TrimSpace(string(buf[:n])), "\n")
	if pid == "" {
		pid = "unknown"
	}
	return pid, tempSocks
}

func writeLock(f *os.File, tempSocks string) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("write lock file: %w", err)
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, "%d\n%s\n", os.Getpid(), tempSocks), 0); err != nil {
		return fmt.Errorf("write lock file: %w", err)
	}
	return nil
}

// escapeGlob 让路径里的通配符只代表自己。
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
