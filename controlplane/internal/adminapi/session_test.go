package adminapi_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
)

func TestLogin_TheFirstAdminMustChangeTheOneTimePasswordBeforeAnythingElse(t *testing.T) {
	b := onPostgres(t, openPostgres(t))
	b.firstAdmin("planted-one-time-password")
	w := b.browser()
	w.do("GET", "/session", "").want(401)
	w.login(" Admin ", "planted-one-time-password").want(201)
	if m := w.me(); m.Kind != "operator" || m.Name != "admin" || m.Role != "admin" || !m.MustChangePassword || m.SessionID == "" || m.Method != "password" {
		t.Fatalf("got %+v", m)
	}
	for _, c := range [][3]string{{"GET", "/config", ""}, {"GET", "/operators", ""}, {"GET", "/sessions", ""}, {"POST", "/tokens", `{"name":"x","role":"viewer"}`}, {"DELETE", "/servers/x", ""}} {
		if r := w.do(c[0], c[1], c[2]).want(403); r.reason() != "password_change_required" {
			t.Errorf("%s %s: %s", c[0], c[1], r.body)
		}
	}
	w.changePassword("planted-one-time-password", "short").want(400)
	w.changePassword("planted-one-time-password", newPassword).want(200)
	if m := w.me(); m.MustChangePassword {
		t.Fatalf("got %+v", m)
	}
	w.do("GET", "/operators", "").want(200)
	w.do("DELETE", "/session", "").want(204)
	if len(w.jar) != 0 {
		t.Errorf("the cookie stays: %v", w.jar)
	}
	w.login("admin", "planted-one-time-password").want(401)
	w.login("admin", newPassword).want(201)
}

func TestLogin_TheCookieFollowsTheTransport(t *testing.T) {
	s := openPostgres(t)
	b := onPostgres(t, s, behindProxy(t))
	b.firstAdmin(newPassword)
	plain := b.browser().login("admin", newPassword).want(201)
	if got := setCookies(plain); !strings.HasPrefix(got, "vega_session=") || !strings.HasSuffix(got, "; Path=/; HttpOnly; SameSite=Strict") {
		t.Errorf("on this machine: %s", got)
	}
	secure := b.browser(from("203.0.113.5")...).login("admin", newPassword).want(201)
	if got := setCookies(secure); !strings.HasPrefix(got, "__Host-vega=") || !strings.HasSuffix(got, "; Path=/; HttpOnly; Secure; SameSite=Strict") {
		t.Errorf("over TLS: %s", got)
	}
	elsewhere := []string{"X-Forwarded-Proto", "http", "X-Forwarded-For", "203.0.113.5"}
	r := b.browser(elsewhere...).login("admin", newPassword).want(403)
	if r.reason() != "insecure_transport" || !strings.Contains(string(r.body), "VEGA_INSECURE_HTTP=true") || setCookies(r) != "" {
		t.Errorf("in the clear: %s %v", r.body, r.Header)
	}
	methods := func(b *bench, header ...string) (ok, secure bool, detail string) {
		var m struct {
			Password  bool
			Transport struct {
				OK, Secure bool
				Detail     string
			}
		}
		b.browser(header...).do("GET", "/auth/methods", "").want(200).into(&m)
		if !m.Password {
			t.Error("no password")
		}
		return m.Transport.OK, m.Transport.Secure, m.Transport.Detail
	}
	if ok, _, detail := methods(b, elsewhere...); ok || !strings.Contains(detail, "VEGA_TRUSTED_PROXIES") {
		t.Errorf("%v %s", ok, detail)
	}
	if ok, secure, detail := methods(b, from("203.0.113.5")...); !ok || !secure || detail != "" {
		t.Errorf("%v %v %s", ok, secure, detail)
	}
	brave := onPostgres(t, s, behindProxy(t), func(c *adminapi.Config, _ *adminapi.Deps) { c.InsecureHTTP = true })
	if ok, secure, _ := methods(brave, elsewhere...); !ok || secure {
		t.Errorf("%v %v", ok, secure)
	}
	w := brave.browser(elsewhere...)
	w.login("admin", newPassword).want(201)
	w.do("GET", "/session", "").want(200)
	w.at(b).do("GET", "/session", "").want(401) // 同一个 cookie，在不许明文的那一台不认
}

