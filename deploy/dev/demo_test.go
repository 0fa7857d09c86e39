package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/deploy/stack"
)

// startPlane 起一个真的控制面，没有节点。
func startPlane(t *testing.T) *stack.Stack {
	t.Helper()
	bin := t.TempDir()
	if err := stack.Build(filepath.Join("..", ".."), bin, false); err != nil {
		t.Fatal(err)
	}
	s, err := stack.Start(t.Context(), stack.Options{Bin: bin, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func TestDemo_IsAppliedOnceAndThenTheConfigurationIsTheUsers(t *testing.T) {
	s := startPlane(t)
	file, keyFile := filepath.Join("..", "demo", "vega.yaml"), filepath.Join(t.TempDir(), "demo-api-key")
	prepare := func() demo {
		t.Helper()
		d, err := prepareDemo(t.Context(), &s.Admin, file, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	call := func(method, path string, body, out any) {
		t.Helper()
		if err := s.Admin.Call(t.Context(), method, path, body, out); err != nil {
			t.Fatal(err)
		}
	}
	revision := func() uint64 {
		t.Helper()
		var past struct{ Items []struct{ Revision uint64 } }
		call(http.MethodGet, "/revisions?limit=1", nil, &past)
		return past.Items[0].Revision
	}
	first := prepare()
	if !first.Fresh || !strings.HasPrefix(first.Key, "vg-") || len(first.Differences) > 0 || revision() != 1 {
		t.Fatalf("%+v", first)
	}
	if again := prepare(); again.Fresh || again.Key != first.Key || len(again.Differences) > 0 || revision() != 1 {
		t.Fatalf("a second start: %+v", again)
	}
	call(http.MethodPut, "/servers/demo", map[string]any{"name": "demo", "base_url": "http://127.0.0.1:9001/v1", "limits": map[string]any{"max_concurrency": 3}}, nil)
	call(http.MethodDelete, "/models/demo-embedding", nil, nil)
	call(http.MethodDelete, "/apps/demo-app/keys/default", nil, nil)
	mine := revision()
	changed := prepare()
	want := []string{"server demo has another limits.max_concurrency", "model demo-embedding is not there", "key demo-app/default is not there"}
	if changed.Fresh || !slices.Equal(changed.Differences, want) || revision() != mine {
		t.Errorf("after the user's changes: %+v at revision %d, want %d", changed, revision(), mine)
	}
	call(http.MethodPut, "/config?prune=true", map[string]any{}, nil)
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	if empty := prepare(); empty.Fresh || empty.Key != "" || len(empty.Differences) != 6 {
		t.Errorf("after everything was deleted: %+v", empty)
	}
	var text strings.Builder
	welcome(&text, greeting{demo: changed, chatError: "401 Unauthorized", controlplane: s.ControlplaneDir()})
	password, err := os.ReadFile(filepath.Join(s.ControlplaneDir(), "admin-password"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range append(want, strings.TrimSpace(string(password)), adminURL+"/?guide=1\n", apiURL, first.Key, "401 Unauthorized") {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the welcome does not say %q:\n%s", part, text.String())
		}
	}
	if strings.Count(text.String(), adminURL+"/?guide=1") != 1 || strings.Contains(text.String(), adminURL+"/\n") {
		t.Errorf("there is more than one door to the console:\n%s", text.String())
	}
	if strings.Contains(text.String(), "Try it") {
		t.Errorf("the welcome offers a key that does not work:\n%s", text.String())
	}
	text.Reset()
	welcome(&text, greeting{answer: "hello", controlplane: t.TempDir()})
	if out := text.String(); !strings.Contains(out, "user reset-password admin") || !strings.Contains(out, "create one in the console") || strings.Contains(out, "not the one of") ||
		!strings.Contains(out, adminURL+"/\n") || strings.Contains(out, "guide") {
		t.Errorf("without a one-time password:\n%s", out)
	}
}
