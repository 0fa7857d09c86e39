package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

const ownPassword = "a-password-of-my-own"

// visitor 是契约这把尺子下的浏览器：留着 cookie，不带令牌。
type visitor struct {
	c   *contract
	jar map[string]string
}

func (c *contract) visitor() *visitor { return &visitor{c: c, jar: map[string]string{}} }

func (v *visitor) send(s sent) answer {
	v.c.t.Helper()
	var cookies []string
	for name, value := range v.jar {
		cookies = append(cookies, name+"="+value)
	}
	s.header = append(s.header, "Authorization", "", "Cookie", strings.Join(cookies, "; "))
	a := v.c.send(s)
	v.keep(a)
	return a
}

func (v *visitor) keep(a answer) {
	for _, k := range (&http.Response{Header: a.header}).Cookies() {
		if k.MaxAge < 0 || k.Value == "" {
			delete(v.jar, k.Name)
			continue
		}
		v.jar[k.Name] = k.Value
	}
}

func credentials(name, password string) string {
	return fmt.Sprintf(`{"name":%q,"password":%q}`, name, password)
}

func passwords(current, next string) string {
	return fmt.Sprintf(`{"current_password":%q,"new_password":%q}`, current, next)
}

// firstPassword 是头一次启动写下的一次性口令。
func (r *rig) firstPassword() string {
	r.t.Helper()
	raw, err := os.ReadFile(filepath.Join(r.ControlplaneDir(), "admin-password"))
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}

// textOf 是应答里的一栏文字。
func (a answer) textOf(field string) string {
	var d doc
	_ = json.Unmarshal([]byte(a.body), &d)
	s, _ := d[field].(string)
	return s
}

// adminIdentity 走完登录、会话、操作员、令牌、审计与 OIDC。
func adminIdentity(c *contract, r *rig, i *issuer) {
	c.send(sent{method: "GET", path: "/auth/methods", want: 200})
	c.send(sent{method: "GET", path: "/session", want: 200})
	v := c.visitor()
	v.send(sent{method: "GET", path: "/session", want: 401})
	v.send(sent{method: "POST", path: "/session", body: credentials("admin", "wrong"), want: 401})
	v.send(sent{method: "POST", path: "/session", body: `{"nane":"admin"}`, invalid: true, want: 400})
	first := r.firstPassword()
	v.send(sent{method: "POST", path: "/session", body: credentials("admin", first), want: 201})
	v.send(sent{method: "GET", path: "/operators", want: 403})
	v.send(sent{method: "PUT", path: "/session/password", body: passwords(first, "short"), invalid: true, want: 400})
	v.send(sent{method: "PUT", path: "/session/password", body: passwords(first, ownPassword), want: 200})
	v.send(sent{method: "GET", path: "/session", want: 200})
	identitySessions(c, v)
	identityOperators(c, v)
	identityTokens(c, v)
	identityAudit(v)
	identityOIDC(c, i)
	v.send(sent{method: "DELETE", path: "/session", want: 204})
	c.send(sent{method: "DELETE", path: "/session", want: 409})
	c.send(sent{method: "PUT", path: "/session/password", body: passwords("x", ownPassword), want: 409})
}

func identitySessions(c *contract, v *visitor) {
	other := c.visitor()
	id := other.send(sent{method: "POST", path: "/session", body: credentials("admin", ownPassword), want: 201}).textOf("session_id")
	v.send(sent{method: "GET", path: "/sessions", want: 200})
	v.send(sent{method: "GET", path: "/sessions?all=true", want: 200})
	v.send(sent{method: "GET", path: "/sessions?everyone=true", invalid: true, want: 400})
	v.send(sent{method: "DELETE", path: "/sessions/" + id, want: 204})
	v.send(sent{method: "DELETE", path: "/sessions/" + id, want: 404})
	other.send(sent{method: "GET", path: "/session", want: 401})
	other.send(sent{method: "POST", path: "/session", body: credentials("admin", ownPassword), want: 201})
	v.send(sent{method: "DELETE", path: "/sessions", want: 204})
	other.send(sent{method: "GET", path: "/session", want: 401})
	v.send(sent{method: "GET", path: "/session", want: 200})
}

