package adminapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/identity"
)

type operatorRow struct {
	Name, Role, Source string
	Enabled            bool
	Version            uint64
	MustChangePassword bool       `json:"must_change_password"`
	LastLoginAt        *time.Time `json:"last_login_at"`
	OneTimePassword    string     `json:"one_time_password"`
}

func TestOperators_AreMadeChangedAndDeleted(t *testing.T) {
	b := onPostgres(t, openPostgres(t))
	var row operatorRow
	r := b.call("POST", "/operators", `{"name":"alice@example.com","role":"operator"}`).want(201)
	r.into(&row)
	if row.Role != "operator" || !row.Enabled || row.Source != "local" || !row.MustChangePassword || row.OneTimePassword == "" || row.LastLoginAt != nil ||
		r.Header.Get("Location") != "/api/v1/operators/alice@example.com" || r.Header.Get("ETag") != `"1"` {
		t.Fatalf("%+v %v", row, r.Header)
	}
	b.call("POST", "/operators", `{"name":"alice@example.com","role":"admin"}`).want(409)
	for body, path := range map[string]string{`{"name":"Bad Name","role":"viewer"}`: "name", `{"name":"bootstrap","role":"viewer"}`: "name", `{"name":"x"}`: "role",
		`{"name":"x","role":"root"}`: "role", `{"name":"x","role":"viewer","password":"y"}`: "password"} {
		if p := b.bad("POST", "/operators", body).want(400).problem(); len(p.Errors) != 1 || p.Errors[0].Path != path {
			t.Errorf("%s: %+v", body, p)
		}
	}
	b.call("PUT", "/operators/alice@example.com", `{"role":"viewer","enabled":true}`, "If-Match", `"7"`).want(412)
	r = b.call("PUT", "/operators/alice@example.com", `{"role":"viewer","enabled":false}`, "If-Match", `"1"`).want(200)
	r.into(&row)
	if row.Role != "viewer" || row.Enabled || r.Header.Get("ETag") != `"2"` {
		t.Errorf("%+v %v", row, r.Header)
	}
	if same := b.call("PUT", "/operators/alice@example.com", `{"role":"viewer","enabled":false}`).want(200); same.Header.Get("ETag") != `"2"` {
		t.Errorf("a no-op made a version: %v", same.Header)
	}
	b.bad("PUT", "/operators/alice@example.com", `{"role":"viewer"}`).want(400)
	b.call("GET", "/operators/alice@example.com", "").want(200)
	b.call("DELETE", "/operators/alice@example.com", "", "If-Match", `"1"`).want(412)
	b.call("DELETE", "/operators/alice@example.com", "").want(204)
	for _, c := range [][3]string{{"GET", "", ""}, {"PUT", "", `{"role":"viewer","enabled":true}`}, {"DELETE", "", ""}, {"POST", "/reset-password", ""}} {
		b.call(c[0], "/operators/alice@example.com"+c[1], c[2]).want(404)
	}
}

func TestOperators_TheLastEnabledAdminStays(t *testing.T) {
	b := onPostgres(t, openPostgres(t))
	b.hire("root", "admin")
	b.hire("second", "admin")
	b.call("PUT", "/operators/second", `{"role":"admin","enabled":false}`).want(200)
	for _, c := range [][3]string{{"PUT", "/operators/root", `{"role":"operator","enabled":true}`}, {"PUT", "/operators/root", `{"role":"admin","enabled":false}`}, {"DELETE", "/operators/root", ""}} {
		if r := b.call(c[0], c[1], c[2]).want(409); r.reason() != "last_admin" {
			t.Errorf("%v: %s", c, r.body)
		}
	}
	b.call("PUT", "/operators/second", `{"role":"admin","enabled":true}`).want(200)
	b.call("DELETE", "/operators/root", "").want(204)
	b.call("DELETE", "/operators/second", "").want(409)
}

func TestOperators_AResetEndsTheSessionsAndTheOldPassword(t *testing.T) {
	b := onPostgres(t, openPostgres(t))
	w := b.signedIn("alice", "viewer")
	var row operatorRow
	b.call("POST", "/operators/alice/reset-password", "").want(200).into(&row)
	w.do("GET", "/session", "").want(401)
	w.login("alice", newPassword).want(401)
	w.login("alice", row.OneTimePassword).want(201)
	if !w.me().MustChangePassword {
		t.Error("the one-time password may stay")
	}
	external := identity.Person{Issuer: "i", Subject: "s", Name: "external", Role: identity.Viewer}
	if _, err := b.people().LoginPerson(t.Context(), external, identity.Client{}); err != nil {
		t.Fatal(err)
	}
	b.call("POST", "/operators/external/reset-password", "").want(409)
	b.call("PUT", "/operators/external", `{"role":"admin","enabled":true}`).want(409)
	b.call("PUT", "/operators/external", `{"role":"viewer","enabled":false}`).want(200)
}

type tokenRow struct {
	ID, Name, Hint, Role, Owner, Secret string
	Scopes                              []string
	CreatedBy                           string     `json:"created_by"`
	ExpiresAt                           *time.Time `json:"expires_at"`
	LastUsedAt                          *time.Time `json:"last_used_at"`
	LastUsedAddress                     string     `json:"last_used_address"`
}

// mint 造一个不属于谁的令牌。
func (b *bench) mint(name, role, scopes string) (row tokenRow) {
	b.t.Helper()
	b.call("POST", "/tokens", fmt.Sprintf(`{"name":%q,"role":%q,"scopes":%s}`, name, role, scopes)).want(201).into(&row)
	if len(row.Secret) != 46 || !strings.HasPrefix(row.Secret, "vt-") || !strings.HasSuffix(row.Secret, row.Hint) {
		b.t.Fatalf("got %+v", row)
	}
	return row
}

