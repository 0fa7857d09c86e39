package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestStart_RecoversAfterParentWasKilled(t *testing.T) {
	dir := t.TempDir()
	child := startChild(t, nil, "serve "+dir)
	verb, url := child.answer(t)
	if verb != "ready" {
		t.Fatalf("child: %s %s", verb, url)
	}
	execSQL(t, url, "CREATE TABLE t (x int)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)")
	child.kill(t)

	s := start(t, Config{DataDir: dir, Durable: true})
	if n := query[int](t, s.URL(), "SELECT count(*) FROM t"); n != 2 {
		t.Errorf("%d committed rows survived, want 2", n)
	}
}

func TestServer_DiesWithItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // 只有 Linux 有 Pdeathsig；别处由 TestStart_StopsServerLeftBehind 覆盖。
	}
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 30))
	child := startChild(t, nil, "serve "+dir)
	if verb, text := child.answer(t); verb != "ready" {
		t.Fatalf("child: %s %s", verb, text)
	}
	cluster := filepath.Join(dir, "postgres")
	pid, err := postmasterPID(cluster)
	must(t, err)
	lock, err := os.Open(filepath.Join(dir, "postgres.lock"))
	must(t, err)
	defer lock.Close()
	_, socks := readLock(lock)
	child.kill(t)
	eventually(t, "the server is gone", func() bool { return identify(pid, cluster) == stranger })
	if _, err := os.Stat(filepath.Join(cluster, "postmaster.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("not a clean shutdown: postmaster.pid: %v", err)
	}

	start(t, Config{DataDir: dir})
	if _, err := os.Stat(socks); socks == "" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket directory %q of the killed process stays behind: %v", socks, err)
	}
}

// Pdeathsig 认的是线程：要求启动的那个线程结束了，服务器不该跟着结束。
func TestServer_OutlivesTheThreadThatAskedForIt(t *testing.T) {
	began := make(chan *Server)
	go func() {
		runtime.LockOSThread() // 不解锁就返回，线程随 goroutine 一起结束
		s, err := Start(context.Background(), Config{DataDir: t.TempDir()})
		if err != nil {
			t.Error(err)
		}
		began <- s
	}()
	s := <-began
	defer stop(t, s)
	for range 20 {
		if got := query[int](t, s.URL(), "SELECT 1"); got != 1 {
			t.Fatal("cannot query")
		}
	}
	if err := s.Err(); err != nil {
		t.Error(err)
	}
}

func TestStart_StopsServerLeftBehind(t *testing.T) {
	dir := t.TempDir()
	stop(t, start(t, Config{DataDir: dir}))
	pid, ended := leaveBehind(t, dir, markerSetting(filepath.Join(dir, "postgres")))
	start(t, Config{DataDir: dir})
	select {
	case <-ended:
	default:
		t.Errorf("the server left behind (pid %d) still runs", pid)
	}
}

// 运维者手工启动的没有标记：认得出就停掉，看不到（没有 CAP_SYS_PTRACE 的 root）就不碰，让 PostgreSQL 拒绝。
func TestStart_NeverDisownsAnUnmarkedServer(t *testing.T) {
	dir := t.TempDir()
	stop(t, start(t, Config{DataDir: dir}))
	pid, ended := leaveBehind(t, dir, "cluster_name=manual")
	switch identify(pid, filepath.Join(dir, "postgres")) {
	case ours:
		start(t, Config{DataDir: dir})
		<-ended
	case unknown:
		if _, err := Start(t.Context(), Config{DataDir: dir}); err == nil || !strings.Contains(err.Error(), "postmaster.pid") {
			t.Errorf("Start beside a server it cannot identify: %v", err)
		}
	case stranger:
		t.Error("a server on this cluster was taken for a stranger")
	}
}

