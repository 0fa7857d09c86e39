package adminapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity/oidc"
	"github.com/vega-gateway/vega/controlplane/internal/identity/oidc/issuertest"
)

var _ adminapi.OIDC = (*oidc.Provider)(nil)

const callback = "/api/v1/auth/oidc/callback"

// withOIDC 接上提供方。
func withOIDC(t *testing.T, issuer string, secret string) func(*adminapi.Config, *adminapi.Deps) {
	t.Helper()
	p, err := oidc.New(oidc.Config{
		Issuer: issuer, ClientID: issuertest.ClientID, Secret: catalog.NewSecret(secret), RedirectURL: "https://vega.example.com" + callback, Label: "Company SSO",
		Roles: oidc.Mapping{Claim: "groups", Admin: []string{"vega-admins"}, Operator: []string{"vega-ops"}, Viewer: []string{"staff"}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return func(_ *adminapi.Config, d *adminapi.Deps) { d.OIDC = p }
}

// authorize 走到提供方，带回回调的查询串。
func (w *browser) authorize(returnTo string) url.Values {
	w.b.t.Helper()
	r := w.do("GET", "/auth/oidc/login?return_to="+url.QueryEscape(returnTo), "").want(303)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(r.Header.Get("Location"))
	if err != nil {
		w.b.t.Fatal(err)
	}
	defer resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || back.Path != callback || resp.StatusCode != http.StatusFound {
		w.b.t.Fatalf("%d %v %v", resp.StatusCode, back, err)
	}
	return back.Query()
}

func (w *browser) comeBack(q url.Values) string {
	w.b.t.Helper()
	return w.do("GET", "/auth/oidc/callback?"+q.Encode(), "").want(303).Header.Get("Location")
}

// sso 走完一次，给出最后去的页面。
func (w *browser) sso() string {
	w.b.t.Helper()
	return w.comeBack(w.authorize("/apps?x=1"))
}

func person(subject, name string, groups ...any) map[string]any {
	return map[string]any{"sub": subject, "preferred_username": name, "groups": groups}
}

func TestOIDC_WhoeverHasNoPasswordIsToldSoInsteadOfThatItIsWrong(t *testing.T) {
	issuer := issuertest.New(t)
	b := onPostgres(t, openPostgres(t), behindProxy(t), withOIDC(t, issuer.URL, issuertest.ClientSecret))
	w := b.browser(from("203.0.113.5")...)
	issuer.Next(person("s-1", "carol", "staff"), nil)
	if at := w.sso(); at != "/apps?x=1" {
		t.Fatal(at)
	}
	p := w.changePassword("", newPassword).want(409).problem()
	if !strings.Contains(p.Detail, "OpenID Connect") {
		t.Errorf("%s", p.Detail)
	}
}

func TestOIDC_SignsInWithTheMappedRoleAndFollowsTheProvider(t *testing.T) {
	issuer := issuertest.New(t)
	b := onPostgres(t, openPostgres(t), behindProxy(t), withOIDC(t, issuer.URL, issuertest.ClientSecret))
	var methods struct {
		OIDC *struct {
			Label    string
			LoginURL string `json:"login_url"`
		}
	}
	b.call("GET", "/auth/methods", "").want(200).into(&methods)
	if methods.OIDC == nil || methods.OIDC.Label != "Company SSO" || methods.OIDC.LoginURL != "/api/v1/auth/oidc/login" {
		t.Fatalf("got %+v", methods.OIDC)
	}
	w := b.browser(from("203.0.113.5")...)
	issuer.Next(person("s-1", "Alice@Example.com", "vega-ops", "other"), nil)
	if page := w.sso(); page != "/apps?x=1" {
		t.Fatalf("went to %s", page)
	}
	if len(w.jar) != 1 {
		t.Errorf("cookies left: %v", w.jar)
	}
	if m := w.me(); m.Name != "alice@example.com" || m.Role != "operator" || m.Method != "oidc" || m.MustChangePassword {
		t.Fatalf("got %+v", m)
	}
	w.changePassword("x", newPassword).want(409)
	// 提供方改了组，下次登录就是新的角色；同一个人，不是新的操作员。
	issuer.Next(person("s-1", "renamed", "vega-admins"), nil)
	w.sso()
	if m := w.me(); m.Name != "alice@example.com" || m.Role != "admin" {
		t.Fatalf("got %+v", m)
	}
	issuer.Next(map[string]any{"sub": "s-2", "preferred_username": "bob"}, map[string]any{"groups": []any{"staff"}})
	other := b.browser(from("203.0.113.6")...)
	other.sso()
	if m := other.me(); m.Name != "bob" || m.Role != "viewer" {
		t.Fatalf("roles in userinfo: %+v", m)
	}
	var rows []operatorRow
	b.call("GET", "/operators", "").want(200).into(&rows)
	if len(rows) != 2 || rows[0].Source != "oidc" {
		t.Errorf("got %+v", rows)
	}
	if got := b.audit("?actor=" + url.QueryEscape("alice@example.com")); len(got) != 4 || got[0].Action != "session.open" || got[1].Action != "operator.update" || got[3].Action != "operator.create" {
		t.Errorf("got %+v", got)
	}
}

func TestOIDC_WhoIsNotWelcomeIsSentBackWithAReason(t *testing.T) {
	issuer := issuertest.New(t)
	b := onPostgres(t, openPostgres(t), behindProxy(t), withOIDC(t, issuer.URL, issuertest.ClientSecret))
	b.hire("alice", "admin")
	try := func() string {
		w := b.browser(from("203.0.113.5")...)
		page := w.sso()
		if _, in := w.jar["__Host-vega"]; in {
			t.Errorf("%s, and yet a session", page)
		}
		reason, kept := strings.CutSuffix(page, "&next=%2Fapps%3Fx%3D1")
		if !kept {
			t.Errorf("%s does not say where to go after signing in", page)
		}
		return strings.TrimPrefix(reason, "/login?error=")
	}
	for want, claims := range map[string]map[string]any{
		"oidc_no_role":    person("s-1", "nobody", "guests"),
		"oidc_name_taken": person("s-2", "alice", "vega-admins"), // 不能顶替本地的那一个
	} {
		issuer.Next(claims, nil)
		if got := try(); got != want {
			t.Errorf("%v: %s, want %s", claims, got, want)
		}
	}
	issuer.Next(person("s-3", "token:ci", "staff"), nil)
	if got := try(); got != "oidc_name_taken" {
		t.Errorf("a name that cannot be: %s", got)
	}
	issuer.Next(person("s-4", "carol", "staff"), nil)
	w := b.browser(from("203.0.113.5")...)
	w.sso()
	b.call("PUT", "/operators/carol", `{"role":"viewer","enabled":false}`).want(200)
	w.do("GET", "/session", "").want(401)
	if got := try(); got != "operator_disabled" {
		t.Errorf("disabled: %s", got)
	}
	var refused []string
	for _, row := range b.audit("?action=session.refuse") {
		refused = append(refused, row.Object+" "+row.Note)
	}
	slices.Sort(refused)
	want := []string{"operator [unknown] oidc: oidc_name_taken", "operator [unknown] oidc: oidc_no_role", "operator alice oidc: oidc_name_taken", "operator carol oidc: operator_disabled"}
	if !slices.Equal(refused, want) {
		t.Errorf("got %q, want %q", refused, want)
	}
	elsewhere := b.browser("X-Forwarded-Proto", "http", "X-Forwarded-For", "203.0.113.5").do("GET", "/auth/oidc/login?return_to=%2F%3Fguide%3D1", "").want(303)
	if got := elsewhere.Header.Get("Location"); got != "/login?error=insecure_transport&next=%2F%3Fguide%3D1" {
		t.Errorf("in the clear: %s", got)
	}
}

func TestOIDC_ForgedAnswersOpenNothing(t *testing.T) {
	issuer := issuertest.New(t)
	b := onPostgres(t, openPostgres(t), behindProxy(t), withOIDC(t, issuer.URL, issuertest.ClientSecret))
	good := person("s-1", "alice", "vega-admins")
	for name, attack := range map[string]func(w *browser) url.Values{
		"another state": func(w *browser) url.Values {
			q := w.authorize("/")
			q.Set("state", "x")
			return q
		},
		"no state": func(w *browser) url.Values {
			q := w.authorize("/")
			q.Del("state")
			return q
		},
		"a browser that did not begin": func(w *browser) url.Values {
			return b.browser(from("203.0.113.9")...).authorize("/")
		},
		"the code of another sign-in": func(w *browser) url.Values {
			q := w.authorize("/")
			q.Set("code", b.browser(from("203.0.113.9")...).authorize("/").Get("code"))
			return q
		},
		"a code that was used": func(w *browser) url.Values {
			q := w.authorize("/")
			flow := w.jar["__Host-vega-oidc"]
			w.comeBack(q)
			w.jar = map[string]string{"__Host-vega-oidc": flow}
			return q
		},
		"another nonce":    func(w *browser) url.Values { return spoiled(issuer, w, "nonce", "x") },
		"no nonce":         func(w *browser) url.Values { return spoiled(issuer, w, "nonce", nil) },
		"another audience": func(w *browser) url.Values { return spoiled(issuer, w, "aud", "somebody") },
		"another issuer":   func(w *browser) url.Values { return spoiled(issuer, w, "iss", "https://evil.example") },
		"expired":          func(w *browser) url.Values { return spoiled(issuer, w, "exp", 1_000_000_000) },
		"another key": func(w *browser) url.Values {
			issuer.Forge()
			return w.authorize("/")
		},
		"the provider's error": func(w *browser) url.Values {
			q := w.authorize("/")
			q.Del("code")
			q.Set("error", "access_denied")
			return q
		},
	} {
		issuer.Next(good, nil)
		w := b.browser(from("203.0.113.5")...)
		q := attack(w)
		page := w.comeBack(q)
		if _, in := w.jar["__Host-vega"]; in || page != "/login?error=oidc_refused" {
			t.Errorf("%s: %s, session %v", name, page, in)
		}
		if _, left := w.jar["__Host-vega-oidc"]; left {
			t.Errorf("%s: the flow can be tried again", name)
		}
	}
	if got := issuer.Refused(); !strings.Contains(fmt.Sprint(got), "verifier") || !strings.Contains(fmt.Sprint(got), "unknown code") {
		t.Errorf("PKCE was not put to the test: %v", got)
	}
	for _, line := range b.logs.All() {
		b.mustNotLeak("log", line.Message+fmt.Sprint(line.ContextMap()), issuertest.ClientSecret)
	}
}

func spoiled(issuer *issuertest.Issuer, w *browser, claim string, value any) url.Values {
	issuer.Spoil(func(claims map[string]any) {
		if claims[claim] = value; value == nil {
			delete(claims, claim)
		}
	})
	return w.authorize("/")
}

func TestOIDC_AProviderThatIsAwayOnlyAffectsItsOwnSignIns(t *testing.T) {
	issuer := issuertest.New(t)
	s := openPostgres(t)
	away := onPostgres(t, s, behindProxy(t), withOIDC(t, "http://127.0.0.1:1", "x"))
	away.firstAdmin(newPassword)
	w := away.browser(from("203.0.113.5")...)
	if got := w.do("GET", "/auth/oidc/login", "").want(303).Header.Get("Location"); got != "/login?error=oidc_unavailable" {
		t.Errorf("got %s", got)
	}
	w.login("admin", newPassword).want(201)
	wrong := onPostgres(t, s, behindProxy(t), withOIDC(t, issuer.URL, "another secret"))
	issuer.Next(person("s-1", "alice", "staff"), nil)
	if page := wrong.browser(from("203.0.113.5")...).sso(); page != "/login?error=oidc_refused&next=%2Fapps%3Fx%3D1" {
		t.Errorf("a wrong client secret: %s", page)
	}
	none := onPostgres(t, s)
	none.browser().do("GET", "/auth/oidc/login", "").want(404)
	none.browser().do("GET", "/auth/oidc/callback", "").want(404)
}

// 同一个人头一次来，同时开了几个窗口：建成一个操作员，都登录得上。
func TestOIDC_TheFirstSignInOfOnePersonMayHappenTwiceAtOnce(t *testing.T) {
	issuer := issuertest.New(t)
	s := openPostgres(t)
	replicas := []*bench{onPostgres(t, s, behindProxy(t), withOIDC(t, issuer.URL, issuertest.ClientSecret)), onPostgres(t, s, behindProxy(t), withOIDC(t, issuer.URL, issuertest.ClientSecret))}
	issuer.Next(person("s-1", "alice", "staff"), nil)
	const windows = 6
	browsers, queries := make([]*browser, windows), make([]url.Values, windows)
	for n := range windows {
		browsers[n] = replicas[n%2].browser(from("203.0.113.5")...)
		queries[n] = browsers[n].authorize("/")
	}
	pages := make(chan string, windows)
	for n := range windows {
		go func() { pages <- browsers[n].comeBack(queries[n]) }()
	}
	for range windows {
		if page := <-pages; page != "/" {
			t.Errorf("went to %s", page)
		}
	}
	if list, err := s.Accounts(context.Background()); err != nil || len(list) != 1 {
		t.Errorf("%v %v", list, err)
	}
}