func (w *browser) tokens(query string) (rows []tokenRow) {
	w.b.t.Helper()
	w.do("GET", "/tokens"+query, "").want(200).into(&rows)
	return rows
}

// with 以令牌 secret 问。
func (b *bench) with(secret, method, path, body string) answer {
	b.t.Helper()
	return b.bad(method, path, body, "Authorization", "Bearer "+secret)
}

func TestTokens_AreShownOnceUsedAndRevokedAtOnce(t *testing.T) {
	s := openPostgres(t)
	b, other := onPostgres(t, s, behindProxy(t)), onPostgres(t, s)
	alice, bob := b.signedIn("alice", "operator"), b.signedIn("bob", "viewer")
	var made tokenRow
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	alice.do("POST", "/tokens", fmt.Sprintf(`{"name":"ci","role":"operator","scopes":["config:write","config:write"],"expires_at":%q}`, expires.Format(time.RFC3339))).want(201).into(&made)
	if made.Owner != "alice" || made.CreatedBy != "alice" || len(made.Scopes) != 1 || made.ExpiresAt == nil || !made.ExpiresAt.Equal(expires) || made.LastUsedAt != nil {
		t.Fatalf("got %+v", made)
	}
	alice.do("POST", "/tokens", `{"name":"ci","role":"viewer"}`).want(409)
	b.bad("GET", "/session", "", "Authorization", "Bearer "+made.Secret, "X-Forwarded-For", "203.0.113.9").want(200)
	rows := alice.tokens("")
	if len(rows) != 1 || rows[0].Secret != "" || rows[0].LastUsedAt == nil || rows[0].LastUsedAddress != "203.0.113.9" {
		t.Fatalf("got %+v", rows)
	}
	if rows := bob.tokens(""); len(rows) != 0 {
		t.Fatalf("bob sees %+v", rows)
	}
	bob.do("GET", "/tokens?all=true", "").want(403)
	bob.do("DELETE", "/tokens/"+made.ID, "").want(404)
	var m me
	other.with(made.Secret, "GET", "/session", "").want(200).into(&m)
	if m.Kind != "token" || m.Name != "token:ci" || m.Role != "operator" || fmt.Sprint(m.Scopes) != "[config:write]" {
		t.Fatalf("got %+v", m)
	}
	// 主人停用它就不认，降级它也跟着降。
	b.call("PUT", "/operators/alice", `{"role":"viewer","enabled":true}`).want(200)
	other.with(made.Secret, "DELETE", "/servers/x", "").want(403)
	b.call("PUT", "/operators/alice", `{"role":"operator","enabled":false}`).want(200)
	other.with(made.Secret, "GET", "/config", "").want(401)
	b.call("PUT", "/operators/alice", `{"role":"operator","enabled":true}`).want(200)
	other.with(made.Secret, "DELETE", "/servers/x", "").want(404)
	alice.login("alice", newPassword).want(201)
	alice.do("DELETE", "/tokens/"+made.ID, "").want(204)
	other.with(made.Secret, "GET", "/session", "").want(401)
	alice.do("DELETE", "/tokens/"+made.ID, "").want(404)
	alice.do("DELETE", "/tokens/x'--", "").want(404)
}

func TestTokens_CannotBeMoreThanTheirMaker(t *testing.T) {
	b := onPostgres(t, openPostgres(t))
	operator, admin := b.signedIn("alice", "operator"), b.signedIn("root", "admin")
	operator.do("POST", "/tokens", `{"name":"a","role":"admin"}`).want(403)
	operator.do("POST", "/tokens", `{"name":"a","role":"viewer","service":true}`).want(403)
	b.bad("POST", "/tokens", `{"name":"a","role":"viewer","scopes":["everything"]}`).want(400)
	b.bad("POST", "/tokens", `{"name":"a","role":"viewer","expires_at":"2020-01-01T00:00:00Z"}`).want(400)
	b.bad("POST", "/tokens", `{"name":"A B","role":"viewer"}`).want(400)
	var own, service tokenRow
	operator.do("POST", "/tokens", `{"name":"own","role":"operator"}`).want(201).into(&own)
	if r := b.with(own.Secret, "POST", "/tokens", `{"name":"child","role":"viewer"}`).want(403); r.reason() != "role_too_low" {
		t.Errorf("a token that is not an admin's made a token: %s", r.body)
	}
	narrow := b.mint("narrow", "admin", `["identity:write"]`)
	b.with(narrow.Secret, "POST", "/tokens", `{"name":"wide","role":"admin"}`).want(403)
	b.with(narrow.Secret, "POST", "/tokens", `{"name":"wide","role":"admin","scopes":["config:write"]}`).want(403)
	b.with(narrow.Secret, "POST", "/tokens", `{"name":"inside","role":"viewer","scopes":["identity:read"]}`).want(201)
	// 不属于谁的留得下来，属于谁的跟着走。
	admin.do("POST", "/tokens", `{"name":"service","role":"admin","service":true}`).want(201).into(&service)
	b.call("DELETE", "/operators/alice", "").want(204)
	b.with(own.Secret, "GET", "/session", "").want(401)
	b.hire("spare", "admin")
	b.call("DELETE", "/operators/root", "").want(204)
	b.with(service.Secret, "GET", "/operators", "").want(200)
	var all []tokenRow
	b.call("GET", "/tokens?all=true", "").want(200).into(&all)
	if len(all) != 3 {
		t.Errorf("got %+v", all)
	}
	for _, row := range all {
		if row.Owner != "" || row.Secret != "" {
			t.Errorf("got %+v", row)
		}
	}
}
