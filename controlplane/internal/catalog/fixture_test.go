package catalog

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

func testMint() Mint {
	return Mint{
		MAC: func(secret string) [32]byte { return sha256.Sum256([]byte(secret)) },
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	}
}

func parse(t tb, doc string) *Document {
	t.Helper()
	d, err := Parse([]byte(doc))
	if err != nil {
		t.Fatalf("parse: %v %+v", err, vegaerr.As(err).Problems)
	}
	return d
}

// store 是存储的内存替身：同样地算差别、盖章、记住每一版；被吊销的 MAC 永远记得。
type store struct {
	cur     *Catalog
	past    map[uint64]*Catalog
	revoked map[[32]byte]bool
}

func newStore() *store {
	return &store{cur: New(), past: map[uint64]*Catalog{0: New()}, revoked: map[[32]byte]bool{}}
}

var errRevoked = errors.New("revoked")

func (s *store) change(next *Catalog, err error) (Delta, error) {
	if err != nil {
		return Delta{}, err
	}
	d := Compare(s.cur, next)
	if d.Empty() {
		return d, nil
	}
	for _, k := range d.KeysPut {
		if s.revoked[k.MAC] {
			return Delta{}, errRevoked
		}
	}
	for _, k := range d.KeysRevoked {
		s.revoked[k.MAC] = true
	}
	s.cur = Stamp(next, d, s.cur.Revision+1)
	s.past[s.cur.Revision] = s.cur
	return d, nil
}

func (s *store) apply(t tb, doc string, o ApplyOptions) []IssuedKey {
	t.Helper()
	next, issued, err := Apply(s.cur, parse(t, doc), o, testMint())
	if _, err := s.change(next, err); err != nil {
		t.Fatalf("apply: %v %+v", err, vegaerr.As(err).Problems)
	}
	return issued
}

func (s *store) must(t tb, next *Catalog, err error) {
	t.Helper()
	if _, err := s.change(next, err); err != nil {
		t.Fatalf("change: %v", err)
	}
}

func wantCode(t *testing.T, err error, code vegaerr.Code) *vegaerr.Error {
	t.Helper()
	if vegaerr.CodeOf(err) != code {
		t.Fatalf("got %v (%v), want %v", vegaerr.CodeOf(err), err, code)
	}
	return vegaerr.As(err)
}

func asJSON(t tb, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	return string(b)
}

const demo = `{
 "servers": [{"name": "gpu-1", "base_url": "http://127.0.0.1:9001/v1", "api_key": "sk-upstream-0123"}],
 "models": [{"name": "gpt-4o", "targets": [{"server": "gpu-1", "upstream_model": "gpt-4o-2024-08-06"}],
             "prices": {"input_per_million": 2.5, "cached_input_per_million": 1.25, "output_per_million": 10}}],
 "apps": [{"name": "team-a", "keys": [{"name": "default", "secret": "vg-0123456789abcdef0123456789abcdef"}]}]
}`
