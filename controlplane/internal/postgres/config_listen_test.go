package postgres

import (
	"context"
	"errors"
	"testing"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestListen_HearsEveryCommittedRevisionOfAnyReplica(t *testing.T) {
	a, url := openConfig(t)
	b := openAt(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	heard := make(chan uint64, 8)
	ended := make(chan error, 1)
	go func() { ended <- b.Listen(ctx, func(n uint64) { heard <- n }) }()
	if n := <-heard; n != 0 {
		t.Fatalf("first call says %d", n)
	}
	applyDoc(t, a, demo, catalog.ApplyOptions{})
	if n := <-heard; n != 1 {
		t.Fatalf("heard %d", n)
	}
	_, err := a.Change(ctx, "tester", "", applying(t, a, `{"servers": [{"name": "x", "base_url": "bad"}]}`, catalog.ApplyOptions{}))
	wantCode(t, err, vegaerr.Invalid)
	applyDoc(t, a, `{"apps": [{"name": "b"}]}`, catalog.ApplyOptions{})
	if n := <-heard; n != 2 {
		t.Fatalf("heard %d", n)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func TestListen_ReturnsWhenItsConnectionIsCut(t *testing.T) {
	s, url := openConfig(t)
	conn := sqlConn(t, url)
	ready := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() { ended <- s.Listen(t.Context(), func(uint64) { ready <- struct{}{} }) }()
	<-ready
	const cut = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query = 'LISTEN vega_config' AND datname = current_database()`
	if _, err := conn.Exec(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("ended without an error")
	}
}

func TestChange_WithoutDatabaseIsUnavailable(t *testing.T) {
	s, _ := openConfig(t)
	s.pool.Close()
	_, err := s.Change(t.Context(), "tester", "", applying(t, s, demo, catalog.ApplyOptions{}))
	wantCode(t, err, vegaerr.Unavailable)
	_, err = s.Load(t.Context())
	wantCode(t, err, vegaerr.Unavailable)
}
