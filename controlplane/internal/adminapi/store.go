package adminapi

import (
	"context"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
)

// Store 是管理 API 眼里的存储，由 postgres.Store 实现。够不着数据库的错误是 vegaerr.Unavailable。
type Store interface {
	// Load 给出现在的整个配置，含上游凭证。
	Load(ctx context.Context) (*catalog.Catalog, error)
	// LoadAt 给出历史上的一版，不含上游凭证；没有这一版是 vegaerr.NotFound。
	LoadAt(ctx context.Context, revision uint64) (*catalog.Catalog, error)
	// Change 在一个事务里以 mutate 改现在的一版、检查、写下、通知；没有变化时不产生新的一版。
	Change(ctx context.Context, actor, note string, mutate mutate) (catalog.Applied, error)
	// DryRun 与 Change 同样地算与查，但什么也不写。
	DryRun(ctx context.Context, mutate mutate) (catalog.Applied, error)
	// Revision 给出一版的记录；没有是 vegaerr.NotFound。
	Revision(ctx context.Context, n uint64) (catalog.Revision, error)
	// Revisions 由新到旧列出至多 limit 版，都小于 before；before 为 0 从最新的开始。
	Revisions(ctx context.Context, before uint64, limit int) ([]catalog.Revision, error)
	KeyUse
}

// mutate 由现在的一版算出下一版。
type mutate = func(*catalog.Catalog) (*catalog.Catalog, error)
