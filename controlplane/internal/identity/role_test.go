package identity

import (
	"slices"
	"testing"
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestRole_EachCoversItselfAndTheOnesBelow(t *testing.T) {
	order := []Role{Viewer, Operator, Admin}
	for i, have := range order {
		for j, least := range order {
			if have.Covers(least) != (i >= j) {
				t.Errorf("%s covers %s is %v", have, least, i < j)
			}
		}
	}
	for _, r := range []Role{"", "root", "Admin"} {
		if r.Valid() || r.Covers(Viewer) || Admin.Covers(r) || r.Covers(r) {
			t.Errorf("%q counts as a role", r)
		}
	}
	if lower(Admin, Viewer) != Viewer || lower(Viewer, Admin) != Viewer || lower(Operator, Operator) != Operator {
		t.Error("lower is not the lower")
	}
}

func TestPrincipal_TheZeroValueMayDoNothing(t *testing.T) {
	for _, need := range []Need{{}, {Role: Viewer}, {Fresh: true}, {Role: Viewer, Fresh: true}} {
		if err := (Principal{}).May(need); vegaerr.CodeOf(err) != vegaerr.Denied {
			t.Errorf("%+v: %v", need, err)
		}
	}
}

func TestPrincipal_ScopesOnlyNarrowAndWriteIncludesRead(t *testing.T) {
	for _, c := range []struct {
		held []Scope
		need Scope
		may  bool
	}{
		{nil, ConfigWrite, true}, {[]Scope{ConfigRead}, ConfigRead, true}, {[]Scope{ConfigRead}, ConfigWrite, false},
		{[]Scope{ConfigWrite}, ConfigRead, true}, {[]Scope{FleetWrite}, FleetRead, true}, {[]Scope{FleetWrite}, ConfigRead, false},
		{[]Scope{IdentityWrite}, IdentityRead, true}, {[]Scope{IdentityWrite}, AuditRead, false},
		{[]Scope{UsageRead, AuditRead}, AuditRead, true}, {[]Scope{UsageRead}, "", true},
	} {
		p := Principal{Name: "token:x", Role: Admin, Scopes: c.held}
		if err := p.May(Need{Role: Viewer, Scope: c.need}); (err == nil) != c.may {
			t.Errorf("%v for %s: %v", c.held, c.need, err)
		}
		p.Role = Viewer
		if err := p.May(Need{Role: Admin, Scope: c.need}); err == nil {
			t.Errorf("%v lifted a viewer to admin", c.held)
		}
	}
}

func TestPrincipal_AOneTimePasswordOnlyOpensWhatIsFresh(t *testing.T) {
	p := Principal{Name: "alice", Role: Admin, MustChangePassword: true}
	if err := p.May(Need{Role: Viewer}); vegaerr.As(err).Reason != ReasonChangePassword {
		t.Errorf("got %v", err)
	}
	if err := p.May(Need{Role: Viewer, Fresh: true}); err != nil {
		t.Error(err)
	}
}

func TestToken_NeverMorePowerfulThanItsMaker(t *testing.T) {
	now := time.Now()
	all := append([]Role{"", "root"}, roles()...)
	kinds := []Kind{KindOperator, KindToken, KindBootstrap}
	scopes := [][]Scope{nil, {ConfigRead}, {ConfigWrite}, {IdentityWrite, ConfigRead}}
	for _, kind := range kinds {
		for _, maker := range roles() {
			for _, held := range scopes {
				for _, role := range all {
					for _, asked := range scopes {
						for _, service := range []bool{false, true} {
							by := Principal{Kind: kind, Role: maker, Scopes: held}
							err := NewToken{Name: "t", Role: role, Scopes: asked, Service: service}.check(by, now)
							wider := len(held) > 0 && len(asked) == 0 || slices.ContainsFunc(asked, func(s Scope) bool { return !covers(held, s) })
							if err == nil && (!maker.Covers(role) || wider || service && maker != Admin || kind == KindToken && maker != Admin) {
								t.Errorf("%s %s %v made %s %v service=%v", kind, maker, held, role, asked, service)
							}
						}
					}
				}
			}
		}
	}
	admin := Principal{Kind: KindOperator, Role: Admin}
	if err := (NewToken{Name: "t", Role: Viewer, ExpiresAt: now.Add(-time.Second)}).check(admin, now); vegaerr.CodeOf(err) != vegaerr.Invalid {
		t.Errorf("expired on arrival: %v", err)
	}
	if err := (NewToken{Name: "t", Role: Viewer, Scopes: []Scope{"config:*"}}).check(admin, now); vegaerr.CodeOf(err) != vegaerr.Invalid {
		t.Errorf("made-up scope: %v", err)
	}
}

func TestBearer_FollowsTheRoleOfItsOwner(t *testing.T) {
	b := Bearer{Token: Token{Name: "ci", Role: Operator, OwnerID: "x"}, OwnerRole: Viewer}
	if p := b.principal(); p.Role != Viewer || p.Name != "token:ci" {
		t.Errorf("got %+v", p)
	}
	b.OwnerRole = Admin
	if p := b.principal(); p.Role != Operator {
		t.Errorf("got %+v", p)
	}
	if p := (Bearer{Token: Token{Role: Operator}}).principal(); p.Role != Operator {
		t.Errorf("a token of nobody: %+v", p)
	}
}

func TestKeepAnAdmin_OnlyTheLastEnabledOneIsHeld(t *testing.T) {
	admin := Account{Name: "a", Role: Admin, Enabled: true}
	demoted, disabled := admin, admin
	demoted.Role, disabled.Enabled = Operator, false
	for _, next := range []Account{demoted, disabled} {
		if err := keepAnAdmin(admin, next, false, 0); vegaerr.As(err).Reason != ReasonLastAdmin {
			t.Errorf("%+v: %v", next, err)
		}
		if err := keepAnAdmin(admin, next, false, 1); err != nil {
			t.Error(err)
		}
	}
	if keepAnAdmin(admin, admin, true, 0) == nil || keepAnAdmin(admin, admin, false, 0) != nil || keepAnAdmin(disabled, disabled, true, 0) != nil {
		t.Error("the rule is about losing the last one")
	}
}

func TestNames_CannotImpersonateTokensOrTheSystem(t *testing.T) {
	for _, name := range []string{"bootstrap", "anonymous", "system", "token:ci", "", "Alice", "a b", "-a", "a-", "é", "a\n", "x/y", string(make([]byte, 65))} {
		if validName(name) {
			t.Errorf("%q is accepted", name)
		}
	}
	for _, name := range []string{"a", "admin", "alice.b@example.com", "x-1_2+y"} {
		if !validName(name) {
			t.Errorf("%q is refused", name)
		}
	}
}
