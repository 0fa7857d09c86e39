package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
)

// maxAuditChanges 是一条审计里至多几处变化：整份替换一万个 key 时，余下的在那一版的差异里都有。
const maxAuditChanges = 200

// audit 在 q 的事务里写一条审计；来源取自 ctx。
func audit(ctx context.Context, q *sqlcgen.Queries, e identity.Entry) error {
	shown := e.Changes[:min(len(e.Changes), maxAuditChanges)]
	changes, err := json.Marshal(append([]catalog.ChangeItem{}, shown...))
	if err != nil {
		return fmt.Errorf("encode audit: %w", err)
	}
	if left := len(e.Changes) - len(shown); left > 0 {
		e.Note = fmt.Sprintf("%s (and %d more changes; see the revision)", e.Note, left)
	}
	p := sqlcgen.AddAuditParams{
		Actor: storable(e.Actor), ActorKind: string(e.Kind), Address: e.Address, RequestID: e.RequestID,
		Action: e.Action, Object: storable(e.Object), Note: storable(e.Note), Changes: changes,
	}
	if e.Revision > 0 {
		revision := int64(e.Revision)
		p.Revision = &revision
	}
	if err := q.AddAudit(ctx, p); err != nil {
		return fmt.Errorf("write audit: %w", err)
	}
	return nil
}

// auditConfig 记下一次配置写。
func auditConfig(ctx context.Context, q *sqlcgen.Queries, actor, note string, done catalog.Applied) error {
	o := identity.OriginOf(ctx)
	if o.Kind == identity.KindSystem {
		o.Actor = actor
	}
	if o.Action == "" {
		o.Action = "config.change"
	}
	if o.Object == "" {
		o.Object = "config"
	}
	return audit(ctx, q, identity.Entry{Origin: o, Note: note, Changes: done.Changes, Revision: done.Revision})
}

// auditSettings 记下一次设置写：不同的那几栏，没有写过的按缺省算。
func auditSettings(ctx context.Context, q *sqlcgen.Queries, from, to []byte) error {
	before, err := settingsFace(from)
	if err != nil {
		before = nil // 存坏了的当作没有：要记的是改成了什么
	}
	after, err := settingsFace(to)
	if err != nil {
		return err
	}
	change := catalog.ChangeItem{Kind: "settings", Name: "settings", Action: catalog.Updated}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if !reflect.DeepEqual(before[name], after[name]) {
			change.Fields = append(change.Fields, catalog.FieldChange{Path: name, From: before[name], To: after[name]})
		}
	}
	o := identity.OriginOf(ctx)
	o.Object = "settings"
	return audit(ctx, q, identity.Entry{Origin: o, Changes: []catalog.ChangeItem{change}})
}

// settingsFace 把设置的文档补上缺省，变成可比的 JSON 树。
func settingsFace(document []byte) (tree map[string]any, err error) {
	settings, err := decodeSettings(document)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(settings)
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	err = json.Unmarshal(b, &tree)
	return tree, err
}

// audited 在一个事务里做一件事并记下它；act 给出动了几行，没有动则不记。
func (s *Store) audited(ctx context.Context, object string, act func(*sqlcgen.Queries) (int64, error)) (n int64, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		if n, err = act(q); err != nil || n == 0 {
			return err
		}
		o := identity.OriginOf(ctx)
		o.Object = object
		return audit(ctx, q, identity.Entry{Origin: o})
	})
	return n, err
}

// Record 实现 identity.Store。
func (s *Store) Record(ctx context.Context, e identity.Entry) error {
	return configErr(audit(ctx, s.q, e))
}

// Audit 实现 identity.Store。
func (s *Store) Audit(ctx context.Context, q identity.Query) ([]identity.Entry, error) {
	if q.Before <= 0 {
		q.Before = math.MaxInt64
	}
	rows, err := s.q.ListAudit(ctx, sqlcgen.ListAuditParams{
		Before: q.Before, Actor: storable(q.Actor), Action: storable(q.Action), Object: storable(q.Object), Address: storable(q.Address),
		Since: orNull(q.Since), Until: orNull(q.Until), Most: int32(min(max(q.Limit, 0), math.MaxInt32)),
	})
	if err != nil {
		return nil, configErr(err)
	}
	entries := make([]identity.Entry, 0, len(rows))
	for _, row := range rows {
		e := identity.Entry{ID: row.ID, At: row.At.UTC(), Note: row.Note, Origin: identity.Origin{
			Kind: identity.Kind(row.ActorKind), Actor: row.Actor, Address: row.Address, RequestID: row.RequestID, Action: row.Action, Object: row.Object}}
		if row.Revision != nil {
			e.Revision = uint64(*row.Revision)
		}
		if err := json.Unmarshal(row.Changes, &e.Changes); err != nil {
			return nil, fmt.Errorf("decode audit entry %d: %w", row.ID, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// LoggedInFrom 实现 identity.Store。
func (s *Store) LoggedInFrom(ctx context.Context, actor, network string) (bool, error) {
	prefix := ""
	if strings.Contains(network, "/") {
		prefix = network
	}
	known, err := s.q.LoggedInFrom(ctx, storable(actor), network, prefix)
	return known, configErr(err)
}

// orNull 把零值写成 NULL。
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
