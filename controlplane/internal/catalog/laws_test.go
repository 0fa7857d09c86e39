package catalog

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/vega-gateway/vega/controlplane/internal/catalog/catalogtest"
)

// step 做一次随机的写；冲突与悬空引用不算错，只是没写成。
func (s *store) step(t *rapid.T) {
	refs := slices.SortedFunc(maps.Keys(s.cur.Keys), func(a, b KeyRef) int { return slices.Compare([]string{a.App, a.Name}, []string{b.App, b.Name}) })
	switch rapid.IntRange(0, 10).Draw(t, "step") {
	case 3:
		if len(refs) > 0 {
			ref := rapid.SampledFrom(refs).Draw(t, "rotate")
			body := fmt.Sprintf(`{"name": "turned-%d", "overlap_seconds": %d}`, s.cur.Revision, rapid.IntRange(0, 600).Draw(t, "overlap"))
			r, err := ParseRotation(ref.App, []byte(body))
			if err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			next, _, err := RotateKey(s.cur, ref.App, ref.Name, r, testMint())
			_, _ = s.change(next, err)
		}
	case 0:
		if len(refs) > 0 {
			ref := rapid.SampledFrom(refs).Draw(t, "revoke")
			s.must(t, mustCatalog(DeleteKey(s.cur, ref.App, ref.Name)), nil)
		}
	case 1:
		if names := slices.Sorted(maps.Keys(s.cur.Apps)); len(names) > 0 {
			s.must(t, mustCatalog(Delete(s.cur, KindApp, rapid.SampledFrom(names).Draw(t, "drop"), 0)), nil)
		}
	case 2:
		n := rapid.Uint64Range(0, s.cur.Revision).Draw(t, "rollback")
		s.must(t, Rollback(s.cur, s.past[n]), nil)
	default:
		prune := rapid.Bool().Draw(t, "prune")
		next, _, err := Apply(s.cur, parse(t, string(catalogtest.Document(t))), ApplyOptions{Prune: prune}, testMint())
		_, _ = s.change(next, err)
	}
}

func mustCatalog(c *Catalog, err error) *Catalog {
	if err != nil {
		panic(err)
	}
	return c
}

// 活着的与脱落的 key 不重 MAC、不含吊销过的；活着的 key 都有 app；版本号不超过现在。
func (s *store) invariants(t *rapid.T) {
	seen := map[[32]byte]bool{}
	for _, k := range slices.Concat(slices.Collect(maps.Values(s.cur.Keys)), slices.Collect(maps.Values(s.cur.Detached))) {
		if seen[k.MAC] || s.revoked[k.MAC] {
			t.Fatalf("key %s shares its secret or is revoked", k.Ref())
		}
		seen[k.MAC] = true
		if k.CreatedRevision == 0 || k.CreatedRevision > s.cur.Revision {
			t.Fatalf("key %s was created in revision %d of %d", k.Ref(), k.CreatedRevision, s.cur.Revision)
		}
	}
	for ref, k := range s.cur.Keys {
		if s.cur.Apps[ref.App] == nil || k.Ref() != ref || k.DetachedRevision != 0 {
			t.Fatalf("live key %s is misplaced: %+v", ref, k)
		}
	}
	for id, k := range s.cur.Detached {
		if k.ID != id || k.DetachedRevision == 0 {
			t.Fatalf("detached key %s is misplaced: %+v", id, k)
		}
	}
	for _, a := range s.cur.Apps {
		if a.Version == 0 || a.Version > s.cur.Revision {
			t.Fatalf("app %s has version %d", a.Name, a.Version)
		}
	}
}

func TestLaws_InvariantsHoldAfterAnyWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStore()
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			s.step(t)
			s.invariants(t)
		}
	})
}

