package push

import (
	"bytes"
	"sync"
	"time"

	configv1 "github.com/vega-gateway/vega/proto/gen/go/vega/config/v1"
)

// session 是一条活着的流。node 以下的字段由 Fleet.mu 看守。
type session struct {
	id     uint64
	closed chan struct{}
	drain  chan struct{}
	once   sync.Once
	reason error

	node  Node
	heard time.Time
	// outstanding 是发出而未得到答复的一版。
	outstanding *Head
	// refusedSince 是数据库里的行开始归别的流的时刻；零值表示归这条流。
	refusedSince time.Time
	drainSent    bool
	// rejectedDigest 是被拒那一版的摘要：数据库回到过去之后，同号的版本可以是别的内容。
	rejectedDigest []byte
}

// close 要监督者以 reason 结束这条流；第一次的理由有效。
func (s *session) close(reason error) {
	s.once.Do(func() {
		s.reason = reason
		close(s.closed)
	})
}

// requestDrain 让写者发一次 Drain；持 Fleet.mu 时调用。
// 手上没有事的节点来不及再自述一次就走了，所以从此刻起就算它在退出：不然奉命走的会被当成失联。
func (s *session) requestDrain() {
	if s.drainSent {
		return
	}
	s.drainSent, s.node.Draining = true, true
	s.drain <- struct{}{}
}

// next 决定把 head 怎样发给节点：整份、只改版本号、或不发（nil，那一版已被这条流拒绝）。持 Fleet.mu 时调用。
func (s *session) next(head *Head) *configv1.WatchResponse {
	u := head.Update
	if s.node.RejectedRevision != 0 && s.node.RejectedRevision == u.GetRevision() && bytes.Equal(s.rejectedDigest, u.GetDigest()) {
		return nil
	}
	has := len(u.GetDigest()) > 0 && s.outstanding == nil && bytes.Equal(s.node.AppliedDigest, u.GetDigest())
	s.outstanding = head
	if has {
		return head.unchanged
	}
	return head.full
}

// acked 记下节点换上的一版，返回从发布到此刻的时长；那一版在连上之前就已发布的不算，ok 为 false。持 Fleet.mu 时调用。
func (s *session) acked(a *configv1.Ack, now time.Time) (latency time.Duration, ok bool) {
	s.node.AppliedRevision, s.node.AppliedDigest = a.GetRevision(), a.GetDigest()
	s.node.RejectedRevision, s.node.RejectedReason = 0, ""
	if s.outstanding == nil || s.outstanding.Update.GetRevision() != a.GetRevision() {
		return 0, false
	}
	published := s.outstanding.PublishedAt
	s.outstanding = nil
	return now.Sub(published), published.After(s.node.ConnectedAt)
}

// nacked 记下节点的拒绝。持 Fleet.mu 时调用。
func (s *session) nacked(n *configv1.Nack) {
	s.node.RejectedRevision, s.node.RejectedReason = n.GetRevision(), oneLine(n.GetReason())
	s.rejectedDigest = n.GetDigest()
	if s.outstanding != nil && s.outstanding.Update.GetRevision() == n.GetRevision() {
		s.rejectedDigest = s.outstanding.Update.GetDigest()
		s.outstanding = nil
	}
}

// status 记下节点每秒的自述。持 Fleet.mu 时调用。
func (s *session) status(st *configv1.NodeStatus) {
	n := &s.node
	n.InFlight, n.Waiting, n.Unreported = max(st.GetInFlight(), 0), max(st.GetWaiting(), 0), max(st.GetUnreported(), 0)
	n.Draining, n.LastError = st.GetDraining() || s.drainSent, oneLine(st.GetLastError())
	n.Ejections, n.Journal = ejections(st.GetEjections()), journalOf(st.GetJournal())
}

// journalOf 收下节点说的；没有说为 nil。
func journalOf(st *configv1.JournalStatus) *Journal {
	if st == nil {
		return nil
	}
	return &Journal{Durable: st.GetDurable(), Trouble: oneLine(st.GetTrouble()), Bytes: max(st.GetBytes(), 0), Unjournalled: max(st.GetUnjournalled(), 0)}
}
