package dialect

import (
	"strings"
	"testing"
)

func TestLookup_KnowsEveryPublicEndpoint(t *testing.T) {
	for _, c := range []struct{ method, path, name string }{
		{"POST", "/v1/chat/completions", "chat.completions"}, {"POST", "/v1/completions", "completions"}, {"POST", "/v1/embeddings", "embeddings"},
		{"GET", "/v1/models", "models"}, {"GET", "/v1/models/org%2Fm", "models.item"}, {"GET", "/v1/models/org/m", "models.item"},
		{"POST", "/v1/responses", "responses"}, {"GET", "/v1/responses/r1", "responses.item"}, {"DELETE", "/v1/responses/r1", "responses.item"},
		{"POST", "/v1/images/generations", "images"}, {"POST", "/v1/audio/transcriptions", "audio"}, {"POST", "/v1/moderations", "moderations"},
		{"POST", "/v1/rerank", "rerank"}, {"GET", "/v1/files", "files"}, {"POST", "/v1/files", "files"}, {"GET", "/v1/files/f/content", "files.item"},
	} {
		if ep, ok := Lookup(c.method, c.path); !ok || ep.Name != c.name {
			t.Errorf("%s %s: %+v", c.method, c.path, ep)
		}
	}
	for _, c := range [][2]string{
		{"GET", "/v1/chat/completions"}, {"POST", "/v1/chat/completions/"}, {"POST", "/v1/unknown"}, {"POST", "/v1/images"}, {"POST", "/v1/images/"},
		{"POST", "/v1/chat%2fcompletions"}, {"PUT", "/v1/files/x"}, {"GET", "/v2/models"}, {"GET", "/"}, {"POST", "/v1/filesystem"},
	} {
		if ep, ok := Lookup(c[0], c[1]); ok {
			t.Errorf("%s %s found %s", c[0], c[1], ep.Name)
		}
	}
}

func TestEndpoints_OnlyChatAndCompletionsInjectUsage(t *testing.T) {
	for _, ep := range Endpoints() {
		if want := ep.Kind == Chat || ep.Kind == Completions; ep.InjectUsage != want || ep.InjectUsage && ep.Stream != Chunks {
			t.Errorf("%s: %+v", ep.Name, ep)
		}
		if want := ep.Kind <= Embeddings; ep.CheckObject != want {
			t.Errorf("%s: CheckObject %v", ep.Name, ep.CheckObject)
		}
	}
}

func TestRemainder_IsPassedOnExactly(t *testing.T) {
	for in, want := range map[string]string{
		"/v1/images/edits": "/images/edits", "/v1/files/a%20b%2Fc": "/files/a%20b%2Fc", "/v1/files/": "/files/", "/v1/files/100%25": "/files/100%25",
		"/v1/files/a..b/...": "/files/a..b/...", "/v1/files/%E4%B8%AD": "/files/%E4%B8%AD",
	} {
		if got, err := Remainder(in); err != nil || got != want {
			t.Errorf("%s: %q %v", in, got, err)
		}
	}
}

func TestRemainder_RefusesToClimbOut(t *testing.T) {
	for _, in := range []string{
		"/v1/files/../x", "/v1/files/./x", "/v1/files/%2e%2e/x", "/v1/files/.%2E", "/v1/files/%252e%252e/x", "/v1/files/%25252e%2525252e/x", "/v1/files//x",
		"/v1//files", "/v1/files/%2f/x", "/v1/files/..%2fx", "/v1/files/..%5cx", "/v1/files/a\\..\\b", "/v1/files/..;a=b/x", "/v1/files/%00", "/v1/files/a%0d%0ab",
		"/v1/files/%zz", "/v1/files/%", "/v1", "/files", "/v1files", "/v1/files/" + strings.Repeat("%25", 1) + strings.Repeat("25", 8) + "2e",
		"/v1/files/%252e%252e/%25zz",
	} {
		if got, err := Remainder(in); err == nil {
			t.Errorf("%s gave %q", in, got)
		} else if reason, _, _ := reasonOf(t, err); reason != "invalid_request" {
			t.Errorf("%s: reason %q", in, reason)
		}
	}
}

func FuzzRemainder_NeverClimbs(f *testing.F) {
	f.Add("/v1/files/%2e%2e/x")
	f.Add("/v1/files/a%252fb")
	f.Fuzz(func(t *testing.T, path string) {
		rest, err := Remainder(path)
		if err != nil {
			return
		}
		if "/v1"+rest != path {
			t.Fatalf("%q became %q", path, rest)
		}
		for range 10 {
			for _, segment := range strings.Split(rest, "/") {
				if segment == ".." || segment == "." || strings.Contains(segment, "\\") {
					t.Fatalf("%q holds %q", path, segment)
				}
			}
			rest = decodePercent(rest)
		}
	})
}
