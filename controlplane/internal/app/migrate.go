package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/vega-gateway/vega/controlplane/internal/postgres"
)

// Migrate 把 VEGA_DATABASE_URL 所指的数据库带到最新结构；内嵌的数据库在 serve 时自己迁移。
func Migrate(ctx context.Context, cfg Config) error {
	if cfg.DatabaseURL == "" {
		return errors.New("VEGA_DATABASE_URL: must be set for migrate (an embedded database migrates itself in serve)")
	}
	steps, err := postgres.Migrate(ctx, cfg.DatabaseURL)
	if err != nil {
		return err
	}
	fmt.Printf("%d migrations applied\n", steps)
	return nil
}