func identityOperators(c *contract, v *visitor) {
	v.send(sent{method: "POST", path: "/operators", body: `{"name":"olga","role":"operator"}`, want: 201})
	v.send(sent{method: "POST", path: "/operators", body: `{"name":"olga","role":"viewer"}`, want: 409})
	v.send(sent{method: "POST", path: "/operators", body: `{"name":"x","role":"king"}`, invalid: true, want: 400})
	v.send(sent{method: "GET", path: "/operators", want: 200})
	got := v.send(sent{method: "GET", path: "/operators/olga", want: 200})
	v.send(sent{method: "GET", path: "/operators/nobody", want: 404})
	etag := got.header.Get("ETag")
	v.send(sent{method: "PUT", path: "/operators/olga", body: `{"role":"viewer","enabled":true}`, header: []string{"If-Match", etag}, want: 200})
	v.send(sent{method: "PUT", path: "/operators/olga", body: `{"role":"viewer","enabled":true}`, header: []string{"If-Match", etag}, want: 412})
	v.send(sent{method: "PUT", path: "/operators/olga", body: `{"role":"king","enabled":true}`, invalid: true, want: 400})
	v.send(sent{method: "PUT", path: "/operators/nobody", body: `{"role":"viewer","enabled":true}`, want: 404})
	v.send(sent{method: "PUT", path: "/operators/admin", body: `{"role":"viewer","enabled":true}`, want: 409})
	once := v.send(sent{method: "POST", path: "/operators/olga/reset-password", want: 200}).textOf("one_time_password")
	v.send(sent{method: "POST", path: "/operators/nobody/reset-password", want: 404})
	olga := c.visitor()
	olga.send(sent{method: "POST", path: "/session", body: credentials("olga", once), want: 201})
	olga.send(sent{method: "PUT", path: "/session/password", body: passwords(once, ownPassword), want: 200})
	for _, path := range []string{"/operators", "/audit"} {
		olga.send(sent{method: "GET", path: path, want: 403})
	}
	olga.send(sent{method: "DELETE", path: "/operators/olga", want: 403})
	v.send(sent{method: "DELETE", path: "/operators/olga", header: []string{"If-Match", `"999999"`}, want: 412})
	v.send(sent{method: "DELETE", path: "/operators/admin", want: 409})
	v.send(sent{method: "DELETE", path: "/operators/olga", want: 204})
	v.send(sent{method: "DELETE", path: "/operators/olga", want: 404})
	olga.send(sent{method: "GET", path: "/session", want: 401})
}

func identityTokens(c *contract, v *visitor) {
	made := v.send(sent{method: "POST", path: "/tokens", body: `{"name":"ci","role":"operator","scopes":["config:read"],"expires_at":"2099-01-01T00:00:00Z"}`, want: 201})
	v.send(sent{method: "POST", path: "/tokens", body: `{"name":"ci","role":"viewer"}`, want: 409})
	v.send(sent{method: "POST", path: "/tokens", body: `{"name":"x","role":"viewer","scopes":["everything"]}`, invalid: true, want: 400})
	v.send(sent{method: "GET", path: "/tokens", want: 200})
	v.send(sent{method: "GET", path: "/tokens?all=true", want: 200})
	bearer := []string{"Authorization", "Bearer " + made.textOf("secret")}
	c.send(sent{method: "GET", path: "/config", header: bearer, want: 200})
	c.send(sent{method: "GET", path: "/usage", header: bearer, want: 403})
	c.send(sent{method: "PUT", path: "/config", body: `{}`, header: bearer, want: 403})
	v.send(sent{method: "DELETE", path: "/tokens/" + made.textOf("id"), want: 204})
	v.send(sent{method: "DELETE", path: "/tokens/" + made.textOf("id"), want: 404})
	c.send(sent{method: "GET", path: "/config", header: bearer, want: 401})
}

func identityAudit(v *visitor) {
	all := v.send(sent{method: "GET", path: "/audit", want: 200})
	for _, action := range []string{"session.open", "operator.create", "operator.reset_password", "token.create", "token.revoke"} {
		if !strings.Contains(all.body, `"action":"`+action+`"`) {
			v.c.t.Errorf("the audit lacks %s", action)
		}
	}
	if strings.Contains(all.body, ownPassword) {
		v.c.t.Error("the audit shows a password")
	}
	page := v.send(sent{method: "GET", path: "/audit?limit=1&actor=admin&action=token.revoke", want: 200})
	if !strings.Contains(page.body, `"token ci"`) {
		v.c.t.Errorf("%s", page.body)
	}
	if cursor := v.send(sent{method: "GET", path: "/audit?limit=1", want: 200}).textOf("next_cursor"); cursor != "" {
		v.send(sent{method: "GET", path: "/audit?limit=1&cursor=" + url.QueryEscape(cursor), want: 200})
	} else {
		v.c.t.Error("one entry of many is the last page")
	}
	v.send(sent{method: "GET", path: "/audit?limit=0", invalid: true, want: 400})
}

// sso 走到提供方，以 name、group 回来；返回最后去的页面。
func (v *visitor) sso(i *issuer, name, group string) string {
	v.c.t.Helper()
	away := v.send(sent{method: "GET", path: "/auth/oidc/login?return_to=" + url.QueryEscape("/apps"), want: 303})
	to, err := url.Parse(away.header.Get("Location"))
	if err != nil || !strings.HasPrefix(to.String(), i.url+"/authorize?") {
		v.c.t.Fatalf("sent to %q: %v", away.header.Get("Location"), err)
	}
	return v.send(sent{method: "GET", path: "/auth/oidc/callback?" + i.allow(to.Query(), name, group).Encode(), want: 303}).header.Get("Location")
}

func identityOIDC(c *contract, i *issuer) {
	v := c.visitor()
	if page := v.sso(i, "sso@example.com", "vega-admins"); page != "/apps" {
		c.t.Errorf("after the provider: %s", page)
	}
	if me := v.send(sent{method: "GET", path: "/session", want: 200}); me.textOf("role") != "admin" || me.textOf("method") != "oidc" {
		c.t.Errorf("%s", me.body)
	}
	if page := c.visitor().sso(i, "stranger@example.com", "outsiders"); page != "/login?error=oidc_no_role&next=%2Fapps" {
		c.t.Errorf("a stranger ends at %s", page)
	}
	if a := v.send(sent{method: "GET", path: "/auth/oidc/callback?state=forged&code=forged", want: 303}); !strings.HasPrefix(a.header.Get("Location"), "/login?error=") {
		c.t.Errorf("a forged answer ends at %s", a.header.Get("Location"))
	}
}
