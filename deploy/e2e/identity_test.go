package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/deploy/stack"
	"github.com/vega-gateway/vega/proto/openapi"
)

// house 是两个控制面副本与各自的一把尺子。
type house struct {
	*rig
	pg   *stack.Postgres
	here *contract // 第一个副本
	also *contract // 另一个副本
}

func newHouse(t *testing.T) *house {
	t.Helper()
	pg, opt := scratchDatabase(t)
	opt.Replicas = 1
	r := start(t, opt)
	return &house{rig: r, pg: pg, here: newContract(t, openapi.Admin(), r.Admin.URL+"/api/v1", r.Admin.Token),
		also: newContract(t, openapi.Admin(), r.ReplicaAdmin(0).URL+"/api/v1", r.Admin.Token)}
}

// at 是同一个浏览器对另一个副本说话。
func (v *visitor) at(c *contract) *visitor { return &visitor{c: c, jar: v.jar} }

func (v *visitor) login(name, password string, want int) answer {
	v.c.t.Helper()
	return v.send(sent{method: "POST", path: "/session", body: credentials(name, password), want: want})
}

func (v *visitor) get(path string, want int) answer {
	v.c.t.Helper()
	return v.send(sent{method: "GET", path: path, want: want})
}

// admin 是换过一次性口令、登录了的 admin。
func (h *house) admin() *visitor {
	h.t.Helper()
	v, first := h.here.visitor(), h.firstPassword()
	v.login("admin", first, 201)
	v.send(sent{method: "PUT", path: "/session/password", body: passwords(first, ownPassword), want: 200})
	return v
}

// hire 建立一个操作员，并让他换过口令、登录。
func (h *house) hire(by *visitor, name, role string) *visitor {
	h.t.Helper()
	once := by.send(sent{method: "POST", path: "/operators", body: fmt.Sprintf(`{"name":%q,"role":%q}`, name, role), want: 201}).textOf("one_time_password")
	v := h.here.visitor()
	v.login(name, once, 201)
	v.send(sent{method: "PUT", path: "/session/password", body: passwords(once, ownPassword), want: 200})
	return v
}

