package identity

import (
	"regexp"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Account 是一个操作员。
type Account struct {
	ID      string
	Name    string
	Role    Role
	Enabled bool
	// PasswordHash 为空即没有口令，只能经 OIDC 登录。
	PasswordHash       string
	MustChangePassword bool
	// Issuer、Subject 是 OIDC 里的身份；本地的都为空。
	Issuer, Subject string
	// Version 每改一次加一，即 ETag。
	Version   uint64
	CreatedAt time.Time
	// LastLoginAt 为零即没有登录过。
	LastLoginAt time.Time
}

// External 说身份与角色由 OIDC 的提供方说了算。
func (a Account) External() bool { return a.Issuer != "" }

// Source 是 "local" 或 "oidc"。
func (a Account) Source() string {
	if a.External() {
		return "oidc"
	}
	return "local"
}

// String 不露口令的散列。
func (a Account) String() string { return "operator " + a.Name }

// GoString 同 String。
func (a Account) GoString() string { return a.String() }

// Edit 是对一个操作员的改动：由现在的算出，存储在同一个事务里做完。
type Edit struct {
	// Next 是改后的；Delete 则删去。
	Next   Account
	Delete bool
	// EndSessions 使他的会话作废，KeepSession 那一个除外。
	EndSessions bool
	KeepSession string
	// Changes 写进审计；空则既不写也不改。
	Changes []catalog.ChangeItem
}

var nameRule = regexp.MustCompile(`^[a-z0-9]([a-z0-9._@+-]{0,62}[a-z0-9])?$`)

// validName 说 name 能不能是操作员的名字；冒号留给令牌，另几个名字审计里另有所指。
func validName(name string) bool {
	switch Kind(name) {
	case KindBootstrap, KindAnonymous, KindSystem:
		return false
	}
	return nameRule.MatchString(name)
}

const nameMessage = "must be 1 to 64 of a-z, 0-9, '.', '_', '@', '+', '-', beginning and ending with a letter or digit, and not bootstrap, anonymous or system"

// keepAnAdmin 不许最后一个能用的管理员失去身份；others 是另外还有几个。
func keepAnAdmin(cur, next Account, deleted bool, others int) error {
	was := cur.Enabled && cur.Role == Admin
	stays := !deleted && next.Enabled && next.Role == Admin
	if was && !stays && others == 0 {
		return vegaerr.New(vegaerr.Conflict, ReasonLastAdmin, "operator %q is the last enabled admin; make another one first", cur.Name)
	}
	return nil
}

// fields 是操作员看得见的变化。
func fields(cur, next Account) (changed []catalog.FieldChange) {
	add := func(path string, from, to any) {
		if from != to {
			changed = append(changed, catalog.FieldChange{Path: path, From: from, To: to})
		}
	}
	add("role", string(cur.Role), string(next.Role))
	add("enabled", cur.Enabled, next.Enabled)
	add("must_change_password", cur.MustChangePassword, next.MustChangePassword)
	if cur.PasswordHash != next.PasswordHash {
		changed = append(changed, catalog.FieldChange{Path: "password", From: "[secret]", To: "[secret]"})
	}
	return changed
}

// revised 是把 cur 改成 next 的 Edit；停用与降级使会话作废，别的留着。
func revised(cur, next Account) Edit {
	e := Edit{Next: next, EndSessions: !next.Enabled && cur.Enabled || !next.Role.Covers(cur.Role)}
	if changed := fields(cur, next); len(changed) > 0 {
		e.Changes = []catalog.ChangeItem{{Kind: kindOperator, Name: cur.Name, Action: catalog.Updated, Fields: changed}}
	}
	return e
}

func created(a Account) []catalog.ChangeItem {
	return []catalog.ChangeItem{{Kind: kindOperator, Name: a.Name, Action: catalog.Created, Fields: []catalog.FieldChange{
		{Path: "role", To: string(a.Role)}, {Path: "source", To: a.Source()}}}}
}
