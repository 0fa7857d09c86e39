package admission

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/vega-gateway/vega/proto/schedule"
)

const (
	saveTimeout  = 5 * time.Second
	saveRetryMin = 50 * time.Millisecond
	saveRetryMax = time.Second
)

// saver 把成员写进数据库：循环只管排上，写不成就一直试到任期结束。一次写一块，小的行在前：
// 新来的节点不必等所有的份额都写完，一块也总在期限之内写得完。
type saver struct {
	reign *reign
	wake  chan struct{}
	quiet repeatLog // 只有 run 的协程用

	mu      sync.Mutex
	count   uint64
	rows    map[string]row      // 要写的：每个节点只有最后的样子
	removed map[string]struct{} // 要删的
	waits   []wait              // 还没有写完的 save，早的在前
}

// row 是第几次 save 给出的一行。
type row struct {
	count  uint64
	member schedule.Member
}

// wait 是一次 save 与它还没有写下的节点；更新的一行写下了也算。
type wait struct {
	id, count uint64
	nodes     map[string]struct{}
}

// 一块至多这么多行、这么多项份额；一行自己就更多的单独一块。
const (
	chunkRows   = 200
	chunkShares = 20_000
)

func newSaver(r *reign) *saver {
	return &saver{reign: r, wake: make(chan struct{}, 1), rows: make(map[string]row), removed: make(map[string]struct{})}
}

// save 排上一次写；都写成之后循环会收到 Saved。
func (s *saver) save(id uint64, members []schedule.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	w := wait{id: id, count: s.count, nodes: make(map[string]struct{}, len(members))}
	for _, m := range members {
		delete(s.removed, m.Node)
		s.rows[m.Node] = row{s.count, m}
		w.nodes[m.Node] = struct{}{}
	}
	s.waits = append(s.waits, w)
	s.notify()
}

// remove 排上一次删；还没有写的那一行不必再写。
func (s *saver) remove(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, node)
	s.removed[node] = struct{}{}
	for i := range s.waits {
		delete(s.waits[i].nodes, node)
	}
	s.notify()
}

func (s *saver) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run 写到 ctx 结束。
func (s *saver) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		for {
			chunk, removed := s.next()
			if len(chunk)+len(removed) == 0 {
				break
			}
			if !s.persist(ctx, chunk, removed) {
				return
			}
			s.written(chunk)
		}
		s.written(nil)
	}
}

// next 取下一块要写的（留在排着的里面，写成才去掉）与要删的。
func (s *saver) next() (chunk []row, removed []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	removed = sortedKeys(s.removed)
	clear(s.removed)
	for _, r := range s.rows {
		chunk = append(chunk, r)
	}
	slices.SortFunc(chunk, func(a, b row) int {
		return cmp.Or(cmp.Compare(len(a.member.Shares), len(b.member.Shares)), cmp.Compare(a.member.Node, b.member.Node))
	})
	shares := 0
	for i, r := range chunk {
		if shares += len(r.member.Shares); i == chunkRows || i > 0 && shares > chunkShares {
			return chunk[:i], removed
		}
	}
	return chunk, removed
}

// written 记下一块写成了，并告诉循环哪些 save 由此都写成了。
func (s *saver) written(chunk []row) {
	s.mu.Lock()
	for _, r := range chunk {
		node := r.member.Node
		if s.rows[node].count == r.count {
			delete(s.rows, node)
		}
		for i := range s.waits {
			if s.waits[i].count <= r.count {
				delete(s.waits[i].nodes, node)
			}
		}
	}
	var done []uint64
	s.waits = slices.DeleteFunc(s.waits, func(w wait) bool {
		if len(w.nodes) == 0 {
			done = append(done, w.id)
		}
		return len(w.nodes) == 0
	})
	s.mu.Unlock()
	for _, id := range done {
		s.reign.post(func() { s.reign.step(schedule.Saved{ID: id}) })
	}
}

// persist 写到成功为止；任期结束了则返回 false。其间新排上的等下一块。
func (s *saver) persist(ctx context.Context, chunk []row, removed []string) (ok bool) {
	for wait := saveRetryMin; ; wait = min(2*wait, saveRetryMax) {
		held, err := s.write(ctx, chunk, removed)
		switch {
		case ctx.Err() != nil:
			return false
		case err == nil && !held:
			s.reign.end(errNotOurs)
			return false
		case err == nil:
			if s.quiet.over() {
				s.reign.log.Info("members are saved again")
			}
			return true
		}
		if s.quiet.due(time.Now()) {
			s.reign.log.Warn("cannot save the members yet", zap.Int("members", len(chunk)), zap.Error(err))
		}
		if !sleep(ctx, wait) {
			return false
		}
	}
}

func (s *saver) write(ctx context.Context, chunk []row, removed []string) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	store, title := s.reign.host.deps.Store, s.reign.lease.Title
	held = true
	if len(removed) > 0 {
		if held, err = store.DeleteMembers(ctx, title, removed); err != nil || !held {
			return held, err
		}
	}
	if len(chunk) > 0 {
		members := make([]schedule.Member, len(chunk))
		for i := range chunk {
			members[i] = chunk[i].member
		}
		held, err = store.SaveMembers(ctx, title, members)
	}
	return held, err
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
