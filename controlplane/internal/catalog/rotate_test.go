package catalog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

func rotation(t *testing.T, body string) Rotation {
	t.Helper()
	r, err := ParseRotation("team-a", []byte(body))
	if err != nil {
		t.Fatalf("%v %+v", err, vegaerr.As(err).Problems)
	}
	return r
}

func (s *store) rotate(t *testing.T, old, body string) []IssuedKey {
	t.Helper()
	next, issued, err := RotateKey(s.cur, "team-a", old, rotation(t, body), testMint())
	s.must(t, next, err)
	return issued
}

func TestRotateKey_IsOneRevisionAndTheOldOneDiesAfterTheOverlap(t *testing.T) {
	now := testMint().now()
	for _, c := range []struct {
		expires, overlap string
		want             time.Time
	}{
		{"null", "", now.Add(24 * time.Hour)},
		{"null", `, "overlap_seconds": 3600`, now.Add(time.Hour)},
		{"null", `, "overlap_seconds": 0`, now},
		{`"2026-01-02T03:05:05Z"`, `, "overlap_seconds": 3600`, now.Add(time.Minute)},
		{`"2027-01-01T00:00:00Z"`, `, "overlap_seconds": 3600`, now.Add(time.Hour)},
	} {
		s := newStore()
		s.apply(t, fmt.Sprintf(`{"apps": [{"name": "team-a", "keys": [{"name": "default", "expires_at": %s}]}]}`, c.expires), ApplyOptions{})
		before := *s.cur.Keys[KeyRef{"team-a", "default"}]
		issued := s.rotate(t, "default", `{"name": "next"`+c.overlap+`}`)
		old, fresh := s.cur.Keys[KeyRef{"team-a", "default"}], s.cur.Keys[KeyRef{"team-a", "next"}]
		if s.cur.Revision != 2 || len(issued) != 1 || issued[0].Name != "next" || fresh == nil || !fresh.ExpiresAt.IsZero() {
			t.Fatalf("revision %d, issued %v, new key %+v", s.cur.Revision, issued, fresh)
		}
		if old.ID != before.ID || old.MAC != before.MAC || !old.ExpiresAt.Equal(c.want) {
			t.Errorf("%s %s: the old key expires at %v, want %v", c.expires, c.overlap, old.ExpiresAt, c.want)
		}
	}
}

func TestRotateKey_RefusesWhatCannotBeRotatedAndLeavesEverythingAsItWas(t *testing.T) {
	s := newStore()
	s.apply(t, `{"apps": [{"name": "team-a", "keys": [{"name": "default", "secret": "`+fixed+`"}, {"name": "other"}, {"name": "gone"}, {"name": "dead", "expires_at": "2026-01-02T03:04:05Z"}]}]}`, ApplyOptions{})
	s.must(t, mustCatalog(DeleteKey(s.cur, "team-a", "gone")), nil)
	before := s.cur
	for _, c := range []struct {
		app, old, body string
		code           vegaerr.Code
		says           string
	}{
		{"team-a", "dead", `{"name": "next"}`, vegaerr.Conflict, "expired at 2026-01-02T03:04:05Z"},
		{"team-a", "gone", `{"name": "next"}`, vegaerr.NotFound, "no key named"},
		{"nobody", "default", `{"name": "next"}`, vegaerr.NotFound, "does not exist"},
		{"team-a", "default", `{"name": "other"}`, vegaerr.Conflict, "already has a key named"},
		{"team-a", "default", `{"name": "default"}`, vegaerr.Conflict, "a name of its own"},
		{"team-a", "default", `{"name": "next", "secret": "` + fixed + `"}`, vegaerr.Conflict, "conflicts"},
	} {
		_, issued, err := RotateKey(s.cur, c.app, c.old, rotation(t, c.body), testMint())
		if e := wantCode(t, err, c.code); !strings.Contains(e.Error(), c.says) || issued != nil {
			t.Errorf("%s/%s %s: %v, issued %v", c.app, c.old, c.body, e, issued)
		}
	}
	if s.cur != before || !before.Keys[KeyRef{"team-a", "default"}].ExpiresAt.IsZero() {
		t.Error("a refused rotation changed the key")
	}
}

func TestParseRotation_NamesEveryMistake(t *testing.T) {
	for body, path := range map[string]string{
		`{}`:                                   "name",
		`{"name": "n", "overlap_seconds": -1}`: "overlap_seconds",
		`{"name": "n", "overlap_seconds": 31536001}`: "overlap_seconds",
		`{"name": "n", "overlap_seconds": 1.5}`:      "overlap_seconds",
		`{"name": "n", "overlap": 5}`:                "overlap",
		`{"name": "n", "secret": "short"}`:           "secret",
		`{"name": "n", "expires_at": "tomorrow"}`:    "expires_at",
		`[]`: "",
	} {
		_, err := ParseRotation("team-a", []byte(body))
		if e := wantCode(t, err, vegaerr.Invalid); len(e.Problems) != 1 || e.Problems[0].Path != path {
			t.Errorf("%s: %+v", body, e.Problems)
		}
	}
}

func TestSetKeyExpiry_ChangesNothingElse(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	before := *s.cur.Keys[KeyRef{"team-a", "default"}]
	for _, body := range []string{`{"expires_at": "2030-01-01T00:00:00Z"}`, `{"expires_at": null}`} {
		at, err := ParseKeyExpiry([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		s.must(t, mustCatalog(SetKeyExpiry(s.cur, "team-a", "default", at)), nil)
		want := before
		want.ExpiresAt = at
		if k := s.cur.Keys[KeyRef{"team-a", "default"}]; *k != want {
			t.Errorf("%s: %+v", body, k)
		}
	}
	for _, body := range []string{`{}`, `{"expires_at": 5}`, `{"expires_at": null, "name": "x"}`, `"x"`} {
		_, err := ParseKeyExpiry([]byte(body))
		wantCode(t, err, vegaerr.Invalid)
	}
	_, err := SetKeyExpiry(s.cur, "team-a", "none", time.Time{})
	wantCode(t, err, vegaerr.NotFound)
}

func TestRollback_NeitherUndoesARotationNorLengthensALife(t *testing.T) {
	s := newStore()
	s.apply(t, `{"apps": [{"name": "team-a", "keys": [{"name": "default"}]}]}`, ApplyOptions{})
	then := s.cur
	s.rotate(t, "default", `{"name": "next", "overlap_seconds": 60}`)
	end := testMint().now().Add(time.Minute)
	whole := func(what string) {
		t.Helper()
		old, fresh := s.cur.Keys[KeyRef{"team-a", "default"}], s.cur.Keys[KeyRef{"team-a", "next"}]
		if old == nil || !old.ExpiresAt.Equal(end) || fresh == nil || !fresh.ExpiresAt.IsZero() {
			t.Fatalf("%s: old %+v, new %+v", what, old, fresh)
		}
	}
	rotated := s.cur
	s.must(t, Rollback(s.cur, then), nil)
	whole("back to before the rotation")
	s.must(t, mustCatalog(Delete(s.cur, KindApp, "team-a", 0)), nil)
	s.must(t, Rollback(s.cur, rotated), nil)
	whole("deleted with the app and brought back")
	s.must(t, mustCatalog(Delete(s.cur, KindApp, "team-a", 0)), nil)
	s.must(t, Rollback(s.cur, then), nil)
	if old := s.cur.Keys[KeyRef{"team-a", "default"}]; old == nil || !old.ExpiresAt.Equal(end) || len(s.cur.Keys) != 1 {
		t.Fatalf("the app as it was before the rotation: %v", s.cur.Keys)
	}
}