func TestLogin_WrongUnknownDisabledAndExternalAnswerAlike(t *testing.T) {
	b := onPostgres(t, openPostgres(t), behindProxy(t))
	b.signedIn("alice", "viewer", from("203.0.113.1")...)
	b.signedIn("gone", "viewer", from("203.0.113.1")...)
	b.call("PUT", "/operators/gone", `{"role":"viewer","enabled":false}`).want(200)
	if _, err := b.people().LoginPerson(t.Context(), identity.Person{Issuer: "i", Subject: "s", Name: "external", Role: identity.Viewer}, identity.Client{}); err != nil {
		t.Fatal(err)
	}
	var first string
	for i, c := range [][2]string{{"alice", "wrong"}, {"nobody", newPassword}, {"gone", newPassword}, {"external", ""}, {"external", newPassword}, {"alice\uFFFD", "x"}, {"alice ' OR 1=1", "x"}, {"", ""}} {
		r := b.browser(from(fmt.Sprint("198.51.100.", i))...).login(c[0], c[1]).want(401)
		text := strings.ReplaceAll(string(r.body), r.Header.Get("x-request-id"), "")
		if first == "" {
			first = text
		}
		if text != first || r.reason() != "invalid_login" || setCookies(r) != "" {
			t.Errorf("%q: %s, others get %s", c, text, first)
		}
	}
}

// 两个副本、许多地址、一个账号：验得成的次数有数，等一会儿就又可以。
func TestLogin_BruteForceIsSlowedAcrossReplicasAndNobodyIsLockedOut(t *testing.T) {
	s := openPostgres(t)
	replicas := []*bench{onPostgres(t, s, behindProxy(t)), onPostgres(t, s, behindProxy(t))}
	owner := replicas[0].signedIn("alice", "admin", from("203.0.113.1")...)
	var tried, throttled atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for n := range 100 {
		wg.Go(func() {
			w := replicas[n%2].browser(from(fmt.Sprint("198.51.100.", n))...)
			for range 3 {
				switch r := w.login("alice", "guess"); r.StatusCode {
				case 401:
					tried.Add(1)
				case 429:
					throttled.Add(1)
					if r.Header.Get("Retry-After") == "" || r.reason() != "login_throttled" {
						t.Errorf("%v %s", r.Header, r.body)
					}
				default:
					t.Errorf("%d %s", r.StatusCode, r.body)
				}
			}
		})
	}
	wg.Wait()
	spent := time.Since(begin)
	fmt.Printf("figures: brute_force attempts=300 verified=%d throttled=%d seconds=%.1f\n", tried.Load(), throttled.Load(), spent.Seconds())
	// 头五次不等，此后每次加倍：spent 之内至多再多几次。
	allowed := int64(5)
	for pause := time.Second; pause < spent; pause *= 2 {
		allowed++
	}
	if tried.Load() > allowed || tried.Load()+throttled.Load() != 300 {
		t.Errorf("%d verified in %v, at most %d", tried.Load(), spent, allowed)
	}
	// 正等着的时候，口令对了也要等；机器慢得一等就过了，就再猜几次。
	refused := false
	for n := 0; n < 40 && !refused; n++ {
		if replicas[0].browser(from("192.0.2.66")...).login("alice", "guess").StatusCode == 429 {
			refused = replicas[1].browser(from("192.0.2.77")...).login("alice", newPassword).StatusCode == 429
		}
	}
	if !refused {
		t.Error("a stranger with the right password need not wait")
	}
	owner.at(replicas[1]).do("GET", "/session", "").want(200) // 已经登录的不受影响
	replicas[1].browser(from("203.0.113.1")...).login("alice", newPassword).want(201)
	replicas[0].browser(from("192.0.2.77")...).login("bob", "x").want(401) // 别的账号也不受影响
}

