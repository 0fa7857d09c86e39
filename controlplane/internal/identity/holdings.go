package identity

import (
	"context"
	"slices"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// nobody 是没有会话与令牌的主人：引导令牌与不属于谁的令牌名下什么也没有。
const nobody = "nobody"

// reach 是 p 够得着谁的会话与令牌：自己的（主人的 ID），或所有人的（空），后者要管理员。
func (p Principal) reach(all bool, scope Scope) (owner string, err error) {
	switch {
	case all:
		return "", p.May(Need{Role: Admin, Scope: scope})
	case p.OperatorID == "":
		return nobody, nil
	}
	return p.OperatorID, nil
}

// Sessions 列出活着的会话：自己的；all 则所有人的，只有管理员能看。
func (s *Service) Sessions(ctx context.Context, p Principal, all bool) ([]Session, error) {
	owner, err := p.reach(all, IdentityRead)
	if err != nil || owner == nobody {
		return nil, err
	}
	return s.store.Sessions(ctx, owner, s.cfg.Idle)
}

// EndSession 结束一个会话：自己的，管理员则谁的都行；没有是 vegaerr.NotFound。
func (s *Service) EndSession(ctx context.Context, p Principal, id string) error {
	owner, err := p.reach(p.IsAdmin(IdentityWrite), IdentityWrite)
	if err != nil {
		return err
	}
	if !isID(id) || owner == nobody {
		return vegaerr.New(vegaerr.NotFound, "", "no session has this id")
	}
	return s.store.EndSession(ctx, id, owner)
}

// EndOtherSessions 结束自己的其他会话，给出几个。
func (s *Service) EndOtherSessions(ctx context.Context, p Principal) (int, error) {
	if p.OperatorID == "" {
		return 0, nil
	}
	return s.store.EndOtherSessions(ctx, p.OperatorID, p.SessionID)
}

// Tokens 列出令牌：自己的；all 则全部，只有管理员能看。
func (s *Service) Tokens(ctx context.Context, p Principal, all bool) ([]Token, error) {
	owner, err := p.reach(all, IdentityRead)
	if err != nil || owner == nobody {
		return nil, err
	}
	return s.store.Tokens(ctx, owner)
}

// CreateToken 造一个令牌，明文只在这里。
func (s *Service) CreateToken(ctx context.Context, p Principal, n NewToken) (Token, catalog.Secret, error) {
	var none catalog.Secret
	if err := n.check(p, s.now()); err != nil {
		return Token{}, none, err
	}
	secret := newToken(tokenPrefix)
	scopes := slices.Clone(n.Scopes)
	slices.Sort(scopes)
	t := Token{ID: newID(), Name: n.Name, Hint: hint(secret), Role: n.Role, Scopes: slices.Compact(scopes),
		OwnerID: p.OperatorID, CreatedBy: p.Name, ExpiresAt: n.ExpiresAt}
	if n.Service {
		t.OwnerID = ""
	}
	if err := s.store.AddToken(On(ctx, "token "+n.Name), t, HashOf(secret.Reveal()), n.changes()); err != nil {
		return Token{}, none, err
	}
	made, err := s.store.FindToken(ctx, HashOf(secret.Reveal()))
	return made.Token, secret, err
}

// RevokeToken 吊销一个令牌：自己的，管理员则谁的都行；没有是 vegaerr.NotFound。
func (s *Service) RevokeToken(ctx context.Context, p Principal, id string) error {
	owner, err := p.reach(p.IsAdmin(IdentityWrite), IdentityWrite)
	if err != nil {
		return err
	}
	if !isID(id) || owner == nobody {
		return vegaerr.New(vegaerr.NotFound, "", "no token has this id")
	}
	return s.store.DeleteToken(ctx, id, owner)
}

// SessionsEnded 是结束了 operator 的 n 个会话的差异。
func SessionsEnded(operator string, n int) []catalog.ChangeItem {
	return []catalog.ChangeItem{{Kind: kindSession, Name: operator, Action: catalog.Deleted, Fields: []catalog.FieldChange{{Path: "sessions", From: n}}}}
}

// TokenDeleted 是吊销了一个令牌的差异。
func TokenDeleted(name string) []catalog.ChangeItem {
	return []catalog.ChangeItem{{Kind: kindToken, Name: name, Action: catalog.Deleted}}
}
