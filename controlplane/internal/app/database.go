package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/embedded"
	"github.com/vega-gateway/vega/controlplane/internal/snapshot"
	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// database 是打开的存储，与它下面可能是我们自己起的服务器。
type database struct {
	store     *postgres.Store
	admission *postgres.Admission
	server    *embedded.Server // nil 即用户自己的数据库
}

func openDatabase(ctx context.Context, cfg Config, creds secrets, log *zap.Logger) (*database, error) {
	db := &database{}
	if err := db.open(ctx, cfg, creds, log); err != nil {
		return nil, errors.Join(err, db.close())
	}
	return db, nil
}

func (db *database) open(ctx context.Context, cfg Config, creds secrets, log *zap.Logger) (err error) {
	url := cfg.DatabaseURL
	if url == "" {
		db.server, err = embedded.Start(ctx, embedded.Config{DataDir: filepath.Join(cfg.DataDir, "database"), Durable: true, Logger: log.Named("postgres")})
		if err != nil {
			return err
		}
		url = db.server.URL()
	}
	if db.store, err = postgres.Connect(ctx, url, log); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	if db.admission, err = db.store.OpenAdmission(ctx); err != nil {
		return err
	}
	return db.store.Unlock(ctx, creds.keyring)
}

// watch 守到 ctx 结束，或内嵌的服务器自己死了。
func (db *database) watch(ctx context.Context) error {
	if db.server == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case <-db.server.Done():
		return fmt.Errorf("embedded PostgreSQL ended by itself: %w", errors.Join(db.server.Err(), errors.New("restart the control plane")))
	}
}

func (db *database) close() error {
	if db.admission != nil {
		db.admission.Close()
	}
	if db.store != nil {
		db.store.Close()
	}
	if db.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return db.server.Stop(ctx)
}

// source 把存储与编快照拼成 push 要的真相。
type source struct{ store *postgres.Store }

// Head 实现 push.Source。
func (s source) Head(ctx context.Context) (uint64, error) { return s.store.Head(ctx) }

// Load 实现 push.Source。
func (s source) Load(ctx context.Context) (*configv1.SnapshotUpdate, error) {
	c, err := s.store.Load(ctx)
	if err != nil {
		return nil, err
	}
	return snapshot.Encode(c.Revision, snapshot.Build(c, s.store.Pepper()))
}
