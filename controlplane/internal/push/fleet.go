package push

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Store 是 nodes 表。
type Store interface {
	// SaveNodes 写下本副本各条流的状态（每个节点至多一条，按名字升序），返回其中仍归它们的。
	SaveNodes(ctx context.Context, replica string, reports []Report) ([]Hold, error)
	// ListNodes 按名字升序列出所有行；Connected 与 LastError 已算好。
	ListNodes(ctx context.Context) ([]Node, error)
	// ForgetNode 删去已离开的一行；还连着为 vegaerr.Conflict，不认识为 vegaerr.NotFound。
	ForgetNode(ctx context.Context, id string) error
	// DrainNode 记下要它退出；没连着为 vegaerr.Conflict，不认识为 vegaerr.NotFound。
	DrainNode(ctx context.Context, id string) error
}

// Report 是一条流要写下的一行。Node.LastSeen 与 Node.Replica 不看：时刻由 Silent 与数据库的钟算出。
type Report struct {
	Node
	Session uint64
	// Silent 是最后一条消息到现在的时长。
	Silent time.Duration
}

// Hold 说一行仍归 Session 这条流；Drain 为真表示有人要它退出。
type Hold struct {
	Session uint64
	Drain   bool
}

// FleetConfig 的零值除 Replica 外可用。
type FleetConfig struct {
	// Replica 是本副本的名字，给运维看。
	Replica string
	// Coalesce 是确认、拒绝、连上、断开之后等多久再写；0 为 10 毫秒。
	Coalesce time.Duration
	// StatusEvery 是状态多久写一次；0 为 1 秒。
	StatusEvery time.Duration
	// WaitPoll 是 WaitApplied 多久看一次表；0 为 30 毫秒。
	WaitPoll time.Duration
	// Takeover 是数据库里的行归别的流多久之后关掉这条流；0 为 12 秒，须大于 10 秒。
	Takeover time.Duration
}

// FleetDeps 都必须给。
type FleetDeps struct {
	Store   Store
	Hub     *Hub
	Metrics *Metrics
	Log     *zap.Logger
}

// Fleet 知道每个节点有什么；见包文档。
type Fleet struct {
	cfg      FleetConfig
	deps     FleetDeps
	wake     chan struct{}
	stopping chan struct{}
	failures repeatLog // 只有 Run 的协程用

	mu       sync.Mutex
	sessions map[string]*session // 按节点名，只有活着的
	dirty    map[string]*session // 待写的；断开的也在
	changed  chan struct{}       // 有变化时关闭并换新
	live     int                 // 还没有退出处理协程的流
}

// NewFleet 造一个空的 Fleet；Run 才开始写数据库。
func NewFleet(cfg FleetConfig, deps FleetDeps) *Fleet {
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&cfg.Coalesce, 10 * time.Millisecond}, {&cfg.StatusEvery, time.Second}, {&cfg.WaitPoll, 30 * time.Millisecond}, {&cfg.Takeover, 12 * time.Second}} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	f := &Fleet{
		cfg: cfg, deps: deps, wake: make(chan struct{}, 1), stopping: make(chan struct{}),
		sessions: make(map[string]*session), dirty: make(map[string]*session), changed: make(chan struct{}),
	}
	deps.Metrics.watchFleet(f.countConnected, f.countBehind)
	return f
}

// Nodes 按名字升序列出整个机队（所有副本的节点，含已离开而未被遗忘的）。数据库不可达为 vegaerr.Unavailable。
func (f *Fleet) Nodes(ctx context.Context) ([]Node, error) {
	return f.deps.Store.ListNodes(ctx)
}

// Forget 忘掉一个已离开的节点；还连着为 vegaerr.Conflict，不认识为 vegaerr.NotFound。
func (f *Fleet) Forget(ctx context.Context, id string) error {
	f.mu.Lock()
	_, live := f.sessions[id]
	f.mu.Unlock()
	if live {
		return vegaerr.New(vegaerr.Conflict, "", "node %q is connected; drain or stop it first", id)
	}
	return f.deps.Store.ForgetNode(ctx, id)
}

// Drain 要一个连着的节点做完手上的事后退出，从任一副本都行；没连着为 vegaerr.Conflict，不认识为 vegaerr.NotFound。
// 握着流的副本就是本副本时立刻送出，否则由它在 StatusEvery 之内看见；记在表里，因此节点先重连也不会错过。
func (f *Fleet) Drain(ctx context.Context, id string) error {
	f.mu.Lock()
	s := f.sessions[id]
	if s != nil {
		s.requestDrain()
	}
	f.mu.Unlock()
	err := f.deps.Store.DrainNode(ctx, id)
	if s == nil {
		return err
	}
	if err != nil {
		f.deps.Log.Warn("drain sent but not recorded; a node that reconnects first would miss it", zap.String("node", id), zap.Error(err))
	}
	return nil
}

// connect 登记一条新的流；同名的旧流（无论是不是同一个 epoch）被取代。
func (f *Fleet) connect(h *configv1.Hello, now time.Time) (*session, error) {
	s := &session{
		id: rand.Uint64(), closed: make(chan struct{}), drain: make(chan struct{}, 1), heard: now,
		node: Node{
			ID: h.GetNodeId(), Epoch: h.GetEpoch(), Version: oneLine(h.GetVersion()), Connected: true, ConnectedAt: now,
			AppliedRevision: h.GetRevision(), AppliedDigest: h.GetDigest(),
		},
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isStopping() {
		return nil, errStopping()
	}
	if old := f.sessions[s.node.ID]; old != nil {
		old.close(vegaerr.New(vegaerr.Conflict, "replaced", "a newer stream of node %q replaced this one", s.node.ID))
	}
	f.sessions[s.node.ID] = s
	f.live++
	f.markLocked(s, true)
	return s, nil
}

// disconnect 撤下一条流；已被取代的只减数。
func (f *Fleet) disconnect(s *session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live--
	if f.sessions[s.node.ID] == s {
		delete(f.sessions, s.node.ID)
		s.node.Connected = false
		f.markLocked(s, true)
	}
}

// update 在锁内改一条流的状态；urgent 的变化约 10 毫秒内入库并叫醒等待者，其余等下一个节拍。
func (f *Fleet) update(s *session, urgent bool, change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.heard = time.Now()
	change()
	if f.sessions[s.node.ID] == s {
		f.markLocked(s, urgent)
	}
}

func (f *Fleet) markLocked(s *session, urgent bool) {
	f.dirty[s.node.ID] = s
	if !urgent {
		return
	}
	close(f.changed)
	f.changed = make(chan struct{})
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// next 见 session.next。
func (f *Fleet) next(s *session, head *Head) *configv1.WatchResponse {
	f.mu.Lock()
	defer f.mu.Unlock()
	return s.next(head)
}

func (f *Fleet) countConnected() float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return float64(len(f.sessions))
}

func (f *Fleet) countBehind() float64 {
	revision := f.deps.Hub.Revision()
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for s := range maps.Values(f.sessions) {
		if s.node.AppliedRevision != revision {
			n++
		}
	}
	return float64(n)
}

// local 是本副本活着的节点的副本与下一次变化的信号。
func (f *Fleet) local() (map[string]Node, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[string]Node, len(f.sessions))
	for id, s := range f.sessions {
		out[id] = s.node
	}
	return out, f.changed
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (f *Fleet) isStopping() bool {
	select {
	case <-f.stopping:
		return true
	default:
		return false
	}
}

func errStopping() error {
	return vegaerr.New(vegaerr.Unavailable, "", "this control plane is shutting down; connect to another")
}
