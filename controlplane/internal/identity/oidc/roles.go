package oidc

import (
	"slices"
	"strings"

	"github.com/vega-gateway/vega/controlplane/internal/identity"
)

// Mapping 由声明的值得出角色；几个角色都映射得上取最高的。
type Mapping struct {
	// Claim 是声明的名字，可以用点进到里面，如 "realm_access.roles"；值是字符串或字符串的列表。
	Claim string
	// Admin、Operator、Viewer 是得到那个角色的值；"*" 是任何人，没有那个声明也算。
	Admin, Operator, Viewer []string
}

// Role 给出角色；一个也映射不上为空。
func (m Mapping) Role(claims map[string]any) identity.Role {
	held := texts(lookup(claims, m.Claim))
	for _, r := range []struct {
		role   identity.Role
		values []string
	}{{identity.Admin, m.Admin}, {identity.Operator, m.Operator}, {identity.Viewer, m.Viewer}} {
		for _, v := range r.values {
			if v == "*" || slices.Contains(held, v) {
				return r.role
			}
		}
	}
	return ""
}

// lookup 先找整个名字（声明常以网址为名，里面有点），再逐段往里走。
func lookup(claims map[string]any, path string) any {
	if v, ok := claims[path]; ok {
		return v
	}
	head, rest, ok := strings.Cut(path, ".")
	if inner, isMap := claims[head].(map[string]any); ok && isMap {
		return lookup(inner, rest)
	}
	return nil
}

func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var list []string
		for _, item := range v {
			if s, ok := item.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}