func TestIdentity_TheFirstStartPrintsAPasswordThatOpensOnlyItsOwnChange(t *testing.T) {
	h := newHouse(t)
	file := filepath.Join(h.ControlplaneDir(), "admin-password")
	first := h.firstPassword()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	printed, err := os.ReadFile(h.Controlplane.Log)
	if err != nil || strings.Count(string(printed), first) != 1 || !strings.Contains(string(printed), "sign in to the console as admin with the one-time password "+first) {
		t.Errorf("%v: the first start printed\n%.2000s", err, printed)
	}
	if other, _ := os.ReadFile(h.Replicas[0].Log); strings.Contains(string(other), "one-time password") {
		t.Error("the second replica made a password of its own")
	}
	v := h.here.visitor()
	if a := v.login("admin", first, 201); !strings.Contains(a.body, `"must_change_password":true`) || v.jar["vega_session"] == "" {
		t.Fatalf("%s %v", a.body, v.jar)
	}
	for _, path := range []string{"/config", "/servers", "/operators", "/sessions"} {
		if a := v.get(path, 403); a.textOf("reason") != "password_change_required" {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	before := v.jar["vega_session"]
	v.send(sent{method: "PUT", path: "/session/password", body: passwords(first, ownPassword), want: 200})
	stale := &visitor{c: h.here, jar: map[string]string{"vega_session": before}}
	stale.get("/session", 401)
	v.get("/config", 200)
	h.here.visitor().login("admin", first, 401)
	if err := h.Controlplane.Stop(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := h.Controlplane.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the useless password is still in its file: %v", err)
	}
	v.get("/session", 200)
}

func TestIdentity_ASessionHoldsAtEveryReplicaAndSoDoesItsEnd(t *testing.T) {
	h := newHouse(t)
	v := h.admin()
	there := v.at(h.also)
	there.get("/config", 200)
	second := h.also.visitor()
	second.login("admin", ownPassword, 201)
	var rows []struct {
		ID      string
		Current bool
	}
	if err := json.Unmarshal([]byte(v.get("/sessions", 200).body), &rows); err != nil || len(rows) != 2 {
		t.Fatalf("%v %+v", err, rows)
	}
	for _, s := range rows {
		if !s.Current {
			there.send(sent{method: "DELETE", path: "/sessions/" + s.ID, want: 204})
		}
	}
	second.get("/session", 401)
	second.at(h.here).get("/session", 401)
	v.get("/session", 200)
	for what, sql := range map[string]string{
		"absolute": "UPDATE operator_sessions SET expires_at = now() - interval '1 second'",
		"idle":     "UPDATE operator_sessions SET last_seen_at = now() - interval '1 hour'",
	} {
		v.login("admin", ownPassword, 201)
		there.get("/session", 200)
		if _, err := h.pg.Query(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		for _, c := range []*contract{h.here, h.also} {
			if a := v.at(c).get("/session", 401); a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %v", what, a.header)
			}
		}
	}
	v.login("admin", ownPassword, 201)
	there.send(sent{method: "DELETE", path: "/session", want: 204})
	v.get("/session", 401)
}

func TestIdentity_RolesTokensAndOtherSitesAreHeldInTheAPI(t *testing.T) {
	h := newHouse(t)
	admin := h.admin()
	viewer, operator := h.hire(admin, "vera", "viewer"), h.hire(admin, "otto", "operator")
	body := validServer("made-by-hand")
	for _, c := range []struct {
		method, path, body      string
		viewer, operator, admin int
	}{
		{"GET", "/servers", "", 200, 200, 200},
		{"GET", "/usage", "", 200, 200, 200},
		{"POST", "/servers", body, 403, 201, 409},
		{"POST", "/apps/team-a/keys/default/rotate", `{"name":"default-2"}`, 403, 201, 409},
		{"PUT", "/apps/team-a/keys/default", `{"expires_at":null}`, 403, 200, 200},
		{"GET", "/operators", "", 403, 403, 200},
		{"GET", "/audit", "", 403, 403, 200},
		{"PUT", "/settings", `{}`, 403, 403, 200},
		{"DELETE", "/servers/made-by-hand", "", 403, 204, 404},
	} {
		viewer.send(sent{method: c.method, path: c.path, body: c.body, want: c.viewer})
		operator.at(h.also).send(sent{method: c.method, path: c.path, body: c.body, want: c.operator})
		admin.send(sent{method: c.method, path: c.path, body: c.body, want: c.admin})
	}
	h.crossSite(admin, body)
	h.scopedToken(admin)
	h.audited(admin)
}

// crossSite 要求别的网站借着 cookie 写不成，自己的页面与令牌写得成。
func (h *house) crossSite(admin *visitor, body string) {
	h.t.Helper()
	for _, foreign := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
		a := admin.send(sent{method: "POST", path: "/servers", body: body, header: foreign, want: 403})
		if a.textOf("reason") != "cross_origin" {
			h.t.Errorf("%v: %s", foreign, a.body)
		}
		h.here.send(sent{method: "GET", path: "/servers/made-by-hand", want: 404})
	}
	admin.send(sent{method: "POST", path: "/servers", body: body, header: []string{"Origin", h.Admin.URL, "Sec-Fetch-Site", "same-origin"}, want: 201})
	h.here.send(sent{method: "DELETE", path: "/servers/made-by-hand", header: []string{"Origin", "https://evil.example"}, want: 204})
}

// scopedToken 要求一个收窄了的令牌只开它写明的门，在每个副本上，吊销当即生效。
func (h *house) scopedToken(admin *visitor) {
	h.t.Helper()
	made := admin.send(sent{method: "POST", path: "/tokens", body: `{"name":"meter","role":"admin","scopes":["usage:read"]}`, want: 201})
	bearer := []string{"Authorization", "Bearer " + made.textOf("secret")}
	for _, c := range []*contract{h.here, h.also} {
		c.send(sent{method: "GET", path: "/usage", header: bearer, want: 200})
		c.send(sent{method: "GET", path: "/config", header: bearer, want: 403})
		c.send(sent{method: "DELETE", path: "/servers/up", header: bearer, want: 403})
	}
	admin.send(sent{method: "DELETE", path: "/tokens/" + made.textOf("id"), want: 204})
	h.also.send(sent{method: "GET", path: "/usage", header: bearer, want: 401})
}

// audited 要求上面的改动各有一条，说得出是谁。
func (h *house) audited(admin *visitor) {
	h.t.Helper()
	var page struct {
		Items []struct {
			Actor, Action, Object string
			Revision              *uint64
		}
	}
	text := admin.get("/audit?limit=100", 200).body
	if err := json.Unmarshal([]byte(text), &page); err != nil {
		h.t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range page.Items {
		seen[e.Actor+" "+e.Action+" "+e.Object] = true
	}
	for _, want := range []string{
		"otto server.create server made-by-hand", "otto key.rotate key team-a/default", "otto server.delete server made-by-hand",
		"otto key.update key team-a/default", "admin operator.create operator vera", "vera session.open operator vera", "admin token.create token meter",
	} {
		if !seen[want] {
			h.t.Errorf("nobody wrote down: %s", want)
		}
	}
	if seen["vera server.create server made-by-hand"] || strings.Contains(text, ownPassword) || strings.Contains(text, "sk-hidden-credential") {
		h.t.Errorf("the audit says too much: %s", text)
	}
}

func TestIdentity_AForgottenPasswordIsResetFromTheCommandLine(t *testing.T) {
	h := newHouse(t)
	v := h.admin()
	out, err := h.cli("user", "reset-password", "admin")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	once := lines[len(lines)-1]
	for _, c := range []*contract{h.here, h.also} {
		v.at(c).get("/session", http.StatusUnauthorized)
	}
	v.login("admin", ownPassword, 401)
	if a := v.login("admin", once, 201); !strings.Contains(a.body, `"must_change_password":true`) {
		t.Errorf("%s", a.body)
	}
	v.send(sent{method: "PUT", path: "/session/password", body: passwords(once, ownPassword+"-2"), want: 200})
	v.at(h.also).get("/config", 200)
	if out, err := h.cli("user", "reset-password", "nobody"); err == nil {
		t.Errorf("a password for nobody: %s", out)
	}
}
