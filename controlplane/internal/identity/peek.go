package identity

import (
	"context"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// PeekSession 同 BySession，但不算活动：空闲期限照旧走，只是看看它还在不在。
func (s *Service) PeekSession(ctx context.Context, token string) (Principal, error) {
	if !looksLikeToken(token, "") {
		return Principal{}, noSession()
	}
	live, err := s.store.FindSession(ctx, HashOf(token), s.cfg.Idle, touchEvery(s.cfg.Idle))
	if vegaerr.CodeOf(err) == vegaerr.NotFound {
		return Principal{}, noSession()
	}
	if err != nil {
		return Principal{}, err
	}
	return live.principal(), nil
}

// PeekToken 同 ByToken，但不记下用过。
func (s *Service) PeekToken(ctx context.Context, token string) (Principal, error) {
	b, err := s.store.FindToken(ctx, HashOf(token))
	if vegaerr.CodeOf(err) == vegaerr.NotFound {
		return Principal{}, vegaerr.New(vegaerr.Unauthenticated, "", "the token is not known, was revoked or has expired")
	}
	if err != nil {
		return Principal{}, err
	}
	return b.principal(), nil
}

// principal 是会话的主人此刻的样子。
func (l Live) principal() Principal {
	return Principal{
		Kind: KindOperator, Name: l.Operator, Role: l.Role, OperatorID: l.OperatorID, SessionID: l.ID,
		ExpiresAt: l.ExpiresAt, Method: l.Method, MustChangePassword: l.MustChangePassword,
	}
}
