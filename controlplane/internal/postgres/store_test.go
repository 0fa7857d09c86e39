package postgres

import (
	"testing"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
)

func TestOpen_BoundsConnectionsAndIdleTransactionsUnlessTheURLSaysOtherwise(t *testing.T) {
	url := pgtest.New(t, migrated)
	for _, c := range []struct {
		suffix, idle string
		conns        int32
	}{
		{"", "30s", 16},
		{"&pool_max_conns=3&idle_in_transaction_session_timeout=7s", "7s", 3},
	} {
		s := openAt(t, url+c.suffix)
		var idle string
		if err := s.pool.QueryRow(t.Context(), "SHOW idle_in_transaction_session_timeout").Scan(&idle); err != nil {
			t.Fatal(err)
		}
		if got := s.pool.Config().MaxConns; idle != c.idle || got != c.conns {
			t.Errorf("%q: idle %s, connections %d", c.suffix, idle, got)
		}
	}
}

// 一个断了网的副本握着锁不放：它的事务被数据库收走，别的副本的写随即过去。
func TestChange_GoesOnWhenAnotherReplicaVanishesHoldingTheLock(t *testing.T) {
	s, url := openConfig(t)
	lost := openAt(t, url+"&idle_in_transaction_session_timeout=300ms")
	tx, err := lost.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := lost.q.WithTx(tx).LockHead(t.Context()); err != nil {
		t.Fatal(err)
	}
	if done, err := s.Change(t.Context(), "test", "", applying(t, s, demo, catalog.ApplyOptions{})); err != nil || !done.Changed {
		t.Errorf("%+v, %v", done.Changed, err)
	}
}
