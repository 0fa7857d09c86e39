package adminapi_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/admission"
	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/controlplane/internal/snapshot"
	"github.com/vega-gateway/vega/controlplane/internal/usage"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// memory 是内存里的存储：与真的一样检查、盖版本号、留历史。
type memory struct {
	mu      sync.Mutex
	history []*catalog.Catalog
	log     []catalog.Revision
	// forgot 非 nil 时答不出 key 的最近使用。
	forgot error
	// down 非 nil 时每个方法都以它作答。
	down error
	// boom 非 nil 时每个方法都以它 panic。
	boom any
}

func newMemory() *memory { return &memory{history: []*catalog.Catalog{catalog.New()}} }

func (m *memory) enter() error {
	m.mu.Lock()
	if m.boom != nil {
		m.mu.Unlock()
		panic(m.boom)
	}
	if m.down != nil {
		m.mu.Unlock()
		return m.down
	}
	return nil
}

func (m *memory) head() *catalog.Catalog { return m.history[len(m.history)-1] }

func (m *memory) Load(context.Context) (*catalog.Catalog, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return m.head(), nil
}

func (m *memory) LoadAt(_ context.Context, n uint64) (*catalog.Catalog, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	if n >= uint64(len(m.history)) {
		return nil, vegaerr.New(vegaerr.NotFound, "", "revision %d does not exist", n)
	}
	return m.history[n], nil
}

func (m *memory) KeysUsed(context.Context, []string) (map[string]time.Time, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return nil, m.forgot
}

func (m *memory) plan(mutate func(*catalog.Catalog) (*catalog.Catalog, error)) (catalog.Applied, catalog.Delta, error) {
	cur := m.head()
	next, err := mutate(cur)
	if err != nil {
		return catalog.Applied{}, catalog.Delta{}, err
	}
	d := catalog.Compare(cur, next)
	if d.Empty() {
		return catalog.Applied{Revision: cur.Revision, Catalog: cur, Changes: []catalog.ChangeItem{}}, d, nil
	}
	if err := snapshot.Check(next); err != nil {
		return catalog.Applied{}, d, err
	}
	return catalog.Applied{Revision: cur.Revision, Changed: true, Catalog: next, Changes: catalog.Diff(cur, next)}, d, nil
}

func (m *memory) Change(_ context.Context, actor, note string, mutate func(*catalog.Catalog) (*catalog.Catalog, error)) (catalog.Applied, error) {
	if err := m.enter(); err != nil {
		return catalog.Applied{}, err
	}
	defer m.mu.Unlock()
	done, d, err := m.plan(mutate)
	if err != nil || !done.Changed {
		return done, err
	}
	done.Revision++
	done.Catalog = catalog.Stamp(done.Catalog, d, done.Revision)
	m.history = append(m.history, done.Catalog)
	m.log = append(m.log, catalog.Revision{Number: done.Revision, CreatedAt: time.Unix(1_800_000_000, 0).UTC(),
		Actor: actor, Note: note, Summary: catalog.Summarise(done.Changes)})
	return done, nil
}

func (m *memory) DryRun(_ context.Context, mutate func(*catalog.Catalog) (*catalog.Catalog, error)) (catalog.Applied, error) {
	if err := m.enter(); err != nil {
		return catalog.Applied{}, err
	}
	defer m.mu.Unlock()
	would, _, err := m.plan(mutate)
	return would, err
}

func (m *memory) Revision(_ context.Context, n uint64) (catalog.Revision, error) {
	if err := m.enter(); err != nil {
		return catalog.Revision{}, err
	}
	defer m.mu.Unlock()
	if n == 0 || n > uint64(len(m.log)) {
		return catalog.Revision{}, vegaerr.New(vegaerr.NotFound, "", "revision %d does not exist", n)
	}
	return m.log[n-1], nil
}

func (m *memory) Revisions(_ context.Context, before uint64, limit int) ([]catalog.Revision, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var list []catalog.Revision
	for _, r := range slices.Backward(m.log) {
		if (before == 0 || r.Number < before) && len(list) < limit {
			list = append(list, r)
		}
	}
	return list, nil
}

// fleet 是写好台词的机队。
type fleet struct {
	nodes   []push.Node
	outcome push.Outcome
	err     error
	// waited 记下每次等的版本。
	waited  []uint64
	timeout time.Duration
	asked   []string
}

func (f *fleet) Nodes(context.Context) ([]push.Node, error) { return f.nodes, f.err }

func (f *fleet) Forget(_ context.Context, id string) error { return f.act("forget", id) }

func (f *fleet) Drain(_ context.Context, id string) error { return f.act("drain", id) }

func (f *fleet) act(verb, id string) error {
	if f.err == nil {
		f.asked = append(f.asked, verb+" "+id)
	}
	return f.err
}

func (f *fleet) WaitApplied(_ context.Context, revision uint64, timeout time.Duration) (push.Outcome, error) {
	f.waited, f.timeout = append(f.waited, revision), timeout
	return f.outcome, f.err
}

// figures 记下问的是什么，照稿作答。
type figures struct {
	asked  usage.Query
	result usage.Result
	err    error
}

func (f *figures) Query(_ context.Context, q usage.Query) (usage.Result, error) {
	f.asked = q
	return f.result, f.err
}

// board 照稿给出队列。
type board struct {
	queues admission.Queues
	err    error
}

func (b *board) Queues(context.Context) (admission.Queues, error) { return b.queues, b.err }

func mac(secret string) [32]byte {
	h := hmac.New(sha256.New, []byte("pepper"))
	h.Write([]byte(secret))
	return [32]byte(h.Sum(nil))
}
