package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestStart_KeepsDataAcrossRestarts(t *testing.T) {
	cfg := Config{DataDir: t.TempDir(), Durable: true}
	s := start(t, cfg)
	execSQL(t, s.URL(), "CREATE TABLE notes (text text)", "INSERT INTO notes VALUES ('héllo 世界')")
	stop(t, s)

	again := start(t, cfg)
	if got := query[string](t, again.URL(), "SELECT text FROM notes"); got != "héllo 世界" {
		t.Errorf("after restart the row is %q", got)
	}
}

func TestStart_IsDurableOnlyWhenAsked(t *testing.T) {
	for durable, want := range map[bool]string{true: "on", false: "off"} {
		s := start(t, Config{DataDir: t.TempDir(), Durable: durable})
		for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
			if got := query[string](t, s.URL(), "SHOW "+name); got != want {
				t.Errorf("durable=%v: %s is %q, want %q", durable, name, got, want)
			}
		}
	}
}

func TestStart_UsesUTF8AndLocaleC(t *testing.T) {
	s := start(t, Config{DataDir: t.TempDir()})
	for sql, want := range map[string]string{
		"SHOW server_encoding": "UTF8",
		"SELECT datcollate FROM pg_database WHERE datname = current_database()": "C",
		"SHOW timezone":         "UTC",
		"SHOW listen_addresses": "",
	} {
		if got := query[string](t, s.URL(), sql); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

// 以 root 运行时，这正是 /root 之下的情形；普通用户跑它也应当一样。
func TestStart_WorksUnderParentsNobodyElseMayEnter(t *testing.T) {
	private := filepath.Join(t.TempDir(), "private")
	must(t, os.Mkdir(private, 0o700))
	cfg := Config{DataDir: filepath.Join(private, "deep", "data"), Durable: true}
	s := start(t, cfg)
	execSQL(t, s.URL(), "CREATE TABLE t (x int)", "INSERT INTO t SELECT generate_series(1, 1000)", "CHECKPOINT")
	stop(t, s)
	again := start(t, cfg)
	if n := query[int](t, again.URL(), "SELECT count(*) FROM t"); n != 1000 {
		t.Errorf("%d rows after restart, want 1000", n)
	}

	for _, dir := range []string{private, filepath.Dir(cfg.DataDir), cfg.DataDir} {
		info, err := os.Stat(dir)
		must(t, err)
		if info.Mode().Perm() != 0o700 || int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
			t.Errorf("%s became %v owned by %d", dir, info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
		}
	}
	entries, err := os.ReadDir(again.home.cluster())
	must(t, err)
	if len(entries) < 10 {
		t.Errorf("the cluster is not inside DataDir: %v", entries)
	}
}

func TestStart_RunsAsAnOrdinaryUser(t *testing.T) {
	dir := openTempDir(t)
	var cred *syscall.Credential
	if os.Geteuid() == 0 {
		acct, err := unprivileged()
		must(t, err)
		cred = acct.credential()
		must(t, os.Chown(dir, int(acct.uid), int(acct.gid)))
	}
	child := startChild(t, cred, "serve "+filepath.Join(dir, "data"))
	verb, url := child.answer(t)
	if verb != "ready" {
		t.Fatalf("child: %s %s", verb, url)
	}
	if got := query[int](t, url, "SELECT 41 + 1"); got != 42 {
		t.Errorf("got %d", got)
	}
	must(t, child.stdin.Close())
	must(t, child.cmd.Wait())
	if _, err := os.Stat(filepath.Join(dir, "data", "postgres", "postmaster.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the server was not shut down: %v", err)
	}
}

func TestStart_KeepsOtherLocalUsersOut(t *testing.T) {
	dir := openTempDir(t)
	s := start(t, Config{DataDir: dir})
	socket := filepath.Join(s.socks, ".s.PGSQL."+port)
	info, err := os.Stat(s.socks)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("socket directory has mode %v", info.Mode())
	}
	if os.Geteuid() != 0 {
		return // 没有第二个账号可用，权限位就是全部证据。
	}
	verb, text := startChild(t, &syscall.Credential{Uid: 54321, Gid: 54321}, "dial "+socket).answer(t)
	if verb != "error" || !strings.Contains(text, "permission denied") {
		t.Errorf("another user: %s %s", verb, text)
	}
}

func TestStart_RefusesSecondInstance(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{DataDir: dir})
	_, err := Start(t.Context(), Config{DataDir: dir})
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("second Start: %v", err)
	}
	verb, text := startChild(t, nil, "serve "+dir).answer(t)
	if verb != "error" || !strings.Contains(text, ErrLocked.Error()) {
		t.Errorf("second process: %s %s", verb, text)
	}
	if err := Discard(t.Context(), dir); !errors.Is(err, ErrLocked) {
		t.Errorf("Discard of a directory in use: %v", err)
	}
	if got := query[int](t, s.URL(), "SELECT 1"); got != 1 {
		t.Error("the first instance was disturbed")
	}
}

func TestStart_PutsSocketElsewhereWhenPathIsLong(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 30), "data")
	s := start(t, Config{DataDir: dir})
	if !fitsSocket(s.socks) || strings.HasPrefix(s.socks, dir) {
		t.Errorf("socket directory is %s", s.socks)
	}
	if got := query[int](t, s.URL(), "SELECT 1"); got != 1 {
		t.Error("cannot query")
	}
	stop(t, s)
	if _, err := os.Stat(s.socks); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("temporary socket directory stays behind: %v", err)
	}
}

func TestStart_HonoursContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := Start(ctx, Config{DataDir: dir}); !errors.Is(err, context.Canceled) {
		t.Fatalf("Start with a cancelled context: %v", err)
	}
	start(t, Config{DataDir: dir})
}

func TestStop_IsIdempotentAndReleasesDataDir(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{DataDir: dir})
	stop(t, s)
	stop(t, s)
	<-s.Done()
	if err := s.Err(); err != nil {
		t.Errorf("Err after Stop: %v", err)
	}
	must(t, Discard(t.Context(), dir))
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Discard left the directory: %v", err)
	}
}

// 期限已过的 ctx 也要停得掉，数据靠恢复保全。
func TestStop_EscalatesWhenContextIsOver(t *testing.T) {
	cfg := Config{DataDir: t.TempDir(), Durable: true}
	s := start(t, cfg)
	execSQL(t, s.URL(), "CREATE TABLE t (x int)", "INSERT INTO t VALUES (7)")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, s.Stop(over))
	if got := query[int](t, start(t, cfg).URL(), "SELECT x FROM t"); got != 7 {
		t.Errorf("got %d", got)
	}
}
