package catalog

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// listing 是错误的正规写法：每处一行。
func listing(err error) string {
	e := vegaerr.As(err)
	lines := []string{e.Code.String() + ": " + e.Message}
	for _, p := range e.Problems {
		lines = append(lines, p.Path+": "+p.Message)
	}
	return strings.Join(lines, "\n") + "\n"
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n got %s\nwant %s", name, got, want)
	}
}

func TestParse_ListsEveryErrorByPath(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.json")
	if err != nil || len(files) < 9 {
		t.Fatalf("found %d documents: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			doc, err := Parse(data)
			if err == nil {
				t.Fatalf("accepted: %+v", doc)
			}
			golden(t, strings.TrimSuffix(file, ".json")+".golden", listing(err))
		})
	}
}

func TestParse_FillsDefaults(t *testing.T) {
	doc := parse(t, demo)
	s := doc.Servers[0]
	if !s.Enabled || s.Provider != "openai" || s.Queue != (Queue{30_000, 4096}) || s.Timeouts != (Timeouts{5_000, 120_000, 120_000, 600_000}) ||
		s.Drain != (Drain{20_000, 4096, 64}) || s.AbortGraceMS != 250 || s.BurstPercent != 10 || s.OnDisconnect != "cancel" || s.StreamUsage != "auto" {
		t.Errorf("server: %+v", s.ServerSpec)
	}
	a := doc.Apps[0]
	if !a.Enabled || a.Weight != 1 || a.Class != "standard" || len(a.Models) != 1 || a.Models[0] != "*" {
		t.Errorf("app: %+v", a.AppSpec)
	}
	if target := doc.Models[0].Targets[0]; target.Weight != 1 || target.Priority != 0 {
		t.Errorf("target: %+v", target)
	}
	if p := doc.Models[0].Prices; p.Input != 2_500_000_000 || p.CachedInput != 1_250_000_000 || p.Output != 10_000_000_000 || p.Currency != "USD" {
		t.Errorf("prices: %+v", p)
	}
}

func TestParse_NullIsAbsent(t *testing.T) {
	doc := parse(t, `{"servers": [{"name": "s", "base_url": "http://a", "api_key": null, "enabled": null, "limits": null, "headers": {"X": null}}],
		"models": null, "apps": [{"name": "a", "keys": null, "models": null, "budget": null}]}`)
	s, a := doc.Servers[0], doc.Apps[0]
	if s.APIKey != nil || !s.Enabled || len(s.Headers) != 0 || a.Keys != nil || len(a.Models) != 1 {
		t.Errorf("got %+v %+v", s, a)
	}
}

func TestParse_ExplicitEmptyIsNotAbsent(t *testing.T) {
	doc := parse(t, `{"servers": [{"name": "s", "base_url": "http://a", "api_key": ""}], "apps": [{"name": "a", "keys": [], "models": [], "budget": {}}]}`)
	if s := doc.Servers[0]; s.APIKey == nil || !s.APIKey.Empty() {
		t.Error("an empty api_key must be kept: it clears the credential")
	}
	if a := doc.Apps[0]; a.Keys == nil || len(a.Models) != 0 {
		t.Errorf("got %+v", a)
	}
}

func TestParse_TimeoutDefaultsYieldToAShortTotal(t *testing.T) {
	doc := parse(t, `{"servers": [{"name": "s", "base_url": "http://a", "timeouts": {"total_ms": 3000, "idle_ms": 9000}}]}`)
	if got := doc.Servers[0].Timeouts; got != (Timeouts{3000, 3000, 9000, 3000}) {
		t.Errorf("got %+v", got)
	}
}

func TestParse_DrainIsAnObjectWhoseUnwrittenFieldsAreDefaults(t *testing.T) {
	doc := parse(t, `{"servers": [{"name": "s", "base_url": "http://a", "on_disconnect": "drain", "drain": {"timeout_ms": 5000}}]}`)
	if s := doc.Servers[0]; s.OnDisconnect != "drain" || s.Drain != (Drain{5_000, 4096, 64}) {
		t.Errorf("got %+v", s.ServerSpec)
	}
	for drain, problem := range map[string]string{
		`true`:                   "servers[0].drain: must be an object",
		`"20s"`:                  "servers[0].drain: must be an object",
		`{"max_token": 1}`:       "servers[0].drain.max_token: unknown field; did you mean \"max_tokens\"?",
		`{"timeout_ms": "slow"}`: "servers[0].drain.timeout_ms: must be a number",
	} {
		_, err := Parse([]byte(`{"servers": [{"name": "s", "base_url": "http://a", "drain": ` + drain + `}]}`))
		if err == nil || !strings.Contains(listing(err), problem) {
			t.Errorf("%s: %v", drain, err)
		}
	}
}

