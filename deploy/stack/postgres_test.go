package stack

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// newCluster 起一个空的 PostgreSQL；它的目录没有特权的账号也走得进去。
func newCluster(t *testing.T) (*Postgres, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "vega-stack-pg-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p, err := NewPostgres(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p, dir
}

func query(t *testing.T, p *Postgres, sql string) [][]string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		rows, err := p.Query(t.Context(), sql)
		if err == nil {
			return rows
		}
		if time.Now().After(deadline) { // 起来之后还要恢复一会儿
			t.Fatal(err)
		}
	}
}

func TestPostgres_CrashKeepsWhatWasCommittedAndRestoreForgetsWhatCameAfterTheBackup(t *testing.T) {
	p, dir := newCluster(t)
	query(t, p, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	backup := filepath.Join(dir, "backup")
	if err := p.Backup(ctx, backup); err != nil {
		t.Fatal(err)
	}
	query(t, p, "INSERT INTO t VALUES (2)")
	for range 3 {
		p.Crash()
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if rows := query(t, p, "SELECT n FROM t ORDER BY n"); len(rows) != 2 || rows[1][0] != "2" {
		t.Fatalf("after a crash: %v", rows)
	}
	p.Stop()
	if err := p.Restore(backup); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows := query(t, p, "SELECT n FROM t"); len(rows) != 1 || rows[0][0] != "1" {
		t.Fatalf("after going back: %v", rows)
	}
}
