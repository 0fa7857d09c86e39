package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// AddToken 实现 identity.Store。
func (s *Store) AddToken(ctx context.Context, t identity.Token, h identity.Hash, changes []catalog.ChangeItem) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		err := q.AddToken(ctx, sqlcgen.AddTokenParams{
			ID: t.ID, Name: t.Name, TokenHash: h[:], Hint: t.Hint, Role: string(t.Role), Scopes: scopeTexts(t.Scopes),
			OwnerID: orNil(t.OwnerID), CreatedBy: t.CreatedBy, ExpiresAt: orNull(t.ExpiresAt),
		})
		if err != nil {
			return fmt.Errorf("add token: %w", err)
		}
		return audit(ctx, q, identity.Entry{Origin: identity.OriginOf(ctx), Changes: changes})
	})
	if duplicate(err) {
		return vegaerr.New(vegaerr.Conflict, "", "a token named %q already exists", t.Name)
	}
	return configErr(err)
}

// FindToken 实现 identity.Store。
func (s *Store) FindToken(ctx context.Context, h identity.Hash) (identity.Bearer, error) {
	row, err := s.q.FindToken(ctx, h[:])
	if errors.Is(err, pgx.ErrNoRows) {
		return identity.Bearer{}, vegaerr.New(vegaerr.NotFound, "", "no such token")
	}
	if err != nil {
		return identity.Bearer{}, configErr(err)
	}
	return identity.Bearer{Token: tokenOf(sqlcgen.ListTokensRow{
		ID: row.ID, Name: row.Name, Hint: row.Hint, Role: row.Role, Scopes: row.Scopes, OwnerID: row.OwnerID, Owner: row.Owner,
		CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt, LastUsedAt: row.LastUsedAt, LastUsedAddress: row.LastUsedAddress,
	}), OwnerRole: identity.Role(text(row.OwnerRole)), Stale: row.Stale}, nil
}

// TouchToken 实现 identity.Store。
func (s *Store) TouchToken(ctx context.Context, id, address string) error {
	return configErr(s.q.TouchToken(ctx, address, id))
}

// Tokens 实现 identity.Store。
func (s *Store) Tokens(ctx context.Context, ownerID string) ([]identity.Token, error) {
	rows, err := s.q.ListTokens(ctx, orNil(ownerID))
	if err != nil {
		return nil, configErr(err)
	}
	list := make([]identity.Token, 0, len(rows))
	for _, row := range rows {
		list = append(list, tokenOf(row))
	}
	return list, nil
}

func tokenOf(row sqlcgen.ListTokensRow) identity.Token {
	t := identity.Token{
		ID: row.ID, Name: row.Name, Hint: row.Hint, Role: identity.Role(row.Role), OwnerID: text(row.OwnerID), Owner: row.Owner,
		CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt.UTC(), ExpiresAt: instant(row.ExpiresAt),
		LastUsedAt: instant(row.LastUsedAt), LastUsedAddress: row.LastUsedAddress,
	}
	for _, scope := range row.Scopes {
		t.Scopes = append(t.Scopes, identity.Scope(scope))
	}
	return t
}

// DeleteToken 实现 identity.Store。
func (s *Store) DeleteToken(ctx context.Context, id, ownerID string) error {
	return configErr(pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		name, err := q.DeleteToken(ctx, id, orNil(ownerID))
		if errors.Is(err, pgx.ErrNoRows) {
			return vegaerr.New(vegaerr.NotFound, "", "no token has this id")
		}
		if err != nil {
			return fmt.Errorf("delete token: %w", err)
		}
		o := identity.OriginOf(ctx)
		o.Object = "token " + name
		return audit(ctx, q, identity.Entry{Origin: o, Changes: identity.TokenDeleted(name)})
	}))
}

func scopeTexts(scopes []identity.Scope) []string {
	list := make([]string, 0, len(scopes))
	for _, s := range scopes {
		list = append(list, string(s))
	}
	return list
}
