package postgres

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

func TestChange_NoOpMakesNoRevision(t *testing.T) {
	s, _ := openConfig(t)
	if done := applyDoc(t, s, demo, catalog.ApplyOptions{}); !done.Changed || done.Revision != 1 {
		t.Fatalf("first: %+v", done)
	}
	for _, prune := range []bool{false, true} {
		if done := applyDoc(t, s, demo, catalog.ApplyOptions{Prune: prune}); done.Changed || done.Revision != 1 || len(done.Changes) != 0 || done.Changes == nil {
			t.Errorf("prune=%v: %+v", prune, done)
		}
	}
	list, err := s.Revisions(t.Context(), 0, 10)
	if err != nil || len(list) != 1 || list[0].Actor != "tester" || list[0].Note != "note" || list[0].CreatedAt.IsZero() ||
		list[0].Summary != "4 created: server gpu-1, model gpt-4o, app team-a, key team-a/default" {
		t.Errorf("revisions %+v, %v", list, err)
	}
}

func TestChange_InvalidConfigurationLeavesNothingBehind(t *testing.T) {
	s, _ := openConfig(t)
	applyDoc(t, s, demo, catalog.ApplyOptions{})
	before := load(t, s)
	doc := `{"servers": [{"name": "fine", "base_url": "http://a"}, {"name": "gpu-1", "base_url": "nonsense"}],
		"models": [{"name": "m", "targets": [{"server": "gone", "upstream_model": "x"}]}]}`
	d, err := catalog.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Change(t.Context(), "tester", "", func(cur *catalog.Catalog) (*catalog.Catalog, error) {
		next, _, err := catalog.Apply(cur, d, catalog.ApplyOptions{}, s.Mint())
		return next, err
	})
	e := wantCode(t, d.Relocate(err), vegaerr.Invalid)
	if len(e.Problems) != 2 || e.Problems[0].Path != "servers[1].base_url" || e.Problems[1].Path != "models[0].targets[0].server" {
		t.Errorf("problems %+v", e.Problems)
	}
	same(t, "after a refused write", load(t, s), before)
}

func TestChange_RemovingWhatOthersNeedIsRefused(t *testing.T) {
	s, _ := openConfig(t)
	applyDoc(t, s, demo, catalog.ApplyOptions{})
	_, err := s.Change(t.Context(), "tester", "", applying(t, s, `{"models": [{"name": "gpt-4o", "targets": [{"server": "gpu-1", "upstream_model": "x"}]}]}`, catalog.ApplyOptions{Prune: true}))
	if e := wantCode(t, err, vegaerr.Invalid); e.Problems[0].Path != "models[gpt-4o].targets[0].server" {
		t.Errorf("problems %+v", e.Problems)
	}
}

