package identity

import "slices"

// Role 是角色，后一个可以做前一个能做的一切。
type Role string

// 角色。
const (
	Viewer   Role = "viewer"
	Operator Role = "operator"
	Admin    Role = "admin"
)

func roles() []Role { return []Role{Viewer, Operator, Admin} }

// Valid 说 r 在集合里。
func (r Role) Valid() bool { return slices.Contains(roles(), r) }

// Covers 说 r 至少是 least；不认识的角色什么也够不上，也没有谁够得上它。
func (r Role) Covers(least Role) bool {
	return r.Valid() && least.Valid() && slices.Index(roles(), r) >= slices.Index(roles(), least)
}

// lower 给出两者中较低的。
func lower(a, b Role) Role {
	if a.Covers(b) {
		return b
	}
	return a
}

// Scope 是令牌的范围，只会把角色许可的收窄；write 含 read。
type Scope string

// 范围。
const (
	ConfigRead    Scope = "config:read"
	ConfigWrite   Scope = "config:write"
	FleetRead     Scope = "fleet:read"
	FleetWrite    Scope = "fleet:write"
	UsageRead     Scope = "usage:read"
	IdentityRead  Scope = "identity:read"
	IdentityWrite Scope = "identity:write"
	AuditRead     Scope = "audit:read"
)

// Scopes 是全部的范围。
func Scopes() []Scope {
	return []Scope{ConfigRead, ConfigWrite, FleetRead, FleetWrite, UsageRead, IdentityRead, IdentityWrite, AuditRead}
}

// covers 说持有 held 的够得上 need；没有写 held 即不收窄。
func covers(held []Scope, need Scope) bool {
	if len(held) == 0 || need == "" {
		return true
	}
	for _, s := range held {
		if s == need || s == ConfigWrite && need == ConfigRead || s == FleetWrite && need == FleetRead || s == IdentityWrite && need == IdentityRead {
			return true
		}
	}
	return false
}
