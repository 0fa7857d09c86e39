package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.uber.org/zap"
)

const pollEvery = 10 * time.Millisecond

// identity 是对一个 pid 的判断。
type identity int

const (
	stranger identity = iota // 不存在、是僵尸，或与这个簇无关
	ours                     // 这个簇的 postmaster
	unknown                  // 是 postgres，但看不到它在哪个簇上；交给 PostgreSQL 判断
)

// markerSetting 写在 postmaster 的命令行上，使后来者认得出它。用 inode 而不用路径：同一个簇可以有几条路径。
func markerSetting(cluster string) string {
	var st syscall.Stat_t
	if err := syscall.Stat(cluster, &st); err != nil {
		return "cluster_name=vega" // 簇不存在，也就没有人在它上面工作
	}
	return fmt.Sprintf("cluster_name=vega-%x-%x", st.Dev, st.Ino)
}

// stopLeftover 停掉前任遗留在这个簇上的 postmaster；须持有 DataDir 的锁。
func stopLeftover(ctx context.Context, cluster string, log *zap.Logger) error {
	pid, err := postmasterPID(cluster)
	if err != nil || pid == 0 {
		return err
	}
	switch identify(pid, cluster) {
	case stranger:
		return disownPID(cluster, pid)
	case unknown:
		return nil
	}
	log.Warn("stopping a PostgreSQL left behind by a previous run", zap.Int("pid", pid), zap.String("data_dir", cluster))
	watch, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for identify(pid, cluster) == ours && watch.Err() == nil {
			time.Sleep(pollEvery)
		}
	}()
	err = shutDown(ctx, target{signal: func(s syscall.Signal) { _ = syscall.Kill(pid, s) }, gone: gone})
	cancel()
	<-gone
	if err != nil {
		return fmt.Errorf("stop PostgreSQL left behind (pid %d): %w", pid, err)
	}
	return disownPID(cluster, pid)
}

// postmasterPID 读出 postmaster.pid 的第一行；没有文件或不成样子时是 0，后者由 PostgreSQL 自己报告。
func postmasterPID(cluster string) (int, error) {
	f, err := openPIDFile(cluster, os.O_RDONLY)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil
		}
		return 0, fmt.Errorf("read postmaster.pid: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return 0, fmt.Errorf("read postmaster.pid: %w", err)
	}
	return parsePID(text), nil
}

// parsePID 取第一行的 pid；不是大于 1 的整数时是 0：1 与负数绝不能拿去发信号。
func parsePID(text []byte) int {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	pid, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 32)
	if err != nil || pid <= 1 {
		return 0
	}
	return int(pid)
}

// disownPID 处理 pid 已归别的进程（或僵尸）的陈旧 postmaster.pid：PostgreSQL 只看 pid 活着没有，会因此拒绝启动。
// 把第一行改成我们自己的 pid：PostgreSQL 认父进程的 pid 为陈旧，其余各行（共享内存的键）留给它核对残余后端。
func disownPID(cluster string, pid int) error {
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return nil
	}
	f, err := openPIDFile(cluster, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("adopt stale postmaster.pid: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return fmt.Errorf("adopt stale postmaster.pid: %w", err)
	}
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("adopt stale postmaster.pid: %w", err)
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, "%d\n%s", os.Getpid(), rest), 0); err != nil {
		return fmt.Errorf("adopt stale postmaster.pid: %w", err)
	}
	return nil
}

// openPIDFile 不跟随符号链接、不在管道上等待：这个目录属于另一个账号，而我们可能是 root。
func openPIDFile(cluster string, flag int) (*os.File, error) {
	return os.OpenFile(filepath.Join(cluster, "postmaster.pid"), flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}
