package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// requestColumns 是 usage_request 的各栏，写与读同一个次序。
func requestColumns() []string {
	return []string{
		"ended_at", "id", "node_id", "key_id", "app", "model", "served_model", "server", "endpoint", "client_request_id",
		"outcome", "status", "stream", "replayed", "unjournalled", "source", "started_at", "queue_us", "first_byte_us", "duration_us",
		"prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "cost_nano", "revision", "attempts",
	}
}

// copyRequests 在入库的事务里写下逐条的请求；它们的分区须已经在。
func copyRequests(ctx context.Context, tx pgx.Tx, rows []usage.Request) error {
	if len(rows) == 0 {
		return nil
	}
	from := pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) { return requestValues(&rows[i]) })
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"usage_request"}, requestColumns(), from); err != nil {
		return fmt.Errorf("copy requests: %w", err)
	}
	return nil
}

func requestValues(r *usage.Request) ([]any, error) {
	attempts, err := json.Marshal(r.Attempts)
	if err != nil {
		return nil, fmt.Errorf("encode attempts: %w", err)
	}
	return []any{
		r.EndedAt, r.ID, r.NodeID, r.KeyID, r.App, r.Model, r.ServedModel, r.Server, r.Endpoint, r.ClientRequestID,
		int16(r.Outcome), int16(r.Status), r.Stream, r.Replayed, r.Unjournalled, int16(r.Source), r.StartedAt, r.QueueUS, r.FirstByteUS, r.DurationUS,
		r.Tokens.Prompt, r.Tokens.Completion, r.Tokens.Cached, r.Tokens.Reasoning, r.CostNano, int64(r.Revision), attempts,
	}, nil
}
