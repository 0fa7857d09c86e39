package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
)

// revision 是正在写的一版。
type revision struct {
	number      int64
	actor, note string
}

// columns 是按列排好的一批行：一条语句写完，往返次数与行数无关。
type columns struct{ kinds, names, specs []string }

func (c *columns) add(kind catalog.Kind, name, spec string) {
	c.kinds, c.names, c.specs = append(c.kinds, string(kind)), append(c.names, name), append(c.specs, spec)
}

func (r revision) writeObjects(ctx context.Context, q *sqlcgen.Queries, d catalog.Delta) error {
	var put, touch, drop columns
	for _, o := range d.Put {
		spec, err := json.Marshal(o.Spec)
		if err != nil {
			return fmt.Errorf("encode %s %q: %w", o.Ref.Kind, o.Ref.Name, err)
		}
		put.add(o.Ref.Kind, o.Ref.Name, string(spec))
	}
	for _, ref := range d.Touch {
		touch.add(ref.Kind, ref.Name, "")
	}
	for _, ref := range d.Drop {
		drop.add(ref.Kind, ref.Name, "")
	}
	if len(put.names) > 0 {
		err := q.PutObjects(ctx, sqlcgen.PutObjectsParams{Version: r.number, Kinds: put.kinds, Names: put.names, Specs: put.specs})
		if err != nil {
			return fmt.Errorf("write objects: %w", err)
		}
	}
	if len(touch.names) > 0 {
		if err := q.TouchObjects(ctx, r.number, touch.kinds, touch.names); err != nil {
			return fmt.Errorf("touch objects: %w", err)
		}
	}
	if len(drop.names) > 0 {
		if err := q.DropObjects(ctx, drop.kinds, drop.names); err != nil {
			return fmt.Errorf("delete objects: %w", err)
		}
	}
	return nil
}

// writeKeys 先收走旧的再写新的：同一个名字在活着的 key 里只许有一个。
func (r revision) writeKeys(ctx context.Context, q *sqlcgen.Queries, d catalog.Delta) error {
	if len(d.KeysRevoked) > 0 {
		if err := q.RevokeKeys(ctx, r.number, idsOf(d.KeysRevoked)); err != nil {
			return fmt.Errorf("revoke keys: %w", err)
		}
	}
	if len(d.KeysDetached) > 0 {
		if err := q.DetachKeys(ctx, r.number, idsOf(d.KeysDetached)); err != nil {
			return fmt.Errorf("detach keys: %w", err)
		}
	}
	if len(d.KeysPut) == 0 {
		return nil
	}
	p := sqlcgen.PutKeysParams{Revision: r.number}
	for _, k := range d.KeysPut {
		p.Ids, p.Apps, p.Names = append(p.Ids, k.ID), append(p.Apps, k.App), append(p.Names, k.Name)
		p.Macs, p.Hints = append(p.Macs, k.MAC[:]), append(p.Hints, k.Hint)
		p.CreatedAt, p.ExpiresAt = append(p.CreatedAt, k.CreatedAt), append(p.ExpiresAt, orEpoch(k.ExpiresAt))
	}
	if err := q.PutKeys(ctx, p); err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	return nil
}

// orEpoch 把「不过期」写成 epoch，查询里再变回 NULL。
func orEpoch(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return t
}

func idsOf(keys []*catalog.Key) []string {
	ids := make([]string, 0, len(keys))
	for _, k := range keys {
		ids = append(ids, k.ID)
	}
	return ids
}

func (s *Store) writeCredentials(ctx context.Context, q *sqlcgen.Queries, d catalog.Delta) error {
	if len(d.CredentialsDropped) > 0 {
		if err := q.DropCredentials(ctx, d.CredentialsDropped); err != nil {
			return fmt.Errorf("drop credentials: %w", err)
		}
	}
	for _, c := range d.CredentialsPut {
		row, err := s.vault.sealCredential(c)
		if err != nil {
			return err
		}
		if err := q.PutCredential(ctx, row); err != nil {
			return fmt.Errorf("write credential of server %q: %w", c.Server, err)
		}
	}
	return nil
}

func (r revision) writeHistory(ctx context.Context, q *sqlcgen.Queries, d catalog.Delta) error {
	rows, err := historyOf(d)
	if err != nil {
		return err
	}
	err = q.AddHistory(ctx, sqlcgen.AddHistoryParams{Revision: r.number, Kinds: rows.kinds, Names: rows.names, Specs: rows.specs})
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

func historyOf(d catalog.Delta) (rows columns, err error) {
	record := func(kind catalog.Kind, name string, spec any) {
		b, e := json.Marshal(spec)
		if e != nil && err == nil {
			err = fmt.Errorf("encode history of %s %q: %w", kind, name, e)
		}
		rows.add(kind, name, string(b))
	}
	for _, o := range d.Put {
		record(o.Ref.Kind, o.Ref.Name, o.Spec)
	}
	for _, ref := range d.Drop {
		rows.add(ref.Kind, ref.Name, "")
	}
	for _, k := range d.KeysPut {
		r := keyRecord{App: k.App, Name: k.Name}
		if !k.ExpiresAt.IsZero() {
			r.ExpiresAt = &k.ExpiresAt
		}
		record(catalog.KindKey, k.ID, r)
	}
	for _, gone := range [][]*catalog.Key{d.KeysDetached, d.KeysRevoked} {
		for _, k := range gone {
			rows.add(catalog.KindKey, k.ID, "")
		}
	}
	for _, c := range d.CredentialsPut {
		record(catalog.KindCredential, c.Server, credentialRecord{ID: c.ID, Hint: c.Hint})
	}
	for _, server := range d.CredentialsDropped {
		rows.add(catalog.KindCredential, server, "")
	}
	return rows, err
}
