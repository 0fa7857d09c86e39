package catalog

import (
	"strings"
	"testing"
)

func TestDiff_NamesEveryChangedFieldAndHidesSecrets(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	before := s.cur
	s.apply(t, `{
	 "servers": [{"name": "gpu-1", "base_url": "http://127.0.0.1:9001/v1", "api_key": "sk-replaced-4567", "limits": {"max_concurrency": 8},
	              "headers": {"X-Team": "infra"}, "proxy_url": "http://user:hunter2@proxy:3128"}],
	 "models": [{"name": "gpt-4o", "targets": [{"server": "gpu-1", "upstream_model": "new", "weight": 2}]}],
	 "apps": [{"name": "team-b", "keys": [{"name": "k", "secret": "team-b-secret-0123456789abcdefghijk"}]}]}`, ApplyOptions{Prune: true})
	got := make([]string, 0)
	for _, c := range Diff(before, s.cur) {
		got = append(got, c.String())
	}
	want := []string{
		`server gpu-1 updated (api_key: "…0123" → "…4567", headers.X-Team: null → "infra", limits.max_concurrency: 0 → 8, proxy_url: null → "http://user:xxxxx@proxy:3128")`,
		`model gpt-4o updated (prices: {"cached_input_per_million":1.25,"currency":"USD","input_per_million":2.5,"output_per_million":10} → null, targets[0].upstream_model: "gpt-4o-2024-08-06" → "new", targets[0].weight: 1 → 2)`,
		"app team-a deleted",
		"app team-b created",
		"key team-a/default deleted",
		"key team-b/k created",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	all := asJSON(t, Diff(before, s.cur)) + asJSON(t, Diff(s.cur, before))
	for _, secret := range []string{"sk-", "hunter2", fixed, "team-b-secret"} {
		if strings.Contains(all, secret) {
			t.Errorf("the diff shows %s", secret)
		}
	}
	if got := Summarise(Diff(before, s.cur)); got != "2 created, 2 updated, 2 deleted: server gpu-1, model gpt-4o, app team-a, app team-b, key team-a/default, key team-b/k" {
		t.Errorf("summary %q", got)
	}
}

func TestRelocate_UsesTheIndexesOfTheCallersDocument(t *testing.T) {
	doc := parse(t, `{"servers": [{"name": "b", "base_url": "http://b"}, {"name": "a", "base_url": "http://a"}],
		"apps": [{"name": "x", "keys": [{"name": "k"}]}]}`)
	err := Reject(1, "", "no", []Finding{
		{Ref: Ref{Kind: KindServer, Name: "a"}, Field: "limits.max_concurrency", Message: "m"},
		{Ref: Ref{Kind: KindModel, Name: "other"}, Field: "targets[0].server", Message: "m"},
		{Ref: Ref{Kind: KindKey, Name: "x", Key: "k"}, Field: "secret", Message: "m"},
		{Ref: Ref{Kind: KindServer, Name: "b"}, Message: "m"},
	})
	paths := func(err error) string {
		lines := strings.Split(listing(err), "\n")
		return strings.Join(lines[1:len(lines)-1], " ")
	}
	if got := paths(err); got != "servers[a].limits.max_concurrency: m models[other].targets[0].server: m apps[x].keys[k].secret: m servers[b]: m" {
		t.Errorf("by name: %s", got)
	}
	if got := paths(doc.Relocate(err)); got != "servers[1].limits.max_concurrency: m models[other].targets[0].server: m apps[0].keys[0].secret: m servers[0]: m" {
		t.Errorf("by index: %s", got)
	}
	if doc.Relocate(nil) != nil {
		t.Error("nil must stay nil")
	}
	app := object(t, KindApp, "x", `{"keys": [{"name": "j"}, {"name": "k"}]}`)
	if got := paths(app.Relocate(err)); !strings.Contains(got, " keys[1].secret: m") {
		t.Errorf("single object: %s", got)
	}
}
