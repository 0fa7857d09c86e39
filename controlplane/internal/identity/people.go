package identity

import (
	"context"
	"strings"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Person 是 OIDC 的提供方证明了的人。
type Person struct {
	Issuer, Subject string
	// Name 是提供方给的用户名，会变成操作员的名字。
	Name string
	// Role 由声明映射而来；空即一个也没有映射上。
	Role Role
}

// LoginPerson 开经 OIDC 的会话：头一次来的建立操作员，来过的角色以这次的为准。
func (s *Service) LoginPerson(ctx context.Context, who Person, c Client) (Opened, error) {
	opened, err := s.loginPerson(ctx, who, c)
	if err != nil {
		s.refuse(ctx, strings.ToLower(who.Name), ByOIDC, err)
	}
	return opened, err
}

func (s *Service) loginPerson(ctx context.Context, who Person, c Client) (Opened, error) {
	if !who.Role.Valid() {
		return Opened{}, vegaerr.New(vegaerr.Denied, ReasonNoRole, "the provider gives this person no role here")
	}
	a, err := s.admit(ctx, who)
	if err != nil {
		return Opened{}, err
	}
	if !a.Enabled {
		return Opened{}, vegaerr.New(vegaerr.Denied, ReasonDisabled, "the operator is disabled")
	}
	return s.open(ctx, a, ByOIDC, c)
}

func (s *Service) admit(ctx context.Context, who Person) (Account, error) {
	o := OriginOf(ctx)
	a, err := s.store.AccountBySubject(ctx, who.Issuer, who.Subject)
	if vegaerr.CodeOf(err) == vegaerr.NotFound {
		return s.enrol(ctx, who)
	}
	if err != nil || a.Role == who.Role {
		return a, err
	}
	o.Kind, o.Actor, o.Action = KindOperator, a.Name, "operator.update"
	return s.change(WithOrigin(ctx, o), a.Name, func(cur Account, _ int) (Edit, error) {
		next := cur
		next.Role = who.Role
		return revised(cur, next), nil
	})
}

// enrol 建立头一次来的人。名字被别人占着就拒绝：同名的两个人在审计里分不出来，更不能顶替本地的那一个。
func (s *Service) enrol(ctx context.Context, who Person) (Account, error) {
	name := strings.ToLower(strings.TrimSpace(who.Name))
	if !validName(name) {
		return Account{}, vegaerr.New(vegaerr.Denied, ReasonNameTaken, "the name the provider gives cannot be an operator's: it %s", nameMessage)
	}
	a := Account{ID: newID(), Name: name, Role: who.Role, Enabled: true, Issuer: who.Issuer, Subject: who.Subject}
	o := OriginOf(ctx)
	o.Kind, o.Actor, o.Action, o.Object = KindOperator, name, "operator.create", a.String()
	err := s.store.CreateAccount(WithOrigin(ctx, o), a, created(a))
	if err != nil && vegaerr.CodeOf(err) != vegaerr.Conflict {
		return Account{}, err
	}
	// 同一个人在两个窗口里同时头一次登录：另一个先建好了。
	a, missing := s.store.AccountBySubject(ctx, who.Issuer, who.Subject)
	if missing != nil && err != nil {
		return Account{}, vegaerr.New(vegaerr.Denied, ReasonNameTaken, "another operator already has the name %q", name)
	}
	return a, missing
}
