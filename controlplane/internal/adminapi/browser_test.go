package adminapi_test

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/postgres"
)

// newPassword 是各操作员换上的口令；planted 让漏出来的找得到。
const newPassword = "planted-but-long-enough-password"

// onPostgres 是全在真的 PostgreSQL 上的一台；store 为 nil 另开一个库，两台可以共用一个。
func onPostgres(t *testing.T, s *postgres.Store, tune ...func(*adminapi.Config, *adminapi.Deps)) *bench {
	t.Helper()
	return newBench(t, s, append([]func(*adminapi.Config, *adminapi.Deps){func(_ *adminapi.Config, d *adminapi.Deps) { d.Mint = s.Mint() }}, tune...)...)
}

// withIdentity 换一套身份的设置。
func withIdentity(t *testing.T, s *postgres.Store, cfg identity.Config) func(*adminapi.Config, *adminapi.Deps) {
	cfg.Argon = cheap()
	return func(_ *adminapi.Config, d *adminapi.Deps) {
		people, err := identity.New(cfg, identity.Deps{Store: s, Log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		d.Identity = people
	}
}

// behindProxy 让测试的客户端成为可信的代理：于是可以自报从哪里来、走没走 TLS。
func behindProxy(t *testing.T) func(*adminapi.Config, *adminapi.Deps) {
	proxies, err := identity.ParseProxies("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return func(c *adminapi.Config, _ *adminapi.Deps) { c.Proxies = proxies }
}

// browser 留着 cookie，不带令牌。
type browser struct {
	b      *bench
	jar    map[string]string
	header []string
}

func (b *bench) browser(header ...string) *browser {
	return &browser{b: b, jar: map[string]string{}, header: header}
}

// from 是经可信的代理、从 address 来的 TLS。
func from(address string) []string {
	return []string{"X-Forwarded-Proto", "https", "X-Forwarded-For", address}
}

func (w *browser) do(method, path, body string, header ...string) answer {
	w.b.t.Helper()
	all := append([]string{"Authorization", ""}, w.header...)
	var cookies []string
	for name, value := range w.jar {
		cookies = append(cookies, name+"="+value)
	}
	r := w.b.bad(method, path, body, append(append(all, "Cookie", strings.Join(cookies, "; ")), header...)...)
	for _, c := range r.Cookies() {
		if c.MaxAge < 0 {
			delete(w.jar, c.Name)
			continue
		}
		w.jar[c.Name] = c.Value
	}
	return r
}

func (w *browser) login(name, password string) answer {
	w.b.t.Helper()
	return w.do("POST", "/session", fmt.Sprintf(`{"name":%q,"password":%q}`, name, password))
}

func (w *browser) changePassword(current, next string) answer {
	w.b.t.Helper()
	return w.do("PUT", "/session/password", fmt.Sprintf(`{"current_password":%q,"new_password":%q}`, current, next))
}

// at 是同一个浏览器对另一台副本说话。
func (w *browser) at(other *bench) *browser {
	return &browser{b: other, jar: w.jar, header: w.header}
}

func (a answer) reason() string {
	a.t.Helper()
	var p struct{ Reason string }
	a.into(&p)
	return p.Reason
}

// hire 建立操作员，给出一次性口令。
func (b *bench) hire(name, role string) string {
	b.t.Helper()
	var made struct {
		OneTimePassword string `json:"one_time_password"`
	}
	b.call("POST", "/operators", fmt.Sprintf(`{"name":%q,"role":%q}`, name, role)).want(201).into(&made)
	if made.OneTimePassword == "" {
		b.t.Fatal("no one-time password")
	}
	return made.OneTimePassword
}

// signedIn 是换过口令、登录了的 name。
func (b *bench) signedIn(name, role string, header ...string) *browser {
	b.t.Helper()
	oneTime, w := b.hire(name, role), b.browser(header...)
	w.login(name, oneTime).want(201)
	w.changePassword(oneTime, newPassword).want(200)
	return w
}

type me struct {
	Kind, Name, Role, Method string
	Scopes                   []string
	SessionID                string `json:"session_id"`
	MustChangePassword       bool   `json:"must_change_password"`
}

func (w *browser) me() (m me) {
	w.b.t.Helper()
	w.do("GET", "/session", "").want(200).into(&m)
	return m
}

// firstAdmin 建立头一个操作员。
func (b *bench) firstAdmin(password string) {
	b.t.Helper()
	if made, err := b.people().EnsureFirst(b.t.Context(), catalog.NewSecret(password)); err != nil || !made {
		b.t.Fatalf("%v %v", made, err)
	}
}

func setCookies(r answer) string { return strings.Join(r.Header.Values("Set-Cookie"), "\n") }
