package postgres

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
)

// beforeLevels 迁移到用量只有分钟一级的那一版。
func beforeLevels(ctx context.Context, url string) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	p, err := migrator(db)
	if err != nil {
		return err
	}
	_, err = p.UpTo(ctx, 5)
	return err
}

func connectTo(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// waitBlocked 等到这个库里有人在等锁。
func waitBlocked(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	for range 1000 {
		var blocked bool
		err := conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))").Scan(&blocked)
		if err != nil {
			t.Fatal(err)
		}
		if blocked {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("nobody waits for a lock")
}

func TestMigrate_KeepsTheUsageAnOldReplicaIsStillWriting(t *testing.T) {
	url := pgtest.New(t, beforeLevels)
	old, watch := connectTo(t, url), connectTo(t, url)
	tx, err := old.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"INSERT INTO usage_refused (minute, app, model, code, count) VALUES (now(), 'a', 'm', 'rate_limit_exceeded', 3)",
		"INSERT INTO usage_minute VALUES (now(), 's', 'a', 'm', 'm', 1, 5" + strings.Repeat(", 0", 18) + ")",
	} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- migrated(t.Context(), url) }()
	waitBlocked(t, watch)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var requests, refused int64
	if err := watch.QueryRow(t.Context(), "SELECT sum(requests)::bigint, sum(refused)::bigint FROM usage_delta").Scan(&requests, &refused); err != nil {
		t.Fatal(err)
	}
	if requests != 5 || refused != 3 {
		t.Errorf("%d requests and %d refusals came over, want 5 and 3", requests, refused)
	}
}