func TestChange_RevokedSecretIsRefusedForEver(t *testing.T) {
	s, _ := openConfig(t)
	applyDoc(t, s, demo, catalog.ApplyOptions{})
	_, err := s.Change(t.Context(), "tester", "", func(c *catalog.Catalog) (*catalog.Catalog, error) {
		return catalog.DeleteKey(c, "team-a", "default")
	})
	if err != nil {
		t.Fatal(err)
	}
	applyDoc(t, s, `{}`, catalog.ApplyOptions{Prune: true})
	d, err := catalog.Parse([]byte(demo))
	if err != nil {
		t.Fatal(err)
	}
	again := func(c *catalog.Catalog) (*catalog.Catalog, error) {
		next, _, err := catalog.Apply(c, d, catalog.ApplyOptions{}, s.Mint())
		return next, err
	}
	_, dryErr := s.DryRun(t.Context(), again)
	_, err = s.Change(t.Context(), "tester", "", again)
	for _, err := range []error{dryErr, err} {
		e := wantCode(t, d.Relocate(err), vegaerr.Conflict)
		if len(e.Problems) != 1 || e.Problems[0].Path != "apps[0].keys[0].secret" || e.Problems[0].Message != catalog.MessageRevokedSecret {
			t.Errorf("problems %+v", e.Problems)
		}
	}
	past, err := s.LoadAt(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	done, err := s.Change(t.Context(), "tester", "rollback", func(c *catalog.Catalog) (*catalog.Catalog, error) { return catalog.Rollback(c, past), nil })
	if err != nil || len(done.Catalog.Keys) != 0 || done.Catalog.Apps["team-a"] == nil {
		t.Errorf("a rollback must not revive a revoked key: %v %+v", err, done.Catalog)
	}
}

func TestChange_RollbackBringsBackKeysAndCredentialOfDeletedObjects(t *testing.T) {
	s, _ := openConfig(t)
	before := applyDoc(t, s, demo, catalog.ApplyOptions{}).Catalog
	applyDoc(t, s, `{}`, catalog.ApplyOptions{Prune: true})
	past, err := s.LoadAt(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	done, err := s.Change(t.Context(), "tester", "rollback to 1", func(c *catalog.Catalog) (*catalog.Catalog, error) { return catalog.Rollback(c, past), nil })
	if err != nil || done.Revision != 3 {
		t.Fatalf("%+v %v", done, err)
	}
	after := load(t, s)
	ref := catalog.KeyRef{App: "team-a", Name: "default"}
	if *after.Keys[ref] != *before.Keys[ref] || after.Credentials["gpu-1"].Secret.Reveal() != "sk-upstream-plain-0123" {
		t.Errorf("key %+v credential %v", after.Keys[ref], after.Credentials["gpu-1"])
	}
	if changes := catalog.Diff(past, after); len(changes) != 0 {
		t.Errorf("after the rollback: %v", changes)
	}
}

func TestDryRun_WritesNothingAndWaitsForNobody(t *testing.T) {
	s, url := openConfig(t)
	applyDoc(t, s, demo, catalog.ApplyOptions{})
	conn := sqlConn(t, url)
	if _, err := conn.Exec(t.Context(), "BEGIN; SELECT revision FROM config_head FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	would, err := s.DryRun(t.Context(), applying(t, s, `{"servers": [{"name": "new", "base_url": "http://n"}]}`, catalog.ApplyOptions{}))
	if err != nil || !would.Changed || would.Revision != 1 || len(would.Changes) != 1 || would.Catalog.Servers["new"] == nil {
		t.Errorf("%+v, %v", would, err)
	}
	if c := load(t, s); c.Revision != 1 || c.Servers["new"] != nil {
		t.Errorf("a dry run wrote: %+v", c)
	}
}

func TestConfig_ConcurrentReplicasLoseNoUpdate(t *testing.T) {
	a, url := openConfig(t)
	b := openAt(t, url)
	unlock(t, b)
	const writers, each = 4, 8
	var wg sync.WaitGroup
	for w := range writers {
		s := []*Store{a, b}[w%2]
		wg.Go(func() {
			for i := range each {
				doc := fmt.Sprintf(`{"apps": [{"name": "app-%d-%d", "keys": [{"name": "k"}]}]}`, w, i)
				if _, err := s.Change(t.Context(), "writer", "", applying(t, s, doc, catalog.ApplyOptions{})); err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
	}
	wg.Wait()
	c := load(t, a)
	if c.Revision != writers*each || len(c.Apps) != writers*each || len(c.Keys) != writers*each {
		t.Errorf("revision %d, %d apps, %d keys, want %d of each", c.Revision, len(c.Apps), len(c.Keys), writers*each)
	}
	for n := range uint64(writers * each) {
		past, err := b.LoadAt(t.Context(), n+1)
		if err != nil || len(past.Apps) != int(n+1) {
			t.Fatalf("revision %d: %d apps, %v", n+1, len(past.Apps), err)
		}
	}
}

func TestConfig_OneOfManyWithTheSameIfMatchWins(t *testing.T) {
	s, _ := openConfig(t)
	applyDoc(t, s, demo, catalog.ApplyOptions{})
	var mu sync.Mutex
	won, lost := 0, 0
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			doc := fmt.Sprintf(`{"apps": [{"name": "winner-%d"}]}`, i)
			_, err := s.Change(t.Context(), "racer", "", applying(t, s, doc, catalog.ApplyOptions{IfRevision: 1}))
			mu.Lock()
			defer mu.Unlock()
			switch vegaerr.CodeOf(err) {
			case 0:
				won++
			case vegaerr.PreconditionFailed:
				lost++
			default:
				t.Errorf("racer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != 7 || load(t, s).Revision != 2 {
		t.Errorf("%d won, %d lost", won, lost)
	}
}

func TestConfig_DatabaseHoldsNoPlainSecret(t *testing.T) {
	s, url := openConfig(t)
	applyDoc(t, s, demo, catalog.ApplyOptions{})
	applyDoc(t, s, strings.Replace(demo, "sk-upstream-plain-0123", "sk-replaced-plain-4567", 1), catalog.ApplyOptions{})
	const proxy = "http://me:proxy%2Dplain*0123@proxy:3128" // 不是规范的写法：读回来也要一字不差
	applyDoc(t, s, strings.Replace(demo, `"api_key"`, `"proxy_url": "`+proxy+`", "api_key"`, 1), catalog.ApplyOptions{})
	past, err := s.LoadAt(t.Context(), 3)
	if err != nil || past.Servers["gpu-1"].ProxyURL != proxy || load(t, s).Servers["gpu-1"].ProxyURL != proxy {
		t.Errorf("the proxy does not read back: %v", err)
	}
	conn := sqlConn(t, url)
	for _, table := range []string{"installation", "revisions", "objects", "object_history", "keys", "server_credentials"} {
		rows, err := conn.Query(t.Context(), "SELECT t::text FROM "+table+" t")
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				t.Fatal(err)
			}
			seen++
			for _, secret := range []string{"sk-upstream-plain", "sk-replaced-plain", "0123@proxy", fixed[:20]} {
				if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
					t.Errorf("%s holds %s: %s", table, secret, text)
				}
			}
		}
		if err := rows.Err(); err != nil || seen == 0 {
			t.Fatalf("%s: %d rows, %v", table, seen, err)
		}
	}
}

func TestConfig_UnknownRevisionIsNotFound(t *testing.T) {
	s, _ := openConfig(t)
	_, err := s.LoadAt(t.Context(), 1)
	wantCode(t, err, vegaerr.NotFound)
	_, err = s.LoadAt(t.Context(), 1<<63)
	wantCode(t, err, vegaerr.NotFound)
	_, err = s.Revision(t.Context(), 1)
	wantCode(t, err, vegaerr.NotFound)
	if c, err := s.LoadAt(t.Context(), 0); err != nil || len(c.Servers) != 0 {
		t.Errorf("revision 0: %+v, %v", c, err)
	}
}

func TestRevisions_PageByKeyset(t *testing.T) {
	s, _ := openConfig(t)
	for i := range 5 {
		applyDoc(t, s, fmt.Sprintf(`{"apps": [{"name": "app-%d"}]}`, i), catalog.ApplyOptions{})
	}
	var got []uint64
	before := uint64(0)
	for {
		page, err := s.Revisions(t.Context(), before, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			got = append(got, r.Number)
		}
		before = page[len(page)-1].Number
	}
	if fmt.Sprint(got) != "[5 4 3 2 1]" {
		t.Errorf("got %v", got)
	}
	if r, err := s.Revision(t.Context(), 3); err != nil || r.Summary != "1 created: app app-2" {
		t.Errorf("revision 3: %+v, %v", r, err)
	}
}

func TestLoad_SeesAnotherHistoryUnderTheSameRevisionNumber(t *testing.T) {
	s, url := openConfig(t)
	applyDoc(t, s, `{"apps": [{"name": "first"}]}`, catalog.ApplyOptions{})
	one, err := s.Load(t.Context())
	if again, againErr := s.Load(t.Context()); err != nil || againErr != nil || again != one {
		t.Error("an unchanged configuration was read again")
	}
	// 数据库回到过去，又由另一个副本写成同号的另一版。
	_, err = sqlConn(t, url).Exec(t.Context(), `TRUNCATE objects, object_history, revisions; UPDATE config_head SET revision = 0, stamp = gen_random_uuid()`)
	if err != nil {
		t.Fatal(err)
	}
	other := openAt(t, url)
	unlock(t, other)
	applyDoc(t, other, `{"apps": [{"name": "second"}]}`, catalog.ApplyOptions{})
	if c, err := s.Load(t.Context()); err != nil || c.Revision != 1 || c.Apps["second"] == nil || c.Apps["first"] != nil {
		t.Errorf("got %+v, %v", c, err)
	}
}

// TestLoad_AServerStoredBeforeDrainHadLimitsGetsTheDefaults：旧的行里没有这一项，读出来不能是零，再应用一次也不算变化。
func TestLoad_AServerStoredBeforeDrainHadLimitsGetsTheDefaults(t *testing.T) {
	s, url := openConfig(t)
	applyDoc(t, s, `{"servers": [{"name": "s", "base_url": "http://a"}]}`, catalog.ApplyOptions{})
	if _, err := sqlConn(t, url).Exec(t.Context(), `UPDATE objects SET spec = spec - 'drain'; UPDATE config_head SET stamp = gen_random_uuid()`); err != nil {
		t.Fatal(err)
	}
	c, err := s.Load(t.Context())
	if err != nil || c.Servers["s"].Drain != catalog.DefaultDrain() {
		t.Fatalf("%+v, %v", c.Servers["s"], err)
	}
	applyDoc(t, s, `{"servers": [{"name": "s", "base_url": "http://a"}]}`, catalog.ApplyOptions{})
	if c, err = s.Load(t.Context()); err != nil || c.Revision != 1 {
		t.Errorf("revision %d, %v", c.Revision, err)
	}
}

func TestChange_NoteWithBadBytesIsStillRecorded(t *testing.T) {
	s, _ := openConfig(t)
	if _, err := s.Change(t.Context(), "a\x00b", "\xff!", applying(t, s, demo, catalog.ApplyOptions{})); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Revision(t.Context(), 1); err != nil || r.Actor != "a\uFFFDb" || r.Note != "\uFFFD!" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestChange_FailingMutationChangesNothing(t *testing.T) {
	s, _ := openConfig(t)
	cause := vegaerr.New(vegaerr.NotFound, "", "nothing there")
	_, err := s.Change(t.Context(), "tester", "", func(*catalog.Catalog) (*catalog.Catalog, error) { return nil, cause })
	if wantCode(t, err, vegaerr.NotFound) != cause {
		t.Errorf("the error was replaced: %v", err)
	}
	_, err = s.Change(t.Context(), "tester", "", func(*catalog.Catalog) (*catalog.Catalog, error) { return nil, nil })
	wantCode(t, err, vegaerr.Internal)
	func() {
		defer func() { _ = recover() }()
		_, _ = s.Change(t.Context(), "tester", "", func(*catalog.Catalog) (*catalog.Catalog, error) { panic("defect") })
	}()
	// 锁已经放开，下一次写照常。
	if done := applyDoc(t, s, demo, catalog.ApplyOptions{}); done.Revision != 1 {
		t.Errorf("revision %d", done.Revision)
	}
}
