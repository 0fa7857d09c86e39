package pgtest

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

const childEnv = "VEGA_PGTEST_TEST_CHILD"

// TestMain 让测试程序也能充当将被杀死的测试进程。
func TestMain(m *testing.M) {
	if base := os.Getenv(childEnv); base != "" {
		s, err := openLocal(context.Background(), base, "")
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(s.base.String())
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	goleak.VerifyTestMain(Wrap(m))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func connectTo(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func scalar[T any](t testing.TB, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	must(t, conn.QueryRow(t.Context(), sql, args...).Scan(&v))
	return v
}

// migrateWith 造一个执行 sql 的迁移；每次调用得到不同的函数值。
func migrateWith(sql string, ran func()) func(context.Context, string) error {
	return func(ctx context.Context, url string) error {
		ran()
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, sql)
		return err
	}
}
