package push

import (
	"bytes"
	"sync"
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// Head 是发布过的一版；不可变，所有流共用。
type Head struct {
	Update      *configv1.SnapshotUpdate
	PublishedAt time.Time

	full      *configv1.WatchResponse
	unchanged *configv1.WatchResponse
}

func newHead(u *configv1.SnapshotUpdate) *Head {
	same := &configv1.SnapshotUpdate{Revision: u.GetRevision(), Digest: u.GetDigest(), Encoding: u.GetEncoding(), Unchanged: true}
	return &Head{
		Update: u, PublishedAt: time.Now(),
		full:      &configv1.WatchResponse{Message: &configv1.WatchResponse_Update{Update: u}},
		unchanged: &configv1.WatchResponse{Message: &configv1.WatchResponse_Update{Update: same}},
	}
}

// Hub 把最新的一版交给每个订阅；发布从不等待任何订阅者。
type Hub struct {
	metrics *Metrics

	mu   sync.Mutex
	head *Head
	subs map[*Subscription]struct{}
}

// NewHub 造一个还没有任何版本的 Hub。
func NewHub(metrics *Metrics) *Hub {
	return &Hub{metrics: metrics, subs: make(map[*Subscription]struct{})}
}

// Publish 以 u 为最新并交给所有订阅；与现有的版本和摘要都相同则什么也不做，返回 false。
// 数据库说了算：版本号变小（数据库回到过去）也照样发布。u 此后不可再改。
func (h *Hub) Publish(u *configv1.SnapshotUpdate) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.head != nil && h.head.Update.GetRevision() == u.GetRevision() && bytes.Equal(h.head.Update.GetDigest(), u.GetDigest()) {
		return false
	}
	h.head = newHead(u)
	h.metrics.headRevision.Set(float64(u.GetRevision()))
	h.metrics.snapshotBytes.Set(float64(len(u.GetSnapshot())))
	for s := range h.subs {
		s.offer(h.head)
	}
	return true
}

// Head 是最新的一版，还没有则为 nil。
func (h *Hub) Head() *Head {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.head
}

// Revision 是最新的版本号，还没有则为 0。
func (h *Hub) Revision() uint64 {
	if head := h.Head(); head != nil {
		return head.Update.GetRevision()
	}
	return 0
}

// Subscribe 订阅；已有的最新一版立刻可读。用完必须 Close。
func (h *Hub) Subscribe() *Subscription {
	s := &Subscription{hub: h, ch: make(chan *Head, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subs[s] = struct{}{}
	if h.head != nil {
		s.ch <- h.head
	}
	return s
}

// Subscription 只留最新的一版：读者慢时，中间的版本被跳过。
type Subscription struct {
	hub *Hub
	ch  chan *Head
}

// C 给出尚未取走的最新一版。
func (s *Subscription) C() <-chan *Head { return s.ch }

// Close 退订；可以多次调用。
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.subs, s)
}

// offer 只在持 hub.mu 时调用，因此腾出的一格不会被别的发布者占去。
func (s *Subscription) offer(h *Head) {
	select {
	case <-s.ch:
	default:
	}
	s.ch <- h
}
