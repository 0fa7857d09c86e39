package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const operatorID = "11111111-1111-4111-8111-111111111111"

func id(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-000000000000", n) }

func (s *Store) mustExec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := s.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func addOperator(t *testing.T, s *Store, a identity.Account) identity.Account {
	t.Helper()
	if err := s.CreateAccount(t.Context(), a, nil); err != nil {
		t.Fatal(err)
	}
	a, err := s.Account(t.Context(), a.Name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func alice(t *testing.T, s *Store) identity.Account {
	return addOperator(t, s, identity.Account{ID: operatorID, Name: "alice", Role: identity.Admin, Enabled: true, PasswordHash: "h"})
}

func opening(a identity.Account, n int) identity.Opening {
	return identity.Opening{ID: id(n), Hash: identity.HashOf(fmt.Sprint("token", n)), Method: identity.ByPassword, Account: a, Lifetime: time.Hour}
}

func TestSessions_IdleAndAbsoluteExpiryAreTheDatabasesClock(t *testing.T) {
	s, _ := openTest(t)
	a := alice(t, s)
	for n := range 3 {
		if _, err := s.OpenSession(t.Context(), opening(a, n)); err != nil {
			t.Fatal(err)
		}
	}
	found := func(n int) bool {
		_, err := s.FindSession(t.Context(), opening(a, n).Hash, 30*time.Minute, time.Minute)
		if err != nil && vegaerr.CodeOf(err) != vegaerr.NotFound {
			t.Fatal(err)
		}
		return err == nil
	}
	s.mustExec(t, `UPDATE operator_sessions SET last_seen_at = now() - interval '29 minutes' WHERE id = $1`, id(0))
	s.mustExec(t, `UPDATE operator_sessions SET last_seen_at = now() - interval '31 minutes' WHERE id = $1`, id(1))
	s.mustExec(t, `UPDATE operator_sessions SET expires_at = now() WHERE id = $1`, id(2))
	if !found(0) || found(1) || found(2) {
		t.Fatalf("found %v %v %v", found(0), found(1), found(2))
	}
	live, err := s.FindSession(t.Context(), opening(a, 0).Hash, 30*time.Minute, time.Minute)
	if err != nil || !live.Stale || live.Operator != "alice" || live.Role != identity.Admin {
		t.Fatalf("%+v %v", live, err)
	}
	if err := s.TouchSession(t.Context(), live.ID); err != nil {
		t.Fatal(err)
	}
	if live, err = s.FindSession(t.Context(), opening(a, 0).Hash, 30*time.Minute, time.Minute); err != nil || live.Stale {
		t.Fatalf("%+v %v", live, err)
	}
	if list, err := s.Sessions(t.Context(), "", 30*time.Minute); err != nil || len(list) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	if err := s.Purge(t.Context(), 30*time.Minute, time.Minute); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM operator_sessions`).Scan(&left); err != nil || left != 1 {
		t.Fatalf("%d left: %v", left, err)
	}
}

func TestSessions_AnOperatorChangedWhileSigningInGetsNone(t *testing.T) {
	s, _ := openTest(t)
	stale := alice(t, s)
	for name, change := range map[string]string{
		"changed":  `UPDATE operators SET version = version + 1`,
		"disabled": `UPDATE operators SET version = 1, enabled = false`,
	} {
		s.mustExec(t, change)
		if _, err := s.OpenSession(t.Context(), opening(stale, 1)); vegaerr.CodeOf(err) != vegaerr.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.mustExec(t, `DELETE FROM operators`)
	if _, err := s.OpenSession(t.Context(), opening(stale, 1)); vegaerr.CodeOf(err) != vegaerr.Unauthenticated {
		t.Errorf("deleted: %v", err)
	}
	if entries, err := s.Audit(t.Context(), identity.Query{Action: "session", Limit: 10}); err != nil || len(entries) != 0 {
		t.Errorf("a session that was not opened is audited: %+v %v", entries, err)
	}
}

func TestSessions_AnOperatorHoldsAtMostFifty(t *testing.T) {
	s, _ := openTest(t)
	a := alice(t, s)
	for n := range keptSessions + 5 {
		if _, err := s.OpenSession(t.Context(), opening(a, n)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.Sessions(t.Context(), a.ID, time.Hour)
	if err != nil || len(list) != keptSessions {
		t.Fatalf("%d sessions: %v", len(list), err)
	}
	if _, err := s.FindSession(t.Context(), opening(a, 0).Hash, time.Hour, time.Minute); vegaerr.CodeOf(err) != vegaerr.NotFound {
		t.Errorf("the oldest is still there: %v", err)
	}
	if _, err := s.FindSession(t.Context(), opening(a, keptSessions+4).Hash, time.Hour, time.Minute); err != nil {
		t.Errorf("the newest is gone: %v", err)
	}
}

func TestCharge_AcrossReplicasAsManyAreChargedAsTheRuleAllows(t *testing.T) {
	one, url := openTest(t)
	stores := []*Store{one, openAt(t, url)}
	rule := identity.Rule{Free: 5, Base: time.Hour, Cap: time.Hour, Forget: 24 * time.Hour}
	buckets := []identity.Bucket{{Number: 7, Rule: rule}, {Number: 70_000, Rule: identity.Rule{Free: 1000, Base: time.Hour, Cap: time.Hour, Forget: 24 * time.Hour}}}
	var passed, refused atomic.Int64
	var wg sync.WaitGroup
	for n := range 40 {
		wg.Go(func() {
			wait, err := stores[n%2].Charge(t.Context(), buckets)
			switch {
			case err != nil:
				t.Error(err)
			case wait > 0:
				refused.Add(1)
			default:
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 5 || refused.Load() != 35 {
		t.Fatalf("%d passed, %d refused", passed.Load(), refused.Load())
	}
	if err := one.Absolve(t.Context(), buckets[0], buckets[1]); err != nil {
		t.Fatal(err)
	}
	if wait, err := one.Charge(t.Context(), buckets); err != nil || wait != 0 {
		t.Fatalf("after absolution: %v %v", wait, err)
	}
	var failures int
	if err := one.pool.QueryRow(t.Context(), `SELECT failures FROM login_tries WHERE bucket = 70000`).Scan(&failures); err != nil || failures != 5 {
		t.Fatalf("the address has %d failures (%v), want 5: one was given back, one more charged", failures, err)
	}
}

func TestRefund_TakesBackOneFailureOfEachAndTheWait(t *testing.T) {
	s, _ := openTest(t)
	rule := identity.Rule{Free: 2, Base: time.Hour, Cap: time.Hour, Forget: 24 * time.Hour}
	buckets := []identity.Bucket{{Number: 7, Rule: rule}, {Number: 70_000, Rule: rule}}
	for range 2 {
		if wait, err := s.Charge(t.Context(), buckets); err != nil || wait != 0 {
			t.Fatalf("%v %v", wait, err)
		}
	}
	if wait, err := s.Charge(t.Context(), buckets); err != nil || wait == 0 {
		t.Fatalf("%v %v", wait, err)
	}
	if err := s.Refund(t.Context(), buckets); err != nil {
		t.Fatal(err)
	}
	if wait, err := s.Charge(t.Context(), buckets); err != nil || wait != 0 {
		t.Fatalf("given back, and yet: %v %v", wait, err)
	}
	if wait, err := s.Charge(t.Context(), buckets); err != nil || wait == 0 {
		t.Fatalf("more was given back than taken: %v %v", wait, err)
	}
}

func TestLoggedInFrom_IPv6IsKnownByItsNetworkAndIPv4ByItsAddress(t *testing.T) {
	s, _ := openTest(t)
	a := alice(t, s)
	for n, address := range []string{"2001:db8:1:2:aaaa::1", "192.0.2.1", "fe80::1%eth0", ""} {
		ctx := identity.WithOrigin(t.Context(), identity.Origin{Kind: identity.KindOperator, Actor: "alice", Address: address, Action: "session.open"})
		if _, err := s.OpenSession(ctx, opening(a, n)); err != nil {
			t.Fatal(err)
		}
	}
	for network, want := range map[string]bool{
		"2001:db8:1:2::/64": true, "2001:db8:1:3::/64": false, "192.0.2.1": true, "192.0.2.2": false, "fe80::/64": true, "invalid IP": false,
	} {
		if known, err := s.LoggedInFrom(t.Context(), "alice", network); err != nil || known != want {
			t.Errorf("%s: %v %v", network, known, err)
		}
		if known, err := s.LoggedInFrom(t.Context(), "bob", network); err != nil || known {
			t.Errorf("bob from %s: %v %v", network, known, err)
		}
	}
}

func TestAccounts_OnlyOneReplicaMakesTheFirst(t *testing.T) {
	one, url := openTest(t)
	stores := []*Store{one, openAt(t, url)}
	var made atomic.Int64
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			ok, err := stores[n%2].CreateFirstAccount(t.Context(), identity.Account{ID: id(n), Name: "admin", Role: identity.Admin, Enabled: true}, nil)
			if err != nil {
				t.Error(err)
			}
			if ok {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if list, err := one.Accounts(t.Context()); err != nil || len(list) != 1 || made.Load() != 1 {
		t.Fatalf("%d made, %v %v", made.Load(), list, err)
	}
}

func TestAccounts_TwoReplicasCannotTakeAwayTheLastAdminTogether(t *testing.T) {
	one, url := openTest(t)
	stores := []*Store{one, openAt(t, url)}
	const admins = 6
	for n := range admins {
		addOperator(t, one, identity.Account{ID: id(n), Name: fmt.Sprint("admin", n), Role: identity.Admin, Enabled: true})
	}
	last := errors.New("last")
	var wg sync.WaitGroup
	var kept atomic.Int64
	for n := range admins {
		wg.Go(func() {
			_, err := stores[n%2].ChangeAccount(t.Context(), fmt.Sprint("admin", n), func(cur identity.Account, others int) (identity.Edit, error) {
				if others == 0 {
					return identity.Edit{}, last
				}
				return identity.Edit{Next: cur, Delete: true, Changes: []catalog.ChangeItem{{Kind: "operator", Name: cur.Name, Action: catalog.Deleted}}}, nil
			})
			if err != nil {
				kept.Add(1)
			}
		})
	}
	wg.Wait()
	if list, err := one.Accounts(t.Context()); err != nil || len(list) != 1 || kept.Load() != 1 {
		t.Fatalf("%d kept, %v %v", kept.Load(), list, err)
	}
}

func TestTokens_DieWithTheirOwnerAndAtTheirTime(t *testing.T) {
	s, _ := openTest(t)
	a := alice(t, s)
	hash := identity.HashOf("vt-x")
	add := func(n int, name, owner string, h identity.Hash) error {
		return s.AddToken(t.Context(), identity.Token{ID: id(n), Name: name, Hint: "abcd", Role: identity.Operator, Scopes: []identity.Scope{identity.ConfigRead}, OwnerID: owner, CreatedBy: "alice"}, h, nil)
	}
	if err := add(1, "ci", a.ID, hash); err != nil {
		t.Fatal(err)
	}
	if err := add(2, "ci", "", identity.HashOf("vt-y")); vegaerr.CodeOf(err) != vegaerr.Conflict {
		t.Fatalf("two of one name: %v", err)
	}
	known := func() bool {
		b, err := s.FindToken(t.Context(), hash)
		if err == nil && (b.Owner != "alice" || b.OwnerRole != identity.Admin || len(b.Scopes) != 1) {
			t.Errorf("got %+v", b)
		}
		return err == nil
	}
	for _, step := range []struct {
		sql  string
		want bool
	}{
		{`SELECT 1`, true}, {`UPDATE operators SET enabled = false`, false}, {`UPDATE operators SET enabled = true`, true},
		{`UPDATE admin_tokens SET expires_at = now() + interval '1 hour'`, true}, {`UPDATE admin_tokens SET expires_at = now()`, false},
		{`UPDATE admin_tokens SET expires_at = NULL`, true}, {`DELETE FROM operators`, false},
	} {
		s.mustExec(t, step.sql)
		if known() != step.want {
			t.Errorf("after %q known is %v", step.sql, !step.want)
		}
	}
}

func TestAudit_CannotBeRewritten(t *testing.T) {
	s, _ := openTest(t)
	alice(t, s)
	for _, sql := range []string{`UPDATE audit SET actor = 'x'`, `DELETE FROM audit`, `TRUNCATE audit`, `DELETE FROM audit WHERE false`} {
		if _, err := s.pool.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if entries, err := s.Audit(t.Context(), identity.Query{Limit: 10}); err != nil || len(entries) != 1 || entries[0].Actor != "system" {
		t.Fatalf("%+v %v", entries, err)
	}
}

func TestAudit_StandsAndFallsWithTheChange(t *testing.T) {
	s, _ := openTest(t)
	alice(t, s)
	s.mustExec(t, `CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk full'; END $$`)
	s.mustExec(t, `CREATE TRIGGER broken BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION broken()`)
	before, err := s.Account(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.OpenSession(t.Context(), opening(before, 1)); err == nil {
		t.Error("a session was opened without its entry")
	}
	if err := s.CreateAccount(t.Context(), identity.Account{ID: id(9), Name: "bob", Role: identity.Viewer, Enabled: true}, nil); err == nil {
		t.Error("an operator was made without an entry")
	}
	if err := s.AddToken(t.Context(), identity.Token{ID: id(8), Name: "ci", Role: identity.Viewer, CreatedBy: "alice"}, identity.HashOf("x"), nil); err == nil {
		t.Error("a token was made without an entry")
	}
	for table, want := range map[string]int{"operators": 1, "operator_sessions": 0, "admin_tokens": 0} {
		var n int
		if err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil || n != want {
			t.Errorf("%s has %d rows, want %d: %v", table, n, want, err)
		}
	}
}

func TestAudit_PagesThroughEveryEntryOnceAndFilters(t *testing.T) {
	s, _ := openTest(t)
	for n := range 25 {
		o := identity.Origin{Kind: identity.KindOperator, Actor: []string{"alice", "bob"}[n%2], Address: "192.0.2.1", RequestID: fmt.Sprint(n),
			Action: []string{"server.update", "server.delete", "serverless.x"}[n%3], Object: fmt.Sprintf("server gpu-%d%%", n)}
		if err := s.Record(t.Context(), identity.Entry{Origin: o}); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[int64]bool{}
	for before := int64(0); ; {
		page, err := s.Audit(t.Context(), identity.Query{Before: before, Limit: 7})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			if seen[e.ID] || before != 0 && e.ID >= before {
				t.Fatalf("entry %d again or out of order", e.ID)
			}
			seen[e.ID], before = true, e.ID
		}
	}
	if len(seen) != 25 {
		t.Fatalf("%d of 25 seen", len(seen))
	}
	for name, c := range map[string]struct {
		q    identity.Query
		want int
	}{
		"actor": {identity.Query{Actor: "alice"}, 13}, "whole action": {identity.Query{Action: "server.update"}, 9},
		"first part of an action": {identity.Query{Action: "server"}, 17}, "prefix of the object": {identity.Query{Object: "server gpu-1"}, 11},
		"a wildcard is a letter": {identity.Query{Object: "server gpu-_"}, 0}, "percent is a letter": {identity.Query{Object: "server gpu-3%"}, 1},
		"address": {identity.Query{Address: "192.0.2.2"}, 0}, "later": {identity.Query{Since: time.Now().Add(time.Hour)}, 0},
		"until": {identity.Query{Until: time.Now().Add(time.Hour)}, 25}, "a quote": {identity.Query{Actor: "' OR ''='"}, 0},
	} {
		c.q.Limit = 100
		if page, err := s.Audit(t.Context(), c.q); err != nil || len(page) != c.want {
			t.Errorf("%s: %d entries, want %d: %v", name, len(page), c.want, err)
		}
	}
}

func TestAudit_AConfigurationChangeCarriesWhoWhereAndADiffWithoutSecrets(t *testing.T) {
	s, _ := openConfig(t)
	ctx := identity.WithOrigin(context.Background(), identity.Origin{Kind: identity.KindToken, Actor: "token:ci", Address: "192.0.2.9", RequestID: "req-1", Action: "config.apply", Object: "config"})
	doc, err := catalog.Parse([]byte(`{"servers":[{"name":"gpu-1","base_url":"http://x/v1","api_key":"sk-planted-secret-1234"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	apply := func(ctx context.Context) {
		t.Helper()
		if _, err := s.Change(ctx, "token:ci", "because", func(cur *catalog.Catalog) (*catalog.Catalog, error) {
			next, _, err := catalog.Apply(cur, doc, catalog.ApplyOptions{}, s.Mint())
			return next, err
		}); err != nil {
			t.Fatal(err)
		}
	}
	apply(ctx)
	apply(ctx) // 没有变化：没有新的一版，也没有新的一条
	entries, err := s.Audit(t.Context(), identity.Query{Limit: 10})
	if err != nil || len(entries) != 1 {
		t.Fatalf("%+v %v", entries, err)
	}
	e := entries[0]
	if e.Actor != "token:ci" || e.Kind != identity.KindToken || e.Address != "192.0.2.9" || e.RequestID != "req-1" || e.Action != "config.apply" ||
		e.Revision != 1 || e.Note != "because" || len(e.Changes) != 1 || e.Changes[0].Name != "gpu-1" || time.Since(e.At) > time.Minute {
		t.Errorf("got %+v", e)
	}
	var raw string
	if err := s.pool.QueryRow(t.Context(), `SELECT string_agg(audit::text, ' ') FROM audit`).Scan(&raw); err != nil || strings.Contains(raw, "planted") {
		t.Errorf("%v %s", err, raw)
	}
	if r, err := s.Revision(t.Context(), 1); err != nil || r.Actor != "token:ci" {
		t.Errorf("%+v %v", r, err)
	}
}

func TestAudit_ForgettingAndDrainingANodeAreRecordedWhenTheyHappen(t *testing.T) {
	s, _ := openTest(t)
	live := push.Report{Node: push.Node{ID: "n1", Epoch: 1, Connected: true, ConnectedAt: time.Now()}, Session: 1}
	if _, err := s.SaveNodes(t.Context(), "r", []push.Report{live}); err != nil {
		t.Fatal(err)
	}
	as := func(action string) context.Context {
		return identity.WithOrigin(t.Context(), identity.Origin{Kind: identity.KindOperator, Actor: "alice", Action: action})
	}
	if err := s.ForgetNode(as("node.forget"), "n1"); vegaerr.CodeOf(err) != vegaerr.Conflict {
		t.Fatal(err)
	}
	if err := s.DrainNode(as("node.drain"), "n1"); err != nil {
		t.Fatal(err)
	}
	live.Connected = false
	if _, err := s.SaveNodes(t.Context(), "r", []push.Report{live}); err != nil {
		t.Fatal(err)
	}
	if err := s.ForgetNode(as("node.forget"), "n1"); err != nil {
		t.Fatal(err)
	}
	if err := s.DrainNode(as("node.drain"), "n1"); vegaerr.CodeOf(err) != vegaerr.NotFound {
		t.Fatal(err)
	}
	var got []string
	entries, err := s.Audit(t.Context(), identity.Query{Limit: 10})
	for _, e := range entries {
		got = append(got, e.Actor+" "+e.Action+" "+e.Object)
	}
	if want := "[alice node.forget node n1 alice node.drain node n1]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v %v, want %s", got, err, want)
	}
}

func TestAudit_ASettingsChangeSaysWhichFields(t *testing.T) {
	s, _ := openTest(t)
	settings := usage.DefaultSettings()
	settings.TimeZone = "Asia/Shanghai"
	always := func(uint64) error { return nil }
	ctx := identity.WithOrigin(t.Context(), identity.Origin{Kind: identity.KindOperator, Actor: "alice", Action: "settings.update"})
	for range 2 { // 第二次没有变化
		if _, err := s.SaveSettings(ctx, settings, always); err != nil {
			t.Fatal(err)
		}
	}
	settings.TimeZone = "Europe/Paris"
	if _, err := s.SaveSettings(ctx, settings, always); err != nil {
		t.Fatal(err)
	}
	entries, err := s.Audit(t.Context(), identity.Query{Limit: 10})
	if err != nil || len(entries) != 2 || entries[0].Action != "settings.update" || entries[0].Object != "settings" || entries[0].Actor != "alice" {
		t.Fatalf("%+v %v", entries, err)
	}
	if f := entries[1].Changes[0].Fields; len(f) != 1 || f[0].From != usage.DefaultSettings().TimeZone {
		t.Errorf("got %+v", f)
	}
	if f := entries[0].Changes[0].Fields; len(f) != 1 || f[0].Path != "time_zone" || f[0].From != "Asia/Shanghai" || f[0].To != "Europe/Paris" {
		t.Errorf("got %+v", f)
	}
}
