package catalog

import (
	"strings"
	"testing"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

const fixed = "vg-0123456789abcdef0123456789abcdef"

func TestApply_WithoutPruneLeavesOthersAlone(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	s.apply(t, `{"servers": [{"name": "gpu-2", "base_url": "http://b"}], "apps": [{"name": "team-a", "keys": [{"name": "second"}]}]}`, ApplyOptions{})
	if len(s.cur.Servers) != 2 || len(s.cur.Models) != 1 || len(s.cur.KeysOf("team-a")) != 2 {
		t.Errorf("got %d servers, %d models, %d keys", len(s.cur.Servers), len(s.cur.Models), len(s.cur.KeysOf("team-a")))
	}
}

func TestApply_ReplacesNamedObjectsWhole(t *testing.T) {
	s := newStore()
	s.apply(t, `{"servers": [{"name": "s", "base_url": "http://a", "headers": {"X-A": "1"}, "limits": {"max_concurrency": 4}}]}`, ApplyOptions{})
	s.apply(t, `{"servers": [{"name": "s", "base_url": "http://a"}]}`, ApplyOptions{})
	if got := s.cur.Servers["s"]; len(got.Headers) != 0 || got.Limits != (Limits{}) {
		t.Errorf("fields that were left out survived: %+v", got)
	}
}

func TestApply_PruneDeletesKeysOnlyWhenTheListIsPresent(t *testing.T) {
	s := newStore()
	s.apply(t, `{"apps": [{"name": "listed", "keys": [{"name": "old"}, {"name": "kept"}]}, {"name": "silent", "keys": [{"name": "old"}]}]}`, ApplyOptions{})
	s.apply(t, `{"apps": [{"name": "listed", "keys": [{"name": "kept"}]}, {"name": "silent"}]}`, ApplyOptions{Prune: true})
	if s.cur.Keys[KeyRef{"listed", "old"}] != nil || s.cur.Keys[KeyRef{"listed", "kept"}] == nil || s.cur.Keys[KeyRef{"silent", "old"}] == nil {
		t.Errorf("keys: %v", s.cur.Keys)
	}
	if len(s.revoked) != 1 {
		t.Errorf("%d keys were revoked, want 1", len(s.revoked))
	}
}

func TestApply_CredentialIsKeptWhenAbsentAndClearedWhenEmpty(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	before := s.cur.Credentials["gpu-1"]
	s.apply(t, `{"servers": [{"name": "gpu-1", "base_url": "http://changed"}]}`, ApplyOptions{})
	if s.cur.Credentials["gpu-1"] != before {
		t.Error("an absent api_key must keep the stored one")
	}
	s.apply(t, `{"servers": [{"name": "gpu-1", "base_url": "http://changed", "api_key": ""}]}`, ApplyOptions{})
	if s.cur.Credentials["gpu-1"] != nil {
		t.Error("an empty api_key must clear the credential")
	}
}

func TestApply_RecreatedServerStartsWithoutTheOldCredential(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	with := s.cur
	s.apply(t, `{"apps": [{"name": "team-a"}]}`, ApplyOptions{Prune: true})
	if s.cur.Credentials["gpu-1"] == nil {
		t.Fatal("a deleted server's credential must stay, detached")
	}
	if v, ok := s.cur.ServerView("gpu-1"); ok {
		t.Fatalf("server is still there: %+v", v)
	}
	s.must(t, Rollback(s.cur, with), nil)
	if v, _ := s.cur.ServerView("gpu-1"); !v.HasAPIKey {
		t.Error("a rollback must bring the detached credential back")
	}
	s.apply(t, `{}`, ApplyOptions{Prune: true})
	s.apply(t, `{"servers": [{"name": "gpu-1", "base_url": "http://a"}]}`, ApplyOptions{})
	if v, _ := s.cur.ServerView("gpu-1"); v.HasAPIKey {
		t.Error("a plain re-creation must start without a credential")
	}
}

func TestApply_GeneratesASecretOnceForANewKey(t *testing.T) {
	s := newStore()
	issued := s.apply(t, `{"apps": [{"name": "a", "keys": [{"name": "k"}, {"name": "given", "secret": "`+fixed+`"}]}]}`, ApplyOptions{})
	if len(issued) != 1 || issued[0].Name != "k" || !strings.HasPrefix(issued[0].Secret.Reveal(), "vg-") || len(issued[0].Secret.Reveal()) != 46 {
		t.Fatalf("issued %+v", issued)
	}
	if s.cur.Keys[KeyRef{"a", "k"}].MAC != testMint().MAC(issued[0].Secret.Reveal()) {
		t.Error("the stored MAC is not that of the issued secret")
	}
	if again := s.apply(t, `{"apps": [{"name": "a", "keys": [{"name": "k"}]}]}`, ApplyOptions{}); len(again) != 0 || s.cur.Revision != 1 {
		t.Errorf("issued again: %v, revision %d", again, s.cur.Revision)
	}
}

func TestApply_ChangedSecretRevokesTheOldKey(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	old := s.cur.Keys[KeyRef{"team-a", "default"}]
	s.apply(t, strings.Replace(demo, fixed, "another-secret-of-thirty-two-chars", 1), ApplyOptions{})
	now := s.cur.Keys[KeyRef{"team-a", "default"}]
	if now.ID == old.ID || now.MAC == old.MAC || !s.revoked[old.MAC] {
		t.Errorf("old %+v now %+v", old, now)
	}
	if s.cur.Apps["team-a"].Version != 2 {
		t.Error("a changed key must change the version of its app")
	}
}

func TestApply_SecretIsUniqueOverTheInstallation(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	doc := parse(t, `{"apps": [{"name": "b", "keys": [{"name": "x"}, {"name": "thief", "secret": "`+fixed+`"}]}]}`)
	_, _, err := Apply(s.cur, doc, ApplyOptions{}, testMint())
	e := wantCode(t, doc.Relocate(err), vegaerr.Conflict)
	if len(e.Problems) != 1 || e.Problems[0].Path != "apps[0].keys[1].secret" || !strings.Contains(e.Problems[0].Message, "team-a/default") {
		t.Errorf("problems %+v", e.Problems)
	}
}

func TestApply_SecretRevokedByTheSameChangeIsRefused(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	doc := parse(t, `{"apps": [{"name": "team-a", "keys": [{"name": "renamed", "secret": "`+fixed+`"}]}]}`)
	_, _, err := Apply(s.cur, doc, ApplyOptions{Prune: true}, testMint())
	if e := wantCode(t, err, vegaerr.Conflict); e.Problems[0].Message != MessageRevokedSecret {
		t.Errorf("problems %+v", e.Problems)
	}
}

func TestApply_FixedSecretAdoptsTheDetachedKey(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	old := s.cur.Keys[KeyRef{"team-a", "default"}]
	s.must(t, mustCatalog(Delete(s.cur, KindApp, "team-a", 0)), nil)
	if len(s.cur.Keys) != 0 || s.cur.Detached[old.ID] == nil {
		t.Fatal("deleting an app must detach its keys")
	}
	s.apply(t, demo, ApplyOptions{})
	if now := s.cur.Keys[KeyRef{"team-a", "default"}]; now == nil || now.ID != old.ID || len(s.cur.Detached) != 0 {
		t.Errorf("got %+v, detached %v", now, s.cur.Detached)
	}
}

func TestApply_FixedSecretMovesWithAReplacedAppUnderPrune(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	old := s.cur.Keys[KeyRef{"team-a", "default"}]
	d, err := s.change(first(Apply(s.cur, parse(t, strings.ReplaceAll(demo, "team-a", "team-b")), ApplyOptions{Prune: true}, testMint())))
	if err != nil {
		t.Fatal(err)
	}
	if now := s.cur.Keys[KeyRef{"team-b", "default"}]; now == nil || now.ID != old.ID {
		t.Errorf("got %+v", now)
	}
	if len(d.KeysPut) != 1 || len(d.KeysRevoked)+len(d.KeysDetached) != 0 {
		t.Errorf("delta %+v", d)
	}
}

func first(c *Catalog, _ []IssuedKey, err error) (*Catalog, error) { return c, err }

func TestApply_ChecksTheRevisionOfIfMatch(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	_, _, err := Apply(s.cur, parse(t, demo), ApplyOptions{IfRevision: 7}, testMint())
	wantCode(t, err, vegaerr.PreconditionFailed)
	s.apply(t, demo, ApplyOptions{IfRevision: 1})
}
