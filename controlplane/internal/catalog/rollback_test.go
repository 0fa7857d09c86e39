package catalog

import (
	"strings"
	"testing"
)

func TestRollback_KeepsTheLivingKeyWhenTheNameIsTaken(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	then := s.cur
	lost := then.Keys[KeyRef{"team-a", "default"}]
	s.must(t, mustCatalog(Delete(s.cur, KindApp, "team-a", 0)), nil)
	s.apply(t, `{"apps": [{"name": "team-a", "keys": [{"name": "default"}]}]}`, ApplyOptions{})
	living := s.cur.Keys[KeyRef{"team-a", "default"}]
	s.must(t, Rollback(s.cur, then), nil)
	if now := s.cur.Keys[KeyRef{"team-a", "default"}]; now.ID != living.ID || s.cur.Detached[lost.ID] == nil {
		t.Errorf("now %+v, detached %v", now, s.cur.Detached)
	}
}

func TestRollback_ReturnsAnAdoptedKeyToTheAppItLivedIn(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	then := s.cur
	id := then.Keys[KeyRef{"team-a", "default"}].ID
	s.apply(t, strings.NewReplacer("team-a", "team-b", `"default"`, `"moved"`).Replace(demo), ApplyOptions{Prune: true})
	if k := s.cur.Keys[KeyRef{"team-b", "moved"}]; k == nil || k.ID != id {
		t.Fatalf("the key was not adopted: %v", s.cur.Keys)
	}
	s.must(t, Rollback(s.cur, then), nil)
	if k := s.cur.Keys[KeyRef{"team-a", "default"}]; k == nil || k.ID != id || k.Ref() != (KeyRef{"team-a", "default"}) || len(s.cur.Keys) != 1 {
		t.Errorf("keys %v", s.cur.Keys)
	}
}

func TestRollback_KeepsAShortenedExpiry(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	then := s.cur
	s.apply(t, `{"apps": [{"name": "team-a", "keys": [{"name": "default", "expires_at": "2027-01-01T00:00:00Z"}]}]}`, ApplyOptions{})
	s.apply(t, `{"servers": [{"name": "gpu-1", "base_url": "http://a"}]}`, ApplyOptions{Prune: true})
	s.must(t, Rollback(s.cur, then), nil)
	if k := s.cur.Keys[KeyRef{"team-a", "default"}]; k == nil || k.ExpiresAt.Year() != 2027 {
		t.Errorf("key %+v: a shortened life must not grow back", k)
	}
}
