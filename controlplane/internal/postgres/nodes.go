package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/controlplane/internal/push"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// SaveNodes 写下 replica 的各条流的状态，返回其中仍归它们的；reports 须按名字升序且不重名。
func (s *Store) SaveNodes(ctx context.Context, replica string, reports []push.Report) ([]push.Hold, error) {
	p := sqlcgen.SaveNodesParams{Replica: replica}
	for _, r := range reports {
		if err := appendNode(&p, r); err != nil {
			return nil, err
		}
	}
	rows, err := s.q.SaveNodes(ctx, p)
	if err != nil {
		return nil, nodesUnavailable(err)
	}
	holds := make([]push.Hold, len(rows))
	for i, row := range rows {
		holds[i] = push.Hold{Session: uint64(row.Session), Drain: row.Drain}
	}
	return holds, nil
}

func appendNode(p *sqlcgen.SaveNodesParams, r push.Report) error {
	ejections, err := json.Marshal(r.Ejections)
	if err != nil {
		return fmt.Errorf("encode ejections of node %s: %w", r.ID, err)
	}
	journal, err := json.Marshal(r.Journal)
	if err != nil {
		return fmt.Errorf("encode the journal of node %s: %w", r.ID, err)
	}
	p.Ids = append(p.Ids, r.ID)
	p.Epochs = append(p.Epochs, int64(r.Epoch))
	p.Versions = append(p.Versions, r.Version)
	p.Sessions = append(p.Sessions, int64(r.Session))
	p.Connected = append(p.Connected, r.Connected)
	p.ConnectedAt = append(p.ConnectedAt, r.ConnectedAt)
	p.SilentMs = append(p.SilentMs, r.Silent.Milliseconds())
	p.AppliedRevisions = append(p.AppliedRevisions, int64(r.AppliedRevision))
	p.AppliedDigests = append(p.AppliedDigests, notNil(r.AppliedDigest))
	p.RejectedRevisions = append(p.RejectedRevisions, int64(r.RejectedRevision))
	p.RejectedReasons = append(p.RejectedReasons, r.RejectedReason)
	p.InFlight = append(p.InFlight, r.InFlight)
	p.Waiting = append(p.Waiting, r.Waiting)
	p.Unreported = append(p.Unreported, r.Unreported)
	p.Draining = append(p.Draining, r.Draining)
	p.Ejections = append(p.Ejections, ejections)
	p.ReportedErrors = append(p.ReportedErrors, r.LastError)
	p.Journals = append(p.Journals, journal)
	return nil
}

// notNil 让空摘要成为空串而不是 NULL。
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// ListNodes 按名字升序列出所有节点。
func (s *Store) ListNodes(ctx context.Context) ([]push.Node, error) {
	rows, err := s.q.ListNodes(ctx)
	if err != nil {
		return nil, nodesUnavailable(err)
	}
	nodes := make([]push.Node, len(rows))
	for i, row := range rows {
		if nodes[i], err = nodeOf(row); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

func nodeOf(row sqlcgen.ListNodesRow) (push.Node, error) {
	n := push.Node{
		ID: row.ID, Epoch: uint64(row.Epoch), Version: row.Version, Replica: row.Replica,
		Connected: row.Live, ConnectedAt: row.ConnectedAt, LastSeen: row.LastSeen,
		AppliedRevision: uint64(row.AppliedRevision), AppliedDigest: row.AppliedDigest,
		RejectedRevision: uint64(row.RejectedRevision), RejectedReason: row.RejectedReason,
		InFlight: row.InFlight, Waiting: row.Waiting, Unreported: row.Unreported, Draining: row.Draining,
	}
	n.LastError = push.DescribeError(n.RejectedRevision, n.RejectedReason, row.ReportedError)
	if err := json.Unmarshal(row.Ejections, &n.Ejections); err != nil {
		return push.Node{}, fmt.Errorf("decode ejections of node %s: %w", row.ID, err)
	}
	if err := json.Unmarshal(row.Journal, &n.Journal); err != nil {
		return push.Node{}, fmt.Errorf("decode the journal of node %s: %w", row.ID, err)
	}
	return n, nil
}

// ForgetNode 删去一个已离开的节点。
func (s *Store) ForgetNode(ctx context.Context, id string) error {
	n, err := s.audited(ctx, "node "+id, func(q *sqlcgen.Queries) (int64, error) { return q.ForgetNode(ctx, id) })
	if err != nil {
		return nodesUnavailable(err)
	}
	if n == 0 {
		return s.whyNot(ctx, id, "node %q is connected; drain or stop it first")
	}
	return nil
}

// DrainNode 记下要一个连着的节点退出；握着它的流的副本会看见。
func (s *Store) DrainNode(ctx context.Context, id string) error {
	n, err := s.audited(ctx, "node "+id, func(q *sqlcgen.Queries) (int64, error) { return q.RequestNodeDrain(ctx, id) })
	if err != nil {
		return nodesUnavailable(err)
	}
	if n == 0 {
		return s.whyNot(ctx, id, "node %q is not connected")
	}
	return nil
}

func (s *Store) whyNot(ctx context.Context, id, conflict string) error {
	exists, err := s.q.NodeExists(ctx, id)
	if err != nil {
		return nodesUnavailable(err)
	}
	if !exists {
		return vegaerr.New(vegaerr.NotFound, "", "no node is named %q", id)
	}
	return vegaerr.New(vegaerr.Conflict, "", conflict, id)
}

func nodesUnavailable(err error) error {
	return vegaerr.Wrap(err, vegaerr.Unavailable, "", "the node table cannot be reached now")
}
