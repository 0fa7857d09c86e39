package adminapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
)

// operation 是契约里的一个操作与填好的路径。
type operation struct {
	method, path, template string
	tags                   []string
}

func (b *bench) operations() (list []operation) {
	fill := strings.NewReplacer("{name}", "none", "{key}", "none", "{id}", "00000000-0000-4000-8000-000000000000", "{revision}", "1")
	for template, item := range b.spec.Paths.Map() {
		for method, op := range item.Operations() {
			list = append(list, operation{method, fill.Replace(template), template, op.Tags})
		}
	}
	slices.SortFunc(list, func(a, b operation) int { return strings.Compare(a.method+a.path, b.method+b.path) })
	return list
}

// least 由标签与方法说至少要什么角色；与实现的那张表各写各的。空即不必登录。
func (o operation) least() string {
	switch {
	case strings.HasPrefix(o.path, "/auth/") || o.path == "/session" && o.method == "POST":
		return ""
	case slices.Contains(o.tags, "operators") || slices.Contains(o.tags, "audit") || o.template == "/settings" && o.method != "GET":
		return "admin"
	case o.reads() || slices.Contains(o.tags, "session") || slices.Contains(o.tags, "tokens"):
		return "viewer"
	}
	return "operator"
}

// reads 说它什么也不写；对账是带着账单来问。
func (o operation) reads() bool { return o.method == "GET" || slices.Contains(o.tags, "usage") }

func (o operation) body() string {
	if o.method == "POST" || o.method == "PUT" {
		return `{}`
	}
	return ""
}

func TestRoles_EveryOperationWithEveryRole(t *testing.T) {
	b := onPostgres(t, openPostgres(t))
	order := []string{"", "viewer", "operator", "admin"}
	people := map[string]*browser{"": b.browser()}
	for _, role := range order[1:] {
		people[role] = b.signedIn("a-"+role, role)
	}
	checked := 0
	for _, op := range b.operations() {
		for rank, role := range order {
			w := people[role]
			if role != "" && w.do("GET", "/session", "").StatusCode == 401 { // 上一个操作注销了它
				w.login("a-"+role, newPassword).want(201)
			}
			r := w.do(op.method, op.path, op.body())
			want := "let in"
			switch {
			case op.least() == "":
			case role == "":
				want = "unauthenticated"
			case rank < slices.Index(order, op.least()):
				want = "denied"
			}
			got := "let in"
			switch {
			case r.StatusCode == 401 && r.reason() != "invalid_login":
				got = "unauthenticated"
			case r.StatusCode == 403:
				got = "denied"
			case r.StatusCode == 500:
				t.Errorf("%s %s as %q: %s", op.method, op.path, role, r.body)
			}
			if got != want {
				t.Errorf("%s %s as %q: %s (%d %s), want %s", op.method, op.path, role, got, r.StatusCode, r.body, want)
			}
			checked++
		}
	}
	fmt.Printf("figures: role_matrix operations=%d checked=%d\n", checked/len(order), checked)
	if checked < 180 {
		t.Errorf("only %d combinations", checked)
	}
}

func TestRoles_AOneTimePasswordOpensOnlyThreeOperations(t *testing.T) {
	b := onPostgres(t, openPostgres(t))
	oneTime, w := b.hire("alice", "admin"), b.browser()
	fresh := map[string]bool{"GET /session": true, "DELETE /session": true, "PUT /session/password": true}
	for _, op := range b.operations() {
		if op.least() == "" {
			continue
		}
		if w.do("GET", "/session", "").StatusCode == 401 {
			w.login("alice", oneTime).want(201)
		}
		r := w.do(op.method, op.path, op.body())
		if open := r.StatusCode != 403; open != fresh[op.method+" "+op.path] || r.StatusCode == 401 {
			t.Errorf("%s %s: %d %s", op.method, op.path, r.StatusCode, r.body)
		}
	}
}

func TestRoles_ScopesNarrowATokenOperationByOperation(t *testing.T) {
	b := onPostgres(t, openPostgres(t))
	groups := map[string][]string{
		"config": {"config", "servers", "models", "apps", "revisions"}, "fleet": {"nodes", "queues", "live"}, "usage": {"usage", "requests", "budgets"},
		"identity": {"session", "tokens", "operators"}, "audit": {"audit"},
	}
	for _, scope := range []string{"config:read", "config:write", "fleet:read", "fleet:write", "usage:read", "identity:read", "identity:write", "audit:read"} {
		secret := b.mint("t-"+strings.ReplaceAll(scope, ":", "-"), "admin", `["`+scope+`"]`).Secret
		group, verb, _ := strings.Cut(scope, ":")
		for _, op := range b.operations() {
			if op.least() == "" || strings.HasPrefix(op.path, "/session") && !strings.HasPrefix(op.path, "/sessions") || op.template == "/settings" {
				continue
			}
			inside := slices.ContainsFunc(op.tags, func(tag string) bool { return slices.Contains(groups[group], tag) })
			want := inside && (op.reads() || verb == "write")
			r := b.bad(op.method, op.path, op.body(), "Authorization", "Bearer "+secret)
			if got := r.StatusCode != 403; got != want || r.StatusCode == 401 {
				t.Errorf("%s on %s %s: %d %s", scope, op.method, op.path, r.StatusCode, r.body)
			}
		}
	}
}

func TestRoles_WhatNoRouteServesIsHiddenFromStrangers(t *testing.T) {
	b := onPostgres(t, openPostgres(t), func(*adminapi.Config, *adminapi.Deps) {})
	w := b.browser()
	for _, c := range [][2]string{{"GET", "/nothing"}, {"PATCH", "/config"}, {"PATCH", "/auth/methods"}, {"DELETE", "/audit"}, {"PUT", "/session"}, {"POST", "/operators/x"}, {"GET", "/../metrics"}} {
		if r := w.do(c[0], c[1], "").want(401); r.Header.Get("Allow") != "" {
			t.Errorf("%s %s: %v", c[0], c[1], r.Header)
		}
		if r := b.bad(c[0], c[1], ""); r.StatusCode != 404 && r.StatusCode != 405 && r.StatusCode != 400 {
			t.Errorf("%s %s with a token: %d", c[0], c[1], r.StatusCode)
		}
	}
}