func TestLogin_OneAddressCannotSprayManyAccounts(t *testing.T) {
	b := onPostgres(t, openPostgres(t), behindProxy(t))
	begin, tried := time.Now(), 0
	for n := range 60 {
		if b.browser(from("198.51.100.9")...).login(fmt.Sprint("user", n), "Spring2026!").StatusCode == 401 {
			tried++
		}
	}
	allowed := 20
	for pause := time.Second; pause < time.Since(begin); pause *= 2 {
		allowed++
	}
	if tried > allowed || tried < 20 {
		t.Errorf("%d verified, at most %d", tried, allowed)
	}
	b.browser(from("198.51.100.10")...).login("user1", "x").want(401)
}

func TestSession_FixationIsImpossible(t *testing.T) {
	b := onPostgres(t, openPostgres(t), behindProxy(t))
	b.firstAdmin(newPassword)
	planted := strings.Repeat("A", 43)
	w := b.browser()
	w.jar["vega_session"] = planted
	w.login("admin", newPassword).want(201)
	if w.jar["vega_session"] == planted {
		t.Fatal("the planted value was adopted")
	}
	victim := b.browser()
	victim.jar["vega_session"] = planted
	victim.do("GET", "/session", "").want(401)
	// 攻击者把自己的会话种给受害者：受害者登录后，那个会话当场作废。
	shared := w.jar["vega_session"]
	victim.jar["vega_session"] = shared
	victim.login("admin", newPassword).want(201)
	w.do("GET", "/session", "").want(401)
	if victim.jar["vega_session"] == shared {
		t.Fatal("the session was kept over a sign-in")
	}
	// TLS 上不看明文里能种下的名字。
	over := b.browser(from("203.0.113.5")...)
	over.jar["vega_session"] = victim.jar["vega_session"]
	over.do("GET", "/session", "").want(401)
	over.jar["__Host-vega"] = victim.jar["vega_session"]
	over.do("GET", "/session", "").want(200)
}

func TestSession_EndsAtItsTimes(t *testing.T) {
	for name, cfg := range map[string]identity.Config{"absolute": {Lifetime: time.Millisecond}, "idle": {Idle: time.Millisecond}} {
		s := openPostgres(t)
		onPostgres(t, s).firstAdmin(newPassword)
		b := onPostgres(t, s, withIdentity(t, s, cfg))
		w := b.browser()
		w.login("admin", newPassword).want(201)
		time.Sleep(5 * time.Millisecond)
		if p := w.do("GET", "/session", "").want(401).problem(); !strings.Contains(p.Detail, "expired") {
			t.Errorf("%s: %s", name, p.Detail)
		}
		if r := b.call("GET", "/sessions?all=true", "").want(200); strings.TrimSpace(string(r.body)) != "[]" {
			t.Errorf("%s: still listed: %s", name, r.body)
		}
	}
}

func TestSession_AtOneReplicaIsASessionAtAllAndSoIsItsEnd(t *testing.T) {
	s := openPostgres(t)
	one, two := onPostgres(t, s), onPostgres(t, s)
	w := one.signedIn("alice", "operator")
	w.at(two).do("GET", "/config", "").want(200)
	two.call("PUT", "/operators/alice", `{"role":"viewer","enabled":true}`).want(200)
	w.do("GET", "/config", "").want(401) // 降级使会话作废
	w.login("alice", newPassword).want(201)
	if r := w.at(two).do("DELETE", "/servers/x", "").want(403); r.reason() != "role_too_low" {
		t.Errorf("%s", r.body)
	}
	two.call("PUT", "/operators/alice", `{"role":"operator","enabled":true}`).want(200)
	w.do("DELETE", "/servers/x", "").want(404) // 升级当即生效，不必再登录
	kept := w.jar["vega_session"]
	w.at(two).do("DELETE", "/session", "").want(204)
	w.jar["vega_session"] = kept
	w.do("GET", "/session", "").want(401)
	w.login("alice", newPassword).want(201)
	two.call("DELETE", "/operators/alice", "").want(204)
	w.do("GET", "/session", "").want(401)
}

type sessionRow struct {
	ID, Operator, Address string
	UserAgent             string `json:"user_agent"`
	Current               bool
}

func (w *browser) sessions(query string) (rows []sessionRow) {
	w.b.t.Helper()
	w.do("GET", "/sessions"+query, "").want(200).into(&rows)
	return rows
}

