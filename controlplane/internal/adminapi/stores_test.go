package adminapi_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/vega-gateway/vega/controlplane/internal/adminapi"
	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/identity"
	"github.com/vega-gateway/vega/controlplane/internal/postgres"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/pgtest"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/controlplane/internal/seal"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(pgtest.Wrap(m),
		// 测试里的客户端用默认的 Transport，它留着空闲连接。
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

var (
	_ adminapi.Store  = (*postgres.Store)(nil)
	_ adminapi.Fleet  = (*push.Fleet)(nil)
	_ adminapi.Usage  = (*usage.Reader)(nil)
	_ adminapi.Queues = (*admission.Host)(nil)
)

// onEachStore 把同一条流程走两遍：内存里的存储，与真的 PostgreSQL。
func onEachStore(t *testing.T, flow func(t *testing.T, b *bench)) {
	t.Run("memory", func(t *testing.T) { flow(t, newBench(t, newMemory())) })
	t.Run("postgres", func(t *testing.T) {
		s := openPostgres(t)
		flow(t, newBench(t, s, func(_ *adminapi.Config, d *adminapi.Deps) { d.Mint = s.Mint() }))
	})
}

func openPostgres(t *testing.T) *postgres.Store {
	t.Helper()
	s, err := postgres.Connect(t.Context(), pgtest.New(t, migrate), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	ring, err := seal.NewKeyring(seal.GenerateKey())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Unlock(t.Context(), ring); err != nil {
		t.Fatal(err)
	}
	return s
}

// cheap 是测试里的散列代价：规矩不变，只是快。
func cheap() identity.Params { return identity.Params{MemoryKiB: 64, Passes: 1} }

func defaultIdentity(t *testing.T, store adminapi.Store) *identity.Service {
	t.Helper()
	return newIdentity(t, store, identity.Config{})
}

// people 是与这台管理 API 同在一个库上的操作员。
func (b *bench) people() *identity.Service {
	b.t.Helper()
	return defaultIdentity(b.t, b.store)
}

// newIdentity 总在真的 PostgreSQL 上：配置在内存里的测试另开一个库。
func newIdentity(t *testing.T, store adminapi.Store, cfg identity.Config) *identity.Service {
	t.Helper()
	s, ok := store.(*postgres.Store)
	if !ok {
		s = openPostgres(t)
	}
	cfg.Argon = cheap()
	people, err := identity.New(cfg, identity.Deps{Store: s, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	return people
}

func migrate(ctx context.Context, url string) error {
	_, err := postgres.Migrate(ctx, url)
	return err
}

func TestPostgres_DatabaseGoneIs503AndTheProcessLivesOn(t *testing.T) {
	s := openPostgres(t)
	b := newBench(t, s, func(_ *adminapi.Config, d *adminapi.Deps) { d.Mint = s.Mint() })
	b.apply(document)
	s.Close()
	for _, c := range [][3]string{{"GET", "/config"}, {"PUT", "/config", document}, {"GET", "/revisions"}, {"DELETE", "/models/gpt-4o"}} {
		if r := b.call(c[0], c[1], c[2]).want(503); r.problem().Code != "unavailable" {
			t.Errorf("%s %s: %s", c[0], c[1], r.body)
		}
	}
}

func TestPostgres_ARevokedSecretNeverLivesAgain(t *testing.T) {
	s := openPostgres(t)
	b := newBench(t, s, func(_ *adminapi.Config, d *adminapi.Deps) { d.Mint = s.Mint() })
	b.apply(document)
	b.call("DELETE", "/apps/team-a/keys/default", "").want(204)
	r := b.call("POST", "/apps/team-a/keys", `{"name":"again","secret":"planted-secret-0123456789-0123456789"}`).want(409)
	if p := r.problem(); len(p.Errors) != 1 || p.Errors[0].Path != "secret" {
		t.Fatalf("got %+v", p)
	}
	b.call("POST", "/revisions/1/rollback", "").want(200)
	keys := b.call("GET", "/apps/team-a/keys", "").want(200)
	var list []struct{ Name string }
	keys.into(&list)
	if len(list) != 1 || list[0].Name != "made" {
		t.Fatalf("after rollback the keys are %s", keys.body)
	}
}

func TestPostgres_OfManyWritersWithTheSameETagExactlyOneWins(t *testing.T) {
	s := openPostgres(t)
	b := newBench(t, s, func(_ *adminapi.Config, d *adminapi.Deps) { d.Mint = s.Mint() })
	b.apply(document)
	const writers = 8
	statuses := make([]int, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			body := fmt.Sprintf(`{"name":"gpu-1","base_url":"http://writer-%d/v1"}`, i)
			statuses[i] = b.call("PUT", "/servers/gpu-1", body, "If-Match", `"1"`).StatusCode
		})
	}
	wg.Wait()
	slices.Sort(statuses)
	if statuses[0] != 200 || statuses[1] != 412 || statuses[writers-1] != 412 {
		t.Fatalf("statuses %v", statuses)
	}
	if r := b.call("GET", "/config", "").want(200); r.Header.Get("ETag") != `"2"` {
		t.Fatalf("revision %s after one winning write", r.Header.Get("ETag"))
	}
}