// leaveBehind 启动一个不随父进程而亡的 postmaster，并等到它写好 postmaster.pid。
func leaveBehind(t *testing.T, dir, setting string) (pid int, ended <-chan struct{}) {
	t.Helper()
	cluster := filepath.Join(dir, "postgres")
	acct, err := accountFor(cluster)
	must(t, err)
	bin, err := findBinaries(t.Context(), "", 0)
	must(t, err)
	cmd, closeDirs, err := command(bin.path("postgres"), acct, 0, cluster, filepath.Join(dir, "postgres-run"))
	must(t, err)
	cmd.Args = append(cmd.Args, "-D", cmd.lent[0], "-k", cmd.lent[1], "-c", "listen_addresses=", "-c", setting)
	must(t, cmd.Start())
	closeDirs()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGINT); <-done })
	eventually(t, "postmaster.pid is written", func() bool {
		text, _ := os.ReadFile(filepath.Join(cluster, "postmaster.pid"))
		return strings.Contains(string(text), "ready")
	})
	return cmd.Process.Pid, done
}

func TestStart_RepairsInterruptedInit(t *testing.T) {
	dir := t.TempDir()
	child := startChild(t, nil, "serve "+dir)
	eventually(t, "initdb is half-way", func() bool {
		half, _ := filepath.Glob(filepath.Join(dir, "postgres-init-*", "PG_VERSION"))
		return len(half) == 1
	})
	child.kill(t)
	if _, err := os.Stat(filepath.Join(dir, "postgres")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("init was not interrupted: %v", err)
	}

	s := start(t, Config{DataDir: dir})
	if got := query[int](t, s.URL(), "SELECT 1"); got != 1 {
		t.Error("cannot query")
	}
	if err := s.home.sweepable(); err != nil {
		t.Error(err)
	}
}

// sweepable 报告仍留着的半成品。
func (h *home) sweepable() error {
	left, err := filepath.Glob(filepath.Join(h.dir, "postgres-init-*"))
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("half-made clusters stay behind: %v", left)
	}
	return err
}

// 容器重启后 pid 从头数起，postmaster.pid 里的号码常常已归别的进程。
func TestStart_IgnoresPIDFileOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{DataDir: dir})
	stop(t, s)
	stranger := exec.Command("sleep", "60")
	stranger.SysProcAttr = &syscall.SysProcAttr{Credential: s.acct.credential()}
	must(t, stranger.Start())
	t.Cleanup(func() { _ = stranger.Process.Kill(); _ = stranger.Wait() })

	path := filepath.Join(dir, "postgres", "postmaster.pid")
	text := fmt.Sprintf("%d\n/proc/self/fd/3\n1700000000\n5432\n/proc/self/fd/4\n\n  9977868         4\nready   \n", stranger.Process.Pid)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	must(t, s.acct.own(path))

	start(t, Config{DataDir: dir})
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a process that is not ours was stopped: %v", err)
	}
}

func TestDone_TellsThatThePostmasterDied(t *testing.T) {
	cfg := Config{DataDir: t.TempDir(), Durable: true}
	s := start(t, cfg)
	execSQL(t, s.URL(), "CREATE TABLE t (x int)", "INSERT INTO t VALUES (1)")
	if err := s.Err(); err != nil {
		t.Fatalf("Err while running: %v", err)
	}
	must(t, syscall.Kill(s.child.pid(), syscall.SIGKILL))
	<-s.Done()
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Err after a kill: %v", err)
	}
	must(t, s.Stop(context.Background()))
	if n := query[int](t, start(t, cfg).URL(), "SELECT count(*) FROM t"); n != 1 {
		t.Errorf("%d rows after crash recovery, want 1", n)
	}
}

// 残余后端忙于计算时不会马上发现 postmaster 已死，共享内存还占着。
func TestStart_WaitsForOrphanedBackends(t *testing.T) {
	cfg := Config{DataDir: t.TempDir()}
	s := start(t, cfg)
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		_ = exec.Command("psql", s.URL(), "-c", "SELECT count(*) FROM generate_series(1, 4000) a, generate_series(1, 4000) b").Run()
	}()
	eventually(t, "the backend is busy", func() bool {
		return query[int](t, s.URL(), "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%generate_series(1, 4000) a%' AND pid <> pg_backend_pid()") == 1
	})
	must(t, syscall.Kill(s.child.pid(), syscall.SIGKILL))
	must(t, s.Stop(context.Background()))
	start(t, cfg)
	<-busy
}
