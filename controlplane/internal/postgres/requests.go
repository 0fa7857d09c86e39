package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// sampleFresh 是改了取样多久之内一定生效。
const sampleFresh = 2 * time.Second

// sampling 是一个时刻读到的取样。
type sampling struct {
	rate float64
	at   time.Time
}

// storeRequests 在入库的事务里存下这一批新计入的逐条请求；游标之前的前缀早已存过。
// 没有赶上建分区的落在默认分区里，所以这里不因日子太旧而失败；过了保留期的由 RetireUsage 删去。
func (s *Store) storeRequests(ctx context.Context, tx pgx.Tx, b usage.Batch, step usage.Step) error {
	rate, err := s.requestSample(ctx, tx, b.Clock.Now)
	if err != nil {
		return err
	}
	return copyRequests(ctx, tx, usage.Requests(b, b.Last-uint64(step.Verdict.Records), rate))
}

// requestSample 由设置读出取样；几秒之内用记着的，不给每一批都添一次往返。
func (s *Store) requestSample(ctx context.Context, tx pgx.Tx, now time.Time) (float64, error) {
	if last := s.sample.Load(); last != nil && now.Sub(last.at).Abs() < sampleFresh {
		return last.rate, nil
	}
	row, err := s.q.WithTx(tx).LoadSettings(ctx)
	if err != nil {
		return 0, fmt.Errorf("read settings: %w", err)
	}
	settings, err := decodeSettings(row.Document)
	if err != nil {
		settings = usage.DefaultSettings() // 设置坏了另有人报；账照收，明细照存
	}
	s.sample.Store(&sampling{rate: settings.Requests.Sample, at: now})
	return settings.Requests.Sample, nil
}

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