func TestLaws_ExportThenApplyIsANoOp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStore()
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			s.step(t)
		}
		exported := asJSON(t, s.cur.Export())
		for _, prune := range []bool{false, true} {
			next, issued, err := Apply(s.cur, parse(t, exported), ApplyOptions{Prune: prune}, testMint())
			if err != nil || len(issued) > 0 {
				t.Fatalf("apply: %v, issued %v", err, issued)
			}
			if d := Compare(s.cur, next); !d.Empty() {
				t.Fatalf("prune=%v: putting back the export changes %+v", prune, d)
			}
		}
	})
}

func TestLaws_ApplyingTwiceEqualsApplyingOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStore()
		s.step(t)
		doc := string(catalogtest.Document(t))
		o := ApplyOptions{Prune: rapid.Bool().Draw(t, "prune")}
		next, _, err := Apply(s.cur, parse(t, doc), o, testMint())
		if _, err := s.change(next, err); err != nil {
			return
		}
		again, issued, err := Apply(s.cur, parse(t, doc), o, testMint())
		if err != nil || len(issued) > 0 {
			t.Fatalf("second apply: %v, issued %v", err, issued)
		}
		if d := Compare(s.cur, again); !d.Empty() {
			t.Fatalf("second apply changes %+v", d)
		}
	})
}

func TestLaws_RollbackRestoresObjectsAndObeysTheKeyRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStore()
		for range rapid.IntRange(2, 10).Draw(t, "steps") {
			s.step(t)
		}
		n := rapid.Uint64Range(0, s.cur.Revision).Draw(t, "n")
		before, past := s.cur, s.past[n]
		s.must(t, Rollback(before, past), nil)
		s.invariants(t)
		for _, c := range Diff(past, s.cur) {
			if c.Kind == KindModel || c.Kind == KindApp || c.Kind == KindServer && c.Action != Updated {
				t.Fatalf("rollback to %d left %s", n, c)
			}
			for _, f := range c.Fields {
				if c.Kind == KindServer && f.Path != "api_key" {
					t.Fatalf("rollback to %d left %s", n, c)
				}
			}
		}
		for server, is := range s.cur.Credentials {
			if before.Credentials[server] != is {
				t.Fatalf("rollback touched the credential of %s", server)
			}
		}
		rollbackKeys(t, before, past, s.cur)
		if d := Compare(s.cur, Rollback(s.cur, past)); !d.Empty() {
			t.Fatalf("a second rollback changes %+v", d)
		}
	})
}

func rollbackKeys(t *rapid.T, before, past, after *Catalog) {
	for ref, k := range before.Keys {
		if past.Apps[ref.App] != nil && (after.Keys[ref] == nil || after.Keys[ref].ID != k.ID) {
			t.Fatalf("rollback lost live key %s", ref)
		}
	}
	ends := map[string]*Key{}
	for _, k := range before.Keys {
		ends[k.ID] = k
	}
	maps.Copy(ends, before.Detached)
	for ref, k := range after.Keys {
		if was := ends[k.ID]; was == nil || !was.ExpiresAt.Equal(k.ExpiresAt) {
			t.Fatalf("rollback changed the expiry of %s from %+v to %s", ref, was, k.ExpiresAt)
		}
	}
	for ref, then := range past.Keys {
		lost := before.Detached[then.ID]
		taken := before.Keys[ref] != nil
		if lost != nil && !taken && (after.Keys[ref] == nil || after.Keys[ref].ID != then.ID) {
			t.Fatalf("detached key %s did not come back", ref)
		}
	}
	for ref, k := range after.Keys {
		if before.Keys[ref] == nil && (past.Keys[ref] == nil || past.Keys[ref].ID != k.ID) {
			t.Fatalf("rollback invented key %s", ref)
		}
	}
}

func TestLaws_CatalogsAreNeverChangedInPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStore()
		seen := map[uint64]string{}
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			s.step(t)
			for n, c := range s.past {
				face := asJSON(t, c.AppViews()) + asJSON(t, c.ServerViews()) + asJSON(t, c.ModelViews())
				if old, ok := seen[n]; ok && old != face {
					t.Fatalf("revision %d changed afterwards", n)
				}
				seen[n] = face
			}
		}
	})
}
