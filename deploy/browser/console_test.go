package browser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// adminPassword 是头一个管理员换掉一次性口令之后的口令。
const adminPassword = "browser-admin-password"

// TestConsole 起一整套，跑 Playwright 的全部用例；VEGA_BROWSER_ARGS 是给它的参数（文件、-g 标题）。
func TestConsole(t *testing.T) {
	prepare(t, "build")
	r := start(t)
	if err := r.settleAdmin(t); err != nil {
		t.Fatal(err)
	}
	c := &control{rig: r}
	out := filepath.Join(t.TempDir(), "playwright.json")
	env := []string{
		"VEGA_E2E_CONSOLE_URL=" + r.Admin.URL, "VEGA_E2E_API_URL=" + r.publicURL, "VEGA_E2E_API_KEY=" + apiKey,
		"VEGA_E2E_ADMIN_TOKEN=" + r.Admin.Token, "VEGA_E2E_ADMIN_PASSWORD=" + adminPassword,
		"VEGA_E2E_CONTROL_URL=" + c.serve(t), "VEGA_E2E_UPSTREAM_URLS=" + r.UpstreamURL + " " + r.secondURL,
		"PLAYWRIGHT_JSON_OUTPUT_FILE=" + out, "FORCE_COLOR=0",
	}
	err := node(t, "@playwright/test/cli.js", append([]string{"test"}, strings.Fields(os.Getenv("VEGA_BROWSER_ARGS"))...), env)
	var got playwright
	readJSON(t, out, err, &got)
	got.report().run(t, err)
	if os.Getenv("VEGA_BROWSER_ARGS") == "" {
		everyPage(t, got.looked())
	}
}

// everyPage 要 axe 查过每一页：一页一个 console/src/pages/<名词>/index.vue。
func everyPage(t *testing.T, looked map[string]bool) {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(root(t), "console", "src", "pages", "*", "index.vue"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("found %d pages: %v", len(pages), err)
	}
	for _, path := range pages {
		if page := filepath.Base(filepath.Dir(path)); !looked[page] {
			t.Errorf("axe never looked at the page %s: call axe(page) in its spec", page)
		}
	}
}

// settleAdmin 让头一个管理员以 adminPassword 登录：先给他一次性口令，再换掉。
func (r *rig) settleAdmin(t *testing.T) error {
	t.Helper()
	var given struct {
		Password string `json:"one_time_password"`
	}
	if err := r.Admin.Call(t.Context(), http.MethodPost, "/operators/admin/reset-password", nil, &given); err != nil {
		return err
	}
	return changePassword(t, r.Admin.URL, "admin", given.Password, adminPassword)
}

// changePassword 像浏览器那样登录并换口令。
func changePassword(t *testing.T, url, name, from, to string) error {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Jar: jar}
	if err := send(t, browser, http.MethodPost, url+"/api/v1/session", doc{"name": name, "password": from}); err != nil {
		return err
	}
	return send(t, browser, http.MethodPut, url+"/api/v1/session/password", doc{"current_password": from, "new_password": to})
}

func send(t *testing.T, client *http.Client, method, url string, body doc) error {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, text)
	}
	return nil
}
