package adminapi_test

import (
	"strings"
	"testing"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
)

func TestConfig_YAMLIsTheSameDocumentAsJSON(t *testing.T) {
	b := newBench(t, newMemory())
	const document = `# ours
servers:
  - {name: gpu-1, base_url: "http://127.0.0.1:9001/v1", headers: {X-Flag: "yes"}}
models:
  - name: m
    targets: [{server: gpu-1, upstream_model: u}]
    prices: {input_per_million: 0.1, currency: USD}
apps:
  - name: a
    keys: [{name: k, expires_at: "2030-01-31T00:00:00Z"}]
`
	type result struct {
		Revision uint64
		Changes  []struct{ Kind, Name, Action string }
		Keys     []struct{ App, Name, Secret string }
	}
	var made, same result
	b.call("PUT", "/config", document, "Content-Type", "application/yaml").want(200).into(&made)
	if len(made.Changes) != 4 || len(made.Keys) != 1 || made.Keys[0].Secret == "" {
		t.Errorf("%+v", made)
	}
	b.call("PUT", "/config?prune=true", string(b.call("GET", "/config", "").want(200).body), "Content-Type", "application/yaml; charset=utf-8").want(200).into(&same)
	if len(same.Changes) != 0 || same.Revision != made.Revision {
		t.Errorf("the export, which is YAML too, changed %+v", same)
	}
	var server struct{ Headers map[string]string }
	if b.call("GET", "/servers/gpu-1", "").want(200).into(&server); server.Headers["X-Flag"] != "yes" {
		t.Errorf("%+v", server)
	}
}

func TestConfig_YAMLIsReadAsStrictlyAsByTheCommandLine(t *testing.T) {
	b := newBench(t, newMemory(), func(c *adminapi.Config, _ *adminapi.Deps) { c.MaxBodyBytes = 1000 })
	for name, c := range map[string]struct {
		body, says string
		status     int
	}{
		"bad indent":     {"servers:\n  - name: a\n   base_url: x\n", "malformed YAML: line 2", 400},
		"duplicate key":  {"apps: []\nservers: []\napps: []\n", `line 3: key \"apps\" already set`, 400},
		"many documents": {"apps: []\n---\nservers: []\n", "more than one document", 400},
		"unknown field":  {"server: []\n", "did you mean", 400},
		"a list":         {"- apps\n", "must be an object", 400},
		"environment":    {"servers: [{name: a, base_url: 'http://h/v1', api_key_env: HOME}]\n", "servers[0].api_key_env", 400},
		"too large":      {"apps: []\n#" + strings.Repeat(" ", 1000), "larger than 1000 bytes", 413},
		"two faults":     {"apps: [{name: a, weight: -1, class: none}]\n", "apps[0].class", 400},
	} {
		r := b.bad("PUT", "/config", c.body, "Content-Type", "application/yaml")
		if r.StatusCode != c.status || !strings.Contains(string(r.body), c.says) {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
		}
	}
	if r := b.bad("POST", "/apps", "name: a\n", "Content-Type", "application/yaml"); r.StatusCode != 400 || !strings.Contains(string(r.body), "as JSON") {
		t.Errorf("one object: %d %s", r.StatusCode, r.body)
	}
}
