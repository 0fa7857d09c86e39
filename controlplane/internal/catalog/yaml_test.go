package catalog

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestYAML_BecomesTheSameDocument(t *testing.T) {
	data, err := YAMLToJSON([]byte(`
servers:
  - name: gpu-1
    base_url: http://127.0.0.1:9001/v1
    limits: {max_concurrency: 16, requests_per_minute: 600, tokens_per_minute: 200000}
models:
  - name: gpt-4o
    targets: [{server: gpu-1, upstream_model: gpt-4o-2024-08-06, weight: 1, priority: 0}]
    fallbacks: []
    prices: {input_per_million: 2.5, cached_input_per_million: 0.075, output_per_million: 10, currency: USD}
apps:
  - name: team-a
    models: ["*"]
    keys: [{name: default, expires_at: 2030-01-31T00:00:00Z}, {name: forever, expires_at: null}]
    budget: {}
`))
	if err != nil {
		t.Fatal(err)
	}
	doc := parse(t, string(data))
	if p := doc.Models[0].Prices; p.CachedInput != 75_000_000 || p.Output != 10_000_000_000 {
		t.Errorf("prices %+v", p)
	}
	keys := *doc.Apps[0].Keys
	if keys[0].ExpiresAt == nil || keys[0].ExpiresAt.Unix() != 1_896_048_000 || keys[1].ExpiresAt != nil {
		t.Errorf("keys %+v", keys)
	}
	if doc.Servers[0].Limits != (Limits{16, 600, 200_000}) {
		t.Errorf("limits %+v", doc.Servers[0].Limits)
	}
}

func TestYAML_ErrorsCarryLineNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"servers:\n  - name: a\n   base_url: x\n": "malformed YAML: line 2: did not find expected '-' indicator",
		"a: 1\nb: [1, 2\nc: 3\n":                  "malformed YAML: line 2: did not find expected ',' or ']'",
		"apps: []\nservers: []\napps: []\n":       `malformed YAML: line 3: key "apps" already set in map`,
		"apps: []\n---\nservers: []\n":            "malformed YAML: the file holds more than one document",
		"a: \"\\xzz\"":                            "malformed YAML: did not find expected hexdecimal number",
	} {
		_, err := YAMLToJSON([]byte(text))
		e := wantCode(t, err, vegaerr.Invalid)
		if len(e.Problems) == 0 || !strings.HasPrefix(e.Problems[0].Message, want) {
			t.Errorf("%q: got %+v", text, e.Problems)
		}
	}
}

func TestResolve_ReadsFilesAndEnvironment(t *testing.T) {
	readFile := func(path string) ([]byte, error) {
		if path == "ca.pem" {
			return []byte("PEM\n"), nil
		}
		return nil, os.ErrNotExist
	}
	getenv := func(name string) (string, bool) {
		v, ok := map[string]string{"KEY": "sk-from-env", "EMPTY": ""}[name]
		return v, ok
	}
	out, err := Resolve([]byte(`{"servers": [{"name": "s", "ca_file": "ca.pem", "api_key_env": "KEY", "api_key": null}, {"name": "t", "ca_file": null}], "n": 1e2, "x": [true, null]}`), readFile, getenv)
	if err != nil {
		t.Fatal(listing(err))
	}
	want := `{"servers":[{"name":"s","ca_pem":"PEM\n","api_key":"sk-from-env"},{"name":"t"}],"n":1e2,"x":[true,null]}`
	if string(out) != want {
		t.Errorf("got %s", out)
	}
	_, err = Resolve([]byte(`{"servers": [{"ca_file": "none"}, {"api_key_env": "GONE"}, {"api_key_env": "EMPTY"}, {"api_key_env": 5}, {"api_key_env": "KEY", "api_key": "x"}]}`), readFile, getenv)
	if !errors.As(err, new(*vegaerr.Error)) {
		t.Fatalf("got %v", err)
	}
	wantList := "invalid: the document has 5 errors\n" +
		"servers[0].ca_file: cannot be read: file does not exist\n" +
		"servers[1].api_key_env: environment variable GONE is not set\n" +
		"servers[2].api_key_env: environment variable EMPTY is empty; to clear the credential write api_key: \"\"\n" +
		"servers[3].api_key_env: must be a non-empty string\n" +
		"servers[4].api_key_env: cannot be given together with api_key\n"
	if got := listing(err); got != wantList {
		t.Errorf("got %s", got)
	}
}

func FuzzYAMLToJSON(f *testing.F) {
	f.Add([]byte("servers: [{name: a}]"))
	f.Add([]byte("a: &x [*x]"))
	f.Add([]byte("? - a\n: b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := YAMLToJSON(data)
		if err == nil {
			_, err = Parse(out)
		}
		if err != nil && len(vegaerr.As(err).Problems) == 0 {
			t.Fatalf("an error without a place: %v", err)
		}
	})
}
