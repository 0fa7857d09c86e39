package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Admission 是准入的两张表：当任者那一行与成员。它有自己的几条连接：
// 入账或写配置把 Store 的连接占满时，续期不能跟着排队，否则数据库一忙就换任。
type Admission struct {
	pool *pgxpool.Pool
	q    *sqlcgen.Queries
}

const (
	// admissionConns 够续期、写成员与另一次重试同时进行。
	admissionConns = 3
	// leaderName 是那一行的名字。
	leaderName = "admission"
)

// OpenAdmission 以与 Store 相同的设定另开几条连接；用完须 Close。
func (s *Store) OpenAdmission(ctx context.Context) (*Admission, error) {
	cfg := s.pool.Config()
	cfg.MaxConns, cfg.MinConns, cfg.MinIdleConns = admissionConns, 0, 0
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database pool for admission: %w", err)
	}
	return &Admission{pool: pool, q: sqlcgen.New(pool)}, nil
}

// Close 等在用的连接归还后关闭。
func (a *Admission) Close() { a.pool.Close() }

// ReadSeat 给出当任者那一行；从来没有过即零值。
func (a *Admission) ReadSeat(ctx context.Context) (admission.Seat, error) {
	row, err := a.q.ReadAdmissionLeader(ctx, leaderName)
	if errors.Is(err, pgx.ErrNoRows) {
		return admission.Seat{}, nil
	}
	if err != nil {
		return admission.Seat{}, admissionUnavailable(err)
	}
	return admission.Seat{
		Holder: row.Holder, Term: uint64(row.Term), Address: row.Address,
		Left: time.Duration(row.LeftUs) * time.Microsecond, Expires: row.ExpiresUs,
	}, nil
}

// AcquireSeat 空着、过期了、本来就是自己的、或仍是 c.Stale 的样子才拿得到，返回新的任期，大于从前所有的与 c.AtLeast；拿不到返回 0。
func (a *Admission) AcquireSeat(ctx context.Context, c admission.Claim) (uint64, error) {
	term, err := a.q.AcquireAdmissionLeader(ctx, sqlcgen.AcquireAdmissionLeaderParams{
		Name: leaderName, Holder: c.Holder, Address: c.Address, AtLeast: int64(c.AtLeast), TtlUs: c.TTL.Microseconds(),
		StaleTerm: int64(c.Stale.Term), StaleUs: c.Stale.Expires})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, admissionUnavailable(err)
	}
	return uint64(term), nil
}

// RenewSeat 从此刻（数据库的钟）起再续 ttl；已经不归 t 则 held 为假。
func (a *Admission) RenewSeat(ctx context.Context, t admission.Title, ttl time.Duration) (held bool, err error) {
	n, err := a.q.RenewAdmissionLeader(ctx, sqlcgen.RenewAdmissionLeaderParams{
		Name: leaderName, Holder: t.Holder, Term: int64(t.Term), TtlUs: ttl.Microseconds()})
	if err != nil {
		return false, admissionUnavailable(err)
	}
	return n == 1, nil
}

// ReleaseSeat 立刻交出；已经不归 t 则什么也不做。
func (a *Admission) ReleaseSeat(ctx context.Context, t admission.Title) error {
	if _, err := a.q.ReleaseAdmissionLeader(ctx, leaderName, t.Holder, int64(t.Term)); err != nil {
		return admissionUnavailable(err)
	}
	return nil
}

func admissionUnavailable(err error) error {
	return vegaerr.Wrap(err, vegaerr.Unavailable, "", "the admission tables cannot be reached now")
}
