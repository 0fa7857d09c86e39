package postgres

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
)

func TestConnect_WaitsForADatabaseThatIsNotUpYet(t *testing.T) {
	server, err := pgx.ParseConfig(pgtest.New(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	late := time.AfterFunc(300*time.Millisecond, func() { forward(t, addr, server) })
	defer late.Stop()
	began := time.Now()
	s, err := Connect(t.Context(), viaTCP(server, addr), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if took := time.Since(began); took < 300*time.Millisecond || s.Ping(t.Context()) != nil {
		t.Errorf("connected after %s", took)
	}
}

func TestConnect_DoesNotWaitForWhatNeverComes(t *testing.T) {
	u, err := url.Parse(pgtest.New(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/no_such_database"
	if _, err := Connect(t.Context(), u.String(), zap.NewNop()); err == nil || !strings.Contains(err.Error(), "no_such_database") {
		t.Errorf("got %v", err)
	}
}

func TestConnect_StopsWaitingWhenAskedTo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Connect(ctx, "postgres://vega:hunter2@"+freeAddr(t)+"/vega", zap.NewNop()); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestComesBack_TellsRestartsFromMistakes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&pgconn.PgError{Code: "57P03"}, true}, {&pgconn.PgError{Code: "53300"}, true},
		{&pgconn.PgError{Code: "28P01"}, false}, {&pgconn.PgError{Code: "3D000"}, false},
		{fmt.Errorf("handshake: %w", io.ErrUnexpectedEOF), true}, // 正好在握手时死了
		{fmt.Errorf("read migrations: bad file"), false},
	} {
		if got := comesBack(fmt.Errorf("migrate: %w", c.err)); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func viaTCP(c *pgx.ConnConfig, addr string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(c.User, c.Password), Host: addr, Path: "/" + c.Database, RawQuery: "sslmode=disable"}
	return u.String()
}

// forward 在 addr 上把连接转给真的服务器，直到测试结束。
func forward(t *testing.T, addr string, to *pgx.ConnConfig) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			network, address := pgconn.NetworkAddress(to.Host, to.Port)
			out, err := net.Dial(network, address)
			if err != nil {
				t.Error(err)
				_ = in.Close()
				return
			}
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				wg.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					_, _ = pair[0].Close(), pair[1].Close()
				})
			}
		}
	})
}
