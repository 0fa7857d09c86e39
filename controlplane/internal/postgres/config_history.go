package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// keyRecord 是历史里的一把 key；不变的几栏在 keys 表里。
type keyRecord struct {
	App       string     `json:"app"`
	Name      string     `json:"name"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// credentialRecord 是历史里的一份凭证，没有秘密。
type credentialRecord struct {
	ID   string `json:"id"`
	Hint string `json:"hint"`
}

// LoadAt 重建第 revision 版：0 是空的一版。凭证只有 ID 与末四个字符，对象的 Version 是规格最近一次变化的版本。
// 没有这一版是 vegaerr.NotFound。
func (s *Store) LoadAt(ctx context.Context, revision uint64) (c *catalog.Catalog, err error) {
	if revision > math.MaxInt64 {
		return nil, noRevision(revision)
	}
	err = pgx.BeginTxFunc(ctx, s.pool, readOnly, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		if revision > 0 {
			if _, err := q.GetRevision(ctx, int64(revision)); errors.Is(err, pgx.ErrNoRows) {
				return noRevision(revision)
			} else if err != nil {
				return fmt.Errorf("read revision: %w", err)
			}
		}
		c, err = s.vault.loadAt(ctx, q, revision)
		return err
	})
	return c, configErr(err)
}

func noRevision(n uint64) error {
	return vegaerr.New(vegaerr.NotFound, "", "revision %d does not exist", n)
}

func (v vault) loadAt(ctx context.Context, q *sqlcgen.Queries, revision uint64) (*catalog.Catalog, error) {
	rows, err := q.ListHistoryAt(ctx, int64(revision))
	if err != nil {
		return nil, fmt.Errorf("list history: %w", err)
	}
	c := catalog.New()
	c.Revision = revision
	keys := map[string]keyRecord{}
	for _, row := range rows {
		switch catalog.Kind(row.Kind) {
		case catalog.KindKey:
			var k keyRecord
			err = json.Unmarshal(row.Spec, &k)
			keys[row.Name] = k
		case catalog.KindCredential:
			var r credentialRecord
			err = json.Unmarshal(row.Spec, &r)
			c.Credentials[row.Name] = &catalog.Credential{ID: r.ID, Hint: r.Hint}
		default:
			err = v.addObject(c, row.Kind, row.Name, row.Spec, row.Revision)
		}
		if err != nil {
			return nil, vegaerr.Wrap(err, vegaerr.Internal, "", "the history of %s %q cannot be read", row.Kind, row.Name)
		}
	}
	return c, joinKeys(ctx, q, c, keys)
}

// joinKeys 给历史里的 key 补上一生不变的几栏。
func joinKeys(ctx context.Context, q *sqlcgen.Queries, c *catalog.Catalog, records map[string]keyRecord) error {
	if len(records) == 0 {
		return nil
	}
	ids := make([]string, 0, len(records))
	for id := range records {
		ids = append(ids, id)
	}
	rows, err := q.ListKeysByID(ctx, ids)
	if err != nil {
		return fmt.Errorf("list keys: %w", err)
	}
	for _, row := range rows {
		r := records[row.ID]
		k := &catalog.Key{
			ID: row.ID, App: r.App, Name: r.Name, MAC: [32]byte(row.Mac), Hint: row.Hint, CreatedAt: row.CreatedAt.UTC(),
			CreatedRevision: uint64(row.CreatedRevision), ExpiresAt: utcOrZero(r.ExpiresAt),
		}
		c.Keys[k.Ref()] = k
	}
	return nil
}

// Revisions 由新到旧列出至多 limit 版，都小于 before；before 为 0 从最新的开始。下一页的 before 是最后一版的号。
func (s *Store) Revisions(ctx context.Context, before uint64, limit int) ([]catalog.Revision, error) {
	if before == 0 || before > math.MaxInt64 {
		before = math.MaxInt64
	}
	rows, err := s.q.ListRevisions(ctx, int64(before), int32(min(max(limit, 0), math.MaxInt32)))
	if err != nil {
		return nil, configErr(err)
	}
	list := make([]catalog.Revision, 0, len(rows))
	for _, row := range rows {
		list = append(list, revisionOf(row))
	}
	return list, nil
}

// Revision 给出一版的记录；没有是 vegaerr.NotFound。
func (s *Store) Revision(ctx context.Context, n uint64) (catalog.Revision, error) {
	if n > math.MaxInt64 {
		return catalog.Revision{}, noRevision(n)
	}
	row, err := s.q.GetRevision(ctx, int64(n))
	if errors.Is(err, pgx.ErrNoRows) {
		return catalog.Revision{}, noRevision(n)
	}
	if err != nil {
		return catalog.Revision{}, configErr(err)
	}
	return revisionOf(row), nil
}

func revisionOf(row sqlcgen.Revision) catalog.Revision {
	return catalog.Revision{Number: uint64(row.Number), CreatedAt: row.CreatedAt.UTC(), Actor: row.Actor, Note: row.Note, Summary: row.Summary}
}
