package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// readOnly 让多条查询看见同一个时刻。
var readOnly = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}

// Head 给出最新的版本号；还没有写过时为 0。
func (s *Store) Head(ctx context.Context) (uint64, error) {
	head, err := s.q.GetHead(ctx)
	return uint64(head.Revision), configErr(err)
}

// Load 给出最新的一版，含明文凭证；没有变过就不重读，给出的是同一个值。
func (s *Store) Load(ctx context.Context) (c *catalog.Catalog, err error) {
	err = pgx.BeginTxFunc(ctx, s.pool, readOnly, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		head, err := q.GetHead(ctx)
		if err != nil {
			return fmt.Errorf("read head: %w", err)
		}
		c, err = s.current(ctx, q, version(head))
		return err
	})
	return c, configErr(err)
}

// version 是配置此刻的版本；stamp 相同，内容必同。
type version struct {
	Revision int64
	Stamp    string
}

// loaded 是最近读到或写下的一版。
type loaded struct {
	stamp   string
	catalog *catalog.Catalog
}

// current 给出 head 那一版：一万个 app 重读一次要一百毫秒，而多数读之间什么也没有变。
func (s *Store) current(ctx context.Context, q *sqlcgen.Queries, head version) (*catalog.Catalog, error) {
	if last := s.last.Load(); last != nil && last.stamp == head.Stamp {
		return last.catalog, nil
	}
	c, err := s.load(ctx, q, uint64(head.Revision))
	if err != nil {
		return nil, err
	}
	s.last.Store(&loaded{stamp: head.Stamp, catalog: c})
	return c, nil
}

func (s *Store) load(ctx context.Context, q *sqlcgen.Queries, revision uint64) (*catalog.Catalog, error) {
	c := catalog.New()
	c.Revision = revision
	objects, err := q.ListObjects(ctx)
	if err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	for _, o := range objects {
		if err := s.vault.addObject(c, o.Kind, o.Name, o.Spec, o.Version); err != nil {
			return nil, err
		}
	}
	keys, err := q.ListKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	for _, row := range keys {
		if k := keyOf(row); k.DetachedRevision != 0 {
			c.Detached[k.ID] = k
		} else {
			c.Keys[k.Ref()] = k
		}
	}
	credentials, err := q.ListCredentials(ctx)
	if err != nil {
		return nil, fmt.Errorf("list credentials: %w", err)
	}
	for _, row := range credentials {
		if c.Credentials[row.Server], err = s.vault.openCredential(row); err != nil {
			return nil, vegaerr.Wrap(err, vegaerr.Internal, "", "a stored credential cannot be opened")
		}
	}
	return c, nil
}

func (v vault) addObject(c *catalog.Catalog, kind, name string, spec []byte, version int64) error {
	at := uint64(version)
	var err error
	switch catalog.Kind(kind) {
	case catalog.KindServer:
		o := &catalog.Server{Version: at, ServerSpec: catalog.ServerSpec{Drain: catalog.DefaultDrain()}} // 这一项是后来才有的
		if err = json.Unmarshal(spec, &o.ServerSpec); err == nil {
			err = v.openSpec(&o.ServerSpec)
		}
		c.Servers[name] = o
	case catalog.KindModel:
		o := &catalog.Model{Version: at}
		err = json.Unmarshal(spec, &o.ModelSpec)
		c.Models[name] = o
	case catalog.KindApp:
		o := &catalog.App{Version: at}
		err = json.Unmarshal(spec, &o.AppSpec)
		c.Apps[name] = o
	}
	if err != nil {
		return vegaerr.Wrap(err, vegaerr.Internal, "", "the stored %s %q cannot be read", kind, name)
	}
	return nil
}

func keyOf(row sqlcgen.ListKeysRow) *catalog.Key {
	k := &catalog.Key{
		ID: row.ID, App: row.App, Name: row.Name, MAC: [32]byte(row.Mac), Hint: row.Hint,
		CreatedAt: row.CreatedAt.UTC(), CreatedRevision: uint64(row.CreatedRevision), ExpiresAt: utcOrZero(row.ExpiresAt),
	}
	if row.DetachedRevision != nil {
		k.DetachedRevision = uint64(*row.DetachedRevision)
	}
	return k
}

func utcOrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
