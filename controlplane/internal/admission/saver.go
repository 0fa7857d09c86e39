package admission

import (
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

// saver 把成员写进数据库：循环只管排上，写不成就一直试到任期结束；一次把排着的都写掉。
type saver struct {
	reign *reign
	wake  chan struct{}
	quiet repeatLog // 只有 run 的协程用

	mu      sync.Mutex
	pending batch
}

// batch 是合起来的几次写：每个节点只有最后的样子。
type batch struct {
	ids     []uint64
	members map[string]schedule.Member
	removed map[string]struct{}
}

func newSaver(r *reign) *saver { return &saver{reign: r, wake: make(chan struct{}, 1)} }

// save 排上一次写；写成之后循环会收到 Saved。
func (s *saver) save(id uint64, members []schedule.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.pending
	b.init()
	b.ids = append(b.ids, id)
	for _, m := range members {
		delete(b.removed, m.Node)
		b.members[m.Node] = m
	}
	s.notify()
}

// remove 排上一次删。
func (s *saver) remove(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.pending
	b.init()
	delete(b.members, node)
	b.removed[node] = struct{}{}
	s.notify()
}

func (s *saver) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (b *batch) init() {
	if b.members == nil {
		b.members, b.removed = make(map[string]schedule.Member), make(map[string]struct{})
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
		s.mu.Lock()
		b := s.pending
		s.pending = batch{}
		s.mu.Unlock()
		if !s.persist(ctx, b) {
			return
		}
		for _, id := range b.ids {
			s.reign.post(func() { s.reign.step(schedule.Saved{ID: id}) })
		}
	}
}

// persist 写到成功为止；任期结束了则返回 false。其间新排上的等下一批，次序不乱。
func (s *saver) persist(ctx context.Context, b batch) (ok bool) {
	for wait := saveRetryMin; ; wait = min(2*wait, saveRetryMax) {
		held, err := s.write(ctx, b)
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
			s.reign.log.Warn("cannot save the members yet", zap.Int("members", len(b.members)), zap.Error(err))
		}
		if !sleep(ctx, wait) {
			return false
		}
	}
}

func (s *saver) write(ctx context.Context, b batch) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	store, title := s.reign.host.deps.Store, s.reign.lease.Title
	held = true
	if len(b.members) > 0 {
		members := make([]schedule.Member, 0, len(b.members))
		for _, node := range sortedKeys(b.members) {
			members = append(members, b.members[node])
		}
		if held, err = store.SaveMembers(ctx, title, members); err != nil || !held {
			return held, err
		}
	}
	if len(b.removed) > 0 {
		held, err = store.DeleteMembers(ctx, title, sortedKeys(b.removed))
	}
	return held, err
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
