package pgtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestNew_GivesEachTestItsOwnDatabase(t *testing.T) {
	migrate := migrateWith("CREATE TABLE t (x int); INSERT INTO t VALUES (1)", func() {})
	a, b := connectTo(t, New(t, migrate)), connectTo(t, New(t, migrate))
	if _, err := a.Exec(t.Context(), "INSERT INTO t VALUES (2)"); err != nil {
		t.Fatal(err)
	}
	if na, nb := scalar[int](t, a, "SELECT count(*) FROM t"), scalar[int](t, b, "SELECT count(*) FROM t"); na != 2 || nb != 1 {
		t.Errorf("rows: %d and %d, want 2 and 1", na, nb)
	}
}

func TestNew_MigratesOnceForManyParallelTests(t *testing.T) {
	var ran atomic.Int32
	migrate := migrateWith("CREATE TABLE t (x int)", func() { ran.Add(1) })
	t.Run("group", func(t *testing.T) {
		for i := range 12 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				if n := scalar[int](t, connectTo(t, New(t, migrate)), "SELECT count(*) FROM t"); n != 0 {
					t.Errorf("%d rows in a fresh database", n)
				}
			})
		}
	})
	if n := ran.Load(); n != 1 {
		t.Errorf("migrated %d times", n)
	}
}

func TestNew_KeepsClosuresApart(t *testing.T) {
	for _, table := range []string{"first", "second"} {
		conn := connectTo(t, New(t, migrateWith("CREATE TABLE "+table+" (x int)", func() {})))
		if got := scalar[string](t, conn, "SELECT relname FROM pg_class WHERE relname IN ('first', 'second')"); got != table {
			t.Errorf("got the template of %s, want %s", got, table)
		}
	}
}

func TestNew_WithoutMigrationIsEmpty(t *testing.T) {
	if n := scalar[int](t, connectTo(t, New(t, nil)), "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"); n != 0 {
		t.Errorf("%d relations", n)
	}
}

func TestNew_SurvivesAMigrationThatLeavesConnectionsOpen(t *testing.T) {
	var left *pgx.Conn
	url := New(t, func(ctx context.Context, url string) (err error) {
		left, err = pgx.Connect(ctx, url)
		return err
	})
	defer left.Close(context.Background())
	connectTo(t, url)
}

func TestNew_DropsTheDatabaseEvenWhileConnected(t *testing.T) {
	var name string
	var conn *pgx.Conn
	t.Run("inner", func(t *testing.T) {
		var err error
		conn, err = pgx.Connect(t.Context(), New(t, nil))
		must(t, err)
		name = scalar[string](t, conn, "SELECT current_database()")
	})
	defer conn.Close(context.Background())
	admin := connectTo(t, process.server.base.String())
	if scalar[bool](t, admin, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name) {
		t.Errorf("%s still exists", name)
	}
}

// failing 记下 Fatalf 与 Skip，而不影响真正的测试。
type failing struct {
	testing.TB
	fatal   string
	skipped bool
}

func (f *failing) Fatalf(format string, args ...any) {
	f.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
func (f *failing) Skip(...any)          { f.skipped = true; runtime.Goexit() }
func (f *failing) Skipf(string, ...any) { f.skipped = true; runtime.Goexit() }
func (f *failing) SkipNow()             { f.skipped = true; runtime.Goexit() }

// outcome 在自己的 goroutine 里克隆一次，说出怎样失败。
func outcome(t *testing.T, p *shared, migrate func(context.Context, string) error) *failing {
	f := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.clone(f, migrate)
	}()
	<-done
	return f
}

func TestNew_FailsAndNeverSkipsWithoutAServer(t *testing.T) {
	f := outcome(t, &shared{err: errors.New("nothing here")}, nil)
	if f.skipped || !strings.Contains(f.fatal, "nothing here") {
		t.Errorf("skipped=%v fatal=%q", f.skipped, f.fatal)
	}
}

func TestNew_FailsWithTheSameErrorForEveryUserOfABrokenMigration(t *testing.T) {
	New(t, nil)
	broken := migrateWith("CREATE NONSENSE", func() {})
	for range 2 {
		if f := outcome(t, &process, broken); !strings.Contains(f.fatal, "NONSENSE") {
			t.Errorf("fatal=%q", f.fatal)
		}
	}
}

// BenchmarkNew 量一次克隆加一次删除；模板有四十张表，与真正的模式相当。
func BenchmarkNew(b *testing.B) {
	var sql strings.Builder
	for i := range 40 {
		fmt.Fprintf(&sql, "CREATE TABLE t%d (id bigint PRIMARY KEY, name text UNIQUE, at timestamptz);", i)
	}
	migrate := migrateWith(sql.String(), func() {})
	New(b, migrate)
	s, err := process.get(b.Context())
	must(b, err)
	from, err := process.template(b.Context(), s, migrate)
	must(b, err)
	var clones []string
	for b.Loop() {
		name, err := s.create(b.Context(), from)
		must(b, err)
		clones = append(clones, name)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/clone")
	for _, name := range clones {
		must(b, s.drop(context.Background(), name))
	}
}
