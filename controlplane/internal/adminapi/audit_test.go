package adminapi_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

type auditRow struct {
	ID        int64
	At        time.Time
	Actor     string
	ActorKind string `json:"actor_kind"`
	Address   string
	RequestID string `json:"request_id"`
	Action    string
	Object    string
	Note      string
	Revision  uint64
	Changes   []struct {
		Kind, Name, Action string
		Fields             []struct {
			Path     string
			From, To any
		}
	}
}

func (b *bench) audit(query string) (rows []auditRow) {
	b.t.Helper()
	var page struct {
		Items      []auditRow
		NextCursor *string `json:"next_cursor"`
	}
	b.call("GET", "/audit"+query, "").want(200).into(&page)
	return page.Items
}

// 令牌结束它主人的会话：记的是主人的名字，不是令牌的。
func TestAudit_ATokenThatEndsSessionsNamesTheirOwner(t *testing.T) {
	b := onPostgres(t, openPostgres(t), behindProxy(t))
	w := b.signedIn("alice", "operator", from("203.0.113.5")...)
	var made struct{ Secret string }
	w.do("POST", "/tokens", `{"name":"ci","role":"operator"}`).want(201).into(&made)
	b.browser("Authorization", "Bearer "+made.Secret).do("DELETE", "/sessions", "").want(204)
	w.do("GET", "/session", "").want(401)
	row := b.audit("?action=session.end")[0]
	if row.Actor != "token:ci" || row.Object != "operator alice" || len(row.Changes) != 1 || row.Changes[0].Name != "alice" {
		t.Errorf("%+v", row)
	}
}

func TestAudit_EveryWriteSaysWhoWhereWhatAndTheDiff(t *testing.T) {
	b := onPostgres(t, openPostgres(t), behindProxy(t))
	w := b.signedIn("alice", "admin", from("203.0.113.5")...)
	id := func(r answer) string {
		var row struct{ ID string }
		r.into(&row)
		return row.ID
	}
	tokenID := ""
	for _, c := range []struct {
		method, path, body, action, object string
		status                             int
	}{
		{"PUT", "/config?note=why", document, "config.apply", "config", 200},
		{"POST", "/servers", `{"name":"gpu-2","base_url":"http://x/v1","api_key":"sk-planted-in-a-server"}`, "server.create", "server gpu-2", 201},
		{"PUT", "/servers/gpu-2", `{"name":"gpu-2","base_url":"http://127.0.0.1:1/v1","limits":{"max_concurrency":9}}`, "server.update", "server gpu-2", 200},
		{"POST", "/servers/gpu-2/test", "", "server.test", "server gpu-2", 200},
		{"DELETE", "/servers/gpu-2", "", "server.delete", "server gpu-2", 204},
		{"POST", "/models", `{"name":"m/1","targets":[{"server":"gpu-1","upstream_model":"x"}]}`, "model.create", "model m/1", 201},
		{"PUT", "/models/m%2F1", `{"name":"m/1","targets":[{"server":"gpu-1","upstream_model":"y"}]}`, "model.update", "model m/1", 200},
		{"DELETE", "/models/m%2F1", "", "model.delete", "model m/1", 204},
		{"POST", "/apps", `{"name":"team-b"}`, "app.create", "app team-b", 201},
		{"PUT", "/apps/team-b", `{"name":"team-b","weight":3}`, "app.update", "app team-b", 200},
		{"POST", "/apps/team-b/keys", `{"name":"k","secret":"planted-secret-9876543210-9876543210"}`, "key.create", "key team-b/k", 201},
		{"PUT", "/apps/team-b/keys/k", `{"expires_at":"2099-01-01T00:00:00Z"}`, "key.update", "key team-b/k", 200},
		{"POST", "/apps/team-b/keys/k/rotate", `{"name":"k2","secret":"planted-secret-9876543210-rotated-to"}`, "key.rotate", "key team-b/k", 201},
		{"DELETE", "/apps/team-b/keys/k", "", "key.revoke", "key team-b/k", 204},
		{"DELETE", "/apps/team-b", "", "app.delete", "app team-b", 204},
		{"POST", "/revisions/2/rollback?note=back", "", "config.rollback", "rollback to 2", 200},
		{"POST", "/operators", `{"name":"bob","role":"viewer"}`, "operator.create", "operator bob", 201},
		{"PUT", "/operators/bob", `{"role":"operator","enabled":true}`, "operator.update", "operator bob", 200},
		{"POST", "/operators/bob/reset-password", "", "operator.reset_password", "operator bob", 200},
		{"DELETE", "/operators/bob", "", "operator.delete", "operator bob", 204},
		{"POST", "/tokens", `{"name":"ci","role":"viewer","scopes":["usage:read"]}`, "token.create", "token ci", 201},
		{"DELETE", "/tokens/{token}", "", "token.revoke", "token ci", 204},
		{"PUT", "/session/password", `{"current_password":"` + newPassword + `","new_password":"planted-yet-another-password"}`, "operator.password", "operator alice", 200},
		{"DELETE", "/session", "", "session.close", "operator alice", 204},
	} {
		before := b.audit("?limit=1")[0].ID
		r := w.do(c.method, strings.ReplaceAll(c.path, "{token}", tokenID), c.body).want(c.status)
		if c.action == "token.create" {
			tokenID = id(r)
		}
		var fresh []auditRow
		for _, row := range b.audit("") {
			if row.ID > before && !(c.action == "operator.password" && row.Action == "session.open") {
				fresh = append(fresh, row)
			}
		}
		if len(fresh) != 1 {
			t.Errorf("%s %s wrote %d entries: %+v", c.method, c.path, len(fresh), fresh)
			continue
		}
		e := fresh[0]
		if e.Actor != "alice" || e.ActorKind != "operator" || e.Address != "203.0.113.5" || e.RequestID != r.Header.Get("x-request-id") ||
			e.Action != c.action || e.Object != c.object || time.Since(e.At) > time.Minute {
			t.Errorf("%s %s: %+v", c.method, c.path, e)
		}
		if len(e.Changes) == 0 && c.action != "server.test" {
			t.Errorf("%s %s: no diff", c.method, c.path)
		}
	}
	updated := b.audit("?action=server.update")
	if len(updated) != 1 || updated[0].Revision != 3 || !strings.Contains(fmt.Sprint(updated[0].Changes), "{limits.max_concurrency 0 9}") {
		t.Errorf("the diff is not readable: %+v", updated)
	}
	if applied := b.audit("?action=config.apply"); applied[0].Note != "why" {
		t.Errorf("got %+v", applied)
	}
	for _, row := range b.audit("?limit=200") {
		b.mustNotLeak("audit", fmt.Sprintf("%+v", row))
	}
	var revisions struct{ Items []struct{ Actor string } }
	b.call("GET", "/revisions", "").want(200).into(&revisions)
	if len(revisions.Items) == 0 || revisions.Items[0].Actor != "alice" {
		t.Errorf("revisions: %+v", revisions)
	}
}

