package pgtest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// otherProcess 在同一台服务器上开始另一轮，如同另一个测试进程经 VEGA_TEST_DATABASE_URL 而来。
func otherProcess(t *testing.T) *server {
	t.Helper()
	New(t, nil)
	s, err := connect(t.Context(), process.server.base.String(), nil)
	must(t, err)
	return s
}

func exists(t *testing.T, name string) bool {
	t.Helper()
	return scalar[bool](t, connectTo(t, process.server.base.String()), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name)
}

func TestConnect_LeavesLivingProcessesAlone(t *testing.T) {
	a := otherProcess(t)
	defer a.close()
	name, err := a.create(t.Context(), "template0")
	must(t, err)
	b := otherProcess(t)
	defer b.close()
	if !exists(t, name) {
		t.Error("a newcomer dropped the database of a living process")
	}
	again, err := b.create(t.Context(), "template0")
	must(t, err)
	if again == name {
		t.Error("two processes use the same name")
	}
}

func TestConnect_SweepsDatabasesOfDeadProcesses(t *testing.T) {
	dead := otherProcess(t)
	name, err := dead.create(t.Context(), "template0")
	must(t, err)
	must(t, dead.alive.Close(t.Context())) // 进程死去时锁随连接而亡
	dead.admin.Close()

	otherProcess(t).close()
	// 在共用的服务器上，也许是别的进程正在替我们删。
	for deadline := time.Now().Add(10 * time.Second); exists(t, name); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s stays behind", name)
		}
	}
}

func TestConnect_IgnoresDatabasesOfOtherMaintenanceDatabases(t *testing.T) {
	a := otherProcess(t)
	defer a.close()
	foreign := fmt.Sprintf("vegatest_1_%08x_1", a.run)
	_, err := a.admin.Exec(t.Context(), "CREATE DATABASE "+foreign)
	must(t, err)
	defer func() { must(t, a.drop(context.Background(), foreign)) }()
	otherProcess(t).close()
	if !exists(t, foreign) {
		t.Error("a database whose lock cannot be seen from here was dropped")
	}
}

func TestClose_RemovesTemplatesFromASharedServer(t *testing.T) {
	s := otherProcess(t)
	name, err := s.createTemplate(t.Context(), migrateWith("CREATE TABLE t (x int)", func() {}))
	must(t, err)
	s.close()
	if exists(t, name) {
		t.Errorf("%s stays behind", name)
	}
}

func TestConnect_NeverShowsThePassword(t *testing.T) {
	for _, url := range []string{"postgres://u:hunter2@127.0.0.1:1/x?connect_timeout=1", "postgres://u:hunter2@%zz/", "host=x password=hunter2"} {
		_, err := connect(t.Context(), url, nil)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestOpen_DoesNotFallBackFromABrokenURL(t *testing.T) {
	t.Setenv(envURL, "postgres://127.0.0.1:1/none?connect_timeout=1")
	if _, err := open(t.Context()); err == nil || !strings.Contains(err.Error(), envURL) {
		t.Errorf("open: %v", err)
	}
}

func TestParseName_IsTheInverseOfNewName(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := &server{dbOID: rapid.Uint32().Draw(r, "oid"), run: rapid.Uint32().Draw(r, "run")}
		oid, run, ok := parseName(s.newName())
		if !ok || oid != s.dbOID || run != s.run {
			r.Fatalf("%d %d %v", oid, run, ok)
		}
	})
	for _, foreign := range []string{"vegatest_", "vegatest_1_00000001", "vegatest_1_00000001_1x", "xvegatest_1_00000001_1", "vegatest_99999999999_00000001_1"} {
		if _, _, ok := parseName(foreign); ok {
			t.Errorf("%q was taken for ours", foreign)
		}
	}
}
