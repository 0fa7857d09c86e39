package identity

import (
	"slices"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Token 是一个管理令牌，没有明文。
type Token struct {
	ID   string
	Name string
	// Hint 是明文的末四个字符。
	Hint   string
	Role   Role
	Scopes []Scope
	// OwnerID、Owner 是主人；都空即不属于谁。
	OwnerID, Owner string
	CreatedBy      string
	CreatedAt      time.Time
	// ExpiresAt 为零即不过期；LastUsedAt 为零即没有用过。
	ExpiresAt, LastUsedAt time.Time
	LastUsedAddress       string
}

// Bearer 是由散列找到的令牌。
type Bearer struct {
	Token
	// OwnerRole 是主人此刻的角色；没有主人为空。
	OwnerRole Role
	Stale     bool
}

// NewToken 是要造的令牌；Service 的不属于造它的人，人走了也还在，只有管理员能造。
type NewToken struct {
	Name      string
	Role      Role
	Scopes    []Scope
	ExpiresAt time.Time
	Service   bool
}

// check 查输入与权限：令牌不能比造它的人更有权。
func (n NewToken) check(by Principal, now time.Time) error {
	var problems []vegaerr.Problem
	add := func(path, message string) {
		problems = append(problems, vegaerr.Problem{Path: path, Message: message})
	}
	if !nameRule.MatchString(n.Name) {
		add("name", "must be 1 to 64 of a-z, 0-9, '.', '_', '@', '+', '-', beginning and ending with a letter or digit")
	}
	if !n.Role.Valid() {
		add("role", "must be viewer, operator or admin")
	}
	for _, s := range n.Scopes {
		if !slices.Contains(Scopes(), s) {
			add("scopes", "unknown scope "+string(s))
		}
	}
	if !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(now) {
		add("expires_at", "must be in the future")
	}
	if len(problems) > 0 {
		return vegaerr.New(vegaerr.Invalid, "", "the token cannot be made").WithProblems(problems)
	}
	return n.within(by)
}

// within 不许越权。令牌里只有管理员的能再造令牌：否则一个快到期的令牌可以给自己续命。
func (n NewToken) within(by Principal) error {
	switch {
	case by.Kind == KindToken && by.Role != Admin:
		return vegaerr.New(vegaerr.Denied, ReasonRole, "a token makes tokens only with the role admin")
	case !by.Role.Covers(n.Role):
		return vegaerr.New(vegaerr.Denied, ReasonRole, "a token of the role %s cannot be made with the role %s", n.Role, by.Role)
	case n.Service && by.Role != Admin:
		return vegaerr.New(vegaerr.Denied, ReasonRole, "only an admin makes tokens that belong to nobody")
	}
	if len(by.Scopes) == 0 {
		return nil
	}
	for _, s := range n.Scopes {
		if !covers(by.Scopes, s) {
			return vegaerr.New(vegaerr.Denied, ReasonScope, "this token does not have the scope %s and cannot give it", s)
		}
	}
	if len(n.Scopes) == 0 {
		return vegaerr.New(vegaerr.Denied, ReasonScope, "this token has scopes, so the ones it makes must have some too")
	}
	return nil
}

func (n NewToken) changes() []catalog.ChangeItem {
	c := catalog.ChangeItem{Kind: kindToken, Name: n.Name, Action: catalog.Created, Fields: []catalog.FieldChange{{Path: "role", To: string(n.Role)}}}
	if len(n.Scopes) > 0 {
		c.Fields = append(c.Fields, catalog.FieldChange{Path: "scopes", To: n.Scopes})
	}
	if !n.ExpiresAt.IsZero() {
		c.Fields = append(c.Fields, catalog.FieldChange{Path: "expires_at", To: n.ExpiresAt.UTC().Format(time.RFC3339)})
	}
	return []catalog.ChangeItem{c}
}

// principal 是令牌的持有者此刻的样子。
func (b Bearer) principal() Principal {
	p := Principal{Kind: KindToken, Name: "token:" + b.Name, Role: b.Role, Scopes: b.Scopes, OperatorID: b.OwnerID, ExpiresAt: b.ExpiresAt}
	if b.OwnerID != "" {
		p.Role = lower(b.Role, b.OwnerRole)
	}
	return p
}
