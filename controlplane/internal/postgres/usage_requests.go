package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

// storeRequests 在入库的事务里存下这一批新计入的逐条请求；step.Cursor 之前的前缀早已存过。
func storeRequests(_ context.Context, _ pgx.Tx, _ usage.Batch, _ usage.Step) error { return nil }
