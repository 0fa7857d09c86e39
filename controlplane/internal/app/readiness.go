package app

import (
	"context"
	"errors"

	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/push"
)

// readiness 要数据库应答，并且已经编出过一版快照。
type readiness struct {
	store *postgres.Store
	hub   *push.Hub
}

// checkReady 回答 /readyz；数据库打开之前总是不就绪。
func (a *App) checkReady(ctx context.Context) error {
	r := a.ready.Load()
	if r == nil {
		return errors.New("still starting")
	}
	if err := r.store.Ping(ctx); err != nil {
		return errors.New("the database does not answer")
	}
	if r.hub.Head() == nil {
		return errors.New("no configuration loaded yet")
	}
	return nil
}
