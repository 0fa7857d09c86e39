package catalog

import (
	"testing"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

func object(t *testing.T, kind Kind, name, body string) *Document {
	t.Helper()
	d, err := ParseObject(kind, name, []byte(body))
	if err != nil {
		t.Fatal(listing(err))
	}
	return d
}

func TestCreate_RefusesAnExistingName(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	_, _, err := Create(s.cur, object(t, KindServer, "", `{"name": "gpu-1", "base_url": "http://x"}`), testMint())
	wantCode(t, err, vegaerr.Conflict)
}

func TestReplace_RefusesRenaming(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	_, _, err := Replace(s.cur, "gpu-1", object(t, KindServer, "gpu-1", `{"name": "gpu-2", "base_url": "http://x"}`), 0, testMint())
	if e := wantCode(t, err, vegaerr.Invalid); e.Problems[0].Path != "name" {
		t.Errorf("problems %+v", e.Problems)
	}
}

func TestReplace_ChecksExistenceAndVersion(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	_, _, err := Replace(s.cur, "gpu-9", object(t, KindServer, "gpu-9", `{"base_url": "http://x"}`), 0, testMint())
	wantCode(t, err, vegaerr.NotFound)
	d := object(t, KindServer, "gpu-1", `{"base_url": "http://x"}`)
	_, _, err = Replace(s.cur, "gpu-1", d, 2, testMint())
	wantCode(t, err, vegaerr.PreconditionFailed)
	next, _, err := Replace(s.cur, "gpu-1", d, 1, testMint())
	s.must(t, next, err)
	if v, _ := s.cur.ServerView("gpu-1"); v.Version != 2 || !v.HasAPIKey || v.APIKeyHint != "0123" {
		t.Errorf("view %+v", v)
	}
}

func TestDelete_ListsWhatRefersToTheServer(t *testing.T) {
	s := newStore()
	s.apply(t, `{"servers": [{"name": "s", "base_url": "http://a"}],
		"models": [{"name": "b", "targets": [{"server": "s", "upstream_model": "x"}]},
		           {"name": "a", "targets": [{"server": "s", "upstream_model": "x"}, {"server": "s", "upstream_model": "y"}], "fallbacks": ["b"]}],
		"apps": [{"name": "z", "default_server": "s"}]}`, ApplyOptions{})
	_, err := Delete(s.cur, KindServer, "s", 0)
	got := listing(wantCode(t, err, vegaerr.Conflict))
	want := "conflict: server \"s\" is still in use; change what refers to it first\n" +
		"apps[z].default_server: refers to server \"s\"\n" +
		"models[a].targets[0].server: refers to server \"s\"\n" +
		"models[a].targets[1].server: refers to server \"s\"\n" +
		"models[b].targets[0].server: refers to server \"s\"\n"
	if got != want {
		t.Errorf("got %s", got)
	}
	_, err = Delete(s.cur, KindModel, "b", 0)
	if e := wantCode(t, err, vegaerr.Conflict); e.Problems[0].Path != "models[a].fallbacks[0]" {
		t.Errorf("problems %+v", e.Problems)
	}
}

func TestKeys_CreateDeleteAndTheirErrors(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	key := func(app, body string) error {
		d, err := ParseKey(app, []byte(body))
		if err != nil {
			return err
		}
		next, _, err := CreateKey(s.cur, d, testMint())
		_, err = s.change(next, err)
		return d.Relocate(err)
	}
	if err := key("team-a", `{"name": "second"}`); err != nil {
		t.Fatal(err)
	}
	wantCode(t, key("nobody", `{"name": "k"}`), vegaerr.NotFound)
	wantCode(t, key("team-a", `{"name": "default"}`), vegaerr.Conflict)
	if e := wantCode(t, key("team-a", `{"name": "third", "secret": "`+fixed+`"}`), vegaerr.Conflict); e.Problems[0].Path != "secret" {
		t.Errorf("problems %+v", e.Problems)
	}
	if e := wantCode(t, key("team-a", `{"secret": "x"}`), vegaerr.Invalid); len(e.Problems) != 2 {
		t.Errorf("problems %+v", e.Problems)
	}
	next, err := DeleteKey(s.cur, "team-a", "default")
	s.must(t, next, err)
	if !s.revoked[testMint().MAC(fixed)] {
		t.Error("deleting a key must revoke it")
	}
	_, err = DeleteKey(s.cur, "team-a", "default")
	wantCode(t, err, vegaerr.NotFound)
}