func TestSessions_AreListedAndEndedByTheirOwnerOrAnAdmin(t *testing.T) {
	b := onPostgres(t, openPostgres(t), behindProxy(t))
	laptop := b.signedIn("alice", "viewer", append(from("203.0.113.5"), "User-Agent", "laptop")...)
	phone := b.browser(append(from("203.0.113.6"), "User-Agent", "phone")...)
	phone.login("alice", newPassword).want(201)
	admin := b.signedIn("root", "admin")
	rows := laptop.sessions("")
	if len(rows) != 2 || rows[0].Operator != "alice" || rows[1].Operator != "alice" {
		t.Fatalf("got %+v", rows)
	}
	other := ""
	for _, r := range rows {
		if r.Current != (r.UserAgent == "laptop") || r.Current != (r.Address == "203.0.113.5") {
			t.Errorf("got %+v", r)
		}
		if !r.Current {
			other = r.ID
		}
	}
	laptop.do("GET", "/sessions?all=true", "").want(403)
	if all := admin.sessions("?all=true"); len(all) != 3 {
		t.Fatalf("an admin sees %+v", all)
	}
	laptop.do("DELETE", "/sessions/"+admin.me().SessionID, "").want(404)
	laptop.do("DELETE", "/sessions/nonsense", "").want(404)
	laptop.do("DELETE", "/sessions/"+other, "").want(204)
	phone.do("GET", "/session", "").want(401)
	laptop.do("GET", "/session", "").want(200)
	phone.login("alice", newPassword).want(201)
	laptop.do("DELETE", "/sessions", "").want(204)
	phone.do("GET", "/session", "").want(401)
	admin.do("DELETE", "/sessions/"+laptop.me().SessionID, "").want(204)
	laptop.do("GET", "/session", "").want(401)
}

func TestPassword_ChangingItEndsEveryOtherSession(t *testing.T) {
	b := onPostgres(t, openPostgres(t))
	w := b.signedIn("alice", "viewer")
	thief := b.browser()
	thief.login("alice", newPassword).want(201)
	stolen := &browser{b: b, jar: map[string]string{"vega_session": w.jar["vega_session"]}}
	const next = "planted-another-long-password"
	if p := w.changePassword("wrong", next).want(400).problem(); len(p.Errors) != 1 || p.Errors[0].Path != "current_password" {
		t.Errorf("got %+v", p)
	}
	if p := w.changePassword(newPassword, newPassword).want(400).problem(); p.Errors[0].Path != "new_password" {
		t.Errorf("got %+v", p)
	}
	thief.do("GET", "/session", "").want(200)
	w.changePassword(newPassword, next).want(200)
	thief.do("GET", "/session", "").want(401)
	stolen.do("GET", "/session", "").want(401)
	w.do("GET", "/session", "").want(200)
	if b.call("PUT", "/session/password", `{"current_password":"x","new_password":"`+next+`"}`).StatusCode != 409 {
		t.Error("the bootstrap token changed a password")
	}
	b.call("DELETE", "/session", "").want(409)
	// 捡到会话的人不能拿它来猜口令。
	throttled := false
	for n := 0; n < 20 && !throttled; n++ {
		throttled = w.changePassword("guess", next).StatusCode == 429
	}
	if !throttled {
		t.Error("guessing through a session is not slowed")
	}
}

func TestCSRF_AnotherSiteCannotWriteWithTheCookie(t *testing.T) {
	b := onPostgres(t, openPostgres(t), func(c *adminapi.Config, _ *adminapi.Deps) { c.ConsoleURL = "https://vega.example.com" })
	w := b.signedIn("alice", "operator")
	for name, header := range map[string][]string{
		"fetch metadata": {"Sec-Fetch-Site", "cross-site"}, "same site is not same origin": {"Sec-Fetch-Site", "same-site"},
		"origin": {"Origin", "https://evil.example"}, "opaque origin": {"Origin", "null"},
	} {
		for _, c := range [][3]string{{"DELETE", "/servers/x", ""}, {"POST", "/servers", `{}`}, {"PUT", "/config", `{}`}, {"DELETE", "/session", ""}, {"POST", "/nodes/n/drain", ""}} {
			if r := w.do(c[0], c[1], c[2], header...).want(403); r.reason() != "cross_origin" {
				t.Errorf("%s: %s %s: %s", name, c[0], c[1], r.body)
			}
		}
		w.do("GET", "/config", "", header...).want(200)
		login := b.browser().do("POST", "/session", `{"name":"alice","password":"`+newPassword+`"}`, header...).want(403)
		if login.reason() != "cross_origin" || setCookies(login) != "" {
			t.Errorf("%s: a login from another site: %s", name, login.body)
		}
		b.call("DELETE", "/servers/x", "", header...).want(404) // 令牌不是浏览器自己带上的
	}
	for name, header := range map[string][]string{
		"same origin": {"Sec-Fetch-Site", "same-origin"}, "typed by hand": {"Sec-Fetch-Site", "none"}, "own origin": {"Origin", b.url},
		"the console's name": {"Origin", "https://vega.example.com"}, "no browser": {},
	} {
		if r := w.do("DELETE", "/servers/x", "", header...); r.StatusCode != 404 {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
		}
	}
}