func TestParse_DrainGoesRoundThroughAnExport(t *testing.T) {
	s := newStore()
	s.apply(t, `{"servers": [{"name": "s", "base_url": "http://a", "on_disconnect": "drain", "drain": {"max_tokens": 7, "max_concurrency": 2}}]}`, ApplyOptions{})
	text, err := json.Marshal(s.cur.Export())
	if err != nil {
		t.Fatal(err)
	}
	if got := parse(t, string(text)).Servers[0]; got.OnDisconnect != "drain" || got.Drain != (Drain{20_000, 7, 2}) {
		t.Errorf("%+v out of %s", got.ServerSpec, text)
	}
}

func TestParseObject_TakesBackWhatGetGave(t *testing.T) {
	s := newStore()
	s.apply(t, demo, ApplyOptions{})
	server, _ := s.cur.ServerView("gpu-1")
	model, _ := s.cur.ModelView("gpt-4o")
	app, _ := s.cur.AppView("team-a")
	for kind, v := range map[Kind]struct {
		name string
		view any
	}{KindServer: {"gpu-1", server}, KindModel: {"gpt-4o", model}, KindApp: {"team-a", app}} {
		doc, err := ParseObject(kind, v.name, []byte(asJSON(t, v.view)))
		if err != nil {
			t.Fatalf("%s: %s", kind, listing(err))
		}
		next, _, err := Replace(s.cur, v.name, doc, 1, testMint())
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if d := Compare(s.cur, next); !d.Empty() {
			t.Errorf("%s: putting back what was read changes %+v", kind, d)
		}
	}
}

func TestParseObject_PathsHaveNoPrefix(t *testing.T) {
	_, err := ParseObject(KindServer, "", []byte(`{"limits": {"max_concurrency": "1"}}`))
	want := "invalid: the document has 2 errors\nlimits.max_concurrency: must be a number, not a string\nname: is required\n"
	if got := listing(err); got != want {
		t.Errorf("got %s", got)
	}
}

func TestParseObject_ReadOnlyFieldsAreKnownOnlyWhereGetGivesThem(t *testing.T) {
	_, err := ParseObject(KindApp, "a", []byte(`{"version": 3, "limits": {"version": 1}, "has_api_key": true, "keys": [{"name": "k", "id": "x", "version": 2}]}`))
	want := "invalid: the document has 3 errors\nlimits.version: unknown field\nhas_api_key: unknown field\nkeys[0].version: unknown field\n"
	if got := listing(err); got != want {
		t.Errorf("got %s", got)
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/bad/*.json")
	for _, file := range files {
		data, _ := os.ReadFile(file)
		f.Add(data)
	}
	f.Add([]byte(demo))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := Parse(data)
		if err != nil {
			if len(vegaerr.As(err).Problems) == 0 {
				t.Fatalf("an error without a place: %v", err)
			}
			if doc != nil { // 读懂了的部分还要拿去接着查，不许惊慌
				s := newStore()
				next, _, err := Apply(s.cur, doc, ApplyOptions{}, testMint())
				_, _ = s.change(next, err)
			}
			return
		}
		s := newStore()
		next, _, err := Apply(s.cur, doc, ApplyOptions{}, testMint())
		if _, err := s.change(next, err); err != nil {
			return
		}
		again, issued, err := Apply(s.cur, parse(t, asJSON(t, s.cur.Export())), ApplyOptions{Prune: true}, testMint())
		if err != nil || len(issued) > 0 {
			t.Fatalf("put back: %v, issued %v", err, issued)
		}
		if d := Compare(s.cur, again); !d.Empty() {
			t.Fatalf("put back: %+v", d)
		}
	})
}