func TestAudit_WhatChangesNothingOrIsRefusedLeavesNoEntry(t *testing.T) {
	b := onPostgres(t, openPostgres(t))
	b.call("PUT", "/config", document).want(200)
	w := b.signedIn("alice", "viewer")
	before := len(b.audit("?limit=200"))
	for _, c := range [][3]string{{"PUT", "/config", document}, {"PUT", "/config?dry_run=true", `{"servers":[{"name":"other","base_url":"http://x/v1"}]}`}, {"DELETE", "/servers/none", ""}} {
		b.call(c[0], c[1], c[2])
	}
	w.do("DELETE", "/servers/gpu-1", "").want(403)
	b.browser().do("DELETE", "/servers/gpu-1", "").want(401)
	if after := len(b.audit("?limit=200")); after != before {
		t.Errorf("%d entries became %d", before, after)
	}
}

func TestAudit_RecordsSignInsAndWhatWasRefused(t *testing.T) {
	b := onPostgres(t, openPostgres(t), behindProxy(t))
	w := b.signedIn("alice", "viewer", from("203.0.113.5")...)
	w.do("DELETE", "/session", "").want(204)
	w.login("alice", "planted-wrong").want(401)
	w.login("planted-typed-in-the-wrong-box", "x").want(401)
	w.login("alice", newPassword).want(201)
	var got []string
	for _, row := range b.audit("?action=session") {
		if row.Address != "203.0.113.5" || row.RequestID == "" {
			t.Errorf("got %+v", row)
		}
		got = append(got, row.Actor+" "+row.Action+" "+row.Object)
	}
	want := []string{"alice session.open operator alice", "anonymous session.refuse operator [unknown]", "anonymous session.refuse operator alice",
		"alice session.close operator alice", "alice session.open operator alice", "alice session.open operator alice"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAudit_PagesByCursorAndFiltersByQuery(t *testing.T) {
	b := onPostgres(t, openPostgres(t))
	for n := range 7 {
		b.hire(fmt.Sprint("user", n), "viewer")
	}
	seen := map[string]bool{}
	pages := 0
	for cursor := ""; ; pages++ {
		var page struct {
			Items      []auditRow
			NextCursor *string `json:"next_cursor"`
		}
		b.call("GET", "/audit?limit=3&cursor="+cursor, "").want(200).into(&page)
		for _, e := range page.Items {
			seen[e.Object] = true
		}
		if page.NextCursor == nil {
			break
		}
		cursor = *page.NextCursor
	}
	if len(seen) != 7 || pages != 2 {
		t.Errorf("%d objects in %d full pages", len(seen), pages)
	}
	now := url.QueryEscape(time.Now().Add(time.Minute).Format(time.RFC3339))
	for query, want := range map[string]int{"?actor=bootstrap": 7, "?actor=alice": 0, "?object=" + url.QueryEscape("operator user3"): 1, "?to=" + now: 7, "?from=" + now: 0, "?action=operator": 7} {
		if rows := b.audit(query); len(rows) != want {
			t.Errorf("%s: %d entries, want %d", query, len(rows), want)
		}
	}
	for _, query := range []string{"?limit=0", "?limit=201", "?cursor=x", "?cursor=-1", "?page=2", "?from=yesterday"} {
		b.bad("GET", "/audit"+query, "").want(400)
	}
}
