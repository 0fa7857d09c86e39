package postgres

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/seal"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

const demo = `{
 "servers": [{"name": "gpu-1", "base_url": "http://127.0.0.1:9001/v1", "api_key": "sk-upstream-plain-0123"}],
 "models": [{"name": "gpt-4o", "targets": [{"server": "gpu-1", "upstream_model": "gpt-4o-2024-08-06"}],
             "prices": {"input_per_million": 2.5, "cached_input_per_million": 1.25, "output_per_million": 10}}],
 "apps": [{"name": "team-a", "keys": [{"name": "default", "secret": "vg-0123456789abcdef0123456789abcdef", "expires_at": "2031-01-01T00:00:00Z"}]}]
}`

const fixed = "vg-0123456789abcdef0123456789abcdef"

func keyring(t testing.TB, fill byte) *seal.Keyring {
	t.Helper()
	k, err := seal.NewKeyring(bytes.Repeat([]byte{fill}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// openConfig 打开一个空的、解了锁的 Store。
func openConfig(t testing.TB) (s *Store, url string) {
	t.Helper()
	s, url = openTest(t)
	unlock(t, s)
	return s, url
}

func unlock(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Unlock(t.Context(), keyring(t, 1)); err != nil {
		t.Fatal(err)
	}
}

func sqlConn(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

// applying 是以一份文档为内容的写。
func applying(t tb, s *Store, doc string, o catalog.ApplyOptions) Mutate {
	t.Helper()
	d, err := catalog.Parse([]byte(doc))
	if err != nil {
		t.Fatalf("parse: %v %+v", err, vegaerr.As(err).Problems)
	}
	return func(cur *catalog.Catalog) (*catalog.Catalog, error) {
		next, _, err := catalog.Apply(cur, d, o, s.Mint())
		return next, d.Relocate(err)
	}
}

func applyDoc(t testing.TB, s *Store, doc string, o catalog.ApplyOptions) catalog.Applied {
	t.Helper()
	done, err := s.Change(t.Context(), "tester", "note", applying(t, s, doc, o))
	if err != nil {
		t.Fatalf("apply: %v %+v", err, vegaerr.As(err).Problems)
	}
	return done
}

// forgetful 是同一个数据库上没有记忆的 Store：它读到的只能来自数据库。
func forgetful(s *Store) *Store { return &Store{pool: s.pool, q: s.q, vault: s.vault} }

// load 总是从数据库读。
func load(t testing.TB, s *Store) *catalog.Catalog {
	t.Helper()
	c, err := forgetful(s).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// same 要求两份 Catalog 逐栏相同，包括版本号与明文凭证。
func same(t tb, what string, got, want *catalog.Catalog) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %+v\nwant %+v\ndiff %v", what, got, want, catalog.Diff(want, got))
	}
}

func wantCode(t *testing.T, err error, code vegaerr.Code) *vegaerr.Error {
	t.Helper()
	if vegaerr.CodeOf(err) != code {
		t.Fatalf("got %v (%v), want %v", vegaerr.CodeOf(err), err, code)
	}
	return vegaerr.As(err)
}
