package console_test

import (
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vega-gateway/vega/controlplane/internal/console"
)

func newHandler(t *testing.T, cfg console.Config, files fs.FS) *console.Handler {
	t.Helper()
	h, err := console.New(cfg, console.Deps{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(t *testing.T, h http.Handler, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func app() fs.FS {
	return fstest.MapFS{
		"index.html":             {Data: []byte(`<!doctype html><script type="module" src="/assets/main-3f2a.js"></script>`)},
		"assets/main-3f2a.js":    {Data: []byte("export {}")},
		"assets/main-3f2a.css":   {Data: []byte("body{}")},
		"assets/font-1.woff2":    {Data: []byte("x")},
		"favicon.svg":            {Data: []byte("<svg/>")},
		".gitkeep":               {},
		"assets/.vite-something": {},
	}
}

func TestServe_PlaceholderSaysHowToBuildInBothLanguages(t *testing.T) {
	h := newHandler(t, console.Config{}, fstest.MapFS{".gitkeep": {}})
	if h.Built() {
		t.Fatal("Built without an index")
	}
	r := get(t, h, "GET", "/", "Accept", "text/html")
	page := body(t, r)
	for _, want := range []string{"make build", "/api/v1", `lang="zh-CN"`, `lang="en"`, "not built into this binary"} {
		if !strings.Contains(page, want) {
			t.Errorf("placeholder lacks %q", want)
		}
	}
	if regexp.MustCompile(`(?i)<script|<style|style=| on[a-z]+=`).MatchString(page) {
		t.Error("placeholder has inline script or style, which its own CSP forbids")
	}
	if css := get(t, h, "GET", "/placeholder.css"); css.StatusCode != 200 || css.Header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("stylesheet: %d %q", css.StatusCode, css.Header.Get("Content-Type"))
	}
}

func TestNew_EmbeddedConsoleAlwaysServesAPage(t *testing.T) {
	h := newHandler(t, console.Config{}, nil)
	r := get(t, h, "GET", "/")
	page := body(t, r)
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("got %d %q", r.StatusCode, r.Header.Get("Content-Type"))
	}
	if h.Built() && !regexp.MustCompile(`assets/[^"]+-[A-Za-z0-9_-]{8,}\.js`).MatchString(page) {
		t.Fatal("the built console's index names no hashed asset")
	}
}

func TestServe_CachesHashedAssetsForeverAndNothingElse(t *testing.T) {
	h := newHandler(t, console.Config{}, app())
	for path, want := range map[string]string{
		"/":                    "no-cache",
		"/index.html":          "no-cache",
		"/favicon.svg":         "no-cache",
		"/assets/main-3f2a.js": "public, max-age=31536000, immutable",
	} {
		r := get(t, h, "GET", path)
		if r.StatusCode != 200 || r.Header.Get("Cache-Control") != want {
			t.Errorf("%s: %d %q, want %q", path, r.StatusCode, r.Header.Get("Cache-Control"), want)
		}
		again := get(t, h, "GET", path, "If-None-Match", r.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified || body(t, again) != "" {
			t.Errorf("%s: If-None-Match gave %d", path, again.StatusCode)
		}
	}
}

func TestServe_FallsBackToIndexOnlyForPages(t *testing.T) {
	h := newHandler(t, console.Config{}, app())
	for _, c := range []struct {
		method, path, accept string
		status               int
		page                 bool
	}{
		{"GET", "/servers/gpu-1", "text/html,*/*;q=0.8", 200, true},
		{"HEAD", "/servers/gpu-1", "text/html", 200, false},
		{"GET", "/servers/gpu-1", "application/json", 404, false},
		{"GET", "/servers/gpu-1", "*/*", 404, false},
		{"GET", "/assets/gone-1.js", "text/html", 404, false},
		{"GET", "/assets/../../../etc/passwd", "*/*", 404, false},
		{"GET", "/.gitkeep", "*/*", 404, false},
		{"GET", "/assets/.vite-something", "*/*", 404, false},
		{"POST", "/", "text/html", 405, false},
	} {
		r := get(t, h, c.method, c.path, "Accept", c.accept)
		if r.StatusCode != c.status || strings.Contains(body(t, r), "<!doctype html>") != c.page {
			t.Errorf("%s %s (%s): %d", c.method, c.path, c.accept, r.StatusCode)
		}
	}
}

func TestServe_PolicyForbidsInlineAndFraming(t *testing.T) {
	h := newHandler(t, console.Config{PublicAPIURL: "https://llm.example.com/v1"}, app())
	for _, path := range []string{"/", "/assets/main-3f2a.js", "/nothing"} {
		r := get(t, h, "GET", path)
		csp := r.Header.Get("Content-Security-Policy")
		if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "script-src 'self'") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if !strings.Contains(csp, "connect-src 'self' https://llm.example.com;") {
			t.Errorf("%s: the public API is not reachable: %q", path, csp)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: sniffing allowed", path)
		}
	}
}

func TestNew_RefusesAnAPIURLThatWouldBreakThePolicy(t *testing.T) {
	for _, bad := range []string{"llm.example.com", "javascript:alert(1)", "https://a;script-src *", "/v1"} {
		if _, err := console.New(console.Config{PublicAPIURL: bad}, console.Deps{}); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestServe_CompressesWhatShrinksForThoseWhoTakeIt(t *testing.T) {
	script := strings.Repeat("export const answer = 42;\n", 200)
	h := newHandler(t, console.Config{}, fstest.MapFS{
		"index.html":          {Data: []byte(`<!doctype html>`)},
		"assets/main-3f2a.js": {Data: []byte(script)},
		"assets/font-1.woff2": {Data: []byte(strings.Repeat("x", 4096))},
	})
	for accepted, want := range map[string]bool{"gzip, deflate, br": true, "br;q=1, gzip;q=0.5": true, "*": true, "GZIP": true, "": false, "br": false, "gzip;q=0": false, "gzip; q=0.0, br": false} {
		r := get(t, h, "GET", "/assets/main-3f2a.js", "Accept-Encoding", accepted)
		if got := r.Header.Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: compressed %v, want %v", accepted, got, want)
			continue
		}
		if r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: Vary %q", accepted, r.Header.Get("Vary"))
		}
		text := body(t, r)
		if want {
			z, err := gzip.NewReader(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			text = string(plain)
		}
		if text != script {
			t.Errorf("Accept-Encoding %q: got %d bytes of another text", accepted, len(text))
		}
	}
	plain, packed := get(t, h, "GET", "/assets/main-3f2a.js"), get(t, h, "GET", "/assets/main-3f2a.js", "Accept-Encoding", "gzip")
	if plain.Header.Get("ETag") == packed.Header.Get("ETag") {
		t.Error("two representations share an ETag")
	}
	if again := get(t, h, "GET", "/assets/main-3f2a.js", "Accept-Encoding", "gzip", "If-None-Match", packed.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("If-None-Match of the compressed one gave %d", again.StatusCode)
	}
	if font := get(t, h, "GET", "/assets/font-1.woff2", "Accept-Encoding", "gzip"); font.Header.Get("Content-Encoding") != "" {
		t.Error("a font is compressed again")
	}
	if part := get(t, h, "GET", "/assets/main-3f2a.js", "Accept-Encoding", "gzip", "Range", "bytes=0-9"); part.StatusCode != http.StatusPartialContent || body(t, part) != script[:10] {
		t.Errorf("a range gave %d", part.StatusCode)
	}
}
