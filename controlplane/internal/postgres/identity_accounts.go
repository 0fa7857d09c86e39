package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

var _ identity.Store = (*Store)(nil)

// Accounts 实现 identity.Store。
func (s *Store) Accounts(ctx context.Context) ([]identity.Account, error) {
	rows, err := s.q.ListOperators(ctx)
	if err != nil {
		return nil, configErr(err)
	}
	list := make([]identity.Account, 0, len(rows))
	for _, row := range rows {
		list = append(list, accountOf(row))
	}
	return list, nil
}

// Account 实现 identity.Store。
func (s *Store) Account(ctx context.Context, name string) (identity.Account, error) {
	row, err := s.q.GetOperator(ctx, storable(name))
	return foundAccount(row, name, err)
}

// AccountBySubject 实现 identity.Store。
func (s *Store) AccountBySubject(ctx context.Context, issuer, subject string) (identity.Account, error) {
	row, err := s.q.GetOperatorBySubject(ctx, &issuer, &subject)
	return foundAccount(row, subject, err)
}

func foundAccount(row sqlcgen.Operator, name string, err error) (identity.Account, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return identity.Account{}, vegaerr.New(vegaerr.NotFound, "", "operator %q does not exist", name)
	}
	if err != nil {
		return identity.Account{}, configErr(err)
	}
	return accountOf(row), nil
}

func accountOf(row sqlcgen.Operator) identity.Account {
	return identity.Account{
		ID: row.ID, Name: row.Name, Role: identity.Role(row.Role), Enabled: row.Enabled,
		PasswordHash: text(row.PasswordHash), MustChangePassword: row.MustChangePassword,
		Issuer: text(row.OidcIssuer), Subject: text(row.OidcSubject), Version: uint64(row.Version),
		CreatedAt: row.CreatedAt.UTC(), LastLoginAt: instant(row.LastLoginAt),
	}
}

// CreateAccount 实现 identity.Store。
func (s *Store) CreateAccount(ctx context.Context, a identity.Account, changes []catalog.ChangeItem) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		return addAccount(ctx, s.q.WithTx(tx), a, changes)
	})
	if duplicate(err) {
		return vegaerr.New(vegaerr.Conflict, "", "operator %q already exists", a.Name)
	}
	return configErr(err)
}

// CreateFirstAccount 实现 identity.Store。
func (s *Store) CreateFirstAccount(ctx context.Context, a identity.Account, changes []catalog.ChangeItem) (made bool, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		if err := q.LockOperators(ctx); err != nil {
			return fmt.Errorf("lock operators: %w", err)
		}
		some, err := q.OperatorsExist(ctx)
		if err != nil || some {
			return err
		}
		made = true
		return addAccount(ctx, q, a, changes)
	})
	return made && err == nil, configErr(err)
}

func addAccount(ctx context.Context, q *sqlcgen.Queries, a identity.Account, changes []catalog.ChangeItem) error {
	err := q.CreateOperator(ctx, sqlcgen.CreateOperatorParams{
		ID: a.ID, Name: a.Name, Role: string(a.Role), Enabled: a.Enabled, PasswordHash: orNil(a.PasswordHash),
		MustChangePassword: a.MustChangePassword, OidcIssuer: orNil(a.Issuer), OidcSubject: orNil(a.Subject),
	})
	if err != nil {
		return fmt.Errorf("create operator: %w", err)
	}
	o := identity.OriginOf(ctx)
	o.Object = a.String()
	return audit(ctx, q, identity.Entry{Origin: o, Changes: changes})
}

// ChangeAccount 实现 identity.Store。
func (s *Store) ChangeAccount(ctx context.Context, name string, edit func(identity.Account, int) (identity.Edit, error)) (done identity.Account, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		if err := q.LockOperators(ctx); err != nil {
			return fmt.Errorf("lock operators: %w", err)
		}
		row, err := q.GetOperator(ctx, storable(name))
		cur, err := foundAccount(row, name, err)
		if err != nil {
			return err
		}
		others, err := q.CountOtherAdmins(ctx, cur.ID)
		if err != nil {
			return fmt.Errorf("count admins: %w", err)
		}
		e, err := edit(cur, int(others))
		if err != nil {
			return err
		}
		done = cur
		if len(e.Changes) == 0 {
			return nil
		}
		if err := applyEdit(ctx, q, e); err != nil || e.Delete {
			return err
		}
		row, err = q.GetOperator(ctx, cur.Name)
		done, err = foundAccount(row, name, err)
		return err
	})
	if err != nil {
		return identity.Account{}, configErr(err)
	}
	return done, nil
}

func applyEdit(ctx context.Context, q *sqlcgen.Queries, e identity.Edit) (err error) {
	a := e.Next
	if e.Delete {
		err = q.DeleteOperator(ctx, a.ID)
	} else {
		err = q.UpdateOperator(ctx, sqlcgen.UpdateOperatorParams{ID: a.ID, Role: string(a.Role), Enabled: a.Enabled,
			PasswordHash: orNil(a.PasswordHash), MustChangePassword: a.MustChangePassword})
	}
	if err != nil {
		return fmt.Errorf("change operator: %w", err)
	}
	if e.EndSessions && !e.Delete {
		if _, err := q.EndSessions(ctx, a.ID, orNil(e.KeepSession)); err != nil {
			return fmt.Errorf("end sessions: %w", err)
		}
	}
	o := identity.OriginOf(ctx)
	if o.Object == "" {
		o.Object = a.String()
	}
	return audit(ctx, q, identity.Entry{Origin: o, Changes: e.Changes})
}

// RehashPassword 实现 identity.Store。
func (s *Store) RehashPassword(ctx context.Context, a identity.Account, encoded string) error {
	return configErr(s.q.RehashPassword(ctx, &encoded, a.ID, int64(a.Version)))
}

// duplicate 说 err 是撞了唯一约束。
func duplicate(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505"
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// instant 把 NULL 读成零值。
func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
