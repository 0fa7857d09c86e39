package postgres

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }

// migrated 是各测试共用的模板。
func migrated(ctx context.Context, url string) error {
	_, err := Migrate(ctx, url)
	return err
}

// openTest 在一个全新的、迁移过的数据库上打开 Store；测试结束时关上。
func openTest(t testing.TB) (s *Store, url string) {
	t.Helper()
	url = pgtest.New(t, migrated)
	return openAt(t, url), url
}

func openAt(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}