func TestAuth_AWrongTokenIsNotRescuedByACookie(t *testing.T) {
	b := onPostgres(t, openPostgres(t))
	w := b.signedIn("alice", "viewer")
	for _, header := range []string{"Bearer wrong", "Bearer vt-" + strings.Repeat("A", 43), "Basic x"} {
		w.do("GET", "/config", "", "Authorization", header).want(401)
	}
	twice := w.do("GET", "/config", "", "Cookie", "vega_session="+w.jar["vega_session"]+"; vega_session=x")
	twice.want(401)
}

func TestLogin_HugeAndMalformedBodiesAreRefusedEarly(t *testing.T) {
	b := onPostgres(t, openPostgres(t))
	w := b.browser()
	w.do("POST", "/session", `{"name":"`+strings.Repeat("x", 70_000)+`","password":"y"}`).want(413)
	for body, says := range map[string]string{
		`{"name":"a","password":"b","remember":true}`: "unknown field", `{"name":"a","name":"b"}`: "more than once", `{"name":7}`: "string", `[]`: "object", `{`: "JSON",
	} {
		if r := w.do("POST", "/session", body).want(400); !strings.Contains(string(r.body), says) {
			t.Errorf("%s: %s", body, r.body)
		}
	}
	w.do("POST", "/session", "name=a&password=b", "Content-Type", "application/x-www-form-urlencoded").want(400)
}

func TestSession_SecretsAreInNoLogAndNoOtherAnswer(t *testing.T) {
	b := onPostgres(t, openPostgres(t))
	oneTime, w := b.hire("alice", "admin"), b.browser()
	w.login("alice", "planted-wrong-password").want(401)
	w.login("planted-typed-in-the-wrong-box", "x").want(401)
	w.login("alice", oneTime).want(201)
	first := w.jar["vega_session"]
	w.changePassword(oneTime, newPassword).want(200)
	var reset struct {
		OneTimePassword string `json:"one_time_password"`
	}
	b.call("POST", "/operators/alice/reset-password", "").want(200).into(&reset)
	secrets := []string{oneTime, first, w.jar["vega_session"], reset.OneTimePassword, "$argon2id$"}
	for _, path := range []string{"/session", "/sessions?all=true", "/operators", "/operators/alice", "/audit", "/auth/methods"} {
		r := b.call("GET", path, "").want(200)
		b.mustNotLeak("GET "+path, string(r.body)+fmt.Sprint(r.Header), secrets...)
	}
	for _, line := range b.logs.All() {
		b.mustNotLeak("log", line.Message+fmt.Sprint(line.ContextMap()), secrets...)
	}
}

// 数据库不在时认不出会话，但会话还在：浏览器不该以为自己被注销了。
func TestSession_DatabaseGoneIs503NotASignOut(t *testing.T) {
	s := openPostgres(t)
	b := onPostgres(t, s)
	w := b.signedIn("alice", "viewer")
	s.Close()
	r := w.do("GET", "/session", "").want(503)
	if r.problem().Code != "unavailable" || len(w.jar) != 1 {
		t.Errorf("%s %v", r.body, w.jar)
	}
	w.login("alice", newPassword).want(503)
	b.with("vt-"+strings.Repeat("A", 43), "GET", "/session", "").want(503)
	b.call("GET", "/session", "").want(200) // 引导令牌不查库
}
