package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// keptSessions 是一个操作员至多几个会话，再开则最早的作废：捡到口令的人也不能把表撑大。
const keptSessions = 50

// OpenSession 实现 identity.Store。
func (s *Store) OpenSession(ctx context.Context, o identity.Opening) (expires time.Time, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		n, err := q.MarkLogin(ctx, o.Account.ID, int64(o.Account.Version))
		if err != nil {
			return fmt.Errorf("mark login: %w", err)
		}
		if n == 0 {
			return vegaerr.New(vegaerr.Unauthenticated, identity.ReasonInvalidLogin, "the operator was changed meanwhile; sign in again")
		}
		if err := q.EndSessionByHash(ctx, o.Replaces[:]); err != nil {
			return fmt.Errorf("end the old session: %w", err)
		}
		expires, err = q.AddSession(ctx, sqlcgen.AddSessionParams{
			ID: o.ID, TokenHash: o.Hash[:], OperatorID: o.Account.ID, Method: string(o.Method),
			Address: o.Address, UserAgent: storable(o.UserAgent), LifetimeSeconds: o.Lifetime.Seconds(),
		})
		if err != nil {
			return fmt.Errorf("add session: %w", err)
		}
		if err := q.TrimSessions(ctx, o.Account.ID, keptSessions); err != nil {
			return fmt.Errorf("trim sessions: %w", err)
		}
		return audit(ctx, q, identity.Entry{Origin: identity.OriginOf(ctx), Note: string(o.Method)})
	})
	return expires.UTC(), configErr(err)
}

// FindSession 实现 identity.Store。
func (s *Store) FindSession(ctx context.Context, h identity.Hash, idle, touch time.Duration) (identity.Live, error) {
	row, err := s.q.FindSession(ctx, touch.Seconds(), h[:], idle.Seconds())
	if errors.Is(err, pgx.ErrNoRows) {
		return identity.Live{}, vegaerr.New(vegaerr.NotFound, "", "no such session")
	}
	if err != nil {
		return identity.Live{}, configErr(err)
	}
	return identity.Live{
		Session: identity.Session{ID: row.ID, OperatorID: row.OperatorID, Operator: row.Name, Method: identity.Method(row.Method), ExpiresAt: row.ExpiresAt.UTC()},
		Role:    identity.Role(row.Role), MustChangePassword: row.MustChangePassword, Stale: row.Stale,
	}, nil
}

// TouchSession 实现 identity.Store。
func (s *Store) TouchSession(ctx context.Context, id string) error {
	return configErr(s.q.TouchSession(ctx, id))
}

// Sessions 实现 identity.Store。
func (s *Store) Sessions(ctx context.Context, operatorID string, idle time.Duration) ([]identity.Session, error) {
	rows, err := s.q.ListSessions(ctx, orNil(operatorID), idle.Seconds())
	if err != nil {
		return nil, configErr(err)
	}
	list := make([]identity.Session, 0, len(rows))
	for _, row := range rows {
		list = append(list, identity.Session{ID: row.ID, OperatorID: row.OperatorID, Operator: row.Name, Method: identity.Method(row.Method),
			Address: row.Address, UserAgent: row.UserAgent, CreatedAt: row.CreatedAt.UTC(), LastSeenAt: row.LastSeenAt.UTC(), ExpiresAt: row.ExpiresAt.UTC()})
	}
	return list, nil
}

// EndSession 实现 identity.Store。
func (s *Store) EndSession(ctx context.Context, id, operatorID string) error {
	return configErr(pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		name, err := q.EndSession(ctx, id, orNil(operatorID))
		if errors.Is(err, pgx.ErrNoRows) {
			return vegaerr.New(vegaerr.NotFound, "", "no session has this id")
		}
		if err != nil {
			return fmt.Errorf("end session: %w", err)
		}
		o := identity.OriginOf(ctx)
		o.Object = "operator " + name
		return audit(ctx, q, identity.Entry{Origin: o, Changes: identity.SessionsEnded(name, 1)})
	}))
}

// EndOtherSessions 实现 identity.Store。
func (s *Store) EndOtherSessions(ctx context.Context, operatorID, keep string) (n int, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		gone, err := q.EndSessions(ctx, operatorID, orNil(keep))
		if err != nil {
			return fmt.Errorf("end sessions: %w", err)
		}
		if n = int(gone); n == 0 {
			return nil
		}
		name, err := q.OperatorName(ctx, operatorID)
		if err != nil {
			return fmt.Errorf("name the operator: %w", err)
		}
		o := identity.OriginOf(ctx)
		o.Object = "operator " + name
		return audit(ctx, q, identity.Entry{Origin: o, Changes: identity.SessionsEnded(name, n)})
	})
	return n, configErr(err)
}

// Purge 实现 identity.Store。
func (s *Store) Purge(ctx context.Context, idle, forget time.Duration) error {
	if _, err := s.q.PurgeSessions(ctx, idle.Seconds()); err != nil {
		return configErr(err)
	}
	_, err := s.q.PurgeTries(ctx, forget.Seconds())
	return configErr(err)
}
