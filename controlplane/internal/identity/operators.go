package identity

import (
	"context"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Operators 是全部操作员，按名字升序。
func (s *Service) Operators(ctx context.Context) ([]Account, error) { return s.store.Accounts(ctx) }

// OperatorNamed 是一个操作员；没有是 vegaerr.NotFound。
func (s *Service) OperatorNamed(ctx context.Context, name string) (Account, error) {
	return s.store.Account(ctx, name)
}

// CreateOperator 建立一个本地的操作员，给出他的一次性口令。
func (s *Service) CreateOperator(ctx context.Context, name string, role Role) (Account, catalog.Secret, error) {
	var none catalog.Secret
	if !validName(name) {
		return Account{}, none, invalid("name", nameMessage)
	}
	if !role.Valid() {
		return Account{}, none, invalid("role", "must be viewer, operator or admin")
	}
	password := oneTime()
	encoded, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return Account{}, none, err
	}
	a := Account{ID: newID(), Name: name, Role: role, Enabled: true, PasswordHash: encoded, MustChangePassword: true}
	if err := s.store.CreateAccount(On(ctx, a.String()), a, created(a)); err != nil {
		return Account{}, none, err
	}
	a, err = s.store.Account(ctx, name)
	return a, password, err
}

// UpdateOperator 换掉角色与停用与否；match 核对版本。经 OIDC 来的角色由提供方说了算，不在这里改。
func (s *Service) UpdateOperator(ctx context.Context, name string, role Role, enabled bool, match func(version uint64) error) (Account, error) {
	if !role.Valid() {
		return Account{}, invalid("role", "must be viewer, operator or admin")
	}
	return s.change(ctx, name, func(cur Account, others int) (Edit, error) {
		next := cur
		next.Role, next.Enabled = role, enabled
		if err := match(cur.Version); err != nil {
			return Edit{}, err
		}
		if cur.External() && next.Role != cur.Role {
			return Edit{}, vegaerr.New(vegaerr.Conflict, "", "operator %q signs in through OIDC; the provider decides the role", name)
		}
		return revised(cur, next), keepAnAdmin(cur, next, false, others)
	})
}

// DeleteOperator 删去操作员，连同他的会话与令牌。
func (s *Service) DeleteOperator(ctx context.Context, name string, match func(version uint64) error) error {
	_, err := s.change(ctx, name, func(cur Account, others int) (Edit, error) {
		if err := match(cur.Version); err != nil {
			return Edit{}, err
		}
		e := Edit{Next: cur, Delete: true, Changes: []catalog.ChangeItem{{Kind: kindOperator, Name: cur.Name, Action: catalog.Deleted}}}
		return e, keepAnAdmin(cur, cur, true, others)
	})
	return err
}

// ResetPassword 给操作员一个新的一次性口令，他的会话全部作废。
func (s *Service) ResetPassword(ctx context.Context, name string) (catalog.Secret, error) {
	password := oneTime()
	encoded, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return catalog.Secret{}, err
	}
	_, err = s.change(ctx, name, func(cur Account, _ int) (Edit, error) {
		if cur.External() {
			return Edit{}, vegaerr.New(vegaerr.Conflict, "", "operator %q signs in through OIDC and has no password", name)
		}
		next := cur
		next.PasswordHash, next.MustChangePassword = encoded, true
		e := revised(cur, next)
		e.EndSessions = true
		return e, nil
	})
	if err != nil {
		return catalog.Secret{}, err
	}
	return password, nil
}

func (s *Service) change(ctx context.Context, name string, edit func(Account, int) (Edit, error)) (Account, error) {
	return s.store.ChangeAccount(On(ctx, "operator "+name), name, edit)
}
