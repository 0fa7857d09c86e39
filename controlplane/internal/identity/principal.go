package identity

import (
	"time"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Kind 是行事者的种类。
type Kind string

// 行事者的种类；Anonymous 是没有认出来的（失败的登录），System 是控制面自己。
const (
	KindOperator  Kind = "operator"
	KindToken     Kind = "token"
	KindBootstrap Kind = "bootstrap"
	KindAnonymous Kind = "anonymous"
	KindSystem    Kind = "system"
)

// BootstrapName 是引导令牌在日志、配置版本与审计里的名字；操作员不能叫它。
const BootstrapName = "bootstrap"

// Principal 是认出来的行事者。零值谁也不是，什么也不许。
type Principal struct {
	Kind Kind
	// Name 是日志、配置版本与审计里的名字：操作员的名字，令牌的则是 "token:" 加名字。
	Name string
	Role Role
	// Scopes 为空即不收窄。
	Scopes []Scope
	// OperatorID 是操作员的；令牌的则是它的主人，没有主人为空。
	OperatorID string
	// SessionID、ExpiresAt、Method 只在会话里有。
	SessionID string
	ExpiresAt time.Time
	Method    Method
	// MustChangePassword 的只许换口令。
	MustChangePassword bool
}

// Bootstrap 是引导令牌的持有者。
func Bootstrap() Principal { return Principal{Kind: KindBootstrap, Name: BootstrapName, Role: Admin} }

// Need 是做一件事要的：至少什么角色，令牌还要什么范围（空即任何令牌都行）。
type Need struct {
	Role  Role
	Scope Scope
	// Fresh 的事带着没换掉的一次性口令也许做：看自己是谁、换口令、注销。
	Fresh bool
}

// May 说 p 够不够；不够是 vegaerr.Denied，说出差什么。
func (p Principal) May(need Need) error {
	switch {
	case p.MustChangePassword && !need.Fresh:
		return vegaerr.New(vegaerr.Denied, ReasonChangePassword, "the one-time password must be changed first: PUT /api/v1/session/password")
	case !p.Role.Covers(need.Role):
		return vegaerr.New(vegaerr.Denied, ReasonRole, "this needs the role %s; %s has the role %s", need.Role, p.Name, p.Role)
	case !covers(p.Scopes, need.Scope):
		return vegaerr.New(vegaerr.Denied, ReasonScope, "this needs the scope %s, which this token does not have", need.Scope)
	}
	return nil
}

// IsAdmin 说 p 能管别人的会话与令牌。
func (p Principal) IsAdmin(scope Scope) bool {
	return p.May(Need{Role: Admin, Scope: scope}) == nil
}

// 拒绝的稳定原因，对外在问题文档的 reason 里。
const (
	ReasonInvalidLogin    = "invalid_login"
	ReasonThrottled       = "login_throttled"
	ReasonInsecure        = "insecure_transport"
	ReasonCrossOrigin     = "cross_origin"
	ReasonChangePassword  = "password_change_required"
	ReasonRole            = "role_too_low"
	ReasonScope           = "scope_missing"
	ReasonLastAdmin       = "last_admin"
	ReasonNoRole          = "oidc_no_role"
	ReasonNameTaken       = "oidc_name_taken"
	ReasonOIDCUnavailable = "oidc_unavailable"
	ReasonOIDCRefused     = "oidc_refused"
	ReasonDisabled        = "operator_disabled"
)
