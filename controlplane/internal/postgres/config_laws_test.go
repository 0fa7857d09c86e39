package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/catalog/catalogtest"
)

// history 记着每一版写完时的样子，与数据库重建出来的相比。
type history struct {
	store *Store
	ctx   context.Context
	at    []*catalog.Catalog
}

func (h *history) now() *catalog.Catalog { return h.at[len(h.at)-1] }

// step 做一次随机的写；被拒绝的写不可留下任何痕迹。
func (h *history) step(t *rapid.T) {
	done, err := h.store.Change(h.ctx, "rapid", "", h.draw(t))
	read, lerr := forgetful(h.store).Load(h.ctx)
	if lerr != nil {
		t.Fatalf("load: %v", lerr)
	}
	if err != nil || !done.Changed {
		same(t, "a refused or empty write left a trace", read, h.now())
		return
	}
	if done.Revision != h.now().Revision+1 {
		t.Fatalf("revision %d follows %d", done.Revision, h.now().Revision)
	}
	same(t, "what was read differs from what was written", read, done.Catalog)
	h.at = append(h.at, done.Catalog)
}

func (h *history) draw(t *rapid.T) Mutate {
	refs := slices.SortedFunc(maps.Keys(h.now().Keys), func(a, b catalog.KeyRef) int { return slices.Compare([]string{a.App, a.Name}, []string{b.App, b.Name}) })
	apps := slices.Sorted(maps.Keys(h.now().Apps))
	switch k := rapid.IntRange(0, 10).Draw(t, "step"); {
	case k == 10 && len(refs) > 0:
		ref := rapid.SampledFrom(refs).Draw(t, "rotate")
		r, err := catalog.ParseRotation(ref.App, fmt.Appendf(nil, `{"name": "turned-%d", "overlap_seconds": %d}`, h.now().Revision, rapid.IntRange(0, 600).Draw(t, "overlap")))
		if err != nil {
			t.Fatalf("%v", err)
		}
		return func(c *catalog.Catalog) (next *catalog.Catalog, err error) {
			next, _, err = catalog.RotateKey(c, ref.App, ref.Name, r, h.store.Mint())
			return next, err
		}
	case k == 0 && len(refs) > 0:
		ref := rapid.SampledFrom(refs).Draw(t, "revoke")
		return func(c *catalog.Catalog) (*catalog.Catalog, error) { return catalog.DeleteKey(c, ref.App, ref.Name) }
	case k == 1 && len(apps) > 0:
		name := rapid.SampledFrom(apps).Draw(t, "drop")
		return func(c *catalog.Catalog) (*catalog.Catalog, error) {
			return catalog.Delete(c, catalog.KindApp, name, 0)
		}
	case k <= 3:
		past, err := h.store.LoadAt(h.ctx, rapid.Uint64Range(0, h.now().Revision).Draw(t, "rollback"))
		if err != nil {
			t.Fatalf("load at: %v", err)
		}
		return func(c *catalog.Catalog) (*catalog.Catalog, error) { return catalog.Rollback(c, past), nil }
	}
	o := catalog.ApplyOptions{Prune: rapid.Bool().Draw(t, "prune")}
	return applying(t, h.store, string(catalogtest.Document(t)), o)
}

// rebuilds 要求历史里的每一版都重建得一模一样（凭证只认 ID，版本号与脱落的不在历史里）。
func (h *history) rebuilds(t *rapid.T) {
	for n, want := range h.at {
		got, err := h.store.LoadAt(h.ctx, uint64(n))
		if err != nil {
			t.Fatalf("load at %d: %v", n, err)
		}
		if changes := append(catalog.Diff(want, got), catalog.Diff(got, want)...); len(changes) > 0 || got.Revision != uint64(n) {
			t.Fatalf("revision %d rebuilds differently: %v", n, changes)
		}
		for ref, k := range want.Keys {
			if rebuilt := got.Keys[ref]; rebuilt == nil || *rebuilt != *k {
				t.Fatalf("revision %d: key %s rebuilds as %+v, was %+v", n, ref, rebuilt, k)
			}
		}
	}
}

func TestConfig_EveryRevisionReadsBackAsItWasWritten(t *testing.T) {
	s, url := openConfig(t)
	conn := sqlConn(t, url)
	rapid.Check(t, func(t *rapid.T) {
		reset(t, conn)
		h := &history{store: s, ctx: context.Background(), at: []*catalog.Catalog{catalog.New()}}
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			h.step(t)
		}
		h.rebuilds(t)
	})
}

// reset 比每次克隆一个数据库快得多。
func reset(t *rapid.T, conn *pgx.Conn) {
	const sql = `TRUNCATE objects, object_history, revisions, keys, server_credentials; UPDATE config_head SET revision = 0, stamp = gen_random_uuid()`
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		t.Fatal(err)
	}
}
