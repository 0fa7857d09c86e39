package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
)

func TestConfig_ChangesTakeEffectWithoutARestart(t *testing.T) {
	r := start(t, stack.Options{Nodes: 2})
	if a := r.chat(0, "late"); a.status != http.StatusNotFound || a.code() != "model_not_found" {
		t.Fatalf("unknown model: %+v", a)
	}
	if err := r.Admin.Call(t.Context(), http.MethodPost, "/models?wait=true", model("late", "up", "fast?latency=0"), nil); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if a := r.chat(i, "late"); a.status != http.StatusOK {
			t.Fatalf("node %d does not serve the new model: %+v", i, a)
		}
	}

	// 换一个 server 的地址：新请求去新的上游。
	if err := r.Admin.Call(t.Context(), http.MethodPut, "/servers/up?wait=true",
		doc{"name": "up", "provider": "openai", "base_url": "http://127.0.0.1:1/v1"}, nil); err != nil {
		t.Fatal(err)
	}
	if a := r.chat(0, "chat"); a.status != http.StatusBadGateway || a.code() != "upstream_error" {
		t.Fatalf("server moved to a dead port: %+v", a)
	}

	// 回滚到换地址之前：又通了，而凭证一直在。
	var revs struct{ Items []struct{ Revision uint64 } }
	if err := r.Admin.Call(t.Context(), http.MethodGet, "/revisions", nil, &revs); err != nil {
		t.Fatal(err)
	}
	if len(revs.Items) != 3 || revs.Items[0].Revision != 3 {
		t.Fatalf("revisions: %+v", revs)
	}
	if err := r.Admin.Call(t.Context(), http.MethodPost, "/revisions/2/rollback?wait=true", nil, nil); err != nil {
		t.Fatal(err)
	}
	if a := r.chat(1, "late"); a.status != http.StatusOK {
		t.Fatalf("after rollback: %+v", a)
	}
}

func TestConfig_RevokedKeyStopsOnEveryNode(t *testing.T) {
	r := start(t, stack.Options{Nodes: 2})
	if err := r.Admin.Call(t.Context(), http.MethodDelete, "/apps/team-a/keys/default?wait=true", nil, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if a := r.chat(i, "chat"); a.status != http.StatusUnauthorized || a.code() != "invalid_api_key" {
			t.Errorf("node %d still takes the revoked key: %+v", i, a)
		}
	}
	// 吊销的永不复活：回滚不行，拿同一个秘密再来也不行。
	if err := r.Admin.Call(t.Context(), http.MethodPost, "/revisions/1/rollback?wait=true", nil, nil); err != nil {
		t.Fatal(err)
	}
	if a := r.chat(0, "chat"); a.status != http.StatusUnauthorized {
		t.Errorf("rollback brought a revoked key back: %+v", a)
	}
	err := r.Admin.Call(t.Context(), http.MethodPost, "/apps/team-a/keys", doc{"name": "again", "secret": r.key}, nil)
	if err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("the secret of a revoked key was taken again: %v", err)
	}
}

func TestConfig_ExportPutBackIsNoRevision(t *testing.T) {
	r := start(t, stack.Options{Nodes: 1})
	var exported doc
	if err := r.Admin.Call(t.Context(), http.MethodGet, "/config", nil, &exported); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"", "prune=true"} {
		a := r.apply(exported, query)
		if a.Revision != 1 || len(a.Changes) != 0 {
			t.Errorf("putting the export back (%q) made revision %d with %d changes", query, a.Revision, len(a.Changes))
		}
	}
	if a := r.chat(0, "chat"); a.status != http.StatusOK {
		t.Errorf("afterwards: %+v", a)
	}
}

func TestCLI_AppliesAFileAndNamesEveryMistakeByPath(t *testing.T) {
	r := start(t, stack.Options{Nodes: 1})
	file := filepath.Join(t.TempDir(), "vega.yaml")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("models:\n  - name: late\n    targets: [{server: up, upstream_model: fast}]\n")
	if out, err := r.cli("apply", "-f", file, "--wait"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if a := r.chat(0, "late"); a.status != http.StatusOK {
		t.Fatalf("%+v", a)
	}
	for name, c := range map[string]struct {
		yaml string
		want []string
	}{
		"malformed":          {"servers: [", []string{"line 1"}},
		"unknown field":      {"servers:\n  - {name: a, provider: openai, base_url: http://x/v1, limitz: {}}\n", []string{"servers[0].limitz", "unknown field"}},
		"dangling reference": {"models:\n  - name: m\n    targets: [{server: ghost, upstream_model: x}]\n", []string{"models[0].targets[0].server", "ghost"}},
		"duplicate key":      {"servers: []\nservers: []\n", []string{"servers"}},
		"out of range":       {"servers:\n  - {name: a, provider: openai, base_url: http://x/v1, burst_percent: 900}\n", []string{"servers[0].burst_percent"}},
		"several at once": {"servers:\n  - {name: A!, provider: openai, base_url: http://x/v1}\napps:\n  - {name: b, weight: -1}\n",
			[]string{"servers[0].name", "apps[0].weight"}},
	} {
		write(c.yaml)
		out, err := r.cli("apply", "-f", file)
		if err == nil {
			t.Errorf("%s: accepted: %s", name, out)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in:\n%s", name, want, out)
			}
		}
	}
	var nodes []struct {
		AppliedRevision uint64 `json:"applied_revision"`
	}
	if err := r.Admin.Call(t.Context(), http.MethodGet, "/nodes", nil, &nodes); err != nil || len(nodes) != 1 || nodes[0].AppliedRevision != 2 {
		t.Errorf("a refused file left a trace: %+v, %v", nodes, err)
	}
	write("models:\n  - name: late2\n    targets: [{server: up, upstream_model: fast}]\n")
	if out, err := r.cli("apply", "-f", file, "--dry-run"); err != nil || !strings.Contains(out, "late2") {
		t.Errorf("dry run: %v\n%s", err, out)
	}
	if a := r.chat(0, "late2"); a.status != http.StatusNotFound {
		t.Errorf("a dry run took effect: %+v", a)
	}
	if out, err := r.cli("export"); err != nil || !strings.Contains(out, "late") || strings.Contains(out, "sk-up") {
		t.Errorf("export: %v\n%s", err, out)
	}
}

func TestConvergence_WaitNamesTheNodeThatIsAway(t *testing.T) {
	r := start(t, stack.Options{Nodes: 2})
	r.Dataplanes[1].Kill()
	eventually(t, 15*time.Second, "the killed node counts as disconnected", func() bool {
		var nodes []struct {
			ID        string
			Connected bool
		}
		if err := r.Admin.Call(t.Context(), http.MethodGet, "/nodes", nil, &nodes); err != nil || len(nodes) != 2 {
			return false
		}
		return nodes[0].Connected && !nodes[1].Connected
	})
	a := r.apply(doc{"models": list{model("late", "up", "fast?latency=0")}})
	if len(a.Applied) != 1 || a.Applied[0] != "dataplane-1" {
		t.Errorf("got %+v", a)
	}
	if err := r.Admin.Call(t.Context(), http.MethodDelete, "/nodes/dataplane-2", nil, nil); err != nil {
		t.Errorf("forget a departed node: %v", err)
	}
	if err := r.Admin.Call(t.Context(), http.MethodDelete, "/nodes/dataplane-1", nil, nil); err == nil {
		t.Error("a connected node was forgotten")
	}
}
