package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/app"
	"github.com/vega-gateway/vega/controlplane/internal/identity/oidc/issuertest"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
)

// send 像浏览器那样说话：没有令牌，带着 cookie。
func (p *process) send(method, path, body string, cookies []*http.Cookie) (int, string, []*http.Cookie) {
	p.t.Helper()
	req, err := http.NewRequest(method, "http://"+p.HTTPAddr().String()+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Content-Type", "application/json")
	for _, c := range cookies {
		req.AddCookie(c)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(answer), resp.Cookies()
}

func TestApp_TheFirstStartMakesAnAdminWhosePasswordWorksOnceAndIsForgotten(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "admin-password")
	first := launch(t, onFreePorts(dir))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info.Mode(), err)
	}
	oneTime := strings.TrimSpace(string(text))
	first.stop()

	second := launch(t, onFreePorts(dir))
	if again, err := os.ReadFile(file); err != nil || string(again) != string(text) {
		t.Fatalf("a restart made another one-time password: %v", err)
	}
	login := func(p *process, password string) (int, []*http.Cookie) {
		code, _, cookies := p.send("POST", "/session", fmt.Sprintf(`{"name":"admin","password":%q}`, password), nil)
		return code, cookies
	}
	code, cookies := login(second, oneTime)
	if code != http.StatusCreated || len(cookies) != 1 || cookies[0].Name != "vega_session" {
		t.Fatalf("%d %v", code, cookies)
	}
	const next = "a-password-of-my-own"
	code, body, cookies := second.send("PUT", "/session/password", fmt.Sprintf(`{"current_password":%q,"new_password":%q}`, oneTime, next), cookies)
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	if code, body, _ := second.send("GET", "/operators", "", cookies); code != http.StatusOK || !strings.Contains(body, `"name":"admin"`) {
		t.Fatalf("%d %s", code, body)
	}
	second.stop()

	third := launch(t, onFreePorts(dir))
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the useless password file stays: %v", err)
	}
	if code, _ := login(third, oneTime); code != http.StatusUnauthorized {
		t.Errorf("the one-time password still works: %d", code)
	}
	if code, _ := login(third, next); code != http.StatusCreated {
		t.Errorf("the new password does not work: %d", code)
	}
	if code, body, _ := third.send("GET", "/session", "", cookies); code != http.StatusOK {
		t.Errorf("the session did not survive a restart: %d %s", code, body)
	}
}

func TestApp_APasswordFileThatAResetMadeUselessIsForgotten(t *testing.T) {
	dir := t.TempDir()
	first := launch(t, onFreePorts(dir))
	if code, body := first.admin(http.MethodPost, "/operators/admin/reset-password", ""); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	first.stop()
	launch(t, onFreePorts(dir))
	if _, err := os.Stat(filepath.Join(dir, "admin-password")); !os.IsNotExist(err) {
		t.Errorf("the file still holds a password that does not work: %v", err)
	}
}

func TestApp_ClearsSessionsThatHaveEnded(t *testing.T) {
	cfg := onFreePorts(t.TempDir())
	cfg.DatabaseURL = pgtest.New(t, nil)
	first := launch(t, cfg)
	password, err := os.ReadFile(filepath.Join(cfg.DataDir, "admin-password"))
	if err != nil {
		t.Fatal(err)
	}
	if code, body, _ := first.send("POST", "/session", fmt.Sprintf(`{"name":"admin","password":%q}`, strings.TrimSpace(string(password))), nil); code != http.StatusCreated {
		t.Fatalf("%d %s", code, body)
	}
	first.stop()
	db, err := sql.Open("pgx", cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), "UPDATE operator_sessions SET expires_at = now() - interval '1 second'"); err != nil {
		t.Fatal(err)
	}
	launch(t, cfg)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var left int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM operator_sessions").Scan(&left); err != nil {
			t.Fatal(err)
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d ended sessions are kept for ever", left)
		}
	}
}

// 别的副本刚删去、或目录不可写：口令已经没有用，不值得因此起不来。
func TestApp_StartsEvenIfTheUselessPasswordFileCannotBeRemoved(t *testing.T) {
	dir := t.TempDir()
	first := launch(t, onFreePorts(dir))
	if code, body := first.admin(http.MethodPost, "/operators/admin/reset-password", ""); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	first.stop()
	file := filepath.Join(dir, "admin-password")
	if err := errors.Join(os.Remove(file), os.MkdirAll(filepath.Join(file, "stuck"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if code, _ := launch(t, onFreePorts(dir)).admin(http.MethodGet, "/operators", ""); code != http.StatusOK {
		t.Errorf("%d", code)
	}
}

func TestApp_OffersTheProviderOfItsSettings(t *testing.T) {
	issuer := issuertest.New(t)
	cfg := onFreePorts(t.TempDir())
	cfg.SignIn = app.SignIn{ConsoleURL: "http://127.0.0.1:9080", OIDCIssuer: issuer.URL, OIDCClientID: issuertest.ClientID, OIDCClientSecret: issuertest.ClientSecret,
		OIDCLabel: "Company SSO", OIDCScopes: []string{" openid", "profile "}, OIDCRoleClaim: "groups", OIDCAdmins: []string{"root"}}
	p := launch(t, cfg)
	code, body, _ := p.send("GET", "/auth/methods", "", nil)
	var m struct{ OIDC struct{ Label string } }
	if err := json.Unmarshal([]byte(body), &m); err != nil || code != http.StatusOK || m.OIDC.Label != "Company SSO" {
		t.Fatalf("%d %s %v", code, body, err)
	}
	req, err := http.NewRequest("GET", "http://"+p.HTTPAddr().String()+"/api/v1/auth/oidc/login", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	to := resp.Header.Get("Location")
	for _, want := range []string{issuer.URL + "/authorize?", "code_challenge_method=S256", "scope=openid+profile", "redirect_uri=http%3A%2F%2F127.0.0.1%3A9080%2Fapi%2Fv1%2Fauth%2Foidc%2Fcallback"} {
		if !strings.Contains(to, want) {
			t.Errorf("%s lacks %s", to, want)
		}
	}
}

func TestApp_OverItsOwnTLSTheCookieIsSecure(t *testing.T) {
	cert, key := selfSigned(t)
	dir := t.TempDir()
	cfg := onFreePorts(dir)
	cfg.HTTPTLSCert, cfg.HTTPTLSKey = cert, key
	p := launch(t, cfg)
	oneTime, err := os.ReadFile(filepath.Join(dir, "admin-password"))
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Post("https://"+p.HTTPAddr().String()+"/api/v1/session", "application/json",
		strings.NewReader(fmt.Sprintf(`{"name":"admin","password":%q}`, strings.TrimSpace(string(oneTime)))))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cookies := resp.Cookies()
	if resp.StatusCode != http.StatusCreated || len(cookies) != 1 || cookies[0].Name != "__Host-vega" || !cookies[0].Secure || !cookies[0].HttpOnly {
		t.Errorf("%d %+v", resp.StatusCode, cookies)
	}
}
