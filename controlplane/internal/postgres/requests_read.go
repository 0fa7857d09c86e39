package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
	usagev1 "github.com/vega-gateway/vega/proto/gen/go/vega/usage/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// ScanRequests 由新到旧看一段请求，挑出合乎筛选的；一条语句即一个快照。
func (s *Store) ScanRequests(ctx context.Context, q usage.RequestScan) (usage.Scanned, error) {
	var out usage.Scanned
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, requestPlan, forbidden(q)); err != nil {
			return fmt.Errorf("set the plan: %w", err)
		}
		var err error
		if out, err = scanRequests(ctx, tx, q); err != nil {
			return err
		}
		return nameKeys(ctx, tx, out.Items)
	})
	if tookTooLong(err) {
		return usage.Scanned{}, vegaerr.Wrap(err, vegaerr.Timeout, "", "the search took too long; narrow from and to, or name an app")
	}
	if err != nil {
		return usage.Scanned{}, vegaerr.Wrap(err, vegaerr.Unavailable, "", "requests cannot be read now")
	}
	return out, nil
}

func scanRequests(ctx context.Context, tx pgx.Tx, q usage.RequestScan) (out usage.Scanned, err error) {
	var b requestSQL
	sql := b.scan(q)
	rows, err := tx.Query(ctx, sql, b.args...)
	if err != nil {
		return out, fmt.Errorf("search requests: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var lastAt, endedAt *time.Time
		var lastID *string
		var found foundRequest
		if err := rows.Scan(append([]any{&out.Examined, &lastAt, &lastID, &endedAt}, found.rest()...)...); err != nil {
			return out, fmt.Errorf("read requests: %w", err)
		}
		if lastAt != nil {
			out.Last = usage.Position{EndedAt: lastAt.UTC(), ID: *lastID}
		}
		if endedAt == nil {
			continue
		}
		r, err := found.request(*endedAt)
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, r)
	}
	return out, rows.Err()
}

// FindRequest 按请求号找一条；没有为 vegaerr.NotFound。
func (s *Store) FindRequest(ctx context.Context, id string) (usage.Request, error) {
	got, err := s.ScanRequests(ctx, usage.RequestScan{Filter: usage.RequestFilter{ID: id}, Rows: 2, Limit: 2})
	if err != nil {
		return usage.Request{}, err
	}
	for _, r := range got.Items {
		if r.ID == id {
			return r, nil
		}
	}
	return usage.Request{}, vegaerr.New(vegaerr.NotFound, "", "there is no request with this id; it may be refused before it reached a server (only counted), older than what is kept, or left out by sampling")
}

// foundRequest 的各栏在一条也没有挑中时是 NULL。
type foundRequest struct {
	id, nodeID, keyID, app, model, served, server, endpoint, clientID *string
	outcome, status, source                                           *int16
	stream, replayed, unjournalled                                    *bool
	startedAt                                                         *time.Time
	queue, firstByte, duration, cost, revision                        *int64
	tokens                                                            usage.Tokens
	attempts                                                          []byte
}

// rest 是 ended_at 之外各栏的去处，次序同 requestColumns。
func (f *foundRequest) rest() []any {
	return []any{
		&f.id, &f.nodeID, &f.keyID, &f.app, &f.model, &f.served, &f.server, &f.endpoint, &f.clientID,
		&f.outcome, &f.status, &f.stream, &f.replayed, &f.unjournalled, &f.source, &f.startedAt, &f.queue, &f.firstByte, &f.duration,
		&f.tokens.Prompt, &f.tokens.Completion, &f.tokens.Cached, &f.tokens.Reasoning, &f.cost, &f.revision, &f.attempts,
	}
}

func (f *foundRequest) request(endedAt time.Time) (usage.Request, error) {
	r := usage.Request{
		ID: *f.id, ClientRequestID: *f.clientID, NodeID: *f.nodeID, KeyID: *f.keyID, App: *f.app,
		Model: *f.model, ServedModel: *f.served, Server: *f.server, Endpoint: *f.endpoint,
		Outcome: usagev1.Outcome(*f.outcome), Status: int(*f.status), Source: usagev1.Source(*f.source),
		Stream: *f.stream, Replayed: *f.replayed, Unjournalled: *f.unjournalled,
		StartedAt: f.startedAt.UTC(), EndedAt: endedAt.UTC(),
		QueueUS: *f.queue, FirstByteUS: *f.firstByte, DurationUS: *f.duration,
		Tokens: f.tokens, CostNano: *f.cost, Revision: uint64(*f.revision),
	}
	if err := json.Unmarshal(f.attempts, &r.Attempts); err != nil {
		return usage.Request{}, fmt.Errorf("read the attempts of request %s: %w", r.ID, err)
	}
	return r, nil
}

// nameKeys 补上 key 现在的名字；被吊销的也在 keys 表里。
func nameKeys(ctx context.Context, tx pgx.Tx, list []usage.Request) error {
	names := make(map[string]string)
	for _, r := range list {
		names[r.KeyID] = ""
	}
	valid := validUUIDs(names)
	if len(valid) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, "SELECT id::text, name FROM keys WHERE id = ANY($1::uuid[])", valid)
	if err != nil {
		return fmt.Errorf("name keys: %w", err)
	}
	var id, name string
	if _, err := pgx.ForEachRow(rows, []any{&id, &name}, func() error { names[id] = name; return nil }); err != nil {
		return fmt.Errorf("name keys: %w", err)
	}
	for i := range list {
		list[i].KeyName = names[list[i].KeyID]
	}
	return nil
}

// validUUIDs 只取成形的：key 的 id 来自节点，写什么都有可能。
func validUUIDs(ids map[string]string) []string {
	out := make([]string, 0, len(ids))
	for id := range ids {
		if u := (pgtype.UUID{}); u.Scan(id) == nil {
			out = append(out, id)
		}
	}
	return out
}
