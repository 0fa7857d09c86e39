package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/controlplane/internal/snapshot"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Mutate 是一次写的纯函数：由现在的一版算出下一版；错误原样交还调用者。
type Mutate = func(*catalog.Catalog) (*catalog.Catalog, error)

// Change 做一次配置写：锁住版本号、读出全部、调用 mutate（恰一次）、检查、只写变了的行、记一版、通知、写审计（来源取自 ctx），都在一个事务里。
// 没有变化时不产生新的一版。错误：mutate 的错误原样；检查不过是 Invalid；secret 属于被吊销的 key 是 Conflict；
// 数据库不应答是 Unavailable（提交时断线则写成与否不可知，重读即知）。
func (s *Store) Change(ctx context.Context, actor, note string, mutate Mutate) (done catalog.Applied, err error) {
	var stamp string
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		head, err := q.LockHead(ctx)
		if err != nil {
			return fmt.Errorf("lock head: %w", err)
		}
		p, err := s.plan(ctx, q, version(head), mutate)
		if err != nil {
			return err
		}
		if done = p.applied; !done.Changed {
			return nil
		}
		done.Revision++
		done.Catalog = catalog.Stamp(done.Catalog, p.delta, done.Revision)
		if stamp, err = s.write(ctx, q, revision{number: int64(done.Revision), actor: actor, note: note}, p); err != nil {
			return err
		}
		return auditConfig(ctx, q, actor, note, done)
	})
	if err != nil {
		return catalog.Applied{}, configErr(err)
	}
	if done.Changed {
		s.last.Store(&loaded{stamp: stamp, catalog: done.Catalog})
	}
	return done, nil
}

// DryRun 与 Change 同样地算与查，但什么也不写、谁也不挡。
func (s *Store) DryRun(ctx context.Context, mutate Mutate) (would catalog.Applied, err error) {
	err = pgx.BeginTxFunc(ctx, s.pool, readOnly, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		head, err := q.GetHead(ctx)
		if err != nil {
			return fmt.Errorf("read head: %w", err)
		}
		p, err := s.plan(ctx, q, version(head), mutate)
		would = p.applied
		return err
	})
	if err != nil {
		return catalog.Applied{}, configErr(err)
	}
	return would, nil
}

// plan 是算好、查过、还没有写的一次改动。
type plan struct {
	delta   catalog.Delta
	applied catalog.Applied
}

func (s *Store) plan(ctx context.Context, q *sqlcgen.Queries, head version, mutate Mutate) (plan, error) {
	cur, err := s.current(ctx, q, head)
	if err != nil {
		return plan{}, err
	}
	next, err := mutate(cur)
	if err != nil {
		return plan{}, err
	}
	if next == nil {
		return plan{}, vegaerr.New(vegaerr.Internal, "", "the change returned no configuration")
	}
	p := plan{delta: catalog.Compare(cur, next), applied: catalog.Applied{Revision: cur.Revision, Catalog: cur, Changes: []catalog.ChangeItem{}}}
	if p.delta.Empty() {
		return p, nil
	}
	if err := snapshot.Check(next); err != nil {
		return plan{}, err
	}
	if err := refuseRevoked(ctx, q, p.delta.KeysPut); err != nil {
		return plan{}, err
	}
	p.applied.Changed, p.applied.Catalog, p.applied.Changes = true, next, catalog.Diff(cur, next)
	return p, nil
}

// refuseRevoked 挡住用回被吊销的 secret 的新 key；吊销过的行不在 Catalog 里，只有数据库记得。
func refuseRevoked(ctx context.Context, q *sqlcgen.Queries, put []*catalog.Key) error {
	fresh := map[[32]byte]*catalog.Key{}
	var macs [][]byte
	for _, k := range put {
		if k.CreatedRevision == 0 {
			fresh[k.MAC], macs = k, append(macs, k.MAC[:])
		}
	}
	if len(macs) == 0 {
		return nil
	}
	dead, err := q.FindRevokedMACs(ctx, macs)
	if err != nil {
		return fmt.Errorf("look for revoked secrets: %w", err)
	}
	var found []catalog.Finding
	for _, mac := range dead {
		k := fresh[[32]byte(mac)]
		found = append(found, catalog.Finding{
			Ref: catalog.Ref{Kind: catalog.KindKey, Name: k.App, Key: k.Name}, Field: "secret", Message: catalog.MessageRevokedSecret})
	}
	if len(found) == 0 {
		return nil
	}
	return catalog.Reject(vegaerr.Conflict, "", "a secret belongs to a revoked key", found)
}

// write 写下 p，返回新的 stamp。
func (s *Store) write(ctx context.Context, q *sqlcgen.Queries, r revision, p plan) (stamp string, err error) {
	err = q.CreateRevision(ctx, sqlcgen.CreateRevisionParams{
		Number: r.number, Actor: storable(r.actor), Note: storable(r.note), Summary: catalog.Summarise(p.applied.Changes)})
	if err != nil {
		return "", fmt.Errorf("record revision: %w", err)
	}
	stored, err := s.vault.sealSpecs(p.delta)
	if err != nil {
		return "", err
	}
	for _, step := range []func(context.Context, *sqlcgen.Queries, catalog.Delta) error{
		r.writeObjects, r.writeKeys, s.writeCredentials, r.writeHistory,
	} {
		if err := step(ctx, q, stored); err != nil {
			return "", err
		}
	}
	if stamp, err = q.MoveHead(ctx, r.number); err != nil {
		return "", fmt.Errorf("move head: %w", err)
	}
	if err := q.NotifyConfig(ctx, strconv.FormatInt(r.number, 10)); err != nil {
		return "", fmt.Errorf("notify: %w", err)
	}
	return stamp, nil
}

// storable 去掉 text 列存不下的字节：附言里一个坏字节不该让整个写失败。
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
